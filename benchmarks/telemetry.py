"""What telemetry costs: a restart, a reconnect and an event, without a sink, with one, with all.

The cases take turns within each round, and all seconds are the processor's, of all threads, so that
another load on the machine matters little. A case does its work for a fifth of a second, and then
waits for its sinks: what they had still to do counts as well. Each round compares a case with the
one without a sink, and the figures are the medians of these ratios, with the lowest and the
highest. Whether the work was done, and every event taken, is checked.

    python benchmarks/telemetry.py [ROUNDS]
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import loguru
import trio
from attrs import frozen
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from trio_instances import (
    Backoff,
    Cause,
    ChannelError,
    ChildSpec,
    Instance,
    InstanceSpec,
    ReconnectPolicy,
    RestartIntensity,
    Runtime,
    RuntimeSettings,
    open_runtime,
    open_supervisor,
    telemetry,
)
from trio_instances._supervision.context import current
from trio_instances.abc import Channel, Sink
from trio_instances.telemetry.sinks.otel import OpenTelemetrySink
from trio_instances.telemetry.sinks.prometheus import PrometheusCollector

SECONDS = 0.2
"""How long a case works; Prometheus asks once in it."""
AT_ONCE = Backoff(0.0, jitter="none")
ENDLESS = RestartIntensity(max_restarts=10**9, period=1.0)
LOST = Cause("recoverable", "gone", lost=True)
SETTINGS = RuntimeSettings(sink_buffer=10**7, sink_timeout=120.0, sink_write_timeout=120.0)
"""No event is lost, and none is spared the sinks by that."""
OVERHEAD = 0.02
"""The share of a restart that telemetry without listeners may take."""
SNAPSHOT = 15e-6
"""Seconds that a snapshot may take."""


class Lossy(Channel[None]):
    """Loses each connection as soon as it is there, until the time is over."""

    channel_type = "lossy"

    def __init__(self) -> None:
        self.until = 0.0
        self.connected = 0
        self.done = trio.Event()

    @asynccontextmanager
    async def connect(self, instance: Instance) -> AsyncIterator[None]:
        """Connect at once."""
        yield

    def children(self, instance: Instance, connection: None) -> Sequence[ChildSpec]:
        """Return what finds the connection gone."""
        return [ChildSpec("reader", self._lose, (instance,))]

    async def _lose(self, instance: Instance) -> None:
        await instance.wait_status("connected")
        self.connected += 1
        if time.process_time() < self.until:
            raise ChannelError(LOST)

        self.done.set()
        await trio.sleep_forever()


# --- the work


Work = Callable[[Runtime], Awaitable[tuple[int, int]]]
"""What is done in a runtime; it returns how often, and how many events that is at least."""


async def restarts(runtime: Runtime) -> tuple[int, int]:
    """Restart a child that does nothing but fail."""
    runs = 0
    until = time.process_time() + SECONDS

    async def fail() -> None:
        nonlocal runs
        runs += 1
        if time.process_time() < until:
            raise ValueError("a failure")

    async with open_supervisor(intensity=ENDLESS, events=runtime.events) as supervisor:
        supervisor.start_soon(fail, restart="transient")
    return runs - 1, 3 * (runs - 1)


async def reconnects(runtime: Runtime) -> tuple[int, int]:
    """Lose a connection and make it anew."""
    channel = Lossy()
    policy = ReconnectPolicy(attempts=10**9, backoff=AT_ONCE)
    channel.until = time.process_time() + SECONDS
    spec = InstanceSpec(id="bot", channel=channel, reconnect=policy, probe=None)
    bot = await runtime.start_instance(spec)
    await channel.done.wait()
    times = bot.health().reconnects
    assert times == channel.connected - 1 > 0
    return times, 5 * times


async def publishing(runtime: Runtime) -> tuple[int, int]:
    """Publish events, as whoever publishes does: only if somebody listens."""
    bus, times = runtime.events, 0
    until = time.process_time() + SECONDS
    while time.process_time() < until:
        for _ in range(50):
            if bus.listening:
                bus.publish(
                    telemetry.ProbeCompleted(
                        at=trio.current_time(),
                        instance_id="bot",
                        channel_type="lossy",
                        generation=1,
                        verdict="ok",  # type: ignore[arg-type]  # a StrEnum's word
                        latency=0.01,
                        streak=1,
                        cause=None,
                    )
                )
        times += 50
        await trio.lowlevel.checkpoint()
    return times, times


WORK: Mapping[str, Work] = {
    "restart": restarts,
    "reconnect": reconnects,
    "event": publishing,
}

# --- the cases


@frozen
class Case:
    """Where the events go."""

    sinks: Callable[[Path], list[Sink]]
    scraped: bool = False


def loguru_sink(_: Path) -> list[Sink]:
    """Log to a handler that does nothing."""
    return [telemetry.LoguruSink()]


def json_lines(folder: Path) -> list[Sink]:
    """Write lines to a file."""
    return [telemetry.JSONLinesSink(folder / "events.jsonl")]


def otel(_: Path) -> list[Sink]:
    """Count and measure by the real SDK, and make spans that are taken in batches."""
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(BatchSpanProcessor(InMemorySpanExporter()))
    meters = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    return [OpenTelemetrySink(meter_provider=meters, tracer_provider=tracers)]


CASES: Mapping[str, Case] = {
    "no sink": Case(lambda _: []),
    "loguru": Case(loguru_sink),
    "JSON lines": Case(json_lines),
    "OpenTelemetry": Case(otel),
    "Prometheus": Case(lambda _: [], scraped=True),
    "all": Case(
        lambda folder: [*loguru_sink(folder), *json_lines(folder), *otel(folder)], scraped=True
    ),
}


async def seconds_each(case: Case, work: Work) -> float:
    """Return the seconds that one piece of work takes, with all that its events lead to."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        async with (
            open_runtime(SETTINGS, sinks=case.sinks(Path(folder))) as runtime,
            trio.open_nursery() as nursery,
        ):
            if case.scraped:
                nursery.start_soon(scrape, PrometheusCollector(runtime))
            times, events = await work(runtime)
        elapsed = time.process_time() - began

    for sink in runtime.sink_statistics():
        assert (sink.lost, sink.failures, sink.blocked) == (0, 0, 0), sink
        assert sink.written >= events, (sink, events)
    assert times > 0
    return elapsed / times


