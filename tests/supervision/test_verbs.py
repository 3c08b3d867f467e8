"""Every verb on a child in every state, from outside and from within a child."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    ChildAlreadyPresent,
    ChildAlreadyStarted,
    ChildNotFound,
    ChildRunning,
    ChildSpec,
    ChildStartFailed,
    ChildState,
    RestartIntensity,
    SupervisionError,
    Supervisor,
    SupervisorNotRunning,
    open_supervisor,
    telemetry,
)

from .conftest import Crash, Puppet, Recorder, forever, puppets, quiet, states, supervised

STRATEGIES = pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
GROUPS = pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])


@STRATEGIES
async def test_the_life_of_a_child_by_hand(
    autojump_clock: MockClock, strategy: str, recorder: Recorder
) -> None:
    """M1-M12: start, terminate, restart, delete, each once and again, and what is refused."""
    puppet = Puppet("a")
    async with supervised(recorder, strategy=strategy) as supervisor:
        child = await supervisor.start_child(puppet.spec())
        assert (child.name, child.path, child.incarnation) == ("a", "supervisor/a", 1)
        with pytest.raises(ChildAlreadyStarted):
            await supervisor.start_child(puppet.spec(restart="temporary"))
        for verb in (supervisor.restart_child, supervisor.delete_child):
            with pytest.raises(ChildRunning):
                await verb("a")
        await supervisor.terminate_child("a")
        await supervisor.terminate_child("a")
        with pytest.raises(ChildAlreadyPresent):
            await supervisor.start_child(puppet.spec())
        assert await supervisor.restart_child("a") is not None
        await supervisor.terminate_child("a")
        await supervisor.delete_child("a")
        for unknown in (
            supervisor.restart_child, supervisor.delete_child, supervisor.terminate_child,
        ):  # fmt: skip
            with pytest.raises(ChildNotFound):
                await unknown("a")
        assert child.state is ChildState.REMOVED
        assert recorder.take() == [
            "started a#1", "stop a#1", "stopped a#1", "started a#2", "stop a#2", "stopped a#2",
        ]  # fmt: skip


async def test_terminate_child_touches_no_sibling(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """M4: it stops one child, counts nothing, restarts nothing, whatever the strategy."""
    a, b = puppets("ab")
    async with supervised(
        recorder, a.spec(), b.spec(), strategy="one_for_all", intensity=RestartIntensity(0, 5)
    ) as supervisor:
        await supervisor.terminate_child("a")
        await trio.sleep(100)
        assert states(supervisor) == {"a": "stopped", "b": "running"}
        assert (a.attempts, b.attempts) == (1, 1)


async def test_terminate_child_forgets_a_temporary_child(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """M4, M7: there is nothing left of it afterwards."""
    async with supervised(recorder, Puppet("a").spec(restart="temporary")) as supervisor:
        await supervisor.terminate_child("a")
        with pytest.raises(ChildNotFound):
            await supervisor.terminate_child("a")


async def test_terminate_child_waits_until_the_child_has_ended(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """M4: when it returns, the child's cleanup is done."""
    puppet = Puppet("a", cleanup=30.0)
    async with supervised(recorder, puppet.spec()) as supervisor:
        await supervisor.terminate_child("a")
        assert puppet.alive == 0


