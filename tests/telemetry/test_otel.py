"""The OpenTelemetry sink, against the real SDK and its exporters that keep what they get."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import trio
from attrs import frozen
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import Histogram, InMemoryMetricReader, Sum
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from trio.testing import MockClock

from trio_instances import (
    Cause,
    ChannelError,
    ChildSpec,
    InstanceSpec,
    InstanceStatus,
    InvalidSpec,
    ProbePolicy,
    RestartIntensity,
    open_runtime,
    open_supervisor,
    telemetry,
)
from trio_instances.channels import MemoryChannel, MemoryServer
from trio_instances.policy.health import ProbeVerdict
from trio_instances.telemetry.sinks.otel import OpenTelemetrySink
from trio_instances.telemetry.sinks.otel_instruments import INSTRUMENTS, SLOW

CAUSE = Cause("recoverable", "close_1006", "gone")
IDS: dict[str, Any] = {"instance_id": "bot", "channel_type": "memory"}
ABOUT = {"trio_instances.instance.id": "bot", "trio_instances.channel.type": "memory"}
FAILURE = {"error.type": "close_1006", "trio_instances.failure.class": "recoverable"}
CHILD: dict[str, Any] = {**IDS, "path": "r/bot/w", "child": "w", "incarnation": 1}

Points = list[tuple[dict[str, Any], Any]]


@frozen
class Collected:
    """An SDK whose exporters keep what they get."""

    reader: InMemoryMetricReader
    spans_taken: InMemorySpanExporter
    meter_provider: MeterProvider
    tracer_provider: TracerProvider

    def sink(self, **options: Any) -> OpenTelemetrySink:
        """Return a sink that feeds it."""
        return OpenTelemetrySink(
            meter_provider=self.meter_provider, tracer_provider=self.tracer_provider, **options
        )

    def metrics(self) -> dict[str, Any]:
        """Return every metric by its name."""
        data = self.reader.get_metrics_data()
        if data is None:
            return {}

        return {
            metric.name: metric
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def points(self, name: str) -> Points:
        """Return the attributes and the value, or the sum, of each point of a metric."""
        metric = self.metrics().get(name)
        if metric is None:
            return []

        return [
            (dict(point.attributes), getattr(point, "value", getattr(point, "sum", None)))
            for point in metric.data.data_points
        ]

    def spans(self) -> list[ReadableSpan]:
        """Return every span that has ended."""
        return list(self.spans_taken.get_finished_spans())


@pytest.fixture
def sdk() -> Iterator[Collected]:
    """Set the real SDK up, for this test alone."""
    reader = InMemoryMetricReader()
    exporter = InMemorySpanExporter()
    meters = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    yield Collected(reader, exporter, meters, tracers)
    meters.shutdown()
    tracers.shutdown()


def changed(status: str, previous: str = "stopped", **ids: str) -> telemetry.StatusChanged:
    """Return a change of status."""
    to, was = InstanceStatus(status), InstanceStatus(previous)
    return telemetry.StatusChanged(at=1.0, **{**IDS, **ids}, status=to, previous=was, elapsed=0.5)


def counted(sdk: Collected) -> dict[str, int]:
    """Return how many instances have each status, without those that none has."""
    counts: Counter[str] = Counter()
    for attributes, value in sdk.points("trio_instances.instance.count"):
        counts[attributes["trio_instances.status"]] += value
    return dict(+counts)


RESTARTING = telemetry.ChildRestarting(at=1.0, **CHILD, cause=CAUSE, delay=0.5, restarts=1)
ESCALATED = telemetry.SupervisorEscalated(
    at=1.0, **IDS, path="p", child="c", cause=CAUSE, restarts=5, period=30.0, exceeded=True
)
ATTEMPT = telemetry.ReconnectAttempt(at=1.0, **IDS, attempt=2, generation=2)
RECONNECTED = telemetry.InstanceConnected(
    at=1.0, **IDS, generation=2, attempt=1, elapsed=0.5, children=(), outage=3.0
)
FIRST = telemetry.InstanceConnected(
    at=1.0, **IDS, generation=1, attempt=1, elapsed=0.5, children=(), outage=None
)
REFUSED = telemetry.ReconnectFailed(
    at=1.0, **IDS, generation=1, attempt=1, elapsed=0.25, cause=CAUSE
)
PROBED = telemetry.ProbeCompleted(
    at=1.0, **IDS, generation=1, verdict=ProbeVerdict.OK, latency=0.25, streak=1, cause=None
)
DEAF = telemetry.ProbeCompleted(
    at=1.0,
    **IDS,
    generation=1,
    verdict=ProbeVerdict.RECOVERABLE,
    latency=5.0,
    streak=1,
    cause=CAUSE,
)
STARTED = telemetry.InstanceStarted(at=1.0, **IDS, children=("own",), elapsed=0.75)
STOPPED = telemetry.InstanceStopped(at=1.0, **IDS, uptime=9.0, elapsed=1.5)
HANDED_OVER = telemetry.InstanceHandedOver(at=1.0, **IDS, generation=2, previous=1, uptime=9.0)
GRANTED = telemetry.ReconnectGranted(at=1.0, **IDS, key="token", waited=12.5)
OPENED = telemetry.BreakerOpened(at=1.0, key="token", failed=5, connected=1, delay=2.0)
CANARY = telemetry.BreakerCanary(at=1.0, **IDS, key="token", canaries=1)
CLOSED = telemetry.BreakerClosed(at=1.0, key="token", elapsed=9.0, canaries=1)
STALLED = telemetry.LoopStalled(
    at=1.0, **IDS, elapsed=0.5, path="r/bot/w", task="r/bot/w", stack=()
)
SLEPT = telemetry.RuntimeSlept(at=1.0, elapsed=3600.0, connections=7)
BROKEN = telemetry.HookFailed(at=1.0, hook="sink", path="JSONLinesSink", cause=CAUSE)
MENDED = telemetry.SinkRecovered(at=1.0, sink="JSONLinesSink", elapsed=30.0, failures=4, lost=9)
KEY = {"trio_instances.budget.key": "token"}
PHASE = "trio_instances.breaker.phase"
OK = {"trio_instances.probe.verdict": "ok"}
BAD = {"trio_instances.probe.verdict": "recoverable", **FAILURE}

# --- metrics -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "name", "unit", "attributes"),
    [
        (RESTARTING, "restarts", "{restart}", FAILURE),
        (ESCALATED, "escalations", "{escalation}", FAILURE),
        (ATTEMPT, "reconnect.attempts", "{attempt}", {}),
        (RECONNECTED, "reconnects", "{reconnect}", {}),
        (PROBED, "probes", "{probe}", OK),
        (DEAF, "probes", "{probe}", BAD),
        (HANDED_OVER, "handovers", "{handover}", {}),
        (CANARY, "breaker.changes", "{change}", {**KEY, PHASE: "canary"}),
    ],
)
async def test_an_event_is_counted(
    sdk: Collected, event: telemetry.Event, name: str, unit: str, attributes: dict[str, str]
) -> None:
    """Under its name, with the cause's reason and class where it has one."""
    await sdk.sink().write([event, event])

    metric = sdk.metrics()[f"trio_instances.{name}"]
    assert sdk.points(metric.name) == [({**ABOUT, **attributes}, 2)]
    assert (metric.unit, type(metric.data), metric.data.is_monotonic) == (unit, Sum, True)