async def scrape(collector: PrometheusCollector) -> None:
    """Ask as Prometheus does, though not every second."""
    assert b"trio_instances_" in await collector.scrape()


# --- the parts


async def seconds_of_calls() -> float:
    """Return the seconds that a restart spends in calls to telemetry while nobody listens."""
    caught: list[float] = []

    async def child() -> None:
        record = current.get()
        reporter, decision = record.core.reporter, None
        assert not reporter.bus.listening
        count = 100_000
        began = time.process_time()
        for _ in range(count):
            reporter.exited(record, 0.0, LOST)
            reporter.restarting(record, 0.0, LOST, decision)
            reporter.started(record, 0.0)
        calls = time.process_time() - began
        began = time.process_time()
        for _ in range(count):
            pass
        caught.append((calls - (time.process_time() - began)) / count)

    async with open_supervisor() as supervisor:
        supervisor.start_soon(child, restart="temporary")
    return caught[0]


async def seconds_of_a_snapshot() -> float:
    """Return the seconds that the snapshot of a connected instance takes."""
    async with open_runtime() as runtime:
        bot = await runtime.start_instance(InstanceSpec(id="bot", channel=Lossy(), probe=None))
        await bot.wait_status("connected")
        began = time.process_time()
        for _ in range(10_000):
            bot.health()
        return (time.process_time() - began) / 10_000


# --- the figures


def main(rounds: str = "5") -> None:
    """Measure by turns, and print medians with the lowest and the highest."""
    loguru.logger.remove()
    loguru.logger.add(lambda _: None, level="DEBUG")
    measured: dict[tuple[str, str], list[float]] = {}
    calls, snapshots = [], []
    for _ in range(int(rounds)):
        for what, work in WORK.items():
            for name, case in CASES.items():
                seconds = trio.run(partial(seconds_each, case, work))
                measured.setdefault((what, name), []).append(seconds)
        calls.append(trio.run(seconds_of_calls))
        snapshots.append(trio.run(seconds_of_a_snapshot))

    print(f"{rounds} rounds, {os.cpu_count()} cores\n")
    print("| with | a restart | a reconnect | an event |")
    print("| --- " * (1 + len(WORK)) + "|")
    for name in CASES:
        cells = [in_words(name, measured, what) for what in WORK]
        print("| " + " | ".join([name, *cells]) + " |")

    shares = [a / b for a, b in zip(calls, measured["restart", "no sink"], strict=True)]
    share, snapshot = statistics.median(shares), statistics.median(snapshots)
    print(f"\ntelemetry without listeners: {spread(shares, '.1%')} of a restart", end="")
    print(f", {'met' if share <= OVERHEAD else 'MISSED'}: at most {OVERHEAD:.0%}")
    print(f"a snapshot: {spread([s * 1e6 for s in snapshots], '.1f')} us", end="")
    print(f", {'met' if snapshot <= SNAPSHOT else 'MISSED'}: at most {SNAPSHOT * 1e6:.0f} us")


def in_words(name: str, measured: Mapping[tuple[str, str], list[float]], what: str) -> str:
    """Return the time of the case without a sink, and what any other one makes of it."""
    plain, times = measured[what, "no sink"], measured[what, name]
    if name == "no sink":
        return f"{spread([each * 1e6 for each in times], '.2f')} us"

    pairs = list(zip(times, plain, strict=True))
    if what == "event":  # there is none without a listener, so what it takes is what is added
        return f"{spread([(a - b) * 1e6 for a, b in pairs], '.1f')} us"

    return f"{spread([a / b for a, b in pairs], '.2f')} x"


def spread(values: Sequence[float], form: str) -> str:
    """Return a median, with the lowest and the highest value."""
    low, high = min(values), max(values)
    return f"{statistics.median(values):{form}} ({low:{form}} to {high:{form}})"


if __name__ == "__main__":
    main(*sys.argv[1:])
