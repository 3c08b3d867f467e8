"""Ends of connections that something holds up: until when they must be over, and who is told."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from trio_instances import ChildSpec, ProbePolicy, telemetry

from .scripted import ScriptedChannel, always, nothing, scene


async def _stubborn() -> None:
    try:
        await trio.sleep_forever()
    finally:
        with trio.CancelScope(shield=True):
            await trio.sleep(1000)


@pytest.mark.parametrize("who", ["child", "probe", "channel"])
@pytest.mark.parametrize("how", ["reconnect", "stop"])
async def test_what_holds_the_end_of_a_connection_up_makes_its_machine_late(
    autojump_clock: MockClock, who: str, how: str
) -> None:
    """Whatever does not end: its children have their shutdown, the channel its close_timeout."""
    channel = ScriptedChannel()
    channel.give_children = always(
        ChildSpec("quick", trio.sleep_forever, shutdown=7.0),
        ChildSpec("child", _stubborn if who == "child" else trio.sleep_forever, shutdown=3.0),
    )
    channel.ask = lambda _: _stubborn() if who == "probe" else nothing()
    channel.close = _stubborn if who == "channel" else nothing
    probe = ProbePolicy(interval=1.0, timeout=1000.0)
    async with scene(channel, probe=probe) as s, trio.open_nursery() as nursery:
        await trio.sleep(50)
        assert s.bot.standing().due_by == math.inf
        began = trio.current_time()
        if how == "reconnect":
            s.bot.reconnect()
        else:
            nursery.start_soon(s.runtime.stop_instance, "bot")
        await trio.sleep(500)
        assert began + 10 <= s.bot.standing().due_by <= began + 10 + 7 + 3
        await trio.sleep(600)

        assert s.bot.standing().due_by == math.inf


async def test_the_stop_of_a_runtime_that_a_probe_holds_up_is_stuck(
    autojump_clock: MockClock,
) -> None:
    """It is named where an init system asks whether the stop gets on, once its time is over."""
    channel, stuck = ScriptedChannel(), []
    channel.ask = lambda _: _stubborn()
    async with trio.open_nursery() as nursery:
        async with scene(channel, probe=ProbePolicy(interval=1.0)) as s:
            await trio.sleep(20)

            async def look() -> None:
                for _ in range(2):
                    await trio.sleep(9)
                    stuck.append(s.runtime.ending.stuck_children())

            nursery.start_soon(look)

        assert [len(each) for each in stuck] == [0, 1]
        assert stuck[1] == ("runtime/bot",)


async def test_a_closing_that_ignores_its_end_is_told_again_and_again(
    autojump_clock: MockClock,
) -> None:
    """Law 4: with where it is, at growing intervals, while a retry waits for its end."""
    channel = ScriptedChannel()
    channel.close = _stubborn
    async with scene(channel) as s:
        await trio.sleep(50)
        s.bot.reconnect()
        await trio.sleep(200)
        told = [event for event in s.log.of(telemetry.HookFailed) if event.hook == "close"]
        assert [event.at for event in told] == [50 + 10 + more for more in (5, 10, 20, 40, 80, 160)]
        assert {event.cause.reason for event in told} == {"close_stuck"}
        assert "_stubborn: await trio.sleep(1000)" in told[0].cause.detail
        await trio.sleep(1000)
        assert s.bot.connected


async def test_an_attempt_that_ignores_its_end_is_told_again_and_again(
    autojump_clock: MockClock,
) -> None:
    """The same goes for one that does not give up when its connect_timeout is over."""

    @asynccontextmanager
    async def connect(_: object) -> AsyncIterator[int]:
        await _stubborn()
        yield 0

    channel = ScriptedChannel()
    channel.connect = connect  # type: ignore[method-assign, assignment]  # as deaf as one can be
    async with scene(channel) as s:
        began = trio.current_time()
        await trio.sleep(100)
        told = [event for event in s.log.of(telemetry.HookFailed) if event.hook == "connect"]
        assert [event.at - began for event in told] == [30 + more for more in (5, 10, 20, 40)]


async def test_a_closing_that_holds_up_a_stop_is_a_stuck_child(autojump_clock: MockClock) -> None:
    """Nobody looks at the instance any more then; its supervisor does, once the time is over."""
    channel = ScriptedChannel()
    channel.close = _stubborn
    async with scene(channel) as s:
        await trio.sleep(50)
        await s.runtime.stop_instance("bot")
        stuck = s.log.of(telemetry.ChildStuck)
        assert {event.path for event in stuck} == {"runtime/bot"}
        assert stuck[0].at == 50 + 10 + 5
        assert "_stubborn: await trio.sleep(1000)" in stuck[0].stack[-1]
        # ... and so it is not told twice.
        assert {event.cause.reason for event in s.log.of(telemetry.HookFailed)} == {"close_timeout"}
