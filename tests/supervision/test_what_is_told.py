"""What a supervisor tells of its children: each of OTP's reports is an event here."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    ChildSpec,
    ChildStartFailed,
    RestartIntensity,
    RestartLimitExceeded,
    telemetry,
    until_stopped,
)

from .conftest import Crash, Puppet, Recorder, forever, quiet, supervised


async def test_starts_crashes_failed_restarts_and_giving_up_are_each_told(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """H4: OTP reports progress, child_terminated, start_error and the limit that was reached."""
    a = Puppet("a", ["ok", "error"])
    with pytest.raises(RestartLimitExceeded):
        async with supervised(recorder, a.spec(), intensity=RestartIntensity(1, 5)):
            a.crash()
            await trio.sleep_forever()
    assert [type(event) for event in recorder.events] == [
        telemetry.ChildStarted,
        telemetry.ChildExited,
        telemetry.ChildRestarting,
        telemetry.ChildStartFailed,
        telemetry.SupervisorEscalated,
    ]


async def test_a_start_that_somebody_asked_for_and_that_fails_is_told_too(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """H4: OTP tells the caller alone; who only listens would miss it."""
    async with supervised(recorder) as supervisor:
        with pytest.raises(ChildStartFailed):
            await supervisor.start_child(Puppet("a", ["error"]).spec())
    (event,) = recorder.of(telemetry.ChildStartFailed)
    assert (event.path, event.cause.error_type) == ("supervisor/a", "Crash")


async def test_each_end_under_a_stop_says_whether_it_was_forced_and_what_was_raised(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """T7: every stop is told of; what is worth a look is in the event's own fields."""

    async def soft(seconds: float) -> None:
        with until_stopped():
            await trio.sleep_forever()
        await trio.sleep(seconds)

    async def fails() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise Crash

    async with supervised(
        recorder,
        ChildSpec("in time", soft, (1.0,), shutdown=2.0),
        ChildSpec("late", soft, (3.0,), shutdown=2.0),
        ChildSpec("fails", fails),
        Puppet("plain").spec(),
    ):
        await quiet()
    told = {
        event.child: (event.elapsed, event.forced, event.cause and event.cause.error_type)
        for event in recorder.of(telemetry.ChildStopped)
    }
    assert told == {
        "in time": (pytest.approx(1.0), False, None),
        "late": (pytest.approx(2.0), True, None),
        "fails": (0.0, False, "Crash"),
        "plain": (0.0, False, None),
    }


async def test_a_crash_a_failed_start_and_a_failed_cleanup_are_told_with_their_place(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """The last line of `stack` is where it was raised; who ended well has none."""

    async def crashes() -> None:
        await trio.sleep(1)
        raise Crash("here")

    async def starts_badly(task_status: trio.TaskStatus[None]) -> None:
        raise Crash("there")

    async def cleans_up_badly() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise Crash("at the end")

    async with supervised(recorder) as supervisor:
        supervisor.start_soon(cleans_up_badly)
        supervisor.start_soon(forever)
        supervisor.start_soon(crashes, restart="temporary")
        with pytest.raises(Crash):
            await supervisor.start(starts_badly)
        await trio.sleep(2)
        await supervisor.stop()

    events = [
        *recorder.of(telemetry.ChildExited),
        *recorder.of(telemetry.ChildStartFailed),
        *recorder.of(telemetry.ChildStopped),
    ]
    assert {
        event.child: [line.split(": ")[1] for line in event.stack[-1:]] for event in events
    } == {
        "crashes": ['raise Crash("here")'],
        "starts_badly": ['raise Crash("there")'],
        "cleans_up_badly": ['raise Crash("at the end")'],
        "forever": [],
    }
