"""Cancelling a verb, at every place where it can be: it promises what is left, and keeps it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, final

import trio
from trio.lowlevel import Task
from trio.testing import MockClock

from trio_instances import (
    ChildSpec,
    Instance,
    InstanceSpec,
    InstanceStatus,
    InstanceStopped,
    Runtime,
    open_runtime,
)

from ..instance.scripted import STEADY, ScriptedChannel

MANY = 40
"""More checkpoints than any verb has; to reach it without an end would be a hang."""


@final
class CancelAtStep(trio.abc.Instrument):
    """Cancels a scope when a task has come to a stop for the so-many-th time.

    Args:
        task: The task.
        scope: The scope.
        step: At which of its checkpoints.
    """

    def __init__(self, task: Task, scope: trio.CancelScope, step: int) -> None:
        self.left = step
        self._task = task
        self._scope = scope

    def after_task_step(self, task: Task) -> None:
        """Count."""
        if task is self._task:
            self.left -= 1
            if self.left == 0:
                self._scope.cancel()


async def cancelled_at(step: int, verb: Callable[[], Awaitable[object]]) -> bool:
    """Call a verb and cancel it at one of its checkpoints; tell whether it came to that."""
    with trio.CancelScope() as scope:
        instrument = CancelAtStep(trio.lowlevel.current_task(), scope, step)
        trio.lowlevel.add_instrument(instrument)
        try:
            await verb()
        finally:
            trio.lowlevel.remove_instrument(instrument)
    return instrument.left <= 0


async def at_every_step(scenario: Callable[[int], Awaitable[bool]]) -> int:
    """Play a scenario again and again, until the verb ends before its cancellation comes."""
    for step in range(1, MANY):
        if not await scenario(step):
            return step - 1
    raise AssertionError("the verb never ended")


def everything_takes_time() -> ScriptedChannel:
    """Return a channel each part of which needs time to start and to stop."""
    channel = ScriptedChannel(1.0, 1.0, 1.0)

    async def slow(*, task_status: trio.TaskStatus[None]) -> None:
        await trio.sleep(1)
        task_status.started()
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(1)

    async def close() -> None:
        await trio.sleep(1)

    channel.give_own = lambda _: [ChildSpec("a", slow), ChildSpec("b", slow)]
    channel.give_children = lambda *_: [ChildSpec("c", slow)]
    channel.close = close
    return channel


def spec_of(channel: ScriptedChannel) -> InstanceSpec:
    """Return a steady spec without probes."""
    return InstanceSpec(id="bot", channel=channel, reconnect=STEADY, probe=None)


async def check_nothing_runs(bot: Instance, channel: ScriptedChannel) -> None:
    """Check that the instance is down, and that those who wait for it are told."""
    assert channel.living == 0
    assert bot.health().children == ()
    assert bot.status is InstanceStatus.STOPPED
    try:
        await bot.wait_status("connected")
    except InstanceStopped:
        return
    raise AssertionError("it should have been stopped")


async def test_a_cancelled_start_keeps_nothing(autojump_clock: MockClock) -> None:
    """What was begun is stopped before the cancellation goes on; the id and channel are free."""

    async def scenario(step: int) -> bool:
        channel = everything_takes_time()
        async with open_runtime() as runtime:
            cancelled = await cancelled_at(step, lambda: runtime.start_instance(spec_of(channel)))
            if not cancelled:
                return False

            assert runtime.list_instances() == []
            assert channel.living == 0
            bot = await runtime.start_instance(spec_of(channel))
            assert await bot.wait_status("connected") == "connected"
        return True

    assert await at_every_step(scenario) >= 1


async def test_a_cancelled_stop_goes_on_and_stays_listed_until_it_is_asked_again(
    autojump_clock: MockClock,
) -> None:
    """Only the waiting is cancelled."""

    async def scenario(step: int) -> bool:
        channel = everything_takes_time()
        async with open_runtime() as runtime:
            bot = await runtime.start_instance(spec_of(channel))
            await bot.wait_status("connected")
            cancelled = await cancelled_at(step, lambda: runtime.stop_instance("bot"))
            if not cancelled:
                return False

            await trio.sleep(100)
            await check_nothing_runs(bot, channel)
            if runtime.list_instances():
                assert runtime.instance_status("bot") == "stopped"
                await runtime.stop_instance("bot")
            assert runtime.list_instances() == []
            again = await runtime.start_instance(spec_of(channel))
            assert await again.wait_status("connected") == "connected"
        return True

    assert await at_every_step(scenario) >= 1


async def test_a_cancelled_restart_leaves_it_stopped(autojump_clock: MockClock) -> None:
    """At whichever half: nothing of it runs, it is listed, and can be restarted."""

    async def scenario(step: int) -> bool:
        channel = everything_takes_time()
        async with open_runtime() as runtime:
            bot = await runtime.start_instance(spec_of(channel))
            await bot.wait_status("connected")
            cancelled = await cancelled_at(step, lambda: runtime.restart_instance("bot"))
            if not cancelled:
                return False

            await trio.sleep(100)
            await check_nothing_runs(bot, channel)
            assert runtime.list_instances() == [bot]
            await runtime.restart_instance("bot")
            assert await bot.wait_status("connected") == "connected"
        return True

    assert await at_every_step(scenario) >= 3


async def test_a_start_cancelled_from_the_start_does_not_begin_to_connect(
    instance_runtime: Runtime, autojump_clock: MockClock
) -> None:
    """A scope that is cancelled already is found at the first checkpoint."""
    channel = ScriptedChannel()
    with trio.CancelScope() as scope:
        scope.cancel()
        await instance_runtime.start_instance(spec_of(channel))

    assert scope.cancelled_caught
    assert instance_runtime.list_instances() == []
    assert channel.living == 0


async def test_a_block_cancelled_at_any_step_stops_everything(autojump_clock: MockClock) -> None:
    """However far the start had come: in order, with none left, and nobody waits for ever."""

    async def scenario(step: int) -> bool:
        channel = everything_takes_time()
        held: list[Any] = []

        async def block() -> None:
            async with open_runtime() as runtime:
                held.append(runtime)
                bot = await runtime.start_instance(spec_of(channel))
                await bot.wait_status("connected")
                await runtime.restart_instance("bot")
                await bot.wait_status("connected")

        cancelled = await cancelled_at(step, block)
        if not cancelled:
            return False

        assert channel.living == 0
        if held:
            runtime: Runtime = held[0]
            for bot in runtime.list_instances():
                await check_nothing_runs(bot, channel)
        return True

    assert await at_every_step(scenario) >= 5


async def test_a_second_cancellation_while_stopping_cuts_nothing_short(
    autojump_clock: MockClock,
) -> None:
    """Two deadlines, one within the other's stop: the stop is still whole."""
    channel = everything_takes_time()
    with trio.move_on_after(9.5) as outer:
        with trio.move_on_after(9) as inner:
            async with open_runtime() as runtime:
                bot = await runtime.start_instance(spec_of(channel))
                await trio.sleep_forever()
        await trio.sleep_forever()

    assert inner.cancel_called
    assert outer.cancelled_caught
    assert channel.closed == [9 + 2]
    assert trio.current_time() == 9 + 4
    assert bot.status is InstanceStatus.STOPPED
