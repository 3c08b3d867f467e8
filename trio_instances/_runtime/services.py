"""The runtime's own tasks: the schedule of all probes, and a watch for the machine's sleep."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import final

import trio
from attrs import define
from trio.lowlevel import enable_ki_protection

from .._instance.probe_schedule import ProbeSchedule
from ..policy.causes.defaults import classify_failure
from ..policy.health import ProbeTrigger
from ..policy.sleep import LOOK_EVERY, slept
from ..telemetry.bus import EventBus
from ..telemetry.events import HookFailed
from ..telemetry.runtime_events import RuntimeSlept

WallClock = Callable[[], float]


@final
@define
class Sleeps:
    """What the machine has slept since the runtime was opened."""

    times: int = 0
    seconds: float = 0.0


@contextmanager
def running_services(
    nursery: trio.Nursery,
    schedule: ProbeSchedule,
    wall_clock: WallClock,
    bus: EventBus,
    sleeps: Sleeps,
) -> Iterator[None]:
    """Run them during the block; they begin no probe after it.

    Args:
        nursery: Of the runtime.
        schedule: When which connection is probed.
        wall_clock: Returns seconds that go on while the machine sleeps.
        bus: Where a sleep is told.
        sleeps: Where it is counted.
    """
    scope = trio.CancelScope()
    nursery.start_soon(_run, scope, schedule, wall_clock, bus, sleeps, name="services")
    try:
        yield
    finally:
        scope.cancel()


@enable_ki_protection
async def _run(
    scope: trio.CancelScope,
    schedule: ProbeSchedule,
    wall_clock: WallClock,
    bus: EventBus,
    sleeps: Sleeps,
) -> None:
    # Protected, as Ctrl-C is for what the user wrote: here it would leave every instance unprobed
    # while they stop, and end the block in a group.
    with scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(schedule.run, name="probes")
            await _watch_sleep(schedule, wall_clock, bus, sleeps)


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
            now = trio.current_time()
            bus.publish(HookFailed(at=now, hook="wall_clock", path="open_runtime", cause=cause))
        return None


def _wake(schedule: ProbeSchedule, seconds: float, bus: EventBus) -> None:
    connections = schedule.probe_all(ProbeTrigger.SLEPT)
    if bus.listening:
        now = trio.current_time()
        bus.publish(RuntimeSlept(at=now, elapsed=seconds, connections=connections))
