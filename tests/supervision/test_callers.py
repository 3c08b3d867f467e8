"""Callers of verbs who are cancelled, or overtaken by other callers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    ChildNotFound,
    ChildSpec,
    ChildStartFailed,
    RestartIntensity,
    RestartLimitExceeded,
    SupervisorNotRunning,
    telemetry,
)

from .conftest import Crash, Puppet, Recorder, puppets, quiet, states, supervised

STRATEGIES = pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
GROUPS = pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])


async def repeated(play: Callable[[], Awaitable[Any]]) -> list[Any]:
    """Return what several plays lead to: Trio chooses another order of ready tasks each time."""
    return [await play() for _ in range(30)]


async def test_terminating_a_child_that_is_being_started_tells_its_caller(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """The caller of a start that somebody else stops hears `ChildStartFailed`."""
    hanging = Puppet("a", ["hang"])
    async with supervised(recorder) as supervisor, trio.open_nursery() as nursery:

        async def start() -> None:
            with pytest.raises(ChildStartFailed, match="stopped"):
                await supervisor.start_child(hanging.spec())

        nursery.start_soon(start)
        await quiet()
        await supervisor.terminate_child("a")
        assert hanging.alive == 0


async def test_who_gives_up_waiting_for_an_end_does_not_keep_others_from_hearing_of_it(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """Several callers wait for one child, and each waits for itself."""
    slow = Puppet("a", cleanup=10)
    async with supervised(recorder) as supervisor:
        await supervisor.start_child(slow.spec())
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            for patience in (1, 20, 2):

                async def wait(patience: float) -> None:
                    with trio.move_on_after(patience):
                        await supervisor.terminate_child("a")
                    assert trio.current_time() - began == min(patience, 10)

                nursery.start_soon(wait, patience)
        assert slow.alive == 0


@pytest.mark.parametrize("second", ["error", "hang"])
async def test_a_start_that_was_stopped_and_made_anew_is_the_other_caller_s(
    autojump_clock: MockClock, second: str, recorder: Recorder
) -> None:
    """Who waits for a start does not wait for the next one, nor take its outcome for its own."""

    async def play() -> None:
        child = Puppet("a", ["hang", second])
        async with supervised(recorder) as supervisor, trio.open_nursery() as nursery:

            async def start() -> None:
                with trio.fail_after(1), pytest.raises(ChildStartFailed, match="stopped"):
                    await supervisor.start_child(child.spec())

            nursery.start_soon(start)
            await quiet()
            await supervisor.terminate_child("a")
            with trio.move_on_after(10), pytest.raises((ChildStartFailed, ChildNotFound)):
                await supervisor.restart_child("a")

    await repeated(play)


async def test_a_start_that_fails_tells_its_caller_why_though_somebody_terminates_it(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """A start that had failed by itself keeps its own reason, and nothing is kept of the child."""

    async def play() -> None:
        fail = trio.Event()

        async def fails(*, task_status: trio.TaskStatus[None]) -> None:
            await fail.wait()
            raise Crash

        async with supervised(recorder) as supervisor, trio.open_nursery() as nursery:

            async def start() -> None:
                with pytest.raises(Crash):
                    await supervisor.start(fails)

            async def terminate() -> None:
                with suppress(ChildNotFound):  # where the caller of the start was faster
                    await supervisor.terminate_child("fails")

            def terminate_at_the_failure(event: telemetry.Event) -> None:
                if isinstance(event, telemetry.ChildStartFailed):
                    nursery.start_soon(terminate)

            nursery.start_soon(start)
            await quiet()
            with recorder.bus.listen(terminate_at_the_failure):
                fail.set()
                await quiet()
            assert supervisor.which_children() == []

    await repeated(play)


@STRATEGIES
@pytest.mark.parametrize(
    "verb", ["start", "start_child", "restart_child", "terminate_child", "stop"]
)
async def test_a_caller_who_is_cancelled_leaves_nothing_half_done(
    autojump_clock: MockClock, verb: str, strategy: str, recorder: Recorder
) -> None:
    """A cancelled start takes its child down first; a cancelled stop goes on without its caller."""
    a, hanging = Puppet("a", ["ok", "hang"], cleanup=3.0), Puppet("b", ["hang"], cleanup=3.0)
    async with supervised(recorder, a.spec(), strategy=strategy) as supervisor:
        if verb == "restart_child":
            await supervisor.terminate_child("a")
        began = trio.current_time()
        with trio.move_on_after(1) as scope:
            match verb:
                case "start":
                    await supervisor.start(hanging.run, name="b")
                case "start_child":
                    await supervisor.start_child(hanging.spec())
                case "restart_child":
                    await supervisor.restart_child("a")
                case "terminate_child":
                    await supervisor.terminate_child("a")
                case "stop":
                    await supervisor.stop()
        assert scope.cancelled_caught
        assert trio.current_time() - began == (4.0 if "start" in verb else 1.0)
        assert hanging.alive == 0
        await trio.sleep(10)
        after = {"a": "running" if verb in ("start", "start_child") else "stopped"}
        assert states(supervisor) == after


async def test_a_caller_who_is_cancelled_from_the_beginning_leaves_nothing(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """The child may have come to its first checkpoint; it is gone, and its name is free."""
    puppet = Puppet("a")
    async with supervised(recorder) as supervisor:
        with trio.CancelScope() as scope:
            scope.cancel()
            await supervisor.start_child(puppet.spec())
        assert (puppet.alive, supervisor.which_children()) == (0, [])


@STRATEGIES
async def test_a_child_that_was_stopped_before_it_began_is_not_told_of(
    autojump_clock: MockClock, strategy: str, recorder: Recorder
) -> None:
    """There is no event of a run that never was: neither its beginning nor its end."""
    puppet = Puppet("a")
    async with supervised(recorder, strategy=strategy) as supervisor:
        supervisor.start_soon(puppet.run, name="a")
        await supervisor.terminate_child("a")
        assert (puppet.attempts, recorder.take(), states(supervisor)) == (0, [], {"a": "stopped"})


@GROUPS
async def test_a_start_that_hangs_can_be_terminated_though_it_holds_the_turn(
    autojump_clock: MockClock, strategy: str, recorder: Recorder
) -> None:
    """Otherwise nothing but the end of the supervisor would get through."""
    a, hanging = Puppet("a", ["ok", "ok"]), Puppet("b", ["ok", "hang"])
    async with supervised(
        recorder, a.spec(), hanging.spec(), Puppet("c").spec(), strategy=strategy
    ) as supervisor:
        a.crash()
        await quiet()
        assert states(supervisor) == {"a": "running", "b": "starting", "c": "stopped"}
        await supervisor.terminate_child("b")
        assert states(supervisor) == {"a": "running", "b": "stopped", "c": "stopped"}


@GROUPS
async def test_a_slow_start_holds_up_what_comes_after_it_in_a_group(
    autojump_clock: MockClock, strategy: str, recorder: Recorder
) -> None:
    """A15: as in OTP, verbs and crashes wait for it; without a group strategy they do not."""
    a, b = puppets("ab")

    async def slow(*, task_status: trio.TaskStatus[None]) -> None:
        await trio.sleep(5)
        task_status.started()
        await trio.sleep_forever()

    async with (
        supervised(recorder, a.spec(), b.spec(), strategy=strategy) as supervisor,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(supervisor.start_child, ChildSpec("slow", slow))
        await quiet()
        nursery.start_soon(supervisor.terminate_child, "b")
        await quiet()
        a.crash()
        await trio.sleep(4)
        assert recorder.take() == ["crashed a#1"]
        await trio.sleep(10)
        assert recorder.take() == [
            "started slow#1", "stop b#1", "stopped b#1",
            "stop slow#1", "stopped slow#1", "started a#2", "started b#2", "started slow#2",
        ]  # fmt: skip


async def test_a_start_under_way_when_the_supervisor_gives_up_is_taken_down(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """T19: whoever waits for it hears that the supervisor ended; the child was never ready."""
    crashes, hanging = Puppet("a"), Puppet("b", ["hang"], cleanup=2.0)
    async with trio.open_nursery() as nursery:
        with pytest.raises(RestartLimitExceeded):
            async with supervised(
                recorder, crashes.spec(), intensity=RestartIntensity(0, 5)
            ) as supervisor:

                async def start() -> None:
                    with pytest.raises(SupervisorNotRunning):
                        await supervisor.start_child(hanging.spec())
                    assert hanging.alive == 0

                nursery.start_soon(start)
                await quiet()
                crashes.crash()
                await trio.sleep_forever()
    assert recorder.take() == ["crashed a#1", "stop b#1", "stopped b#1"]


async def test_a_caller_of_stop_who_loses_patience_leaves_and_the_stop_goes_on(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """T17: every child still has its own time, and is stopped in its turn."""
    a, b = Puppet("a", cleanup=3.0), Puppet("b", cleanup=3.0)
    async with supervised(recorder, a.spec(), b.spec()) as supervisor:
        with pytest.raises(trio.TooSlowError), trio.fail_after(1):
            await supervisor.stop()
        await trio.sleep(1)
        assert recorder.take() == ["stop b#1"]
        await trio.sleep(10)
        assert recorder.take() == ["stopped b#1", "stop a#1", "stopped a#1"]


async def test_stop_may_be_called_by_several_at_once(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """All of them return when the last child has ended, and each child is asked once."""
    a, b = Puppet("a", cleanup=2.0), Puppet("b", cleanup=2.0)
    async with supervised(recorder, a.spec(), b.spec()) as supervisor:
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(supervisor.stop)
        assert trio.current_time() - began == 4.0
    assert recorder.take() == ["stop b#1", "stopped b#1", "stop a#1", "stopped a#1"]
