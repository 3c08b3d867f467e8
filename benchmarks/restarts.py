"""A child that crashes at once, over and over: what a restart costs, without any backoff."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from time import perf_counter

import trio

from trio_instances import RestartIntensity, open_supervisor
from trio_instances.telemetry import Event, EventBus

from .bare import retry
from .crew import Crasher, CrashError
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

Start = Callable[[trio.Nursery, Crasher], object]


async def ours(size: int, bus: EventBus | None = None) -> Sample:
    """Under a supervisor that allows as many as come."""
    crasher = Crasher(size)
    intensity = RestartIntensity(max_restarts=size, period=3600.0)
    async with open_supervisor(intensity=intensity, events=bus) as supervisor:
        begun = perf_counter()
        supervisor.start_soon(crasher.run, name="crasher")
        await crasher.done.wait()
        taken = perf_counter() - begun
        await supervisor.stop()
    crasher.check_restarts()
    return {"restart": taken / size}


async def ours_heard(size: int) -> Sample:
    """The same, with somebody who listens to each event."""
    bus = EventBus()
    heard: list[str] = []

    def listen(event: Event) -> None:
        heard.append(event.name)

    bus.listen(listen)
    sample = await ours(size, bus)
    check("restarts told", heard.count("child.restarting"), size)
    return sample


async def bare(size: int) -> Sample:
    """By the bare mechanism."""

    def begin(nursery: trio.Nursery, crasher: Crasher) -> None:
        nursery.start_soon(retry, crasher)

    return await _in_nursery(size, begin)


async def nursery_loop(size: int) -> Sample:
    """In a hand-written loop, with a fresh nursery for each attempt."""

    def begin(nursery: trio.Nursery, crasher: Crasher) -> None:
        nursery.start_soon(_retry, crasher)

    return await _in_nursery(size, begin)


async def _retry(crasher: Crasher) -> None:
    while True:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(crasher.run)
        except* CrashError:
            pass


async def triotp(size: int) -> Sample:
    """Under triotp."""

    def begin(nursery: trio.Nursery, crasher: Crasher) -> None:
        nursery.start_soon(triotp_supervise, triotp_specs(crasher.run, 1))

    with quiet_triotp():
        return await _in_nursery(size, begin)


async def _in_nursery(size: int, begin: Start) -> Sample:
    crasher = Crasher(size)
    async with trio.open_nursery() as nursery:
        begun = perf_counter()
        begin(nursery, crasher)
        await crasher.done.wait()
        taken = perf_counter() - begun
        nursery.cancel_scope.cancel()
    crasher.check_restarts()
    return {"restart": taken / size}


async def mode(size: int) -> Sample:
    """Under mode."""
    crasher, done = Crasher(size), asyncio.Event()

    async def run(_: int) -> None:
        # mode hears of no crash while it is at a restart, and would only look again after 5 s.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        crasher.crash()
        done.set()
        await asyncio.Event().wait()

    supervisor = mode_supervisor(mode_services(run, 1))
    begun = perf_counter()
    await supervisor.start()
    await done.wait()
    taken = perf_counter() - begun
    await supervisor.stop()
    crasher.check_restarts()
    return {"restart": taken / size}


WORKLOAD = Workload(
    name="restarts",
    title="A child that crashes {n} times at once, without any backoff",
    size=10_000,
    tiny=20,
    figures=(Figure("restart", "µs", 1e6),),
    contenders={
        OURS: Contender(partial(trio.run, ours)),
        f"{OURS}, heard": Contender(partial(trio.run, ours_heard)),
        "the bare mechanism": Contender(partial(trio.run, bare)),
        "fresh nursery": Contender(partial(trio.run, nursery_loop)),
        "triotp": Contender(partial(trio.run, triotp), triotp_here),
        "mode": Contender(partial(run_mode, mode), mode_here),
        "OTP": otp("restarts"),
        "OTP, a burst of 1,000": Contender(lambda _: otp("restarts").measure(1000), otp("").here),
        "suture": suture("restarts"),
    },
    targets=(
        Target("restart", 1 / 4, of="fresh nursery"),
        Target("restart", 1 / 8, of="triotp"),
        Target("restart", 1.0, of="OTP, a burst of 1,000"),
    ),
)

if __name__ == "__main__":
    main(WORKLOAD)
