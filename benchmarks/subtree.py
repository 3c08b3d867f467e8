"""A subtree of three ready children, many times: what an instance's own supervision costs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from time import perf_counter
from typing import Any

import trio

from trio_instances import ChildSpec, open_supervisor, supervise

from .crew import Crew, Weight
from .harness.command import main
from .harness.values import OURS, Contender, Figure, Sample, Target, Workload
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

CHILDREN = 3

Begin = Callable[[trio.Nursery, Crew], Awaitable[object]]


async def ours(size: int) -> Sample:
    """Supervisors under a supervisor."""
    return {**await _time_ours(size), "memory": await _weigh_ours(size)}


def _specs(crew: Crew) -> list[ChildSpec]:
    return [ChildSpec(name, crew.child, (number,)) for number, name in enumerate("abc")]


async def _time_ours(size: int) -> Sample:
    crew = Crew(size * CHILDREN)
    async with open_supervisor() as supervisor:
        begun = perf_counter()
        for number in range(size):
            await supervisor.start(supervise, _specs(crew), name=f"tree-{number}")
        ready = perf_counter()
        crew.check_ready()
        asked = perf_counter()
        await supervisor.stop()
        ended = perf_counter()
    crew.check_ended()
    return {"start": (ready - begun) / size, "stop": (ended - asked) / size}


async def _weigh_ours(size: int) -> float:
    crew = Crew(size * CHILDREN)
    async with open_supervisor() as supervisor:
        weight = Weight()
        for number in range(size):
            await supervisor.start(supervise, _specs(crew), name=f"tree-{number}")
        taken = weight.taken()
        crew.check_ready()
        await supervisor.stop()
    return taken / size


async def _tree_start(crew: Crew, *, task_status: trio.TaskStatus[None]) -> None:
    async with trio.open_nursery() as nursery:
        for number in range(CHILDREN):
            await nursery.start(crew.child, number)
        task_status.started()


async def _begin_start(nursery: trio.Nursery, crew: Crew) -> None:
    await nursery.start(_tree_start, crew)


async def _tree_start_soon(crew: Crew, ready: trio.Event) -> None:
    up = 0

    async def child(number: int) -> None:
        nonlocal up
        with trio.CancelScope():
            up += 1
            if up == CHILDREN:
                ready.set()
            await crew.child(number)

    async with trio.open_nursery() as nursery:
        for number in range(CHILDREN):
            nursery.start_soon(child, number)


async def _begin_start_soon(nursery: trio.Nursery, crew: Crew) -> None:
    ready = trio.Event()
    nursery.start_soon(_tree_start_soon, crew, ready)
    await ready.wait()


async def _begin_triotp(nursery: trio.Nursery, crew: Crew) -> None:
    before = crew.ready
    await nursery.start(triotp_supervise, triotp_specs(crew.plain, CHILDREN))
    while crew.ready < before + CHILDREN:
        await trio.lowlevel.checkpoint()


async def in_nurseries(size: int, begin: Begin) -> Sample:
    """In nurseries within a nursery, each begun in one way."""
    crew = Crew(size * CHILDREN)
    async with trio.open_nursery() as nursery:
        begun = perf_counter()
        for _ in range(size):
            await begin(nursery, crew)
        ready = perf_counter()
        crew.check_ready()
        asked = perf_counter()
        nursery.cancel_scope.cancel()
    ended = perf_counter()
    crew.check_ended()

    crew = Crew(size * CHILDREN)
    async with trio.open_nursery() as nursery:
        weight = Weight()
        for _ in range(size):
            await begin(nursery, crew)
        taken = weight.taken()
        nursery.cancel_scope.cancel()
    return _sample(size, ready - begun, ended - asked, taken)


def _sample(size: int, start: float, stop: float, taken: float) -> Sample:
    return {"start": start / size, "stop": stop / size, "memory": taken / size}


def in_triotp(size: int) -> Sample:
    """Supervisors of triotp in a nursery."""
    with quiet_triotp():
        return trio.run(in_nurseries, size, _begin_triotp)


async def _start_mode(size: int, crew: Crew) -> Any:
    trees = [mode_supervisor(mode_services(crew.in_asyncio, CHILDREN)) for _ in range(size)]
    top = mode_supervisor(trees)
    await top.start()
    while crew.ready < crew.size:
        await asyncio.sleep(0)
    return top


async def mode(size: int) -> Sample:
    """Supervisors of mode under a supervisor of mode."""
    crew = Crew(size * CHILDREN)
    begun = perf_counter()
    top = await _start_mode(size, crew)
    ready = perf_counter()
    await top.stop()
    ended = perf_counter()
    crew.check_ended()

    weight = Weight()
    top = await _start_mode(size, Crew(size * CHILDREN))
    taken = weight.taken()
    await top.stop()
    return _sample(size, ready - begun, ended - ready, taken)


WORKLOAD = Workload(
    name="subtree",
    title="{n} subtrees of three ready children each",
    size=1_000,
    tiny=10,
    figures=(
        Figure("start", "µs a subtree", 1e6),
        Figure("stop", "µs a subtree", 1e6),
        Figure("memory", "bytes a subtree"),
    ),
    contenders={
        OURS: Contender(partial(trio.run, ours)),
        "nursery.start": Contender(lambda size: trio.run(in_nurseries, size, _begin_start)),
        "nursery.start_soon": Contender(
            lambda size: trio.run(in_nurseries, size, _begin_start_soon)
        ),
        "triotp": Contender(in_triotp, triotp_here),
        "mode": Contender(partial(run_mode, mode), mode_here),
        "OTP": otp("subtree"),
        "suture": suture("subtree"),
    },
    targets=(
        Target("start", 1.0, of="nursery.start_soon"),
        Target("memory", 1.15, of="nursery.start_soon"),
        Target("memory", 1.0, of="OTP"),
    ),
)

if __name__ == "__main__":
    main(WORKLOAD)
