"""One crash that takes a whole group along: ``one_for_all``, and ``rest_for_one`` at its worst."""

from __future__ import annotations

import asyncio
from functools import partial
from time import perf_counter

import trio

from trio_instances import open_supervisor

from .crew import IGNORED, CrashError, Crew
from .harness.command import main
from .harness.values import OURS, Contender, Figure, Sample, Workload, check
from .peers.others import otp
from .peers.python import mode_here, mode_services, mode_supervisor, run_mode


class Group(Crew):
    """Children of which the first crashes once, when it is told to.

    Args:
        size: How many there are.
    """

    def __init__(self, size: int) -> None:
        super().__init__(2 * size)  # each is ready twice
        self.members = size
        self.told = trio.Event()

    async def child(self, number: int, *, task_status: trio.TaskStatus[None] = IGNORED) -> None:
        """Be ready, and wait for the end; or crash, as the first."""
        self.count()
        task_status.started()
        try:
            if number == 0 and not self.told.is_set():
                await self.told.wait()
                raise CrashError
            await trio.sleep_forever()
        finally:
            self.ended.append(number)

    def check_round(self) -> None:
        """Refuse a run in which not all of them were stopped and started again."""
        self.check_ready()
        check("children stopped in the round", sorted(self.ended), list(range(self.members)))


async def _ours(size: int, strategy: str) -> float:
    group = Group(size)
    async with open_supervisor(strategy=strategy) as supervisor:
        for number in range(size):
            await supervisor.start(group.child, number, name=f"child-{number}")
        begun = perf_counter()
        group.told.set()
        await group.all_ready.wait()
        taken = perf_counter() - begun
        group.check_round()
        check("the order", group.ended, [0, *range(size - 1, 0, -1)])
        await supervisor.stop()
    return taken / size


def ours(size: int) -> Sample:
    """Under a supervisor: stopped right to left, started left to right."""
    return {each: trio.run(_ours, size, each) for each in ("one_for_all", "rest_for_one")}


async def nursery_loop(size: int) -> Sample:
    """In one nursery, in a loop: all cancelled in no order, then started one by one."""
    group = Group(size)
    whole = trio.CancelScope()

    async def retry() -> None:
        while True:
            try:
                async with trio.open_nursery() as nursery:
                    for number in range(size):
                        await nursery.start(group.child, number)
            except* CrashError:
                pass

    with whole:
        async with trio.open_nursery() as outer:
            outer.start_soon(retry)
            while group.ready < size:
                await trio.lowlevel.checkpoint()
            begun = perf_counter()
            group.told.set()
            await group.all_ready.wait()
            taken = perf_counter() - begun
            group.check_round()
            whole.cancel()
    return {"one_for_all": taken / size, "rest_for_one": taken / size}


async def mode(size: int) -> Sample:
    """Under mode, which knows ``one_for_all``."""
    group, told = Group(size), asyncio.Event()

    async def run(number: int) -> None:
        group.count()
        try:
            if number == 0 and not told.is_set():
                await told.wait()
                raise CrashError
            await asyncio.Event().wait()
        finally:
            group.ended.append(number)

    supervisor = mode_supervisor(mode_services(run, size), kind="OneForAllSupervisor")
    await supervisor.start()
    while group.ready < size:
        await asyncio.sleep(0)
    begun = perf_counter()
    told.set()
    while not group.all_ready.is_set():
        await asyncio.sleep(0)
    taken = perf_counter() - begun
    group.check_round()
    await supervisor.stop()
    return {"one_for_all": taken / size}


WORKLOAD = Workload(
    name="groups",
    title="A crash of the first of {n} children that restarts them all",
    size=1_000,
    tiny=10,
    figures=(
        Figure("one_for_all", "µs a child", 1e6),
        Figure("rest_for_one", "µs a child", 1e6),
    ),
    contenders={
        OURS: Contender(ours),
        "nursery.start": Contender(partial(trio.run, nursery_loop)),
        "mode": Contender(partial(run_mode, mode), mode_here),
        "OTP": otp("groups"),
    },
)

if __name__ == "__main__":
    main(WORKLOAD)
