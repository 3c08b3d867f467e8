"""Leaving `connect`: in peace, within a budget, and told of where it goes wrong."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

from trio_instances import (
    Cause,
    ChannelError,
    ChildSpec,
    ChildState,
    InstanceStatus,
    ProbePolicy,
    RestartIntensity,
    WhoMustAct,
    telemetry,
)

from .scripted import STEADY, ScriptedChannel, Worker, degraded, fatal, lost, scene


def close_failures(log: Iterable[telemetry.Event]) -> list[Cause]:
    """Return why closings failed, as it was told."""
    return [
        event.cause
        for event in log
        if isinstance(event, telemetry.HookFailed) and event.hook == "close"
    ]


async def hang() -> None:
    """Be a closing that never ends."""
    await trio.sleep_forever()


@pytest.mark.parametrize("how", ["lose", "reconnect", "pause", "stop", "crash"])
async def test_a_closing_that_hangs_is_bounded_and_told(
    autojump_clock: MockClock, how: str
) -> None:
    """After `close_timeout` it is cut off, whatever it was that ended the connection."""
    channel = ScriptedChannel()
    channel.close = hang
    async with scene(channel, intensity=RestartIntensity(max_restarts=0)) as s:
        await s.bot.wait_status("connected")
        if how == "lose":
            channel.reader.end(lost())
        elif how == "crash":
            channel.reader.end(ValueError("bug"))
        elif how == "reconnect":
            s.bot.reconnect()
        elif how == "pause":
            s.bot.pause()
        else:
            await s.runtime.stop_instance("bot")
        await trio.sleep(20)

        assert [cause.reason for cause in close_failures(s.log)] == ["close_timeout"]
        assert channel.closed == []
        assert channel.living == (0 if how in {"pause", "stop"} else 1)
        if how in {"lose", "reconnect", "crash"}:
            assert channel.attempts == [0, 10]


async def test_a_closing_that_ignores_its_budget_is_told_when_it_ends(
    autojump_clock: MockClock,
) -> None:
    """One that swallows its cancellation has taken too long all the same."""
    channel = ScriptedChannel()

    async def stubborn() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(25)

    channel.close = stubborn
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        s.bot.reconnect()
        await s.log.wait_for(telemetry.InstanceConnected, times=2)

        assert channel.attempts == [0, 25]
        told = [cause.reason for cause in close_failures(s.log)]
        assert told == ["close_stuck", "close_stuck", "close_timeout"]


@pytest.mark.parametrize("how", ["lose", "reconnect", "pause", "stop"])
async def test_a_closing_that_raises_is_told_and_changes_nothing(
    autojump_clock: MockClock, how: str
) -> None:
    """The connection was lost for another reason, which stays the reason."""
    channel = ScriptedChannel()

    async def fail() -> None:
        raise fatal("in closing")

    channel.close = fail
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        if how == "lose":
            channel.reader.end(lost())
        elif how == "reconnect":
            s.bot.reconnect()
        elif how == "pause":
            s.bot.pause()
        else:
            await s.runtime.stop_instance("bot")
        await trio.sleep(20)

        assert [cause.reason for cause in close_failures(s.log)] == ["in closing"]
        if how == "lose":
            assert s.bot.health().last_error == "gone"


async def test_a_closing_that_finds_the_connection_gone_is_nothing_to_tell(
    autojump_clock: MockClock,
) -> None:
    """That the other side is not there any more is no news when one is leaving."""
    channel = ScriptedChannel()

    async def fail() -> None:
        raise ConnectionResetError("gone")

    channel.close = fail
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        s.bot.reconnect()
        await trio.sleep(1)

        assert s.log.of(telemetry.HookFailed) == []


async def test_a_stop_closes_in_peace_within_the_budget(autojump_clock: MockClock) -> None:
    """A closing of 9 seconds is waited for, and the children have been stopped before it."""
    channel = ScriptedChannel()
    running: list[int] = []

    async def slowly() -> None:
        running.append(channel.reader.running)
        await trio.sleep(9)

    channel.close = slowly
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        await s.runtime.stop_instance("bot")

        assert channel.closed == [9]
        assert running == [0]
        assert close_failures(s.log) == []


async def test_the_childrens_time_to_stop_is_not_the_closings(autojump_clock: MockClock) -> None:
    """The budget of the closing begins when the connection's children have ended."""
    channel = ScriptedChannel()

    async def stubborn() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(15)

    async def slowly() -> None:
        await trio.sleep(9)

    channel.give_children = lambda *_: [ChildSpec("stubborn", stubborn)]
    channel.close = slowly
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        s.bot.reconnect()
        await s.log.wait_for(telemetry.InstanceConnected, times=2)

        assert channel.closed == [24]
        assert close_failures(s.log) == []


