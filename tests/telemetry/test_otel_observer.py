"""What no event tells, observed by the real OpenTelemetry SDK, in Trio's thread and in others."""

from __future__ import annotations

import gc
import re
import threading
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import attrs
import pytest
import trio
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import Gauge, InMemoryMetricReader, Sum

import trio_instances
from trio_instances import (
    BreakerPhase,
    BudgetHealth,
    BudgetPolicy,
    ConnectionBudget,
    InstanceSpec,
    InvalidSpec,
    LoopHealth,
    LoopShares,
    open_runtime,
    telemetry,
)
from trio_instances.channels import MemoryChannel, MemoryServer
from trio_instances.telemetry.sinks import otel_observer
from trio_instances.telemetry.sinks.otel_observer import ATTRIBUTES, observe_runtime
from trio_instances.telemetry.sinks.runtime_families import RUNTIME_FAMILIES

BUDGET = BudgetHealth(
    key="token",
    attempts_per_second=0.2,
    granted=7,
    waited=30.5,
    left=1,
    left_today=990,
    in_flight=2,
    next_slot_at=101.0,
    waiting=4,
    place=None,
    breaker=BreakerPhase.OPEN,
    openings=3,
)
SINK = telemetry.SinkStatistics(
    sink="LoguruSink", written=9, lost=2, buffered=1, failures=3, blocked=4, failing=True
)
LOOP = LoopHealth(
    sleeps=2,
    slept=3600.5,
    stalls=3,
    stalled=1.5,
    shares=LoopShares(10.0, {"bot": 0.25}, 0.125),
)
KEY = {"trio_instances.budget.key": "token"}
NAME = {"trio_instances.sink.name": "LoguruSink"}


@attrs.define
class Steady:
    """A runtime as a test says it is."""

    budget: BudgetHealth = BUDGET
    looks: int = 0

    def list_budget_health(self) -> Sequence[BudgetHealth]:
        """Return one budget."""
        self.looks += 1
        return [self.budget]

    def sink_statistics(self) -> Sequence[telemetry.SinkStatistics]:
        """Return one sink."""
        return [SINK]

    def loop_health(self) -> LoopHealth:
        """Return all there can be."""
        return LOOP


@attrs.frozen
class Collected:
    """An SDK that is read when a test wants it."""

    reader: InMemoryMetricReader
    meters: MeterProvider

    def metrics(self) -> dict[str, Any]:
        """Collect, and return every metric by its name, without the namespace."""
        data = self.reader.get_metrics_data()
        scopes = [] if data is None else [s for r in data.resource_metrics for s in r.scope_metrics]
        return {
            metric.name.removeprefix("trio_instances."): metric
            for scope in scopes
            for metric in scope.metrics
        }

    def points(self) -> dict[str, list[tuple[dict[str, Any], float]]]:
        """Collect, and return the attributes and values of every metric."""
        return {
            name: [(dict(point.attributes), point.value) for point in metric.data.data_points]
            for name, metric in self.metrics().items()
        }


@pytest.fixture
def sdk() -> Iterator[Collected]:
    """Set the real SDK up, for this test alone."""
    reader = InMemoryMetricReader()
    meters = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    yield Collected(reader, meters)
    meters.shutdown()


async def test_what_adds_up_is_no_gauge(sdk: Collected) -> None:
    """Those that wait in two processes are as many as both together. The scope has a version."""
    runtime = Steady()
    observe_runtime(runtime, meter_provider=sdk.meters)
    data = sdk.reader.get_metrics_data()
    assert data is not None
    [scope] = [scope for each in data.resource_metrics for scope in each.scope_metrics]
    up_and_down = {
        metric.name.removeprefix("trio_instances.")
        for metric in scope.metrics
        if isinstance(metric.data, Sum) and not metric.data.is_monotonic
    }

    assert up_and_down == {"budget.waiting", "budget.in_flight", "sink.buffered"}
    assert scope.scope.version == trio_instances.__version__


async def test_budgets_the_loop_and_sinks_are_observed(sdk: Collected) -> None:
    """Each by its attributes in the namespace, as what it is now."""
    runtime = Steady()
    observe_runtime(runtime, meter_provider=sdk.meters)
    phase = "trio_instances.breaker.phase"

    assert sdk.points() == {
        "budget.limit": [(KEY, 0.2)],
        "budget.attempts": [(KEY, 7)],
        "budget.waited": [(KEY, 30.5)],
        "budget.waiting": [(KEY, 4)],
        "budget.in_flight": [(KEY, 2)],
        "budget.left_today": [(KEY, 990)],
        "budget.breaker": [
            ({**KEY, phase: "closed"}, 0),
            ({**KEY, phase: "open"}, 1),
            ({**KEY, phase: "canary"}, 0),
        ],
        "budget.breaker.openings": [(KEY, 3)],
        "loop.stalls": [({}, 3)],
        "loop.stalled": [({}, 1.5)],
        "loop.busy": [({}, 0.375)],
        "loop.share": [({"trio_instances.instance.id": "bot"}, 0.25)],
        "machine.sleeps": [({}, 2)],
        "machine.slept": [({}, 3600.5)],
        "sink.events": [
            ({**NAME, "trio_instances.sink.outcome": "written"}, 9),
            ({**NAME, "trio_instances.sink.outcome": "lost"}, 2),
        ],
        "sink.buffered": [(NAME, 1)],
        "sink.failures": [
            ({**NAME, "trio_instances.sink.failure.kind": "raised"}, 3),
            ({**NAME, "trio_instances.sink.failure.kind": "cut_off"}, 4),
        ],
        "sink.failing": [(NAME, 1)],
    }


