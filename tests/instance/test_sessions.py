"""What a connection leaves for its successor: kept where it can be resumed, dropped where not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

from trio_instances import (
    Cause,
    ChildSpec,
    Instance,
    InstanceFailed,
    ProbePolicy,
    RestartIntensity,
    telemetry,
)
from trio_instances.policy.causes import DEFAULTS, DISCORD, RuleSet, on_error

from .scripted import (
    STEADY,
    OverlappingChannel,
    Scene,
    ScriptedChannel,
    Worker,
    fatal,
    lost,
    scene,
)

REFUSED = ConnectionRefusedError("no")
WRONG = RuleSet("wrong", [on_error(Exception, Cause("fatal", "anything"))])


class Remembering(ScriptedChannel):
    """Each connection sees the session that is there, and leaves its own number as the next."""

    def __init__(self, *outcomes: float | BaseException) -> None:
        super().__init__(*outcomes)
        self.seen: list[Any] = []
        self.leave_session = True

    @asynccontextmanager
    async def connect(self, instance: Instance) -> AsyncIterator[int]:
        """Do what the script says, and remember."""
        self.seen.append(instance.session)
        async with super().connect(instance) as number:
            if self.leave_session:
                instance.session = f"session {number}"
            yield number


class RememberingBoth(Remembering, OverlappingChannel):
    """The same, for one that bears two connections at once."""


async def test_there_is_no_session_before_the_first_connection(autojump_clock: MockClock) -> None:
    """Nobody has left one."""
    channel = Remembering(REFUSED)
    async with scene(channel) as s:
        assert s.bot.session is None
        await s.bot.wait_status("connected")

        assert channel.seen == [None, None]
        assert s.bot.session == "session 2"


async def test_a_resumable_loss_hands_the_session_on(autojump_clock: MockClock) -> None:
    """The next connection finds what the last one has left."""
    channel = Remembering()
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        channel.reader.end(lost(resumable=True))
        await s.log.wait_for(telemetry.InstanceConnected, times=2)

        assert channel.seen == [None, "session 1"]


async def test_attempts_that_fail_leave_the_session_as_it_is(autojump_clock: MockClock) -> None:
    """Whatever they fail of: the other side has not seen it, so it has not refused it."""
    channel = Remembering(0.0, REFUSED, lost("dns"), 31.0)
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        channel.reader.end(lost(resumable=True))
        await s.log.wait_for(telemetry.InstanceConnected, times=2)

        assert channel.seen == [None, *["session 1"] * 4]


async def test_a_channel_drops_a_session_that_was_refused(autojump_clock: MockClock) -> None:
    """It knows, and nobody else: what it sets is what the next attempt sees."""
    channel = Remembering()

    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        channel.reader.end(lost(resumable=True))
        await s.log.wait_for(telemetry.InstanceDisconnected)
        s.bot.session = None
        await s.log.wait_for(telemetry.InstanceConnected, times=2)

        assert channel.seen == [None, None]


def lose(s: Scene, channel: Remembering) -> None:
    """Lose the connection in a way that nothing can be resumed after."""
    channel.reader.end(lost())


ENDS: dict[str, Callable[[Scene, Remembering], object]] = {
    "a loss that is not resumable": lose,
    "a reconnect": lambda s, _: s.bot.reconnect(),
    "a pause": lambda s, _: s.bot.pause(),
    "a drain": lambda s, _: s.bot.drain(),
    "children that crash too often": lambda _, c: c.reader.end(ValueError("bug")),
}


@pytest.mark.parametrize("how", ENDS)
async def test_every_other_end_drops_the_session(autojump_clock: MockClock, how: str) -> None:
    """Before the closing, so that what is set in closing is not dropped with it."""
    channel = Remembering()

    async def keep() -> None:
        await trio.sleep(0.1)
        bots[0].session = "set in closing"

    bots: list[Instance] = []
    channel.close = keep
    async with scene(channel, intensity=RestartIntensity(max_restarts=0)) as s:
        bots.append(s.bot)
        await s.bot.wait_status("connected")
        ENDS[how](s, channel)
        await s.log.wait_for(telemetry.InstanceDisconnected)
        assert s.bot.session is None
        await trio.sleep(1)
        s.bot.resume()
        await s.log.wait_for(telemetry.InstanceConnected, times=2)

        assert channel.seen == [None, "set in closing"]


async def test_a_planned_replacement_hands_the_session_on(autojump_clock: MockClock) -> None:
    """That is what it is planned for."""
    channel = Remembering()
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        s.bot.rotate()
        await s.log.wait_for(telemetry.InstanceConnected, times=2)

        assert channel.seen == [None, "session 1"]


async def test_a_successor_sees_the_session_of_the_one_that_is_there(
    autojump_clock: MockClock,
) -> None:
    """In a handover it is handed on while it is in use; the successor's own one is there after."""
    channel = RememberingBoth(0.0, 5.0)
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        s.bot.rotate()
        await trio.sleep(1)
        assert s.bot.session == "session 1"
        await s.log.wait_for(telemetry.InstanceHandedOver)

        assert channel.seen == [None, "session 1"]
        await trio.sleep(1)
        assert s.bot.session == "session 2"


