"""The connection loop: when the next attempt comes, and what makes the delays start anew."""

from __future__ import annotations

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

from trio_instances import (
    Backoff,
    Cause,
    ChannelError,
    ChildSpec,
    InstanceFailed,
    InstanceStatus,
    ReconnectPolicy,
    RestartIntensity,
    telemetry,
)

from .scripted import HANGS, STEADY, ScriptedChannel, Worker, degraded, lost, scene

REFUSED = ConnectionRefusedError("no")


async def test_delays_start_anew_only_from_a_proven_connection(autojump_clock: MockClock) -> None:
    """Connections that open and are lost before `stable_after` go on with the longer delays."""
    channel = ScriptedChannel()
    async with scene(channel) as s:
        for times, uptime in enumerate((1, 1, 1, 60.1), 1):
            await s.log.wait_for(telemetry.InstanceConnected, times=times)
            await trio.sleep(uptime)
            channel.reader.end(lost())
        await s.log.wait_for(telemetry.InstanceConnected, times=5)

        delays = [e.delay for e in s.log.of(telemetry.ReconnectScheduled)]
        assert delays == [0.5, 1.0, 2.0, 0.25]
        assert [e.uptime for e in s.log.of(telemetry.InstanceProven)] == [60]


async def test_a_server_that_accepts_and_closes_is_not_hammered(autojump_clock: MockClock) -> None:
    """Opening alone resets nothing: such a server is degraded after five attempts, too."""
    channel = ScriptedChannel()
    async with scene(channel) as s:
        for times in range(1, 7):
            await s.log.wait_for(telemetry.InstanceConnected, times=times)
            await trio.sleep(0.5)
            channel.reader.end(lost())
        await trio.sleep(1)

        assert channel.gaps == [1.0, 1.5, 2.5, 4.5, 60.5]
        assert s.bot.status is InstanceStatus.DEGRADED


async def test_a_connection_is_proven_no_sooner_than_the_delay_it_waited_for(
    autojump_clock: MockClock,
) -> None:
    """After slow delays of minutes, a minute of being up proves nothing."""
    channel = ScriptedChannel(*[REFUSED] * 6)
    async with scene(channel) as s:
        await s.log.wait_for(telemetry.InstanceConnected)
        await trio.sleep(119)
        assert not s.bot.health().proven
        await trio.sleep(2)

        assert s.bot.health().proven


async def test_an_instance_is_degraded_until_its_connection_is_proven(
    autojump_clock: MockClock,
) -> None:
    """A connection after the quick attempts were used up is not yet a recovery."""
    channel = ScriptedChannel(*[REFUSED] * 5)
    async with scene(channel) as s:
        await s.log.wait_for(telemetry.InstanceConnected)
        assert s.bot.status is InstanceStatus.DEGRADED
        await s.bot.wait_status("connected")

        assert s.bot.health().proven
        recovered = s.log.of(telemetry.InstanceRecovered)
        assert [(e.what, e.elapsed) for e in recovered] == [("reconnect", 60 + 60)]


async def test_needs_data_waits_for_an_event_and_for_the_time(autojump_clock: MockClock) -> None:
    """With `needs_data` neither the time alone nor an event alone proves a connection."""
    channel = ScriptedChannel()
    async with scene(channel, reconnect=evolve(STEADY, needs_data=True)) as s:
        await s.bot.wait_status("connected")
        await trio.sleep(100)
        assert not s.bot.health().proven
        s.bot.saw_frame()
        assert not s.bot.health().proven
        s.bot.saw_event()
        assert s.bot.health().proven

        channel.reader.end(lost())
        await s.bot.wait_status("reconnecting")
        await s.bot.wait_status("connected")
        s.bot.saw_event()
        assert not s.bot.health().proven
        await trio.sleep(61)
        assert s.bot.health().proven


async def test_retry_after_is_waited_for(autojump_clock: MockClock) -> None:
    """What the other side asks for goes before a delay of one's own, a longer one too.

    But one second passes at least, and a quarter of one at most is added by chance.
    """
    channel = ScriptedChannel(lost(retry_after=30.0), REFUSED, REFUSED, lost(retry_after=0.1))
    async with scene(channel) as s:
        await s.bot.wait_status("connected")

        assert channel.gaps == [30.25, 1, 2, 1.25]


