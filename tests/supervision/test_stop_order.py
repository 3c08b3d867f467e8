"""Stopping all children at once, for those who ask for it."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    Backoff,
    InvalidSpec,
    StopOrder,
    open_supervisor,
    telemetry,
    until_stopped,
)

from .conftest import Puppet, Recorder, forever, puppets, quiet, states, supervised


async def test_a_concurrent_stop_takes_as_long_as_the_slowest(autojump_clock: MockClock) -> None:
    """T9, T10: one budget, not the sum; in reverse order each child would take its own time."""
    for order, seconds in (("reverse", 6.0), ("concurrent", 3.0)):
        slow = [
            Puppet(name, cleanup=cleanup) for name, cleanup in zip("abc", (1, 3, 2), strict=True)
        ]
        async with open_supervisor(stop_order=order) as supervisor:
            await supervisor.start_children([each.spec() for each in slow])
            began_at = trio.current_time()
            await supervisor.stop()
            assert trio.current_time() - began_at == seconds


async def test_a_concurrent_stop_asks_the_last_started_first_and_all_before_any_has_ended(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """Twenty runs give one order of asking; the order of ending is the children's own."""
    for _ in range(20):
        a, b, c = puppets("abc")
        async with supervised(recorder, a.spec(), b.spec(), c.spec(), stop_order="concurrent"):
            pass
        lines = recorder.take()
        assert lines[:3] == ["stop c#1", "stop b#1", "stop a#1"]
        assert set(lines[3:]) == {"stopped a#1", "stopped b#1", "stopped c#1"}


@pytest.mark.parametrize("order", StopOrder)
async def test_leaving_by_a_cancellation_or_an_error_stops_in_the_order_that_was_asked_for(
    autojump_clock: MockClock, order: StopOrder
) -> None:
    """The order belongs to the supervisor, whatever leads to its end."""
    slow = [Puppet(name, cleanup=1.0) for name in "abc"]
    seconds = 1.0 if order is StopOrder.CONCURRENT else 3.0
    with trio.move_on_after(10.0):
        async with open_supervisor(stop_order=order) as supervisor:
            await supervisor.start_children([each.spec() for each in slow])
            await trio.sleep_forever()
    assert trio.current_time() == 10.0 + seconds

    with pytest.raises(ValueError, match="body"):
        async with open_supervisor(stop_order=order) as supervisor:
            await supervisor.start_children([each.spec() for each in slow])
            raise ValueError("body")
    assert trio.current_time() == 10.0 + 2 * seconds


async def test_each_child_of_a_concurrent_stop_has_its_own_budget(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """The soft stop of one is not cut short because that of another is over."""

    async def drains(seconds: float) -> None:
        with until_stopped():
            await trio.sleep_forever()
        await trio.sleep(seconds)

    async with open_supervisor(stop_order="concurrent", events=recorder.bus) as supervisor:
        supervisor.start_soon(drains, 8.0, name="patient", shutdown=10.0)
        supervisor.start_soon(drains, 8.0, name="hasty", shutdown=2.0)
        await quiet()
        await supervisor.stop()
    stopped = {event.child: event for event in recorder.of(telemetry.ChildStopped)}
    assert {name: (event.elapsed, event.forced) for name, event in stopped.items()} == {
        "patient": (8.0, False),
        "hasty": (2.0, True),
    }


async def test_a_concurrent_stop_calls_off_what_was_due(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """A child between two restarts is not restarted any more, and one that is down stays down."""
    a, b, c = puppets("abc")
    specs = [a.spec(backoff=Backoff(initial=10.0, cap=10.0)), b.spec(), c.spec(restart="transient")]
    async with supervised(recorder, *specs, stop_order="concurrent") as supervisor:
        a.crash()
        c.finish()
        await quiet()
        assert states(supervisor) == {"a": "restarting", "b": "running", "c": "stopped"}
        recorder.take()
        await supervisor.stop()
        assert recorder.take() == ["stop b#1", "stopped b#1"]
        assert states(supervisor) == {"a": "stopped", "b": "stopped", "c": "stopped"}
    assert trio.current_time() == 0.0


async def test_a_concurrent_stop_reports_every_stuck_child_on_time(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """Each that ignores its cancellation is told of after 5 s, 10 s, 20 s: none hides another."""
    stubborn = [Puppet("a", cleanup=8.0), Puppet("b"), Puppet("c", cleanup=30.0)]
    specs = [each.spec() for each in stubborn]
    async with supervised(recorder, *specs, stop_order="concurrent") as supervisor:
        began_at = trio.current_time()
        await supervisor.stop()
    stuck = [(event.child, event.at - began_at) for event in recorder.of(telemetry.ChildStuck)]
    assert sorted(stuck) == [("a", 5.0), ("c", 5.0), ("c", 10.0), ("c", 20.0)]


async def test_a_group_restart_stops_in_order_whatever_the_order_of_the_end(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """``stop_order`` is about the supervisor's own end: a group's members depend on each other."""
    a, b, c = Puppet("a"), Puppet("b", cleanup=1.0), Puppet("c", cleanup=1.0)
    async with supervised(
        recorder, a.spec(), b.spec(), c.spec(), strategy="one_for_all", stop_order="concurrent"
    ):
        a.crash()
        await trio.sleep(5)
        assert recorder.take()[1:5] == ["stop c#1", "stopped c#1", "stop b#1", "stopped b#1"]


async def test_an_order_that_nobody_knows_is_refused(autojump_clock: MockClock) -> None:
    """The error lists the words there are."""
    with pytest.raises(InvalidSpec, match="stop_order: must be one of 'reverse', 'concurrent'"):
        async with open_supervisor(stop_order="backwards") as supervisor:
            supervisor.start_soon(forever)
