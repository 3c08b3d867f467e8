"""Two things at the same moment: whichever Trio runs first, the outcome is a lawful one.

Trio chooses the order of ready tasks at random, so each play is repeated until both orders have
been seen for all practical purposes. Children here end by themselves after a while: one that was
lost sight of makes a test late, and not hang.
"""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    Backoff,
    ChildDeclined,
    ChildNotFound,
    ChildSpec,
    RestartIntensity,
    open_supervisor,
    telemetry,
)

from .conftest import Puppet, Recorder, puppets, quiet, states, supervised

MANY = RestartIntensity(max_restarts=1000, period=1000)
PLAYS = 30
LATE = 500.0
"""Virtual seconds after which a child that nobody has stopped returns."""


async def lingering(*, task_status: trio.TaskStatus[None]) -> None:
    """Be a child that outlives its test, unless somebody stops it."""
    task_status.started()
    await trio.sleep(LATE)


@pytest.mark.parametrize("outcome", ["ready", "declines", "fails"])
async def test_a_stop_in_the_middle_of_a_round_leaves_no_child_that_the_round_starts(
    autojump_clock: MockClock, outcome: str, recorder: Recorder
) -> None:
    """A round that was about to start the next member starts it no more."""

    async def play() -> None:
        gate = trio.Event()
        runs = 0

        async def gated(*, task_status: trio.TaskStatus[None]) -> None:
            nonlocal runs
            runs += 1
            if runs > 1:
                await gate.wait()
                if outcome == "declines":
                    raise ChildDeclined
                if outcome == "fails":
                    raise ValueError
            task_status.started()
            await trio.sleep_forever()

        first, began = Puppet("first"), trio.current_time()
        async with supervised(
            recorder, first.spec(), ChildSpec("gated", gated), ChildSpec("last", lingering),
            strategy="one_for_all", intensity=MANY,
        ) as supervisor:  # fmt: skip
            first.crash()
            await quiet()
            assert states(supervisor)["gated"] == "starting"
            gate.set()
        assert trio.current_time() == began
        assert set(states(supervisor).values()) == {"stopped"}

    for _ in range(PLAYS):
        await play()


def at_once(recorder: Recorder, kind: type[telemetry.Event]) -> trio.Event:
    """Return what is set as soon as the next event of a class is told."""
    seen = trio.Event()

    def hear(event: telemetry.Event) -> None:
        if isinstance(event, kind):
            seen.set()
            place.close()

    place = recorder.bus.listen(hear)
    return seen


@pytest.mark.parametrize("how", ["the starter gives up", "it is terminated"])
async def test_a_child_restarted_just_when_it_has_been_stopped_is_not_lost(
    autojump_clock: MockClock, how: str, recorder: Recorder
) -> None:
    """It runs, and whoever stopped it does not wait for it; or it was forgotten before."""

    async def play() -> None:
        starts = iter([trio.sleep_forever, lambda: None])

        async def child(*, task_status: trio.TaskStatus[None]) -> None:
            wait = next(starts)
            if how == "it is terminated" or wait is not trio.sleep_forever:
                task_status.started()
            await trio.sleep(LATE)

        began = trio.current_time()
        async with supervised(recorder) as supervisor, trio.open_nursery() as nursery:

            async def restart(stopped: trio.Event) -> None:
                await stopped.wait()
                with suppress(ChildNotFound):
                    await supervisor.restart_child("child")

            nursery.start_soon(restart, at_once(recorder, telemetry.ChildStopped))
            with trio.move_on_after(1):
                await supervisor.start(child)
                await supervisor.terminate_child("child")
            await quiet()
            assert states(supervisor) in ({"child": "running"}, {})
        assert trio.current_time() - began <= 1.0

    for _ in range(PLAYS):
        await play()


