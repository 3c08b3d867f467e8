"""`Runtime.update_credentials`: new credentials, used as soon as they are needed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    Cause,
    ChannelError,
    Instance,
    InstanceFailed,
    InstanceNotFound,
    telemetry,
)

from .scripted import AT_ONCE, OverlappingChannel, ScriptedChannel, fatal, scene

REFUSED = ConnectionRefusedError("no")
REVOKED = ChannelError(Cause("fatal", "http_401", lost=True, who_must_act="credentials"))


class Guarded(ScriptedChannel):
    """A channel whose other side lets in whoever has the right token."""

    def __init__(self, *outcomes: float | BaseException) -> None:
        super().__init__(*outcomes)
        self.shown = "old"
        self.right = "old"
        self.delay = 0.0
        """Seconds that the other side takes to look at a token."""
        self.used: list[str] = []

    @asynccontextmanager
    async def connect(self, instance: Instance) -> AsyncIterator[int]:
        """Show the token, and then do what the script says."""
        shown = self.shown
        self.used.append(shown)
        await trio.sleep(self.delay)
        if shown != self.right:
            raise REVOKED
        async with super().connect(instance) as number:
            yield number

    def update_credentials(self, credentials: Any) -> None:
        """Take a token."""
        self.shown = credentials


class GuardedBoth(Guarded, OverlappingChannel):
    """The same, for one that bears two connections at once."""


async def test_what_has_failed_is_started_anew(autojump_clock: MockClock) -> None:
    """With the new ones; that is what it was parked for."""
    channel = Guarded()
    channel.right = "new"
    async with scene(channel) as s:
        await s.log.wait_for(telemetry.InstanceFailed)
        assert s.bot.health().who_must_act == "credentials"
        bot = await s.runtime.update_credentials("bot", "new")
        assert bot is s.bot
        await s.bot.wait_status("connected")

        assert channel.used == ["old", "new"]


async def test_what_waits_tries_at_once(autojump_clock: MockClock) -> None:
    """The retry is woken, and not doubled."""
    channel = Guarded(*[REFUSED] * 7)
    async with scene(channel) as s:
        await trio.sleep(100)
        channel.outcomes = []
        await s.runtime.update_credentials("bot", "old")
        await s.log.wait_for(telemetry.InstanceConnected)
        assert trio.current_time() == 100
        await trio.sleep(1000)

        assert len(s.log.of(telemetry.InstanceConnected)) == 1


async def test_what_is_connected_stays_so(autojump_clock: MockClock) -> None:
    """It uses them the next time; now, where somebody asks for it."""
    channel = Guarded()
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        await s.runtime.update_credentials("bot", "old, but longer")
        channel.right = "old, but longer"
        await trio.sleep(100)
        assert channel.attempts == [0]
        s.bot.reconnect()
        await s.log.wait_for(telemetry.InstanceConnected, times=2)

        assert channel.used == ["old", "old, but longer"]


async def test_what_is_paused_stays_so(autojump_clock: MockClock) -> None:
    """It is used when somebody resumes."""
    channel = Guarded()
    async with scene(channel) as s:
        s.bot.pause()
        await s.runtime.update_credentials("bot", "new")
        channel.right = "new"
        await trio.sleep(100)
        assert (s.bot.status, channel.attempts) == ("paused", [])
        s.bot.resume()
        await s.bot.wait_status("connected")

        assert channel.used == ["new"]


async def test_it_is_told_of_and_the_credentials_are_not(autojump_clock: MockClock) -> None:
    """Nobody finds a secret in a log."""
    channel = Guarded()
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        await s.runtime.update_credentials("bot", "secret")

        (event,) = s.log.of(telemetry.InstanceCredentialsUpdated)
        assert event.instance_id == "bot"
        assert "secret" not in telemetry.to_json(event)


async def test_an_attempt_with_the_old_ones_that_is_refused_is_made_again(
    autojump_clock: MockClock,
) -> None:
    """The new ones came while the other side looked at the old ones: nobody has refused them."""
    channel = Guarded()
    channel.right, channel.delay = "new", 5.0
    async with scene(channel) as s:
        await trio.sleep(1)
        await s.runtime.update_credentials("bot", "new")
        await s.bot.wait_status("connected")

        assert channel.used == ["old", "new"]
        assert s.log.of(telemetry.InstanceFailed) == []


async def test_a_connection_that_is_ended_for_its_old_ones_is_made_again(
    autojump_clock: MockClock,
) -> None:
    """Who revokes a token ends the connections that were made with it."""
    channel = Guarded()
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        channel.right = "new"
        await s.runtime.update_credentials("bot", "new")
        await trio.sleep(1)
        channel.reader.end(REVOKED)
        await s.log.wait_for(telemetry.InstanceConnected, times=2)

        assert channel.used == ["old", "new"]


async def test_new_ones_that_are_refused_fail_it(autojump_clock: MockClock) -> None:
    """They are not tried twice."""
    channel = Guarded()
    channel.right = "another"
    async with scene(channel) as s:
        await s.log.wait_for(telemetry.InstanceFailed)
        await s.runtime.update_credentials("bot", "new")
        await s.log.wait_for(telemetry.InstanceFailed, times=2)
        await trio.sleep(1000)

        assert channel.used == ["old", "new"]


async def test_a_failure_that_is_being_closed_is_started_anew_too(
    autojump_clock: MockClock,
) -> None:
    """It has failed when the machine says so, though its closing takes its time."""
    channel = Guarded()

    async def slowly() -> None:
        await trio.sleep(5)

    channel.close = slowly
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        channel.right = "new"
        channel.reader.end(REVOKED)
        await s.log.wait_for(telemetry.InstanceDisconnected)
        assert s.bot.status != "failed"
        await s.runtime.update_credentials("bot", "new")
        await s.bot.wait_status("connected")
        await trio.sleep(100)

        assert channel.used == ["old", "new"]
        assert s.bot.connected


async def test_a_successor_with_the_old_ones_is_made_again_with_the_new_ones(
    autojump_clock: MockClock,
) -> None:
    """A handover is under way when they come, and goes wrong: the next one has them."""
    channel = GuardedBoth()
    async with scene(channel, reconnect=AT_ONCE) as s:
        await s.bot.wait_status("connected")
        channel.right, channel.delay = "new", 5.0
        s.bot.rotate()
        await trio.sleep(1)
        await s.runtime.update_credentials("bot", "new")
        await s.log.wait_for(telemetry.InstanceHandedOver)

        assert channel.used == ["old", "old", "new"]
        assert s.log.of(telemetry.InstanceDisconnected) == []


async def test_a_channel_that_takes_none_says_so(autojump_clock: MockClock) -> None:
    """And nothing is told, for nothing has happened."""
    channel = ScriptedChannel(fatal())
    async with scene(channel) as s:
        with pytest.raises(InstanceFailed):
            await s.bot.wait_status("connected")
        with pytest.raises(TypeError, match="ScriptedChannel takes no credentials"):
            await s.runtime.update_credentials("bot", "new")

        assert s.log.of(telemetry.InstanceCredentialsUpdated) == []
        assert s.bot.status == "failed"


async def test_there_must_be_such_an_instance(autojump_clock: MockClock) -> None:
    """As for every verb."""
    async with scene(Guarded()) as s:
        with pytest.raises(InstanceNotFound):
            await s.runtime.update_credentials("bot-2", "new")


async def test_cancelled_while_it_starts_anew_the_new_ones_stay(
    autojump_clock: MockClock,
) -> None:
    """The restart is undone; whoever starts it later uses them."""
    channel = Guarded()
    channel.right = "new"
    async with scene(channel) as s:
        await s.log.wait_for(telemetry.InstanceFailed)
        with trio.CancelScope() as scope:
            scope.cancel()
            await s.runtime.update_credentials("bot", "new")
        assert scope.cancelled_caught
        await s.runtime.restart_instance("bot")
        await s.bot.wait_status("connected")

        assert channel.used == ["old", "new"]
