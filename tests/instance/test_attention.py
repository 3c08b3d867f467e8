"""Calling for somebody when an instance has been away for too long."""

from __future__ import annotations

import math

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

from trio_instances import (
    BudgetPolicy,
    Cause,
    ChannelError,
    ChildSpec,
    ConnectionBudget,
    InstanceSpec,
    RestartIntensity,
    WhoMustAct,
    telemetry,
)

from .scripted import HANGS, STEADY, ScriptedChannel, Worker, degraded, fatal, lost, scene

REFUSED = ConnectionRefusedError("no")
PATIENT = evolve(STEADY, attention_after=1000.0)


async def test_two_hours_after_the_first_attempt_it_is_told(
    autojump_clock: MockClock,
) -> None:
    """By default; to the second, though the slow attempts come at other times; and once."""
    channel = ScriptedChannel(*[REFUSED] * 1000)
    async with scene(channel) as s:
        event = await s.log.wait_for(telemetry.InstanceNeedsAttention)
        assert event.at == trio.current_time() == 7200
        assert (event.elapsed, event.cause.reason) == (7200, "connection_refused")
        assert telemetry.level_of(event) == "ERROR"
        await trio.sleep(80_000)

        assert len(s.log.of(telemetry.InstanceNeedsAttention)) == 1
        assert len(channel.attempts) > 250


async def test_it_is_in_the_snapshot_and_names_who_must_act(autojump_clock: MockClock) -> None:
    """From that moment on, and not before."""
    channel = ScriptedChannel(*[REFUSED] * 1000)
    async with scene(channel) as s:
        await trio.sleep(7199)
        health = s.bot.health()
        assert not health.needs_attention
        assert health.who_must_act is WhoMustAct.NOBODY
        await trio.sleep(1.1)
        health = s.bot.health()

        assert health.needs_attention
        assert health.who_must_act is WhoMustAct.OPERATOR


async def test_whoever_is_named_by_the_cause_must_act(autojump_clock: MockClock) -> None:
    """The operator only where nobody knows better."""
    failure = degraded("quota")
    failure.cause = evolve(failure.cause, who_must_act="credentials")
    channel = ScriptedChannel(*[failure] * 1000)
    async with scene(channel) as s:
        await s.log.wait_for(telemetry.InstanceNeedsAttention)

        assert s.bot.health().who_must_act is WhoMustAct.CREDENTIALS


@pytest.mark.parametrize("after", [0.0, 0.1, 59.9, 60.0, 61.0, 1000.1])
async def test_the_time_is_a_setting(autojump_clock: MockClock, after: float) -> None:
    """Also one that ends at once, or while quick attempts are left."""
    channel = ScriptedChannel(*[REFUSED] * 1000)
    async with scene(channel, reconnect=evolve(STEADY, attention_after=after)) as s:
        event = await s.log.wait_for(telemetry.InstanceNeedsAttention)

        assert event.at == after


async def test_it_can_be_switched_off(autojump_clock: MockClock) -> None:
    """An infinite time never comes."""
    channel = ScriptedChannel(*[REFUSED] * 1000)
    async with scene(channel, reconnect=evolve(STEADY, attention_after=math.inf)) as s:
        await trio.sleep(80_000)

        assert s.log.of(telemetry.InstanceNeedsAttention) == []


async def test_an_attempt_that_hangs_does_not_delay_it(autojump_clock: MockClock) -> None:
    """Not even one that may hang for ever, after which nobody would ever be told."""
    channel = ScriptedChannel(*[REFUSED] * 5, HANGS)
    policy = evolve(PATIENT, connect_timeout=math.inf)
    async with scene(channel, reconnect=policy) as s:
        event = await s.log.wait_for(telemetry.InstanceNeedsAttention)

        assert event.at == 1000
        assert channel.living == 1