async def test_restart_child_raises_why_it_failed_and_leaves_the_child_down(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """M8: the specification is kept, nothing is counted, and the next try may succeed."""
    puppet = Puppet("a", ["ok", "error", "decline", "ok"])
    async with supervised(recorder, puppet.spec(), intensity=RestartIntensity(0, 5)) as supervisor:
        await supervisor.terminate_child("a")
        with pytest.raises(ChildStartFailed) as caught:
            await supervisor.restart_child("a")
        assert isinstance(caught.value.__cause__, Crash)
        assert states(supervisor) == {"a": "stopped"}
        assert (await supervisor.restart_child("a")).state is ChildState.STOPPED
        assert (await supervisor.restart_child("a")).value == 4


async def test_which_children_shows_all_in_start_order(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """M14: name, path, state, incarnation, restarts and last cause, of the stopped ones too."""
    a, b = puppets("ab")
    async with supervised(recorder, a.spec(), b.spec(essential=False)) as supervisor:
        a.crash()
        await supervisor.terminate_child("b")
        await quiet()
        first, second = supervisor.which_children()
        assert (first.path, first.state, first.incarnation, first.restarts) == (
            "supervisor/a", ChildState.RUNNING, 2, 1,
        )  # fmt: skip
        assert first.last_cause is not None
        assert first.last_cause.error_type == "Crash"
        assert (second.name, second.state, second.essential) == ("b", ChildState.STOPPED, False)
        assert second.since == trio.current_time()


async def test_count_children_counts_as_otp_does(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """M16: the stopped count among specs and workers, not among active; supervisors apart."""

    async def subtree(*, task_status: trio.TaskStatus[None]) -> None:
        async with open_supervisor():
            task_status.started()
            await trio.sleep_forever()

    a, b = puppets("ab")
    async with supervised(recorder, a.spec(), b.spec(), ChildSpec("tree", subtree)) as supervisor:
        await supervisor.terminate_child("b")
        counts = supervisor.count_children()
        assert (counts.specs, counts.active, counts.supervisors, counts.workers) == (3, 2, 1, 2)


async def test_a_dead_child_is_not_active_while_its_round_waits_for_its_turn(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """M16: what counts is whether it lives, not whether somebody has come round to settle it."""
    a, slow = Puppet("a"), Puppet("b", cleanup=10.0)
    async with (
        supervised(recorder, a.spec(), slow.spec(), strategy="one_for_all") as supervisor,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(supervisor.terminate_child, "b")
        await quiet()
        a.crash()
        await quiet()
        assert supervisor.count_children().active == 1


async def test_get_childspec_gives_the_specification_back(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """M17: also of a child that is down; an unknown name is refused."""
    spec = Puppet("a").spec(shutdown=1.0)
    async with supervised(recorder, spec) as supervisor:
        await supervisor.terminate_child("a")
        assert supervisor.get_childspec("a") is spec
        with pytest.raises(ChildNotFound):
            supervisor.get_childspec("b")


VERBS: dict[str, Callable[[Supervisor], Awaitable[object]]] = {
    "start": lambda supervisor: supervisor.start(forever),
    "start_child": lambda supervisor: supervisor.start_child(ChildSpec("new", forever)),
    "start_children": lambda supervisor: supervisor.start_children([ChildSpec("new", forever)]),
    "terminate_child": lambda supervisor: supervisor.terminate_child("a"),
    "restart_child": lambda supervisor: supervisor.restart_child("a"),
    "delete_child": lambda supervisor: supervisor.delete_child("a"),
}


@STRATEGIES
@pytest.mark.parametrize("verb", VERBS)
async def test_a_supervisor_that_has_ended_refuses_every_verb(
    autojump_clock: MockClock, verb: str, strategy: str, recorder: Recorder
) -> None:
    """M18: the caller hears that it is not running; stopping it again is nothing."""
    async with supervised(recorder, Puppet("a").spec(), strategy=strategy) as supervisor:
        await supervisor.stop()
        with pytest.raises(SupervisorNotRunning):
            await VERBS[verb](supervisor)
    with pytest.raises(SupervisorNotRunning):
        await VERBS[verb](supervisor)
    with pytest.raises(SupervisorNotRunning):
        supervisor.start_soon(forever)
    await supervisor.stop()


@GROUPS
@pytest.mark.parametrize("verb", VERBS)
async def test_a_verb_that_waits_for_its_turn_is_refused_when_the_supervisor_ends(
    autojump_clock: MockClock, verb: str, strategy: str, recorder: Recorder
) -> None:
    """Requests queued behind another are not carried out in the middle of the stop."""
    a, b = Puppet("a", cleanup=1.0), Puppet("b", ["hang"], cleanup=5.0)
    async with supervised(recorder, a.spec(), strategy=strategy) as supervisor:

        async def refused(call: Callable[[Supervisor], Awaitable[object]]) -> None:
            with pytest.raises(SupervisorNotRunning):
                await call(supervisor)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(refused, lambda each: each.start_child(b.spec()))
            await quiet()
            nursery.start_soon(refused, VERBS[verb])
            await quiet()
            await supervisor.stop()
    assert recorder.take() == ["stop b#1", "stopped b#1", "stop a#1", "stopped a#1"]


# --- From within


async def calls(verb: Callable[[], Awaitable[object]], outcome: list[object]) -> None:
    """Be a child that calls a verb and notes what became of the call."""
    await trio.lowlevel.checkpoint()
    try:
        outcome.append(await verb())
    except SupervisionError as exc:
        outcome.append(type(exc))
    except trio.Cancelled:
        outcome.append("cancelled")
        raise
    await trio.sleep_forever()


@STRATEGIES
@pytest.mark.parametrize(
    ("verb", "outcome", "after"),
    [
        ("terminate_child", "cancelled", "stopped"),
        ("restart_child", ChildRunning, "running"),
        ("delete_child", ChildRunning, "running"),
    ],
)
async def test_a_child_may_call_a_verb_on_itself(
    *, autojump_clock: MockClock, strategy: str, verb: str, outcome: object, after: str,
    recorder: Recorder,
) -> None:  # fmt: skip
    """It is carried out, and ends the caller, or is refused; it never waits for itself."""
    got: list[object] = []
    async with supervised(recorder, strategy=strategy) as supervisor:
        supervisor.start_soon(calls, lambda: getattr(supervisor, verb)("me"), got, name="me")
        await quiet()
        assert (got, states(supervisor)) == ([outcome], {"me": after})


@STRATEGIES
async def test_a_child_may_rearrange_its_siblings(
    autojump_clock: MockClock, strategy: str, recorder: Recorder
) -> None:
    """Terminate, restart, delete and start work from within a child as from anywhere."""
    sibling = Puppet("sibling", cleanup=1.0)
    got: list[object] = []

    async with supervised(recorder, sibling.spec(), strategy=strategy) as supervisor:

        async def rearrange() -> str:
            await supervisor.terminate_child("sibling")
            await supervisor.restart_child("sibling")
            await supervisor.terminate_child("sibling")
            await supervisor.delete_child("sibling")
            await supervisor.start_child(Puppet("another").spec())
            return "done"

        supervisor.start_soon(calls, rearrange, got, name="me")
        await trio.sleep(10)
        assert (got, states(supervisor)) == (["done"], {"me": "running", "another": "running"})


@STRATEGIES
async def test_a_child_may_stop_its_supervisor(
    autojump_clock: MockClock, strategy: str, recorder: Recorder
) -> None:
    """The stop goes its way, and the caller is cancelled when its turn comes."""
    a, b = Puppet("a", cleanup=1.0), Puppet("b", cleanup=1.0)
    got: list[object] = []
    go = trio.Event()

    async def stop() -> None:
        await go.wait()
        await supervisor.stop()

    with trio.fail_after(10):
        async with open_supervisor(strategy=strategy, events=recorder.bus) as supervisor:
            await supervisor.start_child(a.spec())
            supervisor.start_soon(calls, stop, got, name="me")
            await supervisor.start_child(b.spec())
            go.set()
    assert got == ["cancelled"]
    assert recorder.take()[-6:] == [
        "stop b#1", "stopped b#1", "stop me#1", "stopped me#1", "stop a#1", "stopped a#1",
    ]  # fmt: skip


@GROUPS
@pytest.mark.parametrize("verb", VERBS)
async def test_a_child_that_is_not_ready_is_refused_what_would_wait_for_itself(
    autojump_clock: MockClock, verb: str, strategy: str, recorder: Recorder
) -> None:
    """Its start holds the turn; so it is told to become ready first, and does not hang."""

    async def impatient(*, task_status: trio.TaskStatus[None]) -> None:
        with pytest.raises(SupervisionError, match=r"call task_status\.started"):
            await VERBS[verb](supervisor)
        task_status.started()
        await trio.sleep_forever()

    async with supervised(recorder, Puppet("a").spec(), strategy=strategy) as supervisor:
        with trio.fail_after(10):
            await supervisor.start(impatient)


@GROUPS
async def test_a_grandchild_is_refused_as_well_while_its_parent_is_not_ready(
    autojump_clock: MockClock, strategy: str, recorder: Recorder
) -> None:
    """The turn of a supervisor further up is held for the same start."""

    async def parent(*, task_status: trio.TaskStatus[None]) -> None:
        async with open_supervisor() as inner:

            async def grandchild(*, task_status: trio.TaskStatus[None]) -> None:
                with pytest.raises(SupervisionError, match=r"call task_status\.started"):
                    await outer.terminate_child("a")
                task_status.started()
                await trio.sleep_forever()

            await inner.start(grandchild)
            task_status.started()

    async with supervised(recorder, Puppet("a").spec(), strategy=strategy) as outer:
        with trio.fail_after(10):
            await outer.start(parent)


# --- When callers and children cross each other


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


async def test_a_start_that_was_stopped_and_made_anew_is_the_other_caller_s(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """Who waits for a start does not take the outcome of the next one for it."""

    async def play() -> None:
        hanging = Puppet("a", ["hang", "error"])
        async with supervised(recorder) as supervisor, trio.open_nursery() as nursery:

            async def start() -> None:
                with pytest.raises(ChildStartFailed, match="stopped"):
                    await supervisor.start_child(hanging.spec())

            nursery.start_soon(start)
            await quiet()
            await supervisor.terminate_child("a")
            with pytest.raises((ChildStartFailed, ChildNotFound)) as caught:
                await supervisor.restart_child("a")
            assert not isinstance(caught.value, ChildStartFailed) or isinstance(
                caught.value.__cause__, Crash
            )

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