async def test_a_connection_whose_children_crash_too_often_is_closed_in_peace(
    autojump_clock: MockClock,
) -> None:
    """The next attempt is decided at the escalation; `connect` is left without an exception."""
    channel = ScriptedChannel()

    async def slowly() -> None:
        await trio.sleep(3)

    channel.close = slowly
    async with scene(channel, intensity=RestartIntensity(max_restarts=0)) as s:
        await s.bot.wait_status("connected")
        channel.reader.end(ValueError("bug"))
        await s.bot.wait_status("reconnecting")
        await trio.lowlevel.checkpoint()
        assert s.bot.health().next_retry_at == 0.5
        await s.bot.wait_status("connected")

        assert channel.closed == [3]
        assert channel.attempts == [0, 3]
        (end,) = s.log.of(telemetry.InstanceDisconnected)
        assert (end.cause.detail, end.at) == ("bug", 0)


async def test_a_pause_does_not_cut_the_closing_before_it_short(autojump_clock: MockClock) -> None:
    """The closing of the old connection is its own, not a part of the attempt that is given up."""
    channel = ScriptedChannel()

    async def slowly() -> None:
        await trio.sleep(3)

    channel.close = slowly
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        s.bot.reconnect()
        await trio.sleep(1)
        s.bot.pause()
        await trio.sleep(10)

        assert channel.closed == [3]
        assert len(channel.attempts) == 1
        assert s.bot.status is InstanceStatus.PAUSED


@pytest.mark.parametrize("how", ["pause", "lose", "fail"])
async def test_a_connection_whose_children_do_not_get_ready_is_closed_in_peace(
    autojump_clock: MockClock, how: str
) -> None:
    """There is a connection from the moment `connect` has given one."""
    channel = ScriptedChannel()
    failures = {"lose": lost(), "fail": ValueError("bug")}

    async def never(*, task_status: trio.TaskStatus[None]) -> None:
        await trio.sleep(1)
        if how in failures:
            raise failures[how]
        await trio.sleep_forever()

    async def slowly() -> None:
        await trio.sleep(3)

    channel.give_children = lambda *_: [ChildSpec("never", never)]
    channel.close = slowly
    async with scene(channel) as s:
        await trio.sleep(1)
        if how == "pause":
            s.bot.pause()
        await trio.sleep(3.1)

        assert channel.closed == [4]
        assert not s.bot.connected
        assert s.log.of(telemetry.InstanceConnected) == []


async def test_close_timeout_is_a_setting(autojump_clock: MockClock) -> None:
    """The budget is the policy's."""
    channel = ScriptedChannel()
    channel.close = hang
    async with scene(channel, reconnect=evolve(STEADY, close_timeout=2.0)) as s:
        await s.bot.wait_status("connected")
        await s.runtime.stop_instance("bot")

        assert trio.current_time() == 2


@pytest.mark.parametrize(("close_timeout", "retried"), [(10.0, 1.0), (0.75, 0.75)])
async def test_a_connection_that_is_deaf_is_closed_sooner(
    autojump_clock: MockClock, close_timeout: float, retried: float
) -> None:
    """A close waits for an answer, which does not come either; the retry would wait with it."""
    channel = ScriptedChannel()
    channel.close = hang

    async def ask(_: int) -> None:
        await trio.sleep_forever()

    channel.ask = ask
    probe = ProbePolicy(failures_to_fail=1, jitter=0.0)
    reconnect = evolve(STEADY, close_timeout=close_timeout)
    async with scene(channel, probe=probe, reconnect=reconnect) as s:
        lost_at = (await s.log.wait_for(telemetry.InstanceDisconnected)).at
        await s.log.wait_for(telemetry.InstanceConnected, times=2)

        assert channel.attempts == [0, pytest.approx(lost_at + retried)]
        (cause,) = close_failures(s.log)
        assert cause.detail == f"the channel, a scripted one, did not close within {retried:g} s"


