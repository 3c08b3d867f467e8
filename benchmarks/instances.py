"""Whole instances: a connection by a fake, two children, probes; with nobody listening, or many."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from random import Random
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import loguru
import trio

from trio_instances import ChildSpec, Instance, InstanceSpec, ProbePolicy, Runtime, open_runtime
from trio_instances.abc import Channel, Sink
from trio_instances.telemetry import Event, JSONLinesSink, LoguruSink

from .crew import Weight
from .harness.command import main
from .harness.values import OURS, Contender, Figure, Sample, Target, Workload, check

PROBES = ProbePolicy(interval=30.0)


class Quiet(Channel[None]):
    """Connects at once to nothing, and has two children that do nothing."""

    channel_type = "quiet"

    @asynccontextmanager
    async def connect(self, instance: Instance) -> AsyncIterator[None]:
        """Connect at once."""
        yield

    def children(self, instance: Instance, connection: None) -> Sequence[ChildSpec]:
        """Return what would receive and send."""
        return (ChildSpec("receiver", trio.sleep_forever), ChildSpec("sender", trio.sleep_forever))

    async def probe(self, instance: Instance, connection: None) -> None:
        """Answer at once."""
        await trio.lowlevel.checkpoint()


class Counting(Sink):
    """Counts what it is given."""

    def __init__(self) -> None:
        self.names: dict[str, int] = {}

    async def write(self, events: Sequence[Event]) -> None:
        """Count events."""
        for event in events:
            self.names[event.name] = self.names.get(event.name, 0) + 1


async def _start(runtime: Runtime, size: int) -> None:
    for number in range(size):
        spec = InstanceSpec(id=f"i-{number}", channel=Quiet(), probe=PROBES)
        instance = await runtime.start_instance(spec)
        await instance.wait_status("connected")


def _check_all(runtime: Runtime, size: int) -> None:
    health = runtime.list_instance_health()
    check("connected", sum(each.connected for each in health), size)
    check("children running", sum(each.children_running for each in health), 2 * size)


async def _time(size: int, sinks: Sequence[Sink]) -> Sample:
    async with AsyncExitStack() as stack:
        runtime = await stack.enter_async_context(open_runtime(sinks=sinks, random=Random(1)))
        begun = perf_counter()
        await _start(runtime, size)
        ready = perf_counter()
        _check_all(runtime, size)
        asked = perf_counter()
    ended = perf_counter()
    return {"start": (ready - begun) / size, "stop": (ended - asked) / size}


async def _weigh(size: int, sinks: Sequence[Sink]) -> float:
    async with open_runtime(sinks=sinks, random=Random(1)) as runtime:
        await _start(runtime, 1)  # what the first one imports is no part of an instance
        await runtime.stop_instance("i-0")
        weight = Weight()
        for number in range(1, size + 1):
            spec = InstanceSpec(id=f"i-{number}", channel=Quiet(), probe=PROBES)
            await (await runtime.start_instance(spec)).wait_status("connected")
        with trio.move_on_after(0.2):
            await trio.sleep_forever()  # until the sinks have taken in what there was
        return weight.taken() / size


def ours(sinks: int, size: int) -> Sample:
    """Run instances in a runtime with so many sinks."""
    with TemporaryDirectory() as folder:
        counting = Counting()
        chosen = _sinks(counting, folder)[:sinks]
        sample = dict(trio.run(_time, size, chosen))
        if sinks:
            check("connections told", counting.names["instance.connected"], size)
        weighed = _sinks(Counting(), folder)[:sinks]
        return {**sample, "memory": trio.run(_weigh, min(size, 1000), weighed)}


def _sinks(counting: Counting, folder: str) -> list[Sink]:
    return [counting, JSONLinesSink(f"{folder}/events.jsonl"), LoguruSink(_silent())]


def _silent() -> Any:
    """Return loguru's logger without anywhere to write to: what writing costs is not ours."""
    loguru.logger.remove()
    return loguru.logger


async def _by_hand(*, task_status: trio.TaskStatus[None]) -> None:
    channel: Quiet = Quiet()
    while True:
        async with channel.connect(None) as connection, trio.open_nursery() as nursery:  # type: ignore[arg-type]  # it asks nothing of an instance
            nursery.start_soon(trio.sleep_forever)
            nursery.start_soon(trio.sleep_forever)
            task_status.started()
            while True:
                await trio.sleep(30.0)
                with trio.fail_after(5.0):
                    await channel.probe(None, connection)  # type: ignore[arg-type]  # see above


async def by_hand(size: int) -> Sample:
    """Keep as many connections by a hand-written loop each, without health, events or restarts."""
    async with trio.open_nursery() as nursery:
        begun = perf_counter()
        for _ in range(size):
            await nursery.start(_by_hand)
        ready = perf_counter()
        check("tasks", len(nursery.child_tasks), size)
        asked = perf_counter()
        nursery.cancel_scope.cancel()
    ended = perf_counter()
    async with trio.open_nursery() as nursery:
        weight = Weight()
        for _ in range(size):
            await nursery.start(_by_hand)
        memory = weight.taken() / size
        nursery.cancel_scope.cancel()
    return {"start": (ready - begun) / size, "stop": (ended - asked) / size, "memory": memory}


WORKLOAD = Workload(
    name="instances",
    title="{n} instances: a connection to nothing, two children, probes",
    size=1_000,
    tiny=5,
    figures=(
        Figure("start", "µs an instance", 1e6),
        Figure("stop", "µs an instance", 1e6),
        Figure("memory", "bytes an instance"),
    ),
    contenders={
        OURS: Contender(partial(ours, 0)),
        f"{OURS}, 10 × as many": Contender(lambda size: ours(0, 10 * size)),
        f"{OURS}, one sink": Contender(partial(ours, 1)),
        f"{OURS}, three sinks": Contender(partial(ours, 3)),
        "by hand": Contender(partial(trio.run, by_hand)),
    },
    targets=(Target("memory", 14_000),),
)

if __name__ == "__main__":
    main(WORKLOAD)
