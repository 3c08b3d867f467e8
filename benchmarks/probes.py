"""Ten thousand connections that are probed once a second, each probe under a timeout."""

from __future__ import annotations

import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from random import Random

import trio
import trio.lowlevel

from trio_instances import Instance, InstanceSpec, ProbePolicy, RuntimeSettings, open_runtime
from trio_instances.abc import Channel

from .crew import Weight
from .harness.command import main
from .harness.statistics import percentile
from .harness.values import OURS, Contender, Figure, Sample, Target, Workload, check

INTERVAL = 1.0
SECONDS = 3.0
TIMEOUT = 5.0


class Log:
    """What is known of the probes: how many there were, and how late each was."""

    def __init__(self) -> None:
        self.probes = 0
        self.late: list[float] = []

    def sample(self, size: int, taken: float, seconds: float, memory: float) -> Sample:
        """Return the figures, unless there were far too few probes, or more than there should be.

        Whoever fills a core makes fewer: what is counted is the cost of each.
        """
        expected = size * seconds / INTERVAL
        check("probes as expected", 0.2 * expected <= self.probes <= 1.1 * expected, expected=True)
        return {
            "probe": taken / self.probes,
            "core": taken / seconds,
            "p99 lateness": percentile(self.late, 0.99),
            "memory": memory,
        }


class Probed(Channel[None]):
    """Connects to nothing, answers at once, and keeps account of how late each probe is.

    Args:
        log: Where.
    """

    channel_type = "probed"

    def __init__(self, log: Log) -> None:
        self.log = log
        self.due = float("inf")

    @asynccontextmanager
    async def connect(self, instance: Instance) -> AsyncIterator[None]:
        """Connect at once."""
        yield

    async def probe(self, instance: Instance | None, connection: None) -> None:
        """Answer at once."""
        now = trio.current_time()
        self.log.probes += 1
        if self.due < now:
            self.log.late.append(now - self.due)
        await trio.lowlevel.checkpoint()
        self.due = trio.current_time() + INTERVAL


async def _weigh(size: int, policy: ProbePolicy | None) -> float:
    async with open_runtime(random=Random(1)) as runtime:
        weight = Weight()
        for number in range(size):
            spec = InstanceSpec(id=f"i-{number}", channel=Probed(Log()), probe=policy)
            await (await runtime.start_instance(spec)).wait_status("connected")
        return weight.taken() / size


async def ours(size: int) -> Sample:
    """By the one schedule of a runtime."""
    policy = ProbePolicy(interval=INTERVAL, jitter=0.0, timeout=TIMEOUT)
    few = min(size, 500)
    memory = await _weigh(few, policy) - await _weigh(few, None)
    log = Log()
    settings = RuntimeSettings(stop_order="concurrent", probes_at_once=1000)
    async with open_runtime(settings, random=Random(1)) as runtime:
        for number in range(size):
            spec = InstanceSpec(id=f"i-{number}", channel=Probed(log), probe=policy)
            await runtime.start_instance(spec)
        return await _watch(size, log, memory)


async def _watch(size: int, log: Log, memory: float) -> Sample:
    await trio.sleep(INTERVAL)
    gc.collect()
    gc.freeze()  # what was started is not what is measured
    await trio.sleep(2 * INTERVAL)  # what the collection has made late is not measured either
    log.probes, log.late = 0, []
    began, begun = trio.current_time(), time.process_time()
    await trio.sleep(SECONDS)
    taken, seconds = time.process_time() - begun, trio.current_time() - began
    return log.sample(size, taken, seconds, memory)


async def _prober(channel: Probed, delay: float) -> None:
    await trio.sleep(delay)
    while True:
        await trio.sleep(INTERVAL)
        # In a task of its own, as ours are: so the probe of a connection may hang.
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_probe_once, channel)


async def _probe_once(channel: Probed) -> None:
    with trio.move_on_after(TIMEOUT):
        await channel.probe(None, None)


async def by_hand(size: int) -> Sample:
    """By a task for each connection, which sleeps and probes."""
    log, chance = Log(), Random(1)
    async with trio.open_nursery() as nursery:
        weight = Weight()
        for _ in range(size):
            nursery.start_soon(_prober, Probed(log), chance.random() * INTERVAL)
        await trio.lowlevel.checkpoint()
        memory = weight.taken() / size
        sample = await _watch(size, log, memory)
        nursery.cancel_scope.cancel()
    return sample


WORKLOAD = Workload(
    name="probes",
    title="{n} probes a second, each under a timeout",
    size=10_000,
    tiny=20,
    figures=(
        Figure("probe", "µs of processor", 1e6),
        Figure("core", "of one core"),
        Figure("p99 lateness", "ms", 1e3),
        Figure("memory", "bytes a connection"),
    ),
    contenders={
        OURS: Contender(partial(trio.run, ours)),
        "a task each": Contender(partial(trio.run, by_hand)),
    },
    targets=(Target("core", 0.25), Target("p99 lateness", 0.05)),
)

if __name__ == "__main__":
    main(WORKLOAD)
