"""Where a channel has failed: told with its attempts, its closings and its hooks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

from trio_instances import Cause, Instance, telemetry
from trio_instances.telemetry import EventBus

from .scripted import HANGS, STEADY, ScriptedChannel, scene


def place(stack: tuple[str, ...]) -> str:
    """Return the line where it was raised."""
    return stack[-1].split(": ", 1)[1]


class Careless(ScriptedChannel):
    """Its first attempt has a bug."""

    @asynccontextmanager
    async def connect(self, instance: Instance) -> AsyncIterator[int]:
        """Fail once."""
        if not self.attempts:
            self.attempts.append(0.0)
            raise KeyError("session")
        async with super().connect(instance) as number:
            yield number


async def test_a_failed_attempt_is_told_with_its_place(autojump_clock: MockClock) -> None:
    """It begins in the channel: neither the library nor Trio is in it."""
    async with scene(Careless()) as s:
        await s.log.wait_for(telemetry.InstanceConnected)
    (failed,) = s.log.of(telemetry.ReconnectFailed)
    assert [line.split(": ", 1)[1] for line in failed.stack] == ['raise KeyError("session")']


async def test_an_attempt_that_was_too_slow_has_no_place(autojump_clock: MockClock) -> None:
    """Nothing was raised in code of the user's."""
    reconnect = evolve(STEADY, connect_timeout=5.0)
    async with scene(ScriptedChannel(HANGS), reconnect=reconnect) as s:
        await s.log.wait_for(telemetry.InstanceConnected)
    (failed,) = s.log.of(telemetry.ReconnectFailed)
    assert (failed.cause.reason, failed.stack) == ("connect_timeout", ())


async def test_a_closing_that_fails_is_told_with_its_place(autojump_clock: MockClock) -> None:
    """By the event of the hook, as the connection is gone anyway."""

    async def fail() -> None:
        raise OSError("in the closing")

    channel = ScriptedChannel()
    channel.close = fail
    async with scene(channel) as s:
        await s.log.wait_for(telemetry.InstanceConnected)
        await s.runtime.stop_instance("bot")
    (failed,) = s.log.of(telemetry.HookFailed)
    assert (failed.hook, place(failed.stack)) == ("close", 'raise OSError("in the closing")')


@pytest.mark.parametrize("hook", ["classify", "listener"])
async def test_a_hook_that_fails_is_told_with_its_place(
    hook: str, autojump_clock: MockClock
) -> None:
    """Whoever it was told to, or asked by."""

    def judge(_: Exception) -> Cause:
        raise ZeroDivisionError("in classify")

    def listen(event: telemetry.Event) -> None:
        if isinstance(event, telemetry.InstanceConnected):
            raise ZeroDivisionError("in listener")

    bus, channel = EventBus(), ScriptedChannel(OSError("no"))
    if hook == "classify":
        channel.judge = judge
    else:
        bus.listen(listen)
    async with scene(channel, bus=bus) as s:
        await s.log.wait_for(telemetry.InstanceConnected)
        await trio.sleep(1)
    (failed,) = s.log.of(telemetry.HookFailed)
    assert (failed.hook, place(failed.stack)) == (hook, f'raise ZeroDivisionError("in {hook}")')


async def test_a_closing_that_is_cut_short_has_not_the_place_of_what_failed_before(
    autojump_clock: MockClock,
) -> None:
    """Why the connection is closed is one thing, and that it does not close another."""

    def give_children(_: Instance, __: int) -> object:
        raise KeyError("children")

    channel = ScriptedChannel()
    channel.give_children = give_children
    channel.close = trio.sleep_forever
    async with scene(channel) as s:
        await s.log.wait_for(telemetry.HookFailed)
    (failed, *_), (cut, *_) = s.log.of(telemetry.ReconnectFailed), s.log.of(telemetry.HookFailed)
    assert place(failed.stack) == 'raise KeyError("children")'
    assert (cut.hook, cut.cause.reason, cut.stack) == ("close", "close_timeout", ())