async def test_terminating_a_member_whose_start_has_just_failed_in_a_round_stops_it(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """The round settles the failure, and the retry that is due then is called off."""
    delays = Backoff(initial=10.0, cap=10.0, jitter="none")

    async def play() -> None:
        first, second = Puppet("first"), Puppet("second", ["ok", "error", "ok"])
        async with (
            supervised(
                recorder, first.spec(), second.spec(backoff=delays),
                strategy="one_for_all", intensity=MANY,
            ) as supervisor,
            trio.open_nursery() as nursery,
        ):  # fmt: skip

            async def terminate(failed: trio.Event) -> None:
                await failed.wait()
                await supervisor.terminate_child("second")

            nursery.start_soon(terminate, at_once(recorder, telemetry.ChildStartFailed))
            first.crash()
            await trio.sleep(100)
            assert states(supervisor) == {"first": "running", "second": "stopped"}

    for _ in range(PLAYS):
        await play()


async def test_a_retry_that_was_overtaken_does_not_come_early_for_the_next_one(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """I12: each delay belongs to its own restart; a stale one does nothing when it is over."""
    a, b = puppets("ab")
    delays = Backoff(initial=10.0, cap=10.0, jitter="none")
    async with supervised(
        recorder, a.spec(), b.spec(backoff=delays), strategy="rest_for_one", intensity=MANY
    ) as supervisor:
        b.crash()
        await trio.sleep(4)
        a.crash()  # this round starts b too
        await quiet()
        assert states(supervisor) == {"a": "running", "b": "running"}
        b.crash()
        await trio.sleep(9)  # 13 s after the first crash of b, 9 s after its second
        assert states(supervisor)["b"] == "restarting"
        await trio.sleep(2)
        assert states(supervisor)["b"] == "running"


async def test_an_interrupt_in_the_cleanup_of_a_cancelled_tree_comes_out_bare(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """The cancellation that led to the stop is no second reason beside it."""

    async def interrupted_late() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), trio.CancelScope() as scope:
        async with open_supervisor(events=recorder.bus) as supervisor:
            supervisor.start_soon(interrupted_late)
            await quiet()
            scope.cancel()
            await trio.sleep_forever()


async def test_two_children_of_a_group_that_die_together_are_one_round_or_two_but_no_more(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """S2: under one_for_all the later death is swallowed by the round of the earlier one."""

    async def play() -> None:
        a, b = puppets("ab")
        async with supervised(
            recorder, a.spec(), b.spec(), strategy="one_for_all", intensity=RestartIntensity(1, 5)
        ) as supervisor:
            a.crash()
            b.crash()
            await quiet()
            assert (a.attempts, b.attempts) == (2, 2)
            assert sum(child.restarts for child in supervisor.which_children()) == 1

    for _ in range(PLAYS):
        await play()


async def test_a_child_that_dies_at_the_moment_of_its_stop_is_told_of_once_with_its_own_reason(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """T16: its end is a crash or a stop, never both, and the error is in the event."""

    async def play() -> None:
        a = Puppet("a")
        async with supervised(recorder, a.spec()) as supervisor:
            recorder.events.clear()
            a.crash()
            await supervisor.stop()
            (end,) = recorder.of(telemetry.ChildExited, telemetry.ChildStopped)
            assert end.cause.error_type == "Crash"
            assert (states(supervisor), a.attempts) == ({"a": "stopped"}, 1)

    for _ in range(PLAYS):
        await play()


async def test_a_round_whose_turn_comes_as_the_stop_begins_leaves_it_to_the_stop(
    autojump_clock: MockClock,
) -> None:
    """It has waited for its turn behind a start; whoever began the stop has just ended that."""

    async def play() -> None:
        runs = 0

        async def crash_once() -> None:
            nonlocal runs
            runs += 1
            if runs == 1:
                await trio.sleep(1)
                raise ValueError
            await trio.sleep(LATE)

        async def slow(*, task_status: trio.TaskStatus[None]) -> None:
            await trio.sleep(1.1)
            task_status.started()
            await trio.sleep(LATE)

        backoff = Backoff(initial=1.0, cap=1.0, jitter="none")
        async with open_supervisor(strategy="one_for_all", backoff=backoff) as supervisor:
            supervisor.start_soon(crash_once, name="a")
            await trio.sleep(1.5)
            supervisor.start_soon(lingering, name="d")
            await trio.sleep(0.4)
            await supervisor.start(slow, name="slow")  # holds the turn when the round is due
            with trio.fail_after(1):
                await supervisor.stop()

    for _ in range(PLAYS):
        await play()
