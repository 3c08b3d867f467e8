"""Many children of one function: what OTP has dynamic supervisors for, an ordinary one does."""

from __future__ import annotations

import gc
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from types import FrameType

import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    Backoff,
    ChildNotFound,
    ChildState,
    RestartIntensity,
    RestartLimitExceeded,
    open_supervisor,
)

from .conftest import Crash, Puppet, Recorder, forever, puppets, quiet, states, supervised

MANY = RestartIntensity(max_restarts=1000, period=1000)
LONG = Backoff(initial=100.0, cap=100.0, jitter="none")


async def test_each_of_many_children_is_restarted_alone_with_its_own_arguments(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """S12: the others keep their incarnations, and nobody gets the arguments of another."""
    runs: list[str] = []
    ends: dict[str, trio.Event] = {}

    async def session(name: str) -> None:
        runs.append(name)
        ends[name] = trio.Event()
        await ends[name].wait()
        raise Crash

    async with supervised(recorder, intensity=MANY) as supervisor:
        for name in "abc":
            await supervisor.start(session, name)
        await quiet()
        for name in "bca":
            ends[name].set()
            await quiet()
    assert runs == ["a", "b", "c", "b", "c", "a"]


async def test_a_supervisor_begins_empty_and_takes_children_as_they_come(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """D1: what a child runs with is given when it is started."""
    got: list[tuple[object, ...]] = []

    async def session(*args: object) -> None:
        got.append(args)
        await trio.sleep_forever()

    async with supervised(recorder) as supervisor:
        assert supervisor.count_children().specs == 0
        await supervisor.start(session, "room", 1)
        await supervisor.start(session, "room", 2)
        await quiet()
        assert supervisor.count_children().specs == 2
    assert got == [("room", 1), ("room", 2)]


async def test_every_verb_works_on_a_child_that_was_added_later(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """D2: there is one kind of supervisor, so none that refuses a verb."""
    async with supervised(recorder, Puppet("listed").spec()) as supervisor:
        added = await supervisor.start(forever, name="added")
        for name in ("listed", "added"):
            await supervisor.terminate_child(name)
            await supervisor.restart_child(name)
            await supervisor.terminate_child(name)
            await supervisor.delete_child(name)
        assert (added.state, states(supervisor)) == (ChildState.REMOVED, {})


async def test_a_child_that_never_was_cannot_be_terminated(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """D3, D4: as with Elixir's DynamicSupervisor, to end what is not there is a mistake."""
    async with supervised(recorder, Puppet("a").spec(restart="temporary")) as supervisor:
        await supervisor.terminate_child("a")
        for name in ("a", "never was"):
            with pytest.raises(ChildNotFound, match=name):
                await supervisor.terminate_child(name)


async def test_a_restarting_child_counts_among_specs_but_not_among_active(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """D5, D6: each child is one of specs, whatever it does; between two runs it is not active."""
    a, b, c = puppets("abc")
    async with supervised(
        recorder, a.spec(backoff=LONG), b.spec(), c.spec(), intensity=MANY
    ) as supervisor:
        a.crash()
        await quiet()
        counts = supervisor.count_children()
        assert (counts.specs, counts.workers, counts.active) == (3, 3, 2)


async def test_a_restarting_child_is_listed_as_that_under_its_name(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """D7: a child is known by its name, which it has in every state."""
    a = Puppet("a")
    async with supervised(recorder, a.spec(backoff=LONG), intensity=MANY) as supervisor:
        a.crash()
        await quiet()
        (info,) = supervisor.which_children()
        assert (info.name, info.state, info.incarnation) == ("a", "restarting", 1)


async def test_a_handle_from_before_the_crash_names_the_child_that_is_restarting(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """D8: whoever started it can call the restart off, and sees that it is off."""
    a = Puppet("a")
    async with supervised(recorder, intensity=MANY) as supervisor:
        child = await supervisor.start(a.run, name="a", backoff=LONG)
        a.crash()
        await quiet()
        assert child.state is ChildState.RESTARTING
        await supervisor.terminate_child(child.name)
        await trio.sleep(1000)
        assert (child.state, a.attempts) == (ChildState.STOPPED, 1)


@pytest.mark.parametrize("restart", ["permanent", "transient"])
async def test_a_child_that_declines_its_restart_does_not_upset_the_stop(
    autojump_clock: MockClock, restart: str, recorder: Recorder
) -> None:
    """D9: it is kept, stopped, and its siblings are stopped in order at the end."""
    a, declines, c = Puppet("a"), Puppet("b", ["ok", "decline"]), Puppet("c")
    async with supervised(
        recorder, a.spec(), declines.spec(restart=restart), c.spec()
    ) as supervisor:
        declines.crash()
        await quiet()
        assert states(supervisor) == {"a": "running", "b": "stopped", "c": "running"}
        recorder.take()
    assert recorder.take() == ["stop c#1", "stopped c#1", "stop a#1", "stopped a#1"]


async def test_what_a_partial_binds_goes_before_the_child_s_own_arguments_at_every_restart(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """D13: what all children share is bound once, and nothing adds up from run to run."""
    got: list[tuple[object, ...]] = []

    async def session(*args: object) -> None:
        got.append(args)
        await trio.lowlevel.checkpoint()
        if len(got) < 3:
            raise Crash
        await trio.sleep_forever()

    async with supervised(recorder, intensity=MANY) as supervisor:
        await supervisor.start(partial(session, "shared"), "own")
        await quiet()
    assert got == [("shared", "own")] * 3


async def test_terminating_a_restarting_child_leaves_the_counts_right(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """D15: OTP's count can become -1 here; ours is taken from the children themselves."""
    a = Puppet("a")
    async with supervised(
        recorder, a.spec(restart="transient", backoff=LONG), intensity=MANY
    ) as supervisor:
        a.crash()
        await quiet()
        await supervisor.terminate_child("a")
        counts = supervisor.count_children()
        assert (counts.specs, counts.active, counts.workers) == (1, 0, 1)


async def test_many_temporary_children_leave_no_trace(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """D17: whether they returned, crashed or were terminated, nothing is kept of them."""

    async def task(number: int) -> None:
        if number % 3 == 2:
            await trio.sleep_forever()
        if number % 3 == 1:
            raise Crash

    async def some() -> int:
        for number in range(300):
            supervisor.start_soon(task, number, name=f"task-{number}", restart="temporary")
        await quiet()
        for number in range(2, 300, 3):
            await supervisor.terminate_child(f"task-{number}")
        await quiet()
        assert supervisor.which_children() == []
        gc.collect()
        return len(gc.get_objects())

    async with open_supervisor() as supervisor:
        before = await some()
        assert await some() - before < 100


async def calls_made(function: Callable[[], Awaitable[None]]) -> int:
    """Return how many calls of Python functions are made until a function has ended."""
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        await function()
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
async def test_the_work_of_starting_and_stopping_grows_with_the_children_and_not_faster(
    autojump_clock: MockClock, strategy: str
) -> None:
    """M19: no start and no stop looks at all the siblings."""

    async def life(children: int) -> None:
        async with open_supervisor(strategy=strategy) as supervisor:
            for number in range(children):
                await supervisor.start(forever, name=str(number))
            for number in range(0, children, 2):
                await supervisor.terminate_child(str(number))
            await supervisor.stop()

    few, many = await calls_made(lambda: life(50)), await calls_made(lambda: life(500))
    assert many / few < 12


async def test_numbers_go_on_where_they_were(autojump_clock: MockClock) -> None:
    """M19: a free number is not searched for from the first one, so a name costs the same ever."""
    async with open_supervisor() as supervisor:
        names = [supervisor.start_soon(forever, restart="temporary").name for _ in range(3)]
        assert names == ["forever", "forever-2", "forever-3"]
        await supervisor.terminate_child("forever-2")
        assert supervisor.start_soon(forever).name == "forever-4"
        await supervisor.terminate_child("forever")
        assert supervisor.start_soon(forever).name == "forever"
        await supervisor.stop()


async def test_a_failing_temporary_child_disturbs_nobody(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """K1: not its siblings, not the body, not the budget of restarts."""
    task, other = puppets(["task", "other"])
    async with supervised(recorder, other.spec(), intensity=RestartIntensity(0, 5)) as supervisor:
        await supervisor.start(task.run, name="task", restart="temporary")
        task.crash()
        await quiet()
        assert (states(supervisor), other.attempts) == ({"other": "running"}, 1)


async def test_a_transient_function_that_always_crashes_runs_once_more_than_it_may_be_restarted(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """K7: with 3 restarts it runs 4 times; then the supervisor gives up."""
    runs = 0

    async def task() -> None:
        nonlocal runs
        runs += 1
        raise Crash

    with pytest.raises(RestartLimitExceeded):
        async with open_supervisor(intensity=RestartIntensity(3, 5)) as supervisor:
            supervisor.start_soon(task, restart="transient")
            await trio.sleep_forever()
    assert runs == 4
