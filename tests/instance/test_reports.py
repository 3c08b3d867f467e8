"""What channel and application report: failures, successes, frames, events; and the counters."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    ChildSpec,
    RestartIntensity,
    telemetry,
)

from .scripted import ScriptedChannel, Worker, degraded, fatal, lost, scene


async def test_ten_failures_in_a_row_degrade_until_a_success(autojump_clock: MockClock) -> None:
    """Nine do not; the connection is kept in any case."""
    async with scene(ScriptedChannel()) as s:
        await s.bot.wait_status("connected")
        for _ in range(9):
            s.bot.report_failure(ValueError("bad answer"))
        assert s.bot.status == "connected"
        s.bot.report_failure(ValueError("the last straw"))
        assert s.bot.status == "degraded"
        (reason,) = s.bot.health().degraded
        assert (reason.what, reason.why.detail) == ("failures", "the last straw")
        assert s.bot.health().failures_in_a_row == 10
        s.bot.report_success()

        assert s.bot.status == "connected"
        assert s.bot.health().failures_in_a_row == 0
        assert s.bot.generation == 1
        assert len(s.log.of(telemetry.InstanceDegraded)) == 1
        assert len(s.log.of(telemetry.InstanceRecovered)) == 1


async def test_a_success_ends_a_row(autojump_clock: MockClock) -> None:
    """Failures that are not in a row degrade nothing."""
    async with scene(ScriptedChannel()) as s:
        await s.bot.wait_status("connected")
        for number in range(100):
            s.bot.report_failure(ValueError("bad answer"))
            if number % 9 == 8:
                s.bot.report_success()

        assert s.log.of(telemetry.InstanceDegraded) == []


async def test_a_restart_forgets_the_row(autojump_clock: MockClock) -> None:
    """Failures before it count for nothing after it."""
    async with scene(ScriptedChannel()) as s:
        await s.bot.wait_status("connected")
        for _ in range(9):
            s.bot.report_failure(ValueError("bad answer"))
        await s.runtime.restart_instance("bot")
        assert s.bot.health().failures_in_a_row == 0
        await s.bot.wait_status("connected")
        s.bot.report_failure(ValueError("bad answer"))

        assert s.bot.status == "connected"
        assert s.bot.health().failures_in_a_row == 1


async def test_more_failures_keep_the_reasons_time_and_tell_the_newest_cause(
    autojump_clock: MockClock,
) -> None:
    """It is one degradation, and its event comes once."""
    async with scene(ScriptedChannel(), failures_to_degrade=1) as s:
        await s.bot.wait_status("connected")
        s.bot.report_failure(ValueError("first"))
        await trio.sleep(5)
        s.bot.report_failure(ValueError("second"))

        (reason,) = s.bot.health().degraded
        assert (reason.since, reason.why.detail) == (0, "second")
        assert len(s.log.of(telemetry.InstanceDegraded)) == 1


async def test_a_reported_failure_is_classified_by_the_channel_and_never_acts(
    autojump_clock: MockClock,
) -> None:
    """Even a fatal one only counts: only the connection's machine ends connections."""
    channel = ScriptedChannel()
    channel.judge = lambda _: fatal("by the channel").cause
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        s.bot.report_failure(ValueError("odd"))
        await trio.sleep(10)

        assert s.bot.connected
        assert s.bot.health().cause is not None
        assert s.bot.health().last_error == "by the channel"


async def test_ages_of_frames_and_events_are_told_apart(autojump_clock: MockClock) -> None:
    """None before the first; a frame is no event."""
    async with scene(ScriptedChannel()) as s:
        assert (s.bot.health().since_frame, s.bot.health().since_event) == (None, None)
        s.bot.saw_frame()
        await trio.sleep(3)
        assert (s.bot.health().since_frame, s.bot.health().since_event) == (3, None)
        s.bot.saw_event()
        await trio.sleep(2)

        assert (s.bot.health().since_frame, s.bot.health().since_event) == (5, 2)


