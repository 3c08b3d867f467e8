"""What a stop was like, for the one who asks why it took so long."""

from __future__ import annotations

from functools import partial

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from trio_instances import (
    Cause,
    ChildSpec,
    ChildStop,
    FailureClass,
    open_supervisor,
    supervise,
    until_stopped,
)
from trio_instances._supervision.stop_report import MAX_NOTABLE, StopLog

from .conftest import Crash, Puppet, Recorder, puppets, quiet, supervised


async def drains(seconds: float) -> None:
    """Be a child whose soft stop takes some time."""
    with until_stopped():
        await trio.sleep_forever()
    await trio.sleep(seconds)


async def fails_to_clean_up() -> None:
    """Be a child that raises while it is being stopped."""
    try:
        await trio.sleep_forever()
    finally:
        raise Crash("in its cleanup")


async def test_the_slow_stop_itself_tells_who_was_slow(autojump_clock: MockClock) -> None:
    """``stop()`` returns how long each took, and which were forced, stuck, or failed."""
    stubborn = Puppet("stubborn", cleanup=7.0)
    async with open_supervisor() as supervisor:
        supervisor.start_soon(drains, 1.0, name="good", shutdown=10.0)
        supervisor.start_soon(drains, 60.0, name="late", shutdown=2.0)
        supervisor.start_soon(fails_to_clean_up, name="broken")
        await supervisor.start_child(stubborn.spec())
        await quiet()
        report = await supervisor.stop()
    assert (report.seconds, report.stopped) == (10.0, 4)
    assert (report.forced, report.stuck, report.failed) == (1, 1, 1)
    names = [stop.path.removeprefix("supervisor/") for stop in report.notable]
    assert names == ["stubborn", "late", "broken", "good"]
    assert [stop.seconds for stop in report.notable] == [7.0, 2.0, 0.0, 1.0]
    assert str(report) == (
        "stopped 4 children in 10.0 s, 1 forced, 1 stuck, 1 failed: "
        "supervisor/stubborn 7.0 s (stuck); supervisor/late 2.0 s (forced); "
        "supervisor/broken 0.0 s (unexpected (recoverable): Crash: in its cleanup)"
    )


async def test_one_child_is_spoken_of_as_one(autojump_clock: MockClock) -> None:
    """For people."""
    async with open_supervisor() as supervisor:
        supervisor.start_soon(trio.sleep_forever, name="only")
        await quiet()
        report = await supervisor.stop()
    assert str(report) == "stopped 1 child in 0.0 s: supervisor/only 0.0 s"


async def test_whoever_did_not_wait_finds_the_report_later(autojump_clock: MockClock) -> None:
    """It is None until the last child has ended, and stays when the block has been left."""
    slow = Puppet("slow", cleanup=3.0)
    with trio.move_on_after(1.0):
        async with open_supervisor() as supervisor:
            await supervisor.start_child(slow.spec())
            assert supervisor.stop_report is None
            with trio.move_on_after(0.0):
                await supervisor.stop()
            assert supervisor.stop_report is None
            await trio.sleep_forever()
    assert supervisor.stop_report is not None
    assert supervisor.stop_report.seconds == 3.0
    assert await supervisor.stop() is supervisor.stop_report


async def test_a_report_counts_what_the_stop_has_ended_and_nothing_else(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """Neither those that had ended before, nor those that were terminated by hand."""
    a, b, c = puppets("abc")
    async with supervised(recorder, a.spec(restart="transient"), b.spec(), c.spec()) as supervisor:
        a.finish()
        await quiet()
        await supervisor.terminate_child("b")
        report = await supervisor.stop()
    assert [stop.path for stop in report.notable] == ["supervisor/c"]
    assert report.stopped == 1


@pytest.mark.parametrize("order", ["reverse", "concurrent"])
async def test_a_report_tells_of_the_supervisors_within(
    autojump_clock: MockClock, order: str
) -> None:
    """The culprit is named by its full path, however deep it sits."""
    leaf = ChildSpec("leaf", drains, (4.0,), shutdown=10.0)
    inner = ChildSpec("inner", partial(supervise, [leaf]))
    async with open_supervisor(name="root", stop_order=order) as supervisor:
        await supervisor.start_child(ChildSpec("middle", partial(supervise, [inner])))
        await quiet()
        report = await supervisor.stop()
    assert report.stopped == 3
    assert {stop.path: stop.seconds for stop in report.notable} == {
        "root/middle": 4.0,
        "root/middle/inner": 4.0,
        "root/middle/inner/leaf": 4.0,
    }


FAILED = Cause(FailureClass.RECOVERABLE, "unexpected")

STOPS = st.lists(
    st.builds(
        ChildStop,
        path=st.uuids().map(str),
        seconds=st.floats(0.0, 1e6),
        forced=st.booleans(),
        stuck=st.booleans(),
        cause=st.sampled_from([None, None, FAILED]),
    ),
    max_size=3 * MAX_NOTABLE,
)


def _note(log: StopLog, stop: ChildStop) -> None:
    log.note(stop.path, stop.seconds, forced=stop.forced, stuck=stop.stuck, cause=stop.cause)


def _key(stop: ChildStop) -> tuple[bool, float]:
    return (stop.forced or stop.stuck or stop.cause is not None, stop.seconds)


@given(stops=STOPS)
def test_a_report_is_bounded_and_names_the_most_notable(stops: list[ChildStop]) -> None:
    """Those that were forced, stuck or failed come first, then the slowest; all are counted."""
    log = StopLog(0.0)
    for stop in stops:
        _note(log, stop)
    report = log.report(1.0)

    assert report.stopped == len(stops)
    assert report.failed == sum(stop.cause is not None for stop in stops)
    assert list(map(_key, report.notable)) == sorted(map(_key, stops), reverse=True)[:MAX_NOTABLE]


@given(groups=st.lists(STOPS, max_size=3))
def test_a_report_of_reports_is_that_of_all_their_children(groups: list[list[ChildStop]]) -> None:
    """A nested supervisor's stop adds what it would have added child by child."""
    whole, flat = StopLog(0.0), StopLog(0.0)
    for stops in groups:
        inner = StopLog(0.0)
        for stop in stops:
            _note(inner, stop)
            _note(flat, stop)
        whole.absorb(inner.report(1.0))
    one, other = whole.report(2.0), flat.report(2.0)

    assert list(map(_key, one.notable)) == list(map(_key, other.notable))
    assert (one.stopped, one.forced, one.stuck, one.failed) == (
        other.stopped, other.forced, other.stuck, other.failed
    )  # fmt: skip