@pytest.mark.parametrize(
    ("event", "name", "seconds", "attributes"),
    [
        (PROBED, "probe", 0.25, OK),
        (DEAF, "probe", 5.0, BAD),
        (FIRST, "connect", 0.5, {}),
        (REFUSED, "connect", 0.25, FAILURE),
        (RECONNECTED, "recovery", 3.0, {}),
        (STOPPED, "stop", 1.5, {}),
        (GRANTED, "budget.wait", 12.5, KEY),
        (STALLED, "loop.stall", 0.5, {}),
    ],
)
async def test_what_took_time_is_measured_in_seconds(
    sdk: Collected, event: telemetry.Event, name: str, seconds: float, attributes: dict[str, str]
) -> None:
    """As a histogram, with ``error.type`` where it failed."""
    await sdk.sink().write([event])

    metric = sdk.metrics()[f"trio_instances.{name}.duration"]
    assert sdk.points(metric.name) == [({**ABOUT, **attributes}, seconds)]
    assert (metric.unit, type(metric.data)) == ("s", Histogram)


@pytest.mark.parametrize(
    ("event", "name", "attributes", "value"),
    [
        (OPENED, "breaker.changes", {**KEY, PHASE: "open"}, 1),
        (CLOSED, "breaker.changes", {**KEY, PHASE: "closed"}, 1),
        (SLEPT, "machine.sleep.duration", {}, 3600.0),
        (BROKEN, "hook.failures", {"trio_instances.hook": "sink", **FAILURE}, 1),
        (MENDED, "sink.outage.duration", {"trio_instances.sink.name": "JSONLinesSink"}, 30.0),
    ],
)
async def test_what_is_of_no_instance_names_none(
    sdk: Collected, event: telemetry.Event, name: str, attributes: dict[str, str], value: float
) -> None:
    """Budgets, the machine and the sinks are shared."""
    await sdk.sink().write([event])

    assert sdk.points(f"trio_instances.{name}") == [(attributes, value)]


