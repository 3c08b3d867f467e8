"""Planned replacement of a connection by a channel that cannot have two: closed, then made anew."""

from __future__ import annotations

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

from trio_instances import InstanceSpec, open_runtime, telemetry

from .scripted import HANGS, STEADY, ScriptedChannel, lost, scene

REFUSED = ConnectionRefusedError("no")
DAILY = evolve(STEADY, max_age=86_400.0)


async def test_a_connection_is_replaced_before_it_is_too_old(autojump_clock: MockClock) -> None:
    """Up to a tenth sooner, without a delay, again and again."""
    channel = ScriptedChannel()
    async with scene(channel, reconnect=DAILY) as s:
        await trio.sleep(10 * 86_400)

        assert len(channel.gaps) >= 10
        assert all(77_760 <= gap <= 86_400 for gap in channel.gaps)
        assert len(set(channel.gaps)) == len(channel.gaps)
        assert channel.closed == channel.attempts[1:]
        assert channel.most == 1
        assert s.log.of(telemetry.ReconnectScheduled) == []


async def test_when_it_will_be_is_in_the_snapshot(autojump_clock: MockClock) -> None:
    """While there is a connection that is to be replaced, and at no other time."""
    channel = ScriptedChannel(REFUSED)
    async with scene(channel, reconnect=DAILY) as s:
        assert s.bot.health().rotate_at is None
        await s.bot.wait_status("connected")
        at = s.bot.health().rotate_at
        assert at is not None
        await trio.sleep_until(at - 1)
        assert len(channel.attempts) == 2
        await trio.sleep(2)
        assert channel.attempts[2] == at
        s.bot.pause()

        assert s.bot.health().rotate_at is None


async def test_a_fleet_is_not_replaced_all_at_once(autojump_clock: MockClock) -> None:
    """Those that connected at the same moment are spread over a tenth of the age."""
    fleet = [ScriptedChannel() for _ in range(50)]
    async with open_runtime() as runtime:
        for number, channel in enumerate(fleet):
            spec = InstanceSpec(id=f"bot-{number}", channel=channel, reconnect=DAILY, probe=None)
            await runtime.start_instance(spec)
        await trio.sleep(86_400 + 1)

    times = sorted(channel.attempts[1] for channel in fleet)
    assert times[-1] - times[0] > 5000
    assert len({time // 864 for time in times}) > 5


async def test_a_planned_replacement_is_no_failure(autojump_clock: MockClock) -> None:
    """It is told of, at a level that wakes nobody, and leaves no cause."""
    channel = ScriptedChannel()
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        s.bot.rotate()
        await s.log.wait_for(telemetry.InstanceConnected, times=2)

        (end,) = s.log.of(telemetry.InstanceDisconnected)
        assert end.cause.reason == "rotation_requested"
        assert telemetry.level_of(end) == "INFO"
        assert s.bot.health().cause is None
        assert s.bot.health().restarts == 0


async def test_the_age_counts_from_the_opening_of_the_present_one(
    autojump_clock: MockClock,
) -> None:
    """A connection that took the place of a lost one is as young as it is."""
    channel = ScriptedChannel()
    async with scene(channel, reconnect=evolve(STEADY, max_age=1000.0)) as s:
        await trio.sleep(800)
        channel.reader.end(lost())
        await s.log.wait_for(telemetry.InstanceConnected, times=2)
        await trio.sleep(890)
        assert len(channel.attempts) == 2
        await trio.sleep(111)

        assert len(channel.attempts) == 3


async def test_rotating_what_is_not_open_changes_nothing(autojump_clock: MockClock) -> None:
    """Neither an attempt, nor a retry that waits, nor a pause, nor an end."""
    channel = ScriptedChannel(10.0, 0.0, REFUSED)
    async with scene(channel) as s:
        s.bot.rotate()
        await trio.sleep(1)
        s.bot.rotate()
        await s.bot.wait_status("connected")
        assert len(channel.attempts) == 1
        channel.outcomes = [REFUSED]
        channel.reader.end(lost(retry_after=100.0))
        await s.bot.wait_status("reconnecting")
        s.bot.rotate()
        await trio.sleep(1)
        assert len(channel.attempts) == 1
        s.bot.pause()
        s.bot.rotate()
        await trio.sleep(1)
        assert s.bot.status == "paused"
        await s.runtime.stop_instance("bot")
        s.bot.rotate()
        await trio.sleep(1)

        assert len(channel.attempts) == 1
        assert s.log.of(telemetry.InstanceAsked)[-1].verb == "pause"


async def test_rotating_twice_is_once(autojump_clock: MockClock) -> None:
    """The second one finds an attempt under way."""
    channel = ScriptedChannel()
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        s.bot.rotate()
        s.bot.rotate()
        await trio.sleep(10)

        assert channel.attempts == [0, 0]


async def test_a_replacement_that_fails_is_retried_as_any_attempt(
    autojump_clock: MockClock,
) -> None:
    """There is nothing left to stay with."""
    channel = ScriptedChannel(0.0, REFUSED, REFUSED)
    async with scene(channel) as s:
        await trio.sleep(100)
        s.bot.rotate()
        await s.log.wait_for(telemetry.InstanceConnected, times=2)

        assert channel.gaps == [100, 0.5, 1.0]
        assert s.log.of(telemetry.InstanceConnected)[1].outage == 1.5


async def test_the_old_one_is_closed_before_the_new_one_is_made(autojump_clock: MockClock) -> None:
    """However long that takes; and not longer than it may."""
    channel = ScriptedChannel()

    async def hang() -> None:
        await trio.sleep_forever()

    channel.close = hang
    async with scene(channel) as s:
        await trio.sleep(100)
        s.bot.rotate()
        await s.log.wait_for(telemetry.InstanceConnected, times=2)

        assert channel.attempts == [0, 110]
        assert channel.most == 1


async def test_a_stop_while_it_is_replaced_leaves_nothing(autojump_clock: MockClock) -> None:
    """The attempt that hangs is given up at once."""
    channel = ScriptedChannel(0.0, HANGS)
    async with scene(channel) as s:
        await trio.sleep(100)
        s.bot.rotate()
        await trio.sleep(1)
        await s.runtime.stop_instance("bot")

        assert trio.current_time() == 101
        assert channel.living == 0


@pytest.mark.parametrize("age", [1.0, 30.0])
async def test_an_age_below_the_time_to_prove_is_no_storm(
    autojump_clock: MockClock, age: float
) -> None:
    """One connection for each age, no more: such a policy is odd, and harms nobody."""
    channel = ScriptedChannel()
    async with scene(channel, reconnect=evolve(STEADY, max_age=age)):
        await trio.sleep(100 * age)

        assert 100 <= len(channel.attempts) <= 112
