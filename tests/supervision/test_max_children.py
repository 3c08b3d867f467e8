"""A limit for the number of children that are up."""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    Backoff,
    ChildStartFailed,
    InvalidSpec,
    MaxChildrenReached,
    open_supervisor,
)

from .conftest import Puppet, Recorder, forever, puppets, quiet, states, supervised


async def test_a_supervisor_refuses_one_child_more_than_allowed(autojump_clock: MockClock) -> None:
    """D12, K5: however it is asked to start it; the one that is refused leaves nothing behind."""
    more = Puppet("more")
    async with open_supervisor(max_children=2) as supervisor:
        supervisor.start_soon(forever, name="a")
        await supervisor.start(forever, name="b")
        with pytest.raises(MaxChildrenReached, match="'supervisor' has reached max_children=2"):
            supervisor.start_soon(more.run)
        with pytest.raises(MaxChildrenReached):
            await supervisor.start(more.run)
        with pytest.raises(MaxChildrenReached):
            await supervisor.start_child(more.spec())
        with pytest.raises(MaxChildrenReached):
            await supervisor.start_children([more.spec()])
        assert (more.attempts, [*states(supervisor)]) == (0, ["a", "b"])
        await supervisor.stop()


async def test_a_limit_of_zero_refuses_all(autojump_clock: MockClock) -> None:
    """D12: none at all, and the block ends at once."""
    async with open_supervisor(max_children=0) as supervisor:
        with pytest.raises(MaxChildrenReached):
            supervisor.start_soon(forever)


async def test_a_child_between_two_restarts_keeps_its_place(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """D12: or the restart would come to one child too many."""
    a = Puppet("a")
    late = Backoff(initial=10.0, cap=10.0, jitter="none")
    async with supervised(recorder, a.spec(backoff=late), max_children=1) as supervisor:
        a.crash()
        await quiet()
        assert states(supervisor) == {"a": "restarting"}
        with pytest.raises(MaxChildrenReached):
            supervisor.start_soon(forever)
        await supervisor.terminate_child("a")
        supervisor.start_soon(forever)


async def test_a_child_that_stops_keeps_its_place_until_it_has_ended(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """The limit is for what runs, and what is being stopped still runs."""
    a = Puppet("a", cleanup=3.0)
    async with supervised(recorder, a.spec(), max_children=1) as supervisor:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(supervisor.terminate_child, "a")
            await trio.sleep(2.9)
            with pytest.raises(MaxChildrenReached):
                supervisor.start_soon(forever)
        supervisor.start_soon(forever)


@pytest.mark.parametrize("start", ["error", "decline"])
async def test_a_start_that_comes_to_nothing_takes_no_place(
    autojump_clock: MockClock, start: str, recorder: Recorder
) -> None:
    """D12: neither a failed start nor one that had nothing to do."""
    nothing = Puppet("nothing", [start])
    async with supervised(recorder, max_children=1) as supervisor:
        with suppress(ChildStartFailed):
            await supervisor.start_child(nothing.spec())
        assert nothing.attempts == 1
        await supervisor.start(forever)


async def test_a_child_that_is_down_takes_no_place_and_needs_one_to_come_back(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """What is terminated, or parked, makes room; to restart it there must be room again."""
    a, b = puppets("ab")
    async with supervised(recorder, a.spec(), max_children=1) as supervisor:
        await supervisor.terminate_child("a")
        await supervisor.start_child(b.spec())
        with pytest.raises(MaxChildrenReached):
            await supervisor.restart_child("a")
        assert states(supervisor) == {"a": "stopped", "b": "running"}
        await supervisor.terminate_child("b")
        await supervisor.restart_child("a")


async def test_restarts_are_not_limited_by_the_number_of_children(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """D12: a child that crashes comes back, and so does its whole group."""
    a, b = puppets("ab")
    async with supervised(
        recorder, a.spec(), b.spec(), strategy="one_for_all", max_children=2
    ) as supervisor:
        a.crash()
        await quiet()
        assert states(supervisor) == {"a": "running", "b": "running"}
        assert [a.attempts, b.attempts] == [2, 2]


@pytest.mark.parametrize("limit", [-1, 1.5, "2", True])
async def test_a_limit_must_be_a_whole_number(autojump_clock: MockClock, limit: object) -> None:
    """A wrong limit is refused when the supervisor is opened."""
    with pytest.raises(InvalidSpec, match="max_children: must be a whole number of at least 0"):
        async with open_supervisor(max_children=limit):  # type: ignore[arg-type]  # the point
            pass