@pytest.mark.parametrize("instrument", INSTRUMENTS, ids=lambda each: each.name)
def test_a_name_follows_the_conventions(instrument: Any) -> None:
    """Words with dots; a duration is a histogram in seconds, whose name says that it is one."""
    assert re.fullmatch(r"[a-z]+(\.[a-z]+)*", instrument.name)
    assert re.fullmatch(r"[A-Z].*\.", instrument.help)
    assert (instrument.unit == "s") == instrument.name.endswith(".duration")
    assert (instrument.unit == "s") == (instrument.kind == "histogram")


async def test_the_buckets_fit_what_is_measured(sdk: Collected) -> None:
    """The SDK's own are for milliseconds; an outage can last an hour."""
    await sdk.sink().write([RECONNECTED])

    (point,) = sdk.metrics()["trio_instances.recovery.duration"].data.data_points
    assert tuple(point.explicit_bounds) == SLOW


async def test_a_first_connection_is_neither_a_reconnect_nor_a_recovery(sdk: Collected) -> None:
    """There was nothing to recover from."""
    await sdk.sink().write([FIRST])

    assert sdk.points("trio_instances.reconnects") == []
    assert sdk.points("trio_instances.recovery.duration") == []


async def test_instances_are_counted_by_status(sdk: Collected) -> None:
    """Each has one status at a time; one that is stopped is not counted."""
    sink = sdk.sink()
    await sink.write([changed("starting"), changed("starting", instance_id="other")])
    assert counted(sdk) == {"starting": 2}

    await sink.write([changed("connected", "starting")])
    assert counted(sdk) == {"starting": 1, "connected": 1}

    await sink.write([changed("stopped", "stopping")])
    assert counted(sdk) == {"starting": 1}
    metric = sdk.metrics()["trio_instances.instance.count"]
    assert (metric.unit, metric.data.is_monotonic) == ("{instance}", False)


async def test_a_count_does_not_drift_when_changes_are_lost(sdk: Collected) -> None:
    """The next change of the same instance puts it right."""
    sink = sdk.sink()
    await sink.write([changed("connected", "starting")])
    await sink.write([changed("degraded", "reconnecting")])

    assert counted(sdk) == {"degraded": 1}


async def test_a_closed_sink_counts_no_instance(sdk: Collected) -> None:
    """A failed one, say, which stays failed when its runtime has ended."""
    sink = sdk.sink()
    await sink.write([changed("failed"), changed("connected", instance_id="other")])
    await sink.aclose()

    assert counted(sdk) == {}