async def test_a_probe_that_fails_otherwise_leaves_the_time_to_close(
    autojump_clock: MockClock,
) -> None:
    """Whoever answers that it is ill can answer a close."""
    channel = ScriptedChannel()
    channel.close = hang

    async def ill(_: int) -> None:
        raise lost("ill")

    channel.ask = ill
    async with scene(channel, probe=ProbePolicy(failures_to_fail=1, jitter=0.0)) as s:
        lost_at = (await s.log.wait_for(telemetry.InstanceDisconnected)).at
        await s.log.wait_for(telemetry.InstanceConnected, times=2)

        assert channel.attempts == [0, pytest.approx(lost_at + 10)]


async def test_a_closing_that_timed_out_names_the_channel_and_its_seconds(
    autojump_clock: MockClock,
) -> None:
    """So that the one who reads it knows what to change."""
    channel = ScriptedChannel()
    channel.close = hang
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        s.bot.reconnect()
        failed = await s.log.wait_for(telemetry.HookFailed)

        assert failed.cause.detail == "the channel, a scripted one, did not close within 10 s"
        assert failed.path == "bot"


async def test_a_late_signal_of_an_old_generation_changes_nothing(
    autojump_clock: MockClock,
) -> None:
    """A child that finds its connection lost while that one is closed says nothing of the next."""
    channel = ScriptedChannel()

    async def late() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(2)
            raise lost("late")

    channel.give_children = lambda *_: [ChildSpec("late", late)]
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        s.bot.reconnect()
        await s.log.wait_for(telemetry.InstanceConnected, times=2)
        await trio.sleep(100)

        assert channel.attempts == [0, 2]
        assert s.bot.health().proven
        causes = [e.cause.reason for e in s.log.of(telemetry.InstanceDisconnected)]
        assert causes == ["reconnect_requested"]


async def test_a_probe_of_an_old_generation_judges_no_other(autojump_clock: MockClock) -> None:
    """A probe that ignores its cancellation and fails later is not counted for the next one."""
    channel = ScriptedChannel()

    async def ask(connection: int) -> None:
        if connection == 1:
            with trio.CancelScope(shield=True):
                await trio.sleep(4)
            raise fatal("late")

    channel.ask = ask
    async with scene(channel, probe=ProbePolicy(interval=1.0)) as s:
        await s.bot.wait_status("connected")
        await trio.sleep(2)
        s.bot.reconnect()
        await s.log.wait_for(telemetry.InstanceConnected, times=2)
        await trio.sleep(100)

        assert s.bot.health().proven
        assert s.log.of(telemetry.InstanceFailed) == []


async def test_a_probe_of_what_is_lost_judges_nothing(autojump_clock: MockClock) -> None:
    """A verdict on a connection that is gone already is not told of, and degrades nobody."""
    channel = ScriptedChannel()

    async def ask(_: int) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(4)
        raise degraded("late")

    channel.ask = ask
    policy = ProbePolicy(interval=1.0, jitter=0.0, failures_to_fail=1)
    async with scene(channel, probe=policy) as s:
        await trio.sleep(1.5)
        channel.reader.end(lost())
        await s.bot.wait_status("reconnecting")
        await s.bot.wait_status("connected")

        assert s.log.of(telemetry.ProbeCompleted) == []
        assert s.log.of(telemetry.InstanceDegraded) == []


async def test_a_snapshot_while_closing_has_no_children_of_the_connection(
    autojump_clock: MockClock,
) -> None:
    """What has ended is not listed; what goes on is."""
    channel = ScriptedChannel()
    channel.close = hang
    keeper = Worker()
    channel.give_own = lambda _: [ChildSpec("keeper", keeper.run)]
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        channel.reader.end(ChannelError(Cause("recoverable", "gone", lost=True)))
        await trio.sleep(1)

        assert [(c.name, c.state) for c in s.bot.health().children] == [
            ("keeper", ChildState.RUNNING)
        ]


async def test_what_is_given_up_says_so_while_it_still_closes(autojump_clock: MockClock) -> None:
    """Nobody waits for a retry that will not come; it is failed when nothing of it is left."""
    channel = ScriptedChannel()
    banned = Cause("fatal", "banned", lost=True, who_must_act="credentials")

    async def slowly() -> None:
        await trio.sleep(9)

    channel.close = slowly
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        channel.reader.end(ChannelError(banned))
        await trio.sleep(1)
        health = s.bot.health()

        assert (health.status, health.needs_attention) == ("reconnecting", True)
        assert health.who_must_act is WhoMustAct.CREDENTIALS
        assert channel.living == 1
        assert s.log.of(telemetry.InstanceFailed) == []
        assert (await s.log.wait_for(telemetry.InstanceFailed)).at == 9
