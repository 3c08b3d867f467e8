"""Ends of connections that something holds up: until when they must be over, and who is told."""

from __future__ import annotations

import math

import pytest
import trio
from trio.testing import MockClock

from trio_instances import ChildSpec, ProbePolicy

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
        assert stuck[1][0].endswith("bot/connection")