async def test_proof_ends_it(autojump_clock: MockClock) -> None:
    """An opening alone does not; and when it is away again it is told again."""
    channel = ScriptedChannel(*[REFUSED] * 10)
    async with scene(channel, reconnect=PATIENT) as s:
        await s.log.wait_for(telemetry.InstanceNeedsAttention)
        await s.log.wait_for(telemetry.InstanceConnected)
        assert s.bot.health().needs_attention
        await s.bot.wait_status("connected")
        assert s.bot.health().proven
        assert not s.bot.health().needs_attention
        channel.outcomes = [REFUSED] * 20
        channel.reader.end(lost())
        await s.log.wait_for(telemetry.InstanceNeedsAttention, times=2)

        assert s.bot.health().needs_attention


async def test_a_resume_ends_it(autojump_clock: MockClock) -> None:
    """Somebody has attended to it; the time counts from then on."""
    channel = ScriptedChannel(*[REFUSED] * 1000)
    async with scene(channel, reconnect=PATIENT) as s:
        await s.log.wait_for(telemetry.InstanceNeedsAttention)
        s.bot.pause()
        await trio.sleep(5000)
        s.bot.resume()
        resumed_at = trio.current_time()
        assert not s.bot.health().needs_attention
        event = await s.log.wait_for(telemetry.InstanceNeedsAttention, times=2)

        assert event.at == resumed_at + 1000


async def test_a_pause_ends_it(autojump_clock: MockClock) -> None:
    """Whoever pauses has attended to it: nothing is tried, and so nothing in vain."""
    channel = ScriptedChannel(*[REFUSED] * 1000)
    async with scene(channel, reconnect=PATIENT) as s:
        await s.log.wait_for(telemetry.InstanceNeedsAttention)
        s.bot.pause()
        health = s.bot.health()

        assert health.status == "paused"
        assert (health.needs_attention, health.who_must_act) == (False, WhoMustAct.NOBODY)
        assert health.degraded == ()


async def test_nobody_is_called_while_it_is_paused(autojump_clock: MockClock) -> None:
    """Whoever paused it knows."""
    channel = ScriptedChannel(*[REFUSED] * 1000)
    async with scene(channel, reconnect=PATIENT) as s:
        await trio.sleep(500)
        s.bot.pause()
        await trio.sleep(10_000)

        assert s.log.of(telemetry.InstanceNeedsAttention) == []


async def test_a_connection_that_is_there_calls_nobody_until_it_is_lost(
    autojump_clock: MockClock,
) -> None:
    """It may be proven soon. If it is not, the time that has passed meanwhile counts."""
    channel = ScriptedChannel(*[REFUSED] * 5)
    policy = evolve(PATIENT, stable_after=5000.0)
    async with scene(channel, reconnect=policy) as s:
        await s.log.wait_for(telemetry.InstanceConnected)
        await trio.sleep(2000)
        assert s.log.of(telemetry.InstanceNeedsAttention) == []
        channel.outcomes = [REFUSED] * 9
        channel.reader.end(lost())
        event = await s.log.wait_for(telemetry.InstanceNeedsAttention)

        assert event.at == s.log.of(telemetry.InstanceDisconnected)[0].at
        assert event.elapsed == event.at


async def test_a_restart_of_the_instance_begins_the_time_anew(autojump_clock: MockClock) -> None:
    """A fresh start forgets what it had found out."""
    channel, keeper = ScriptedChannel(*[REFUSED] * 1000), Worker()
    channel.give_own = lambda _: [ChildSpec("keeper", keeper.run)]
    async with scene(channel, reconnect=PATIENT, intensity=RestartIntensity(max_restarts=0)) as s:
        await trio.sleep(500)
        keeper.end(ValueError("bug"))
        event = await s.log.wait_for(telemetry.InstanceNeedsAttention)

        assert event.elapsed == 1000
        assert event.at == 1500


