"""The memory of a child that does nothing."""

from __future__ import annotations

import asyncio
from functools import partial

import trio

from trio_instances import open_supervisor

from .crew import Crew, Weight
from .harness.command import main
from .harness.values import OURS, Contender, Figure, Sample, Target, Workload, check
from .peers.others import otp, suture
from .peers.python import (
    mode_here,
    mode_services,
    mode_supervisor,
    quiet_triotp,
    run_mode,
    triotp_here,
    triotp_specs,
    triotp_supervise,
)


class Idle(Crew):
    """Children that do nothing, and do not even look at their end."""

    async def child(
        self, number: int, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Be ready, and sleep."""
        self.count()
        task_status.started()
        await trio.sleep_forever()


def _sample(crew: Idle, weight: Weight) -> Sample:
    taken = weight.taken()
    crew.check_ready()
    return {"memory": taken / crew.size}


async def ours(size: int) -> Sample:
    """Under a supervisor."""
    crew = Idle(size)
    async with open_supervisor() as supervisor:
        weight = Weight()
        for number in range(size):
            await supervisor.start(crew.child, number, name=f"child-{number}")
        sample = _sample(crew, weight)
        check("children", supervisor.count_children().active, size)
        await supervisor.stop()
    return sample


async def nursery_start(size: int) -> Sample:
    """In a nursery, by its `start`."""
    crew = Idle(size)
    async with trio.open_nursery() as nursery:
        weight = Weight()
        for number in range(size):
            await nursery.start(crew.child, number)
        sample = _sample(crew, weight)
        nursery.cancel_scope.cancel()
    return sample


async def task_in_scope(size: int) -> Sample:
    """In a nursery, each in a scope of its own, with a name: the least that can be stopped."""
    crew = Idle(size)

    async def in_scope(number: int) -> None:
        with trio.CancelScope():
            await crew.child(number)

    async with trio.open_nursery() as nursery:
        weight = Weight()
        for number in range(size):
            nursery.start_soon(in_scope, number, name=f"child-{number}")
        await crew.all_ready.wait()
        sample = _sample(crew, weight)
        nursery.cancel_scope.cancel()
    return sample


async def triotp(size: int) -> Sample:
    """Under triotp."""
    crew = Idle(size)
    with quiet_triotp():
        async with trio.open_nursery() as nursery:
            weight = Weight()
            await nursery.start(triotp_supervise, triotp_specs(crew.plain, size))
            await crew.all_ready.wait()
            sample = _sample(crew, weight)
            nursery.cancel_scope.cancel()
    return sample


async def mode(size: int) -> Sample:
    """Under mode."""
    crew = Idle(size)
    weight = Weight()
    supervisor = mode_supervisor(mode_services(crew.in_asyncio, size))
    await supervisor.start()
    while crew.ready < size:
        await asyncio.sleep(0)
    sample = _sample(crew, weight)
    await supervisor.stop()
    return sample


WORKLOAD = Workload(
    name="memory",
    title="The memory of each of {n} idle children",
    size=2_000,
    tiny=20,
    figures=(Figure("memory", "bytes a child"),),
    contenders={
        OURS: Contender(partial(trio.run, ours)),
        "nursery.start": Contender(partial(trio.run, nursery_start)),
        "a task with a scope": Contender(partial(trio.run, task_in_scope)),
        "triotp": Contender(partial(trio.run, triotp), triotp_here),
        "mode": Contender(partial(run_mode, mode), mode_here),
        "OTP": otp("memory"),
        "suture": suture("memory"),
    },
    targets=(
        Target("memory", 1.1, of="a task with a scope"),
        Target("memory", 1.0, of="OTP"),
    ),
)

if __name__ == "__main__":
    main(WORKLOAD)