async def test_jitter_shortens_delays_and_never_exceeds_them(autojump_clock: MockClock) -> None:
    """With the default policy each quick delay lies between nothing and its step."""
    channel = ScriptedChannel(*[REFUSED] * 4)
    async with scene(channel, reconnect=ReconnectPolicy()) as s:
        await s.bot.wait_status("connected")

        assert all(0 < gap < step for gap, step in zip(channel.gaps, [0.5, 1, 2, 4], strict=True))


async def test_a_loss_of_quality_is_retried_slowly_from_the_first(
    autojump_clock: MockClock,
) -> None:
    """A degraded cause needs no quick attempts: it degrades at once."""
    channel = ScriptedChannel(degraded())
    async with scene(channel) as s:
        await s.bot.wait_status("degraded")
        await trio.sleep(100)

        assert channel.gaps == [60]


async def test_exhausted_attempts_fail_the_instance_where_the_policy_says_so(
    autojump_clock: MockClock,
) -> None:
    """`exhausted='escalate'`: no restart of anything goes on trying after the last attempt."""
    channel = ScriptedChannel(*[REFUSED] * 100)
    async with scene(channel, reconnect=evolve(STEADY, exhausted="escalate")) as s:
        with pytest.raises(InstanceFailed, match="connection_refused"):
            await s.bot.wait_status("connected")
        await trio.sleep(1000)

        assert channel.gaps == [0.5, 1, 2, 4]
        assert s.bot.health().restarts == 0
        assert s.bot.health().who_must_act == "operator"
        assert len(s.log.of(telemetry.ReconnectExhausted)) == 1


async def test_exhaustion_by_a_loss_of_quality_fails_too(autojump_clock: MockClock) -> None:
    """A loop that has given up is never parked in silence, whatever the cause."""
    channel = ScriptedChannel(degraded())
    policy = evolve(STEADY, exhausted="escalate", attempts=1)
    async with scene(channel, reconnect=policy) as s:
        with pytest.raises(InstanceFailed, match="meh"):
            await s.bot.wait_status("connected")


async def test_a_connection_that_turns_out_fatal_fails_the_instance(
    autojump_clock: MockClock,
) -> None:
    """A fatal loss is never retried, however often it was connected before."""
    channel = ScriptedChannel()
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        channel.reader.end(ChannelError(Cause("fatal", "close_4004", lost=True)))
        with pytest.raises(InstanceFailed, match="close_4004"):
            await s.bot.wait_status("paused")

        assert channel.closed == [0]
        assert len(channel.attempts) == 1


async def test_an_attempt_is_bounded_by_connect_timeout(autojump_clock: MockClock) -> None:
    """One that hangs is given up, counts as a failure, and says for how long it had hung."""
    channel = ScriptedChannel(HANGS)
    async with scene(channel) as s:
        await s.bot.wait_status("connected")

        (failed,) = s.log.of(telemetry.ReconnectFailed)
        assert (failed.cause.reason, failed.elapsed) == ("connect_timeout", 30)
        assert "30 s" in failed.cause.detail
        assert channel.attempts == [0, 30.5]


async def test_a_slow_attempt_within_its_time_is_left_alone(autojump_clock: MockClock) -> None:
    """The budget ends with the attempt: what is connected is not cut by it."""
    channel = ScriptedChannel(29.0)
    async with scene(channel) as s:
        await trio.sleep(1000)

        assert s.bot.health().proven
        assert s.log.of(telemetry.InstanceConnected)[0].elapsed == 29


async def test_attempts_that_fail_at_once_do_not_starve_the_rest(autojump_clock: MockClock) -> None:
    """With no delays at all, and failures before any await, others still run."""
    none = Backoff(initial=0.0)
    channel = ScriptedChannel(*[REFUSED] * 50)
    async with scene(channel, reconnect=ReconnectPolicy(backoff=none, slow=none)) as s:
        for _ in range(1000):
            await trio.lowlevel.checkpoint()
            if s.bot.connected:
                break

        assert len(channel.attempts) == 51


async def test_a_listener_that_hurries_every_retry_does_not_starve_the_rest(
    autojump_clock: MockClock,
) -> None:
    """`reconnect` called from within the event of the failure: each attempt still yields."""
    channel = ScriptedChannel(*[REFUSED] * 50)
    async with scene(channel) as s:

        def hurry(event: telemetry.Event) -> None:
            if isinstance(event, telemetry.ReconnectScheduled):
                s.bot.reconnect()

        s.bus.listen(hurry)
        with trio.fail_after(1):
            await trio.sleep(0.5)
            await trio.sleep(0.4)

        assert s.bot.connected
        assert channel.most == 1


