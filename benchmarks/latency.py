"""From a crash until the child runs again, beside many siblings that do nothing."""

from __future__ import annotations

import asyncio
from functools import partial

import trio
import trio.lowlevel

from trio_instances import RestartIntensity, open_supervisor

from .crew import CrashError, Returner, sleep_in_asyncio, sleep_in_trio
from .harness.command import main
from .harness.statistics import percentile
from .harness.values import OURS, Contender, Figure, Sample, Target, Workload, check
from .peers.others import otp, suture
from .peers.python import (
    MANY,
    mode_here,
    mode_services,
    mode_supervisor,
    quiet_triotp,
    run_mode,
    triotp_here,
    triotp_specs,
    triotp_supervise,
)

CRASHES = 1000
FEW = 10
"""Siblings, where there are few."""
IN_MODE = 100
"""Crashes under mode, which looks at every sibling for each."""


class Returning(Returner):
    """A child that crashes when it has been at rest for a while, so many times."""

    def __init__(self) -> None:
        super().__init__()
        self.done = trio.Event()

    async def run(self, _: int = 0) -> None:
        """Be back, be at rest, and crash."""
        self.back()
        if len(self.took) == CRASHES:
            self.done.set()
            await trio.sleep_forever()
        await trio.lowlevel.checkpoint()
        await trio.lowlevel.checkpoint()
        self.crash()

    def sample(self) -> Sample:
        """Return what it took, once it has crashed often enough."""
        check("crashes", len(self.took), CRASHES)
        return {"p50": percentile(self.took, 0.5), "p99": percentile(self.took, 0.99)}


async def ours(size: int) -> Sample:
    """Under one supervisor with the siblings."""
    child = Returning()
    intensity = RestartIntensity(max_restarts=MANY, period=3600.0)
    async with open_supervisor(intensity=intensity) as supervisor:
        for number in range(size):
            await supervisor.start(sleep_in_trio, name=f"idle-{number}")
        supervisor.start_soon(child.run, name="child")
        await child.done.wait()
        check("siblings", supervisor.count_children().active, size + 1)
        await supervisor.stop()
    return child.sample()


async def nursery_loop(size: int) -> Sample:
    """In a hand-written loop with a fresh nursery for each attempt, beside the siblings."""
    child = Returning()

    async def retry() -> None:
        while True:
            try:
                async with trio.open_nursery() as attempt:
                    attempt.start_soon(child.run)
            except* CrashError:
                pass

    async with trio.open_nursery() as nursery:
        for _ in range(size):
            nursery.start_soon(sleep_in_trio)
        nursery.start_soon(retry)
        await child.done.wait()
        check("siblings", len(nursery.child_tasks), size + 1)
        nursery.cancel_scope.cancel()
    return child.sample()


async def triotp(size: int) -> Sample:
    """Under triotp, with the siblings."""
    child = Returning()
    specs = [*triotp_specs(sleep_in_trio, size), *triotp_specs(child.run, 1)]
    with quiet_triotp():
        async with trio.open_nursery() as nursery:
            await nursery.start(triotp_supervise, specs)
            await child.done.wait()
            nursery.cancel_scope.cancel()
    return child.sample()


async def mode(size: int) -> Sample:
    """Under mode, with the siblings."""
    child, done = Returner(), asyncio.Event()

    async def run(_: int) -> None:
        child.back()
        if len(child.took) == IN_MODE:
            done.set()
            await asyncio.Event().wait()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        child.crash()

    services = [*mode_services(sleep_in_asyncio, size), *mode_services(run, 1)]
    supervisor = mode_supervisor(services)
    await supervisor.start()
    await done.wait()
    check("crashes", len(child.took), IN_MODE)
    await supervisor.stop()
    return {"p50": percentile(child.took, 0.5), "p99": percentile(child.took, 0.99)}


def few(_: int) -> Sample:
    """Do ours with few siblings."""
    return trio.run(ours, FEW)


WORKLOAD = Workload(
    name="latency",
    title="From a crash until the child runs again, beside {n} idle siblings",
    size=10_000,
    tiny=20,
    figures=(Figure("p50", "µs", 1e6), Figure("p99", "µs", 1e6)),
    contenders={
        OURS: Contender(partial(trio.run, ours)),
        f"{OURS}, beside {FEW}": Contender(few),
        "fresh nursery": Contender(partial(trio.run, nursery_loop)),
        "triotp": Contender(partial(trio.run, triotp), triotp_here),
        "mode": Contender(partial(run_mode, mode), mode_here),
        "OTP": otp("latency"),
        "suture": suture("latency"),
    },
    targets=(
        Target("p50", 0.25, of="fresh nursery"),
        Target("p50", 1.0, of="OTP"),
        Target("p99", 1.5, of=f"{OURS}, beside {FEW}"),
    ),
)

if __name__ == "__main__":
    main(WORKLOAD)