async def test_without_the_instance_s_id_all_of_a_type_are_one_series(sdk: Collected) -> None:
    """However many instances there are; spans have the id all the same."""
    sink = sdk.sink(by_instance=False)
    ids = [f"bot-{number}" for number in range(20)]
    await sink.write([changed("connected", instance_id=name) for name in ids])
    await sink.write([changed("degraded", "connected", instance_id=name) for name in ids[:5]])
    await sink.write([PROBED, FIRST, STOPPED])

    points = [point for name in sdk.metrics() for point in sdk.points(name)]
    assert counted(sdk) == {"connected": 15, "degraded": 5}
    assert all("trio_instances.instance.id" not in attributes for attributes, _ in points)
    assert all(attributes["trio_instances.channel.type"] == "memory" for attributes, _ in points)
    assert {(span.attributes or {})["trio_instances.instance.id"] for span in sdk.spans()} == {
        "bot"
    }


async def test_children_outside_of_any_instance_are_counted_too(sdk: Collected) -> None:
    """What is not known is left out, as an attribute cannot be None."""
    bare = telemetry.ChildRestarting(
        at=1.0, path="s/w", child="w", incarnation=1, cause=CAUSE, delay=0.0, restarts=1
    )
    await sdk.sink().write([bare])

    assert sdk.points("trio_instances.restarts") == [(FAILURE, 1)]


# --- spans ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "name", "kind", "seconds"),
    [
        (FIRST, "connect memory", SpanKind.CLIENT, 0.5),
        (STARTED, "start memory", SpanKind.INTERNAL, 0.75),
        (STOPPED, "stop memory", SpanKind.INTERNAL, 1.5),
    ],
)
async def test_a_span_for_each_connect_start_and_stop(
    sdk: Collected, event: telemetry.Event, name: str, kind: SpanKind, seconds: float
) -> None:
    """With the name of what it is, its length, and whom it is about."""
    await sdk.sink().write([event])

    (span,) = sdk.spans()
    assert span.start_time is not None
    assert span.end_time is not None
    assert (span.name, span.kind, span.parent) == (name, kind, None)
    assert (span.end_time - span.start_time) / 1e9 == pytest.approx(seconds, abs=1e-6)
    assert span.status.status_code is StatusCode.UNSET
    assert dict(span.attributes or {}).items() >= ABOUT.items()


async def test_the_span_of_an_attempt_says_which_one(sdk: Collected) -> None:
    """Which connection it made, and which attempt in a row it was."""
    await sdk.sink().write([FIRST])

    (span,) = sdk.spans()
    numbers = {"trio_instances.generation": 1, "trio_instances.attempt": 1}
    assert dict(span.attributes or {}) == {**ABOUT, **numbers}


async def test_the_span_of_a_failed_attempt_says_why(sdk: Collected) -> None:
    """By its status and by the attributes that the metrics have."""
    await sdk.sink().write([REFUSED])

    (span,) = sdk.spans()
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, str(CAUSE))
    assert dict(span.attributes or {}).items() >= FAILURE.items()


async def test_a_span_is_where_it_was_in_wall_time(sdk: Collected) -> None:
    """Events have the runtime's own time, which says nothing outside of the process."""
    ended = telemetry.InstanceStopped(at=trio.current_time() - 60, **IDS, uptime=9.0, elapsed=1.5)
    await sdk.sink().write([ended])

    (span,) = sdk.spans()
    assert (span.end_time or 0) / 1e9 == pytest.approx(time.time() - 60, abs=5)


async def test_a_span_is_a_trace_of_its_own(sdk: Collected) -> None:
    """Whatever span is open around the runtime, which may be open for ever."""
    tracer = sdk.tracer_provider.get_tracer("app")
    with tracer.start_as_current_span("main") as around:
        await sdk.sink().write([FIRST])

    connect, main = sdk.spans()
    assert main.name == "main"
    assert connect.parent is None
    assert connect.context.trace_id != around.get_span_context().trace_id


