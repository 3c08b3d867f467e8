"""Starting children: in order, until they are ready, and what happens when they are not."""

from __future__ import annotations

from functools import partial

import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    Child,
    ChildAlreadyPresent,
    ChildAlreadyStarted,
    ChildNotFound,
    ChildSpec,
    ChildStartFailed,
    ChildState,
    InvalidSpec,
    RestartIntensity,
    RestartLimitExceeded,
    SupervisorNotRunning,
    open_supervisor,
)

from .conftest import Crash, Puppet, Recorder, forever, puppets, quiet, states, supervised


async def test_a_supervisor_without_children_starts_and_stops(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """A1: a supervisor needs no children; without any, its block ends at once."""
    async with open_supervisor(events=recorder.bus) as supervisor:
        assert supervisor.which_children() == []

    assert recorder.events == []


async def test_children_start_one_after_the_other_each_when_the_one_before_is_ready(
    autojump_clock: MockClock,
    recorder: Recorder,
) -> None:
    """A5: start order is list order, and ready comes before next."""
    log: list[str] = []

    async def slow(name: str, *, task_status: trio.TaskStatus[None]) -> None:
        log.append(f"begin {name}")
        await trio.sleep(1)
        log.append(f"ready {name}")
        task_status.started()

    specs = [ChildSpec(name, slow, (name,), restart="temporary") for name in "abc"]
    began = trio.current_time()
    async with open_supervisor(events=recorder.bus) as supervisor:
        await supervisor.start_children(specs)
        assert trio.current_time() - began == pytest.approx(3.0)

    assert log == [f"{what} {name}" for name in "abc" for what in ("begin", "ready")]


async def test_a_failed_start_takes_down_those_before_it_in_reverse(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """A6: when child k fails, k-1..1 stop in reverse, k+1.. never start, nothing is retried."""
    a, b, c, d = Puppet("a"), Puppet("b"), Puppet("c", ["error"]), Puppet("d")

    with pytest.raises(ChildStartFailed) as caught:
        async with open_supervisor(
            events=recorder.bus, intensity=RestartIntensity(10, 60)
        ) as supervisor:
            await supervisor.start_children([each.spec() for each in (a, b, c, d)])

    assert caught.value.path == "supervisor/c"
    assert isinstance(caught.value.__cause__, Crash)
    assert (c.attempts, d.attempts) == (1, 0)
    assert recorder.take() == [
        "started a#1", "started b#1", "start_failed c#1",
        "stop b#1", "stopped b#1", "stop a#1", "stopped a#1",
    ]  # fmt: skip


async def test_a_temporary_child_that_fails_to_start_fails_the_whole_start(
    autojump_clock: MockClock,
    recorder: Recorder,
) -> None:
    """A7: the first start of a temporary child is as important as any other's."""
    with pytest.raises(ChildStartFailed):
        async with open_supervisor(events=recorder.bus) as supervisor:
            await supervisor.start_children([Puppet("a", ["error"]).spec(restart="temporary")])


@pytest.mark.parametrize(
    ("restart", "left"),
    [("permanent", {"a": "stopped"}), ("transient", {"a": "stopped"}), ("temporary", {})],
)
async def test_a_child_that_declines_is_kept_stopped_unless_it_is_temporary(
    autojump_clock: MockClock, restart: str, left: dict[str, str], recorder: Recorder
) -> None:
    """A8: declining is a success; the child stays known and down, a temporary one is forgotten."""
    declining, other = Puppet("a", ["decline"]), Puppet("b")

    async with open_supervisor(events=recorder.bus) as supervisor:
        await supervisor.start_children([declining.spec(restart=restart), other.spec()])
        assert states(supervisor) == left | {"b": "running"}
        counts = supervisor.count_children()
        assert (counts.specs, counts.active, counts.workers) == (len(left) + 1, 1, len(left) + 1)
        await supervisor.stop()

    assert recorder.take()[:2] == ["declined a#1", "started b#1"]


async def test_a_child_that_dies_while_a_later_one_starts_is_restarted(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """A9: the start goes on, and the death is an ordinary exit, counted as such."""

    async def slow(*, task_status: trio.TaskStatus[None]) -> None:
        await trio.sleep(5)
        task_status.started()
        await trio.sleep_forever()

    dies = Puppet("a", ["crash", "ok"])
    async with open_supervisor(events=recorder.bus) as supervisor:
        await supervisor.start_children([dies.spec(), ChildSpec("b", slow, restart="temporary")])
        assert states(supervisor)["a"] == "running"
        assert supervisor.which_children()[0].restarts == 1
        await supervisor.stop()


async def test_the_value_of_started_is_handed_back_by_every_start(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """A10: `start`, `start_child` and `restart_child` give the child, with its newest value."""
    puppet = Puppet("a")
    async with supervised(recorder) as supervisor:
        child = await supervisor.start_child(puppet.spec())
        assert child.value == 1
        await supervisor.terminate_child("a")
        again = await supervisor.restart_child("a")
        assert (again.value, child.value) == (2, 2)


async def test_start_child_keeps_nothing_of_a_child_that_fails_to_start(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """A11: the error says why, the name is free again, and nothing is counted."""
    async with supervised(recorder, intensity=RestartIntensity(0, 5)) as supervisor:
        with pytest.raises(ChildStartFailed, match="a fails to start") as caught:
            await supervisor.start_child(Puppet("a", ["error"]).spec())
        assert isinstance(caught.value.__cause__, Crash)
        with pytest.raises(ChildNotFound):
            supervisor.get_childspec("a")
        await supervisor.start_child(Puppet("a").spec())


async def test_start_raises_what_the_child_raised_bare(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """A12, D10: `start` is like ``nursery.start``: the child's own exception, in no wrapper."""
    error = Crash("mine")

    async def fails(*, task_status: trio.TaskStatus[None]) -> None:
        raise error

    async with supervised(recorder) as supervisor:
        with pytest.raises(Crash) as caught:
            await supervisor.start(fails)
        assert caught.value is error
        assert supervisor.which_children() == []


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
async def test_a_child_that_returns_before_it_is_ready_has_failed_to_start(
    autojump_clock: MockClock, strategy: str, recorder: Recorder
) -> None:
    """A12: as in Trio, a function that never calls ``started()`` is a mistake: `RuntimeError`."""

    async def silent(*, task_status: trio.TaskStatus[None]) -> None:
        await trio.sleep(1)

    async with supervised(recorder, strategy=strategy) as supervisor:
        with pytest.raises(RuntimeError, match=r"returned without calling task_status\.started"):
            await supervisor.start(silent)
    assert recorder.take() == ["start_failed silent#1"]


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
async def test_a_child_that_crashes_right_after_it_was_ready_has_started(
    autojump_clock: MockClock, strategy: str, recorder: Recorder
) -> None:
    """Readiness is what a start waits for; what comes after it is a crash like any other."""
    puppet = Puppet("a", ["crash", "ok"])
    async with supervised(recorder, strategy=strategy) as supervisor:
        child = await supervisor.start_child(puppet.spec())
        await quiet()
        assert (child.state, child.restarts) == (ChildState.RUNNING, 1)
    assert recorder.take()[:3] == ["started a#1", "crashed a#1", "started a#2"]


async def test_start_soon_treats_a_failed_start_as_any_failure(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """Nobody waits, so it counts and is tried again, as OTP does with a restart."""
    puppet = Puppet("a", ["error", "ok"])
    async with supervised(recorder) as supervisor:
        child = supervisor.start_soon(puppet.run, name="a")
        assert child.state is ChildState.STARTING
        await quiet()
        assert (child.state, child.restarts) == (ChildState.RUNNING, 1)


async def test_start_soon_beyond_the_intensity_ends_the_supervisor(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """A start that always fails escalates, as a child that always crashes does."""
    puppet = Puppet("a", ["error"])
    with pytest.raises(RestartLimitExceeded):
        async with open_supervisor(events=recorder.bus) as supervisor:
            supervisor.start_soon(puppet.run, name="a")
            await trio.sleep_forever()
    assert puppet.attempts == 2


async def test_names_are_taken_from_the_function_and_numbered(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """D11: without a name the function's is used; a second child gets a number."""
    async with supervised(recorder) as supervisor:
        children: list[Child] = [await supervisor.start(forever) for _ in range(3)]
        children.append(await supervisor.start(partial(forever)))
        assert [child.name for child in children] == [
            "forever", "forever-2", "forever-3", "forever-4",
        ]  # fmt: skip
        assert children[1].path == "supervisor/forever-2"


@pytest.mark.parametrize("how", ["start", "start_soon", "start_child"])
async def test_a_name_in_use_is_refused_by_every_start(
    autojump_clock: MockClock, how: str, recorder: Recorder
) -> None:
    """M2, M3: a running child has the name, or one that is down; and nothing changes."""
    running, stopped = puppets(["running", "stopped"])
    async with supervised(recorder, running.spec(), stopped.spec()) as supervisor:
        await supervisor.terminate_child("stopped")
        before = supervisor.which_children()
        for name, refusal in {
            "running": ChildAlreadyStarted,
            "stopped": ChildAlreadyPresent,
        }.items():
            with pytest.raises(refusal, match=name):
                match how:
                    case "start":
                        await supervisor.start(forever, name=name)
                    case "start_soon":
                        supervisor.start_soon(forever, name=name)
                    case "start_child":
                        await supervisor.start_child(Puppet(name).spec())
        assert supervisor.which_children() == before


async def test_a_wrong_list_of_children_starts_none(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """V11: two children of one name are refused before any task starts."""
    a, b = puppets("ab")
    async with supervised(recorder) as supervisor:
        with pytest.raises(InvalidSpec, match=r"\[2\].name"):
            await supervisor.start_children([a.spec(), b.spec(), a.spec()])
        assert (a.attempts, supervisor.which_children()) == (0, [])


async def test_a_child_that_is_not_essential_and_fails_to_start_is_parked(
    autojump_clock: MockClock,
    recorder: Recorder,
) -> None:
    """The first start of a child that is not essential does not fail its siblings."""
    async with supervised(
        recorder, Puppet("a", ["error", "ok"]).spec(essential=False), Puppet("b").spec()
    ) as supervisor:
        assert states(supervisor) == {"a": "parked", "b": "running"}
        await supervisor.restart_child("a")
        assert states(supervisor) == {"a": "running", "b": "running"}


async def test_a_start_that_the_end_of_the_supervisor_overtakes_says_so(
    autojump_clock: MockClock,
    recorder: Recorder,
) -> None:
    """T18: whoever waits for a start when the supervisor is stopped hears that it ended."""
    puppet = Puppet("a", ["hang"])
    async with open_supervisor(events=recorder.bus) as supervisor, trio.open_nursery() as nursery:

        async def start() -> None:
            with pytest.raises(SupervisorNotRunning):
                await supervisor.start_child(puppet.spec())

        nursery.start_soon(start)
        await quiet()
        await supervisor.stop()
    assert puppet.alive == 0


async def test_a_slow_start_delays_no_other_child_under_one_for_one(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """A15, law 8: verbs and restarts of others go through while one child starts slowly."""
    slow, other = Puppet("slow", ["hang"]), Puppet("other")
    async with supervised(recorder, other.spec()) as supervisor, trio.open_nursery() as nursery:

        async def start() -> None:
            with pytest.raises(ChildStartFailed, match="stopped"):
                await supervisor.start_child(slow.spec())

        nursery.start_soon(start)
        await trio.sleep(1)
        with trio.fail_after(1):
            other.crash()
            await quiet()
            await supervisor.start_child(Puppet("third").spec())
            await supervisor.terminate_child("third")
            await supervisor.delete_child("third")
        assert states(supervisor) == {"other": "running", "slow": "starting"}
        await supervisor.terminate_child("slow")
