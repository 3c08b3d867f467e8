"""Every verb on a child in every state, from outside and from within a child."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
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
    Supervisor,
    SupervisorNotRunning,
    open_supervisor,
)

from .conftest import Crash, Puppet, Recorder, forever, puppets, quiet, states, supervised

STRATEGIES = pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
GROUPS = pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])


@STRATEGIES
async def test_the_life_of_a_child_by_hand(
    autojump_clock: MockClock, strategy: str, recorder: Recorder
) -> None:
    """M1, M2, M3, M5, M7, M8, M9, M11, M12: each verb once and again, and what is refused."""
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
    """M4, M7, K8: there is nothing left of it afterwards."""
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


async def test_a_child_that_fails_while_it_is_stopped_keeps_its_failure(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """It is stopped, as was asked, and whoever looks at it is told what went wrong."""

    async def leave_badly() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise Crash("not flushed")

    async with supervised(recorder) as supervisor:
        child = await supervisor.start(leave_badly, name="a")
        await supervisor.terminate_child("a")
        (info,) = supervisor.which_children()
        assert info.state is ChildState.STOPPED
        assert info.last_cause == child.last_cause is not None
        assert "a  stopped #1 for 0.0 s, last failure: " in supervisor.dump()
        assert "not flushed" in supervisor.dump()


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


async def test_one_child_is_asked_after_without_listing_all(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """M15: whether it is there, and by its handle in which state, after every change."""
    async with supervised(recorder) as supervisor:
        assert not supervisor.has_child("a")
        child = await supervisor.start_child(Puppet("a").spec())
        assert (supervisor.has_child("a"), child.state) == (True, ChildState.RUNNING)
        await supervisor.terminate_child("a")
        assert (supervisor.has_child("a"), child.state) == (True, ChildState.STOPPED)
        await supervisor.delete_child("a")
        assert (supervisor.has_child("a"), child.state) == (False, ChildState.REMOVED)


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


@pytest.mark.parametrize("verb", ["terminate_child", "restart_child", "delete_child"])
async def test_a_verb_that_is_given_a_handle_asks_for_the_name(
    autojump_clock: MockClock, verb: str, recorder: Recorder
) -> None:
    """To say that there is no such child would send its user to look for it."""
    async with supervised(recorder) as supervisor:
        child = supervisor.start_soon(forever, name="a")
        with pytest.raises(TypeError, match=r"name: .*, such as child\.name, not <Child"):
            await getattr(supervisor, verb)(child)
        assert states(supervisor) == {"a": "starting"}


async def test_a_question_about_a_handle_asks_for_the_name(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """No answer is a wrong one, not even that there is no such child."""
    async with supervised(recorder) as supervisor:
        child = supervisor.start_soon(forever, name="a")
        nameless: list[Any] = [child, child.spec, ["a"], None]
        for ask in (supervisor.has_child, supervisor.get_childspec):
            for given in nameless:
                with pytest.raises(TypeError, match=r"must be a text, such as child\.name"):
                    ask(given)


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
    """T18: requests queued behind another are not carried out in the middle of the stop."""
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
