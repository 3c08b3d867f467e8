"""Asking how an instance is: a whole snapshot of its health, and how it stands."""

from __future__ import annotations

from functools import partial
from random import Random
from time import perf_counter

import trio

from trio_instances import InstanceSpec, open_runtime

from .harness.command import main
from .harness.values import OURS, Contender, Figure, Sample, Target, Workload, check
from .instances import PROBES, Quiet


async def ours(size: int) -> Sample:
    """Ask one instance that is connected and has two children."""
    async with open_runtime(random=Random(1)) as runtime:
        instance = await runtime.start_instance(
            InstanceSpec(id="asked", channel=Quiet(), probe=PROBES)
        )
        await instance.wait_status("connected")
        begun = perf_counter()
        snapshots = [instance.health() for _ in range(size)]
        taken = perf_counter()
        standings = [instance.standing() for _ in range(size)]
        stood = perf_counter()
        check("children told", sum(each.children_running for each in snapshots), 2 * size)
        check("connected", sum(each.connected for each in standings), size)
    return {"snapshot": (taken - begun) / size, "standing": (stood - taken) / size}


WORKLOAD = Workload(
    name="snapshots",
    title="{n} snapshots of an instance with two children",
    size=10_000,
    tiny=10,
    figures=(Figure("snapshot", "µs", 1e6), Figure("standing", "µs", 1e6)),
    contenders={OURS: Contender(partial(trio.run, ours))},
    targets=(Target("snapshot", 15e-6),),
)

if __name__ == "__main__":
    main(WORKLOAD)