async def test_outages_are_measured_from_the_loss_to_the_next_connection(
    autojump_clock: MockClock,
) -> None:
    """`instance.connected` tells how long there was none; the first one has no outage."""
    channel = ScriptedChannel(0.0, REFUSED, 3.0)
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        await trio.sleep(100)
        channel.reader.end(lost())
        await s.bot.wait_status("reconnecting")
        await s.bot.wait_status("connected")

        connected = s.log.of(telemetry.InstanceConnected)
        assert [e.outage for e in connected] == [None, pytest.approx(0.25 + 0.5 + 3)]
        health = s.bot.health()
        assert (health.reconnect_attempts, health.reconnects, health.generation) == (2, 1, 3)


async def test_there_are_never_two_generations_at_once(autojump_clock: MockClock) -> None:
    """Whatever happens to it, a connection has been left before the next attempt begins."""
    channel = ScriptedChannel(REFUSED, 1.0, HANGS, 2.0, REFUSED)

    async def slowly() -> None:
        await trio.sleep(7)

    channel.close = slowly
    async with scene(channel) as s:
        for number in range(60):
            await trio.sleep(1.7)
            match number % 4:
                case 0 if channel.reader.running:
                    channel.reader.end(lost())
                case 1:
                    s.bot.reconnect()
                case 2:
                    s.bot.pause()
                case _:
                    s.bot.resume()

        assert channel.most == 1
        assert len(channel.attempts) > 10


async def test_the_retry_is_decided_before_the_closing(autojump_clock: MockClock) -> None:
    """A slow closing neither hides the loss nor adds its time to the delay."""
    channel = ScriptedChannel()

    async def slowly() -> None:
        await trio.sleep(8)

    channel.close = slowly
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        await trio.sleep(1)
        channel.reader.end(lost())
        await trio.sleep(0.1)
        assert s.bot.status is InstanceStatus.RECONNECTING
        assert s.bot.health().next_retry_at == 1.5
        await s.bot.wait_status("connected")

        assert channel.attempts == [0, 9]


@pytest.mark.parametrize(("asked", "refused"), [(3600.0, None), (365 * 86_400.0, 365 * 86_400.0)])
async def test_a_hint_beyond_the_ceiling_is_told(
    autojump_clock: MockClock, asked: float, refused: float | None
) -> None:
    """What was asked for in vain, and what is waited for instead."""
    channel = ScriptedChannel(ChannelError(Cause("recoverable", "http_429", retry_after=asked)))
    async with scene(channel) as s:
        scheduled = await s.log.wait_for(telemetry.ReconnectScheduled)
        await s.bot.wait_status("connected")

        assert (scheduled.refused, scheduled.cause.retry_after) == (refused, asked)
        assert channel.attempts == [0, scheduled.delay]
        assert scheduled.delay == min(asked, 259_200.0) + 0.25


async def test_a_crash_of_the_loop_itself_does_not_hang_the_instance(
    autojump_clock: MockClock,
) -> None:
    """A cause that is rubbish within counts as a crash, and the next run of the loop connects."""
    rubbish = Cause("recoverable", "odd")
    object.__setattr__(rubbish, "retry_after", "soon")  # the constructor refuses it
    channel = ScriptedChannel(ChannelError(rubbish))
    async with scene(channel) as s:
        await s.bot.wait_status("connected")

        restarting = [(e.child, e.cause.error_type) for e in s.log.of(telemetry.ChildRestarting)]
        assert restarting == [("bot", "TypeError")]


async def test_a_restarted_instance_is_degraded_again_by_the_next_slow_attempt(
    autojump_clock: MockClock,
) -> None:
    """A fresh start forgets the reason; the attempts go on counting, and so give it anew."""
    channel = ScriptedChannel(*[REFUSED] * 8)
    keeper = Worker()
    channel.give_own = lambda _: [ChildSpec("keeper", keeper.run)]
    async with scene(channel, intensity=RestartIntensity(max_restarts=0)) as s:
        await s.bot.wait_status("degraded")
        keeper.end(ValueError("bug"))
        await s.bot.wait_status("starting")
        await s.bot.wait_status("degraded")

        assert [r.what for r in s.bot.health().degraded] == ["reconnect"]
        assert s.bot.health().attempt == 6