async def test_what_only_grows_is_a_counter(sdk: Collected) -> None:
    """What adds up is one that goes both ways, and everything else a gauge, each with its unit."""
    runtime = Steady()
    observe_runtime(runtime, meter_provider=sdk.meters)
    metrics = sdk.metrics()

    for family in RUNTIME_FAMILIES:
        metric = metrics[family.name]
        assert isinstance(metric.data, Sum if family.counts or family.adds_up else Gauge)
        assert (metric.unit, metric.description) == (family.unit, family.help)


@pytest.mark.parametrize("family", RUNTIME_FAMILIES, ids=lambda family: family.name)
def test_a_name_follows_the_conventions(family: Any) -> None:
    """Words with dots, and attributes in the namespace."""
    assert re.fullmatch(r"[a-z_]+(\.[a-z_]+)*", family.name)
    assert set(family.labels) <= set(ATTRIBUTES)


async def test_the_share_of_each_instance_can_be_left_out(sdk: Collected) -> None:
    """Where a series for each is too much."""
    runtime = Steady()
    observe_runtime(runtime, meter_provider=sdk.meters, by_instance=False)

    points = sdk.points()
    assert "loop.busy" in points
    assert "loop.share" not in points


async def test_whether_by_instance_is_yes_or_no() -> None:
    """Anything else is refused."""
    with pytest.raises(InvalidSpec, match="by_instance"):
        observe_runtime(Steady(), by_instance="no")  # type: ignore[arg-type]  # the mistake under test


# --- other threads -------------------------------------------------------------------------------


async def test_another_thread_asks_the_trio_thread_once(sdk: Collected) -> None:
    """However many metrics there are: an exporter's thread collects them all at once."""
    runtime = Steady()
    observe_runtime(runtime, meter_provider=sdk.meters)
    points = await trio.to_thread.run_sync(sdk.points)

    assert points["budget.attempts"] == [(KEY, 7)]
    assert runtime.looks == 1


async def test_a_collection_that_the_trio_thread_waits_for_ends(
    sdk: Collected, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what was seen before: the SDK's ``shutdown`` in Trio's thread waits for another one."""
    monkeypatch.setattr(otel_observer, "PATIENCE", 0.02)
    monkeypatch.setattr(otel_observer, "FRESH", 0.0)
    runtime = Steady()
    observe_runtime(runtime, meter_provider=sdk.meters)
    await trio.to_thread.run_sync(sdk.points)
    runtime.budget = attrs.evolve(BUDGET, granted=8)
    seen = []
    thread = threading.Thread(target=lambda: seen.append(sdk.points()))
    thread.start()
    thread.join(10)  # the loop is blocked, on purpose

    assert [points["budget.attempts"] for points in seen] == [[(KEY, 7)]]


async def test_what_goes_wrong_in_a_look_ends_nothing(sdk: Collected) -> None:
    """The SDK logs it, and the run of Trio goes on."""

    class Broken(Steady):
        def list_budget_health(self) -> Sequence[BudgetHealth]:
            raise ValueError("broken")

    runtime = Broken()
    observe_runtime(runtime, meter_provider=sdk.meters)

    assert await trio.to_thread.run_sync(sdk.points) == {}


def test_when_the_run_is_over_there_is_nothing_to_tell(sdk: Collected) -> None:
    """The SDK may collect once more, when it is shut down."""
    runtime = Steady()

    async def main() -> None:
        observe_runtime(runtime, meter_provider=sdk.meters)
        assert sdk.points() != {}

    trio.run(main)

    assert sdk.points() == {}


async def test_a_runtime_that_nobody_has_any_more_is_not_kept(sdk: Collected) -> None:
    """The provider may be there for ever; in the same run of Trio, another runtime may be."""
    channel = MemoryChannel(MemoryServer())
    gone = weakref.ref(channel)
    async with open_runtime() as runtime:
        observe_runtime(runtime, meter_provider=sdk.meters)
        await runtime.start_instance(InstanceSpec(id="bot", channel=channel))
    del runtime, channel
    gc.collect()

    assert gone() is None
    assert sdk.points() == {}


async def test_a_runtime_is_observed(sdk: Collected) -> None:
    """From its budget's first attempt on."""
    budget = ConnectionBudget("token", BudgetPolicy(attempts_per_day=1000))
    async with open_runtime() as runtime:
        observe_runtime(runtime, meter_provider=sdk.meters)
        channel = MemoryChannel(MemoryServer())
        bot = await runtime.start_instance(InstanceSpec(id="bot", channel=channel, budget=budget))
        await bot.wait_status("connected")
        points = sdk.points()

    assert points["budget.attempts"] == [(KEY, 1)]
    assert points["budget.left_today"] == [(KEY, 999)]
    assert "loop.stalls" not in points
