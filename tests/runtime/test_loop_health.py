"""What a runtime says of the event loop and of the machine."""

from __future__ import annotations

import time

import trio
from trio.testing import MockClock

from trio_instances import LoopHealth, Runtime, open_runtime, watch_stalls


async def test_without_a_watch_nothing_is_known_of_the_loop(
    instance_runtime: Runtime, autojump_clock: MockClock
) -> None:
    """Zero would be an answer."""
    assert instance_runtime.loop_health() == LoopHealth(
        sleeps=0, slept=0.0, stalls=None, stalled=None, shares=None
    )


async def test_what_the_machine_slept_is_summed_up(autojump_clock: MockClock) -> None:
    """Each time once."""
    asleep = 0.0
    async with open_runtime(wall_clock=lambda: trio.current_time() + asleep) as runtime:
        await trio.sleep(20)
        asleep = 60.0
        await trio.sleep(20)
        asleep = 90.0
        await trio.sleep(20)
        health = runtime.loop_health()

    assert (health.sleeps, round(health.slept, 6)) == (2, 90.0)


async def test_the_watch_around_it_is_found() -> None:
    """The innermost one, and only as long as it watches."""
    async with open_runtime() as runtime:
        with watch_stalls(0.02) as outer:
            with watch_stalls(1.0):
                time.sleep(0.05)  # noqa: ASYNC251 - that is what blocks
                await trio.lowlevel.checkpoint()
                within = runtime.loop_health()
            around = runtime.loop_health()
        after = runtime.loop_health()

    assert (within.stalls, within.stalled) == (0, 0.0)
    assert (around.stalls, after.stalls) == (1, None)
    assert around.stalled == outer.stalled
    assert outer.stalled >= 0.05