async def test_a_successor_that_fails_leaves_the_session_to_the_old_one(
    autojump_clock: MockClock,
) -> None:
    """The connection that is there goes on with it, whatever the failure says."""
    channel = RememberingBoth(0.0, fatal())
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        s.bot.rotate()
        await s.log.wait_for(telemetry.ReconnectFailed)

        assert s.bot.session == "session 1"


async def test_restart_instance_drops_the_session(autojump_clock: MockClock) -> None:
    """It is a fresh start in everything, also where the loss before it was resumable."""
    channel = Remembering(0.0, REFUSED)
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        channel.reader.end(lost(resumable=True))
        await s.log.wait_for(telemetry.ReconnectFailed)
        assert s.bot.session == "session 1"
        await s.runtime.restart_instance("bot")
        await s.bot.wait_status("connected")

        assert channel.seen[-1] is None


async def test_a_crash_of_the_instance_drops_the_session(autojump_clock: MockClock) -> None:
    """Its connection was ended by us, and not in a way that can be resumed."""
    channel = Remembering()
    keeper = Worker()
    channel.give_own = lambda _: [ChildSpec("keeper", keeper.run)]
    async with scene(channel, intensity=RestartIntensity(max_restarts=0)) as s:
        await s.bot.wait_status("connected")
        keeper.end(ValueError("bug"))
        await s.log.wait_for(telemetry.InstanceConnected, times=2)

        assert channel.seen == [None, None]


async def test_a_fatal_loss_that_is_resumable_keeps_the_session(autojump_clock: MockClock) -> None:
    """It is there to be looked at, and whoever starts the instance anew drops it."""
    channel = Remembering()
    async with scene(channel, reconnect=evolve(STEADY, attempts=1, exhausted="escalate")) as s:
        await s.bot.wait_status("connected")
        channel.outcomes = [REFUSED]
        channel.reader.end(lost(resumable=True))
        with pytest.raises(InstanceFailed):
            await s.bot.wait_status("stopped")

        assert s.bot.session == "session 1"


@pytest.mark.parametrize(
    ("rules", "seen"),
    [(DISCORD | DEFAULTS, [None, "session 1"]), (DEFAULTS, [None, None]), (WRONG, [None, None])],
)
async def test_the_rules_say_whether_a_session_outlives_a_probe_without_an_answer(
    autojump_clock: MockClock, rules: RuleSet, seen: list[str | None]
) -> None:
    """And nothing else about it: silence is recoverable, whatever they would make of it."""
    channel = Remembering()

    async def ask(connection: int) -> None:
        if connection == 1:
            await trio.sleep_forever()

    channel.ask, channel.judge = ask, rules.cause_of_error
    async with scene(channel, probe=ProbePolicy(failures_to_fail=1)) as s:
        await s.log.wait_for(telemetry.InstanceConnected, times=2)
        (end,) = s.log.of(telemetry.InstanceDisconnected)

        assert channel.seen == seen
        assert (end.cause.reason, end.cause.failure_class) == ("probe_timeout", "recoverable")
        assert end.cause.detail == "no answer within 5 s"
