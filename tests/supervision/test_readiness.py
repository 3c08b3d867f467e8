"""When a child is ready: what it says itself, and the time there is for it."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from trio_instances import ChildState, RestartIntensity, StartTimedOut, telemetry

from .conftest import Crash, Puppet, Recorder, forever, quiet, states, supervised


async def test_a_function_without_task_status_is_ready_at_once(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """Without the parameter there is nothing to wait for."""
    async with supervised(recorder) as supervisor:
        child = await supervisor.start(forever)
        assert (child.state, child.value) == (ChildState.RUNNING, None)


async def test_start_timeout_covers_the_start_and_cleans_up(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """A child that is not ready in time is cancelled, waited for, and its start has failed."""
    puppet = Puppet("a", ["hang"], cleanup=1.0)
    async with supervised(recorder) as supervisor:
        began = trio.current_time()
        with pytest.raises(StartTimedOut) as caught:
            await supervisor.start(puppet.run, name="a", start_timeout=3.0)
        assert trio.current_time() - began == pytest.approx(4.0)
        assert (caught.value.seconds, puppet.alive) == (3.0, 0)
        assert supervisor.which_children() == []


async def test_start_timeout_does_not_touch_a_child_that_is_ready(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """The budget ends with the start: a ready child outlives it."""
    puppet = Puppet("a")
    async with supervised(recorder, puppet.spec(start_timeout=2.0)) as supervisor:
        await trio.sleep(100)
        assert states(supervisor) == {"a": "running"}
        assert puppet.attempts == 1


async def test_a_restart_that_takes_too_long_counts_as_a_failed_start(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """``start_timeout`` holds at every start; on a restart the failure is tried again."""
    puppet = Puppet("a", ["ok", "hang", "ok"])
    async with supervised(
        recorder, puppet.spec(start_timeout=2.0), intensity=RestartIntensity(2, 60)
    ) as supervisor:
        puppet.crash()
        await trio.sleep(3)
        assert states(supervisor) == {"a": "running"}
    assert recorder.take()[:3] == ["crashed a#1", "start_failed a#2", "started a#3"]


async def test_what_the_child_raises_when_its_time_to_start_is_over_is_kept(
    autojump_clock: MockClock,
    recorder: Recorder,
) -> None:
    """An error while a late start is taken down is the cause of `StartTimedOut`."""

    async def fails_late(*, task_status: trio.TaskStatus[None]) -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise Crash("in its cleanup")

    async with supervised(recorder) as supervisor:
        with pytest.raises(StartTimedOut) as caught:
            await supervisor.start(fails_late, start_timeout=1.0)
        assert isinstance(caught.value.__cause__, Crash)


async def test_started_while_being_cancelled_does_not_make_a_child_ready(
    autojump_clock: MockClock,
    recorder: Recorder,
) -> None:
    """A call of ``started()`` after the time is over does not undo the cancellation."""

    async def late(*, task_status: trio.TaskStatus[None]) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(5)
        task_status.started()
        await trio.sleep_forever()

    async with supervised(recorder) as supervisor:
        with pytest.raises(StartTimedOut):
            await supervisor.start(late, start_timeout=1.0)
    assert recorder.of(telemetry.ChildStarted) == []


async def test_started_while_being_stopped_does_not_make_a_child_ready(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """A start that is stopped on its way has failed, whatever the child says afterwards."""

    async def late(*, task_status: trio.TaskStatus[None]) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(5)
        task_status.started()
        await trio.sleep_forever()

    async with supervised(recorder) as supervisor:
        supervisor.start_soon(late)
        await trio.sleep(1)
        await supervisor.terminate_child("late")
        assert states(supervisor) == {"late": "stopped"}
    assert recorder.of(telemetry.ChildStarted) == []


async def test_started_may_be_called_once_only(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """As in Trio, the second call is a mistake of the child, and crashes it."""
    errors: list[str] = []

    async def twice(*, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        try:
            task_status.started()
        except RuntimeError as exc:
            errors.append(str(exc))

    async with supervised(recorder) as supervisor:
        await supervisor.start(twice, restart="temporary")
    assert errors == ["child 'supervisor/twice' called started() twice"]


async def test_an_incarnation_cannot_make_a_later_one_ready(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """A ``task_status`` that outlives its incarnation is of no use any more."""
    statuses: list[trio.TaskStatus[None]] = []

    async def child(*, task_status: trio.TaskStatus[None]) -> None:
        statuses.append(task_status)
        if len(statuses) == 1:
            task_status.started()
            raise Crash
        with pytest.raises(RuntimeError):
            statuses[0].started()
        task_status.started()
        await trio.sleep_forever()

    async with supervised(recorder) as supervisor:
        await supervisor.start(child)
        await quiet()
        assert states(supervisor) == {"child": "running"}