async def test_an_instance_that_has_failed_needs_attention_at_once(
    autojump_clock: MockClock,
) -> None:
    """The event for that is `instance.failed`; the snapshot has one flag for both."""
    channel = ScriptedChannel(fatal())
    async with scene(channel) as s:
        await s.log.wait_for(telemetry.InstanceFailed)

        assert s.bot.health().needs_attention
        assert s.log.of(telemetry.InstanceNeedsAttention) == []


@pytest.mark.parametrize("since", [0.1, 0.7, 3.3, 1234.567])
async def test_the_timer_is_not_set_again_for_ever(autojump_clock: MockClock, since: float) -> None:
    """Where the sum of two times is rounded, what is due then is due, and nothing spins."""
    channel = ScriptedChannel(since, *[degraded()] * 100)
    async with scene(channel, reconnect=evolve(STEADY, attention_after=1000.1)) as s:
        await s.bot.wait_status("connected")
        channel.reader.end(lost())
        with trio.fail_after(5000):
            event = await s.log.wait_for(telemetry.InstanceNeedsAttention)

        assert event.elapsed == pytest.approx(1000.1)


async def test_what_ended_an_old_connection_calls_for_nobody(autojump_clock: MockClock) -> None:
    """It is connected again, and degraded by something else: by a full queue, long after."""
    channel = ScriptedChannel()
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        channel.reader.end(lost(who_must_act="author"))
        await trio.sleep(3 * 86_400)
        send, receive = trio.open_memory_channel[int](1)
        send.send_nowait(0)
        s.bot.watch_queue("outbox", send)
        await trio.sleep(5)

        health = s.bot.health()
        assert (health.status, health.who_must_act) == ("degraded", "nobody")
        assert s.bot.standing().to_mend is None
        receive.close()


async def test_who_must_act_is_whom_the_newest_attempt_in_vain_names(
    autojump_clock: MockClock,
) -> None:
    """The first five failed by another cause; the reason to be degraded has the newest one."""
    wrong = lost("wrong", who_must_act="configuration")
    channel = ScriptedChannel(*[REFUSED] * 5, *[wrong] * 9)
    async with scene(channel) as s:
        await s.bot.wait_status("degraded")
        assert s.bot.health().who_must_act == "nobody"
        await trio.sleep(100)

        (reason,) = s.bot.health().degraded
        assert (reason.what, reason.why.reason) == ("reconnect", "wrong")
        assert s.bot.health().who_must_act == "configuration"
        assert s.bot.standing().to_mend == reason.why


async def test_slow_attempts_delay_nothing(autojump_clock: MockClock) -> None:
    """A server that asks to be left alone for days, say: it is told, and it is degraded."""
    banned = ChannelError(Cause("recoverable", "http_418", retry_after=250_000.0))
    channel = ScriptedChannel(0.0, banned)
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        await trio.sleep(10_000)
        channel.reader.end(lost())
        event = await s.log.wait_for(telemetry.InstanceNeedsAttention)
        assert (event.at, event.elapsed, event.cause.reason) == (17_200, 7200, "http_418")
        health = s.bot.health()

        assert (health.status, health.who_must_act) == ("degraded", "operator")
        assert [reason.what for reason in health.degraded] == ["reconnect"]
        assert health.attempt == 1


async def test_a_wait_for_the_budget_delays_nothing(autojump_clock: MockClock) -> None:
    """Though there was no attempt that could have failed."""
    policy = BudgetPolicy(attempts_per_second=10.0, attempts_per_day=1)
    budget = ConnectionBudget("day", policy)
    async with scene(ScriptedChannel(), budget=budget) as s:
        await s.bot.wait_status("connected")
        spec = InstanceSpec(id="late", channel=ScriptedChannel(), budget=budget)
        late = await s.runtime.start_instance(spec)
        event = await s.log.wait_for(telemetry.InstanceNeedsAttention)
        assert (event.instance_id, event.at) == ("late", 7200)
        assert event.cause.reason == "not_connected"
        assert late.health().who_must_act == "operator"