async def test_events_from_before_these_fields_are_taken(sdk: Collected) -> None:
    """Those of an older version, read from a file, say nothing of how long it took."""
    older = telemetry.InstanceStopped(at=1.0, **IDS, uptime=9.0)
    begun = telemetry.InstanceStarted(at=1.0, **IDS, children=())
    await sdk.sink().write([older, begun])

    assert (sdk.spans(), sdk.metrics()) == ([], {})


# --- in a runtime --------------------------------------------------------------------------------


async def test_a_runtime_tells_it_all(sdk: Collected, autojump_clock: MockClock) -> None:
    """From the start of an instance over a loss to its end, as seen by the SDK."""
    server = MemoryServer()
    spec = InstanceSpec(
        id="bot", channel=MemoryChannel(server), probe=ProbePolicy(interval=10, jitter=0)
    )
    async with open_runtime(sinks=[sdk.sink()]) as runtime:
        bot = await runtime.start_instance(spec)
        await bot.wait_status("connected")
        await trio.sleep(35)
        assert counted(sdk) == {"connected": 1}
        bot.reconnect()
        await bot.wait_status("reconnecting")
        await bot.wait_status("connected")

    assert counted(sdk) == {}
    assert sdk.points("trio_instances.reconnects") == [(ABOUT, 1)]
    assert [span.name for span in sdk.spans()] == [
        "start memory", "connect memory", "connect memory", "stop memory",
    ]  # fmt: skip
    ((attributes, probes),) = sdk.points("trio_instances.probes")
    assert probes >= 3
    assert attributes == {**ABOUT, **OK}


async def test_a_flapping_child_is_counted_by_its_reason(
    sdk: Collected, autojump_clock: MockClock
) -> None:
    """Also one that no instance has, where the bus is given to a supervisor."""
    bus = telemetry.EventBus()

    async def flaky(runs: list[int]) -> None:
        runs.append(1)
        if len(runs) <= 2:
            raise ChannelError(CAUSE)

    intensity = RestartIntensity(max_restarts=5, period=60)
    async with (
        telemetry.open_sinks(bus, [sdk.sink()]),
        open_supervisor(events=bus, intensity=intensity) as supervisor,
    ):
        await supervisor.start_child(ChildSpec("flaky", flaky, args=([],), restart="transient"))

    assert sdk.points("trio_instances.restarts") == [(FAILURE, 2)]


async def test_without_an_sdk_nothing_comes_of_it() -> None:
    """The API alone is enough, and does nothing."""
    sink = OpenTelemetrySink()
    await sink.write([FIRST, STOPPED, changed("connected")])
    await sink.aclose()


async def test_a_burst_lets_others_run(sdk: Collected, nursery: trio.Nursery) -> None:
    """Between two events every other task gets a turn, before or after the next one."""
    turns: list[int] = []

    async def other() -> None:
        while True:
            turns.append(1)
            await trio.lowlevel.checkpoint()

    nursery.start_soon(other)
    await sdk.sink().write([PROBED] * 10)

    assert len(turns) >= 4  # the fewest that it can get, where chance is always against it
    nursery.cancel_scope.cancel()


def test_a_switch_that_is_none_is_refused() -> None:
    """At the door."""
    with pytest.raises(InvalidSpec, match="by_instance"):
        OpenTelemetrySink(by_instance="no")  # type: ignore[arg-type]  # that is the mistake


def test_without_the_package_the_extra_is_named() -> None:
    """And everything else goes on without it."""
    program = """
import sys
sys.modules["opentelemetry"] = None
import trio_instances.telemetry
try:
    import trio_instances.telemetry.sinks.otel
except ModuleNotFoundError as exc:
    print(exc)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.startswith("OpenTelemetrySink: ")
    assert done.stdout.endswith("it comes with the extra: pip install 'trio-instances[otel]'\n")
