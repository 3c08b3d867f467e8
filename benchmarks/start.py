"""Starting children one by one, each awaited until it is ready; and stopping all of them."""

from __future__ import annotations

import asyncio
from functools import partial
from time import perf_counter

import trio

from trio_instances import open_supervisor

from .bare import BareSupervisor
from .crew import Crew
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


def _sample(size: int, begun: float, ready: float, asked: float, ended: float) -> Sample:
    return {"start": (ready - begun) / size, "stop": (ended - asked) / size}


async def ours(size: int) -> Sample:
    """Under a supervisor, stopped one by one in reverse order."""
    crew = Crew(size)
    async with open_supervisor() as supervisor:
        begun = perf_counter()
        for number in range(size):
            await supervisor.start(crew.child, number, name=f"child-{number}")
        ready = perf_counter()
        crew.check_ready()
        asked = perf_counter()
        await supervisor.stop()
        ended = perf_counter()
    crew.check_order()
    return _sample(size, begun, ready, asked, ended)


async def bare(size: int) -> Sample:
    """By the bare mechanism, stopped one by one in reverse order."""
    crew = Crew(size)
    async with trio.open_nursery() as nursery:
        supervisor = BareSupervisor(nursery)
        begun = perf_counter()
        for number in range(size):
            await supervisor.start(crew.child, number)
        ready = perf_counter()
        crew.check_ready()
        asked = perf_counter()
        supervisor.stop()
    ended = perf_counter()
    crew.check_order()
    return _sample(size, begun, ready, asked, ended)


async def nursery_start(size: int) -> Sample:
    """In a nursery by its `start`, cancelled in no order."""
    crew = Crew(size)
    async with trio.open_nursery() as nursery:
        begun = perf_counter()
        for number in range(size):
            await nursery.start(crew.child, number)
        ready = perf_counter()
        crew.check_ready()
        asked = perf_counter()
        nursery.cancel_scope.cancel()
    ended = perf_counter()
    crew.check_ended()
    return _sample(size, begun, ready, asked, ended)


async def nursery_start_soon(size: int) -> Sample:
    """In a nursery, all at once, each in a scope of its own; what a task costs at least."""
    crew = Crew(size)

    async def in_scope(number: int) -> None:
        with trio.CancelScope():
            await crew.child(number)

    async with trio.open_nursery() as nursery:
        begun = perf_counter()
        for number in range(size):
            nursery.start_soon(in_scope, number)
        await crew.all_ready.wait()
        ready = asked = perf_counter()
        nursery.cancel_scope.cancel()
    ended = perf_counter()
    crew.check_ended()
    return _sample(size, begun, ready, asked, ended)


async def triotp(size: int) -> Sample:
    """Under triotp, whose stop is a cancellation in no order."""
    crew = Crew(size)
    with quiet_triotp():
        async with trio.open_nursery() as nursery:
            begun = perf_counter()
            await nursery.start(triotp_supervise, triotp_specs(crew.plain, size))
            await crew.all_ready.wait()
            ready = asked = perf_counter()
            nursery.cancel_scope.cancel()
        ended = perf_counter()
    crew.check_ended()
    return _sample(size, begun, ready, asked, ended)


async def mode(size: int) -> Sample:
    """Under mode, which stops one by one in start order."""
    crew = Crew(size)
    begun = perf_counter()
    supervisor = mode_supervisor(mode_services(crew.in_asyncio, size))
    await supervisor.start()
    while crew.ready < size:
        await asyncio.sleep(0)
    ready = asked = perf_counter()
    await supervisor.stop()
    ended = perf_counter()
    check("children ended", len(crew.ended), size)
    return _sample(size, begun, ready, asked, ended)


WORKLOAD = Workload(
    name="start",
    title="{n} children, each awaited until it is ready; then all stopped, ours in reverse order",
    size=10_000,
    tiny=20,
    figures=(Figure("start", "µs a child", 1e6), Figure("stop", "µs a child", 1e6)),
    contenders={
        OURS: Contender(partial(trio.run, ours)),
        "the bare mechanism": Contender(partial(trio.run, bare)),
        "nursery.start": Contender(partial(trio.run, nursery_start)),
        "nursery.start_soon": Contender(partial(trio.run, nursery_start_soon)),
        "triotp": Contender(partial(trio.run, triotp), triotp_here),
        "mode": Contender(partial(run_mode, mode), mode_here),
        "OTP": otp("start"),
        "suture": suture("start"),
    },
    targets=(
        Target("start", 0.5, of="nursery.start"),
        Target("stop", 1.0, of="nursery.start"),
    ),
)

if __name__ == "__main__":
    main(WORKLOAD)