async def test_reports_do_no_harm_in_any_status(autojump_clock: MockClock) -> None:
    """Whoever holds a handle may report late; a stopped or failed instance stays what it is."""
    channel = ScriptedChannel(fatal())
    async with scene(channel, failures_to_degrade=1) as s:
        await s.bot.wait_status("failed")
        s.bot.report_failure(degraded())
        s.bot.saw_frame()
        s.bot.saw_event()
        s.bot.report_success()
        assert s.bot.status == "failed"
        await s.runtime.stop_instance("bot")
        s.bot.report_failure(degraded())
        s.bot.report_success()

        assert s.bot.status == "stopped"


@pytest.mark.parametrize("rubbish", ["x", None, ValueError, KeyboardInterrupt()])
async def test_what_is_no_exception_is_no_failure(autojump_clock: MockClock, rubbish: Any) -> None:
    """It is refused where it is reported; a class is none either, nor what ends a program."""
    async with scene(ScriptedChannel()) as s:
        with pytest.raises(TypeError, match="must be an Exception"):
            s.bot.report_failure(rubbish)

        assert s.bot.health().failures_in_a_row == 0


async def test_degradations_add_up(autojump_clock: MockClock) -> None:
    """It is well again when the last of several reasons has gone."""
    channel = ScriptedChannel()
    worker = Worker()
    channel.give_children = lambda *_: [ChildSpec("worker", worker.run)]
    async with scene(channel, failures_to_degrade=1) as s:
        await s.bot.wait_status("connected")
        s.bot.report_failure(ValueError("bad answer"))
        worker.end(degraded())
        await trio.sleep(1)
        assert [r.what for r in s.bot.health().degraded] == ["failures", "child:worker"]
        s.bot.report_success()
        assert s.bot.status == "degraded"
        s.bot.reconnect()

        assert await s.bot.wait_status("connected") == "connected"


@pytest.mark.parametrize("how", ["crash", "restart_instance"])
async def test_counters_survive_restarts_of_the_whole_instance(
    autojump_clock: MockClock, how: str
) -> None:
    """Restarts, reconnects, attempts to reconnect and the last reason belong to the instance."""
    channel = ScriptedChannel()
    keeper = Worker()
    channel.give_own = lambda _: [ChildSpec("keeper", keeper.run)]
    async with scene(channel, intensity=RestartIntensity(max_restarts=1)) as s:
        await s.bot.wait_status("connected")
        channel.reader.end(lost())
        await s.log.wait_for(telemetry.InstanceConnected, times=2)
        keeper.end(ValueError("bug"))
        await trio.sleep(1)
        before = s.bot.health()
        assert (before.restarts, before.reconnects, before.reconnect_attempts) == (1, 1, 1)
        if how == "crash":
            keeper.end(ValueError("again"))
        else:
            await s.runtime.restart_instance("bot")
        await s.log.wait_for(telemetry.InstanceConnected, times=3)

        after = s.bot.health()
        assert after.restarts == (2 if how == "crash" else 1)
        assert (after.reconnects, after.reconnect_attempts) == (2, 2)
        assert after.generation == 3
        assert after.last_restart_reason == "unexpected"
        assert after.uptime == trio.current_time()


async def test_restart_instance_makes_the_attempts_count_from_nothing(
    autojump_clock: MockClock,
) -> None:
    """A crash does not: otherwise a crash loop would hammer the server."""
    channel = ScriptedChannel(*[OSError("no")] * 7)
    keeper = Worker()
    channel.give_own = lambda _: [ChildSpec("keeper", keeper.run)]
    async with scene(channel, intensity=RestartIntensity(max_restarts=0)) as s:
        await s.bot.wait_status("degraded")
        assert s.bot.health().attempt == 5
        keeper.end(ValueError("bug"))
        await s.bot.wait_status("starting")
        await s.bot.wait_status("degraded")
        assert s.bot.health().attempt == 6
        await s.runtime.restart_instance("bot")
        await s.bot.wait_status("connected")

        assert s.bot.health().attempt == 2
