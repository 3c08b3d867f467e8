"""The runtime's own tasks: the schedule of probes, the lookout, a watch for the machine's sleep."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import final

import trio
from attrs import define
from trio.lowlevel import enable_ki_protection

from .._instance.probe_schedule import ProbeSchedule
from .._instance.watching import Lookout
from .._supervision.core import Core
from .._supervision.opening import run_core
from .._supervision.reporter import Reporter
from ..policy.causes.defaults import classify_failure
from ..policy.health import ProbeTrigger
from ..policy.intensity import RestartIntensity
from ..policy.options import SupervisorOptions
from ..policy.sleep import LOOK_EVERY, slept
from ..telemetry.bus import EventBus
from ..telemetry.events import HookFailed
from ..telemetry.places import raised_at
from ..telemetry.runtime_events import RuntimeSlept

WallClock = Callable[[], float]


@final
@define
class Sleeps:
    """What the machine has slept since the runtime was opened."""

    times: int = 0
    seconds: float = 0.0


SERVICES = RestartIntensity(max_restarts=3, period=10.0)
"""Restarts of the runtime's own services, few as bugs are: beyond that the runtime ends."""


@asynccontextmanager
async def running_lookout(runtime: Core, lookout: Lookout) -> AsyncIterator[None]:
    """Look at instances during the block, which they are to end in.

    Args:
        runtime: The runtime's supervisor.
        lookout: When which instance is looked at.

    Raises:
        RestartLimitExceeded: It failed again and again.
    """
    core = _core_of_services(runtime)
    async with run_core(core, None) as supervisor:
        supervisor.start_soon(lookout.run, name="lookout")
        yield
        core.stop_waiting()


@asynccontextmanager
async def running_services(
    runtime: Core, schedule: ProbeSchedule, wall_clock: WallClock, sleeps: Sleeps
) -> AsyncIterator[None]:
    """Run them during the block, under a supervisor of their own; they begin no probe after it.

    Args:
        runtime: The runtime's supervisor, in whose nursery the probes are.
        schedule: When which connection is probed.
        wall_clock: Returns seconds that go on while the machine sleeps.
        sleeps: Where sleeps are counted.

    Raises:
        RestartLimitExceeded: One of them failed again and again.
    """
    bus = runtime.reporter.bus
    core = _core_of_services(runtime)
    async with run_core(core, None) as supervisor:
        supervisor.start_soon(schedule.run, runtime.nursery, name="probes")
        supervisor.start_soon(
            _watch_sleep, schedule, wall_clock, bus, sleeps, name="sleep", restart="transient"
        )
        yield
        core.stop_waiting()


def _core_of_services(runtime: Core) -> Core:
    return Core(
        # Beside the runtime and not within: an instance can be called services as well.
        path=f"{runtime.path}:services",
        options=SupervisorOptions(intensity=SERVICES),
        reporter=Reporter(runtime.reporter.bus),
        random=None,
    )


# Protected from Ctrl-C, which is for what the user wrote: here it would leave every instance
# unprobed while they stop.
@enable_ki_protection
async def _watch_sleep(
    schedule: ProbeSchedule, wall_clock: WallClock, bus: EventBus, sleeps: Sleeps
) -> None:
    """Look at both clocks again and again, until the wall clock fails."""
    wall = _read(wall_clock, bus)
    while wall is not None:
        monotonic = trio.current_time()
        await trio.sleep(LOOK_EVERY)
        before, wall = wall, _read(wall_clock, bus)
        if wall is None:
            return

        seconds = slept(wall - before, trio.current_time() - monotonic)
        if seconds > 0:
            sleeps.times += 1
            sleeps.seconds += seconds
            _wake(schedule, seconds, bus)


def _read(wall_clock: WallClock, bus: EventBus) -> float | None:
    try:
        return float(wall_clock())
    except Exception as exc:
        if bus.listening:
            cause = classify_failure(exc)
            bus.publish(
                HookFailed(
                    at=trio.current_time(),
                    hook="wall_clock",
                    path="open_runtime",
                    cause=cause,
                    stack=raised_at(exc, cause),
                )
            )
        return None


def _wake(schedule: ProbeSchedule, seconds: float, bus: EventBus) -> None:
    connections = schedule.probe_all(ProbeTrigger.SLEPT)
    if bus.listening:
        now = trio.current_time()
        bus.publish(RuntimeSlept(at=now, elapsed=seconds, connections=connections))
