"""What it costs to probe many connections: memory for each, processor time for each probe.

Run it with ``python benchmarks/probes.py [CONNECTIONS] [INTERVAL] [SECONDS]``; the time is real.
"""

from __future__ import annotations

import gc
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import trio

from trio_instances import Instance, InstanceSpec, ProbePolicy, open_runtime
from trio_instances.abc import Channel


class NullChannel(Channel[None]):
    """Connects to nothing, and answers at once."""

    channel_type = "null"
    probes = 0

    @asynccontextmanager
    async def connect(self, instance: Instance) -> AsyncIterator[None]:
        """Connect at once."""
        yield

    async def probe(self, instance: Instance, connection: None) -> None:
        """Answer at once."""
        NullChannel.probes += 1
        await trio.lowlevel.checkpoint()


async def measure_memory(connections: int, policy: ProbePolicy | None) -> float:
    """Return the bytes that one connected instance takes."""
    async with open_runtime(random=Random(1)) as runtime:
        gc.collect()
        tracemalloc.start()
        for number in range(connections):
            spec = InstanceSpec(id=f"null-{number}", channel=NullChannel(), probe=policy)
            await runtime.start_instance(spec)
        await trio.sleep(1)
        gc.collect()
        taken, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    return taken / connections


async def measure_time(connections: int, policy: ProbePolicy, seconds: float) -> tuple[int, float]:
    """Return how many probes there were, and the processor time they took."""
    async with open_runtime(random=Random(1)) as runtime:
        for number in range(connections):
            spec = InstanceSpec(id=f"null-{number}", channel=NullChannel(), probe=policy)
            await runtime.start_instance(spec)
        gc.collect()
        gc.freeze()
        before, began = NullChannel.probes, time.process_time()
        await trio.sleep(seconds)
        return NullChannel.probes - before, time.process_time() - began


def main(connections: float = 10_000, interval: float = 5.0, seconds: float = 10.0) -> None:
    """Measure, and say it."""
    count = int(connections)
    policy = ProbePolicy(interval=interval)
    without = trio.run(measure_memory, min(count, 2000), None)
    with_probes = trio.run(measure_memory, min(count, 2000), policy)
    probes, taken = trio.run(measure_time, count, policy, seconds)
    print(f"{count} connections, a probe every {interval:g} s: {probes} in {seconds:g} s")
    print(f"{with_probes - without:.0f} bytes more for a connection that is probed")
    print(f"{taken / probes * 1e6:.0f} µs of processor time a probe")


if __name__ == "__main__":
    main(*(float(each) for each in sys.argv[1:]))
