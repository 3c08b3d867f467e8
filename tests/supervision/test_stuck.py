"""Children that ignore their cancellation: reported, with their stack, and waited for."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from trio_instances import ChildSpec, open_supervisor, telemetry, until_stopped

from .conftest import Crash, Puppet, Recorder, quiet, states, supervised


async def test_a_child_that_ignores_cancellation_is_reported_and_waited_for(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """Law 4: path, seconds and stack, at growing intervals; the stop goes on when it has ended."""

    async def stuck_here() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(100)

    a = Puppet("a")
    async with supervised(recorder, a.spec(), ChildSpec("b", stuck_here)) as supervisor:
        await quiet()
        await supervisor.stop()
    reports = recorder.of(telemetry.ChildStuck)
    assert [report.elapsed for report in reports] == pytest.approx([5.0, 10.0, 20.0, 40.0, 80.0])
    assert {report.path for report in reports} == {"supervisor/b"}
    assert reports[0].stack[-1].endswith("stuck_here: await trio.sleep(100)")
    assert recorder.take()[-2:] == ["stop a#1", "stopped a#1"]


async def test_a_soft_stop_is_stuck_only_after_its_budget(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """The seconds that a child was given are its own; the report counts from being asked."""

    async def soft_and_stuck() -> None:
        with until_stopped():
            await trio.sleep_forever()
        with trio.CancelScope(shield=True):
            await trio.sleep(19)

    async with supervised(recorder, ChildSpec("a", soft_and_stuck, shutdown=10.0)) as supervisor:
        await quiet()
        await supervisor.stop()
    assert [report.elapsed for report in recorder.of(telemetry.ChildStuck)] == pytest.approx([15.0])


async def test_terminate_child_reports_a_stuck_child_too(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """Whoever waits for a stop, the explanation is the same."""
    async with supervised(recorder, Puppet("a", cleanup=7.0).spec()) as supervisor:
        await supervisor.terminate_child("a")
    assert [report.elapsed for report in recorder.of(telemetry.ChildStuck)] == pytest.approx([5.0])


async def test_waiting_for_a_slow_subtree_is_no_busy_loop(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """A supervisor within a child takes the time that its children take, and is not stuck."""

    async def subtree() -> None:
        async with open_supervisor(events=recorder.bus) as inner:
            for name in "xyz":
                inner.start_soon(Puppet(name, cleanup=4.0).run, name=name)
            await trio.sleep_forever()

    class Wakeups(trio.abc.Instrument):
        count = 0

        def before_io_wait(self, timeout: float) -> None:
            self.count += 1

    wakeups = Wakeups()
    async with supervised(recorder, ChildSpec("tree", subtree)) as supervisor:
        await quiet()
        trio.lowlevel.add_instrument(wakeups)
        await supervisor.stop()
        trio.lowlevel.remove_instrument(wakeups)
    assert recorder.of(telemetry.ChildStuck) == []
    assert wakeups.count < 200


async def test_a_child_is_stuck_by_its_own_time_however_long_the_one_before_took(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """Stopped in turn: one uses up a long budget; the next is reported 5 s after it is asked."""

    async def soft_and_slow() -> None:
        with until_stopped():
            await trio.sleep_forever()
        await trio.sleep(50)

    async def stuck_here() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(57)

    first = ChildSpec("first", stuck_here)
    second = ChildSpec("second", soft_and_slow, shutdown=60.0)
    async with supervised(recorder, first, second) as supervisor:
        began_at = trio.current_time()
        await supervisor.stop()

    stuck = [(event.child, event.at - began_at) for event in recorder.of(telemetry.ChildStuck)]
    assert stuck == [("first", 55.0)]


async def test_a_member_that_is_stuck_while_its_group_is_restarted_is_reported_and_waited_for(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """A round stops its members as the end does; those before it are asked when it has ended."""
    a, slow = Puppet("a"), Puppet("slow", cleanup=16.0)
    crashing = Puppet("crashing")
    specs = a.spec(), slow.spec(), crashing.spec()
    async with supervised(recorder, *specs, strategy="one_for_all") as supervisor:
        began_at = trio.current_time()
        crashing.crash()
        await trio.sleep(20)
        stuck = [(event.child, event.at - began_at) for event in recorder.of(telemetry.ChildStuck)]
        assert stuck == [("slow", 5.0), ("slow", 10.0)]
        stopped = [event.child for event in recorder.of(telemetry.ChildStopped)]
        assert stopped == ["slow", "a"]
        assert set(states(supervisor).values()) == {"running"}


async def test_the_end_takes_over_from_a_round_that_waits_for_a_stuck_member(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """Whichever asked it to stop, each is asked once, in order, and the round starts nothing."""
    a, slow, crashing = Puppet("a"), Puppet("slow", cleanup=16.0), Puppet("crashing")
    specs = a.spec(), slow.spec(), crashing.spec()
    async with supervised(recorder, *specs, strategy="one_for_all") as supervisor:
        crashing.crash()
        await trio.sleep(3)
        recorder.take()
        await supervisor.stop()
    assert recorder.take() == ["stopped slow#1", "stop a#1", "stopped a#1"]


async def test_a_child_in_its_second_run_stops_as_in_its_first(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """One scope serves both runs; a stop in the second is soft, bounded, and no third follows."""
    runs = []

    async def crashes_once() -> None:
        runs.append(trio.current_time())
        if len(runs) == 1:
            raise Crash
        with until_stopped():
            await trio.sleep_forever()
        await trio.sleep(50)

    async with supervised(recorder, ChildSpec("a", crashes_once, shutdown=3.0)) as supervisor:
        await trio.sleep(1)
        report = await supervisor.stop()

    assert len(runs) == 2
    assert (report.stopped, report.forced, report.seconds) == (1, 1, 3.0)


async def test_a_child_that_crashes_while_its_restart_is_cancelled_is_not_run_again(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """Asked to stop in its second run, it raises in its cleanup; that is no reason for a third."""
    runs = []

    async def crashes_in_cleanup() -> None:
        runs.append(1)
        if len(runs) == 1:
            raise Crash
        try:
            await trio.sleep_forever()
        finally:
            raise Crash

    async with supervised(recorder, ChildSpec("a", crashes_in_cleanup)) as supervisor:
        await trio.sleep(1)
        report = await supervisor.stop()

    assert len(runs) == 2
    assert report.failed == 1


async def test_a_body_that_ignores_cancellation_around_a_supervisor_is_stuck_too(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """Until the supervisor within begins to stop there is nobody else who could report it."""

    async def app() -> None:
        async with open_supervisor() as inner:
            inner.start_soon(trio.sleep_forever, name="leaf")
            with trio.CancelScope(shield=True):
                await trio.sleep(30)

    async with supervised(recorder, ChildSpec("app", app)) as supervisor:
        await quiet()
        report = await supervisor.stop()
    stuck = recorder.of(telemetry.ChildStuck)
    assert [(each.path, each.elapsed) for each in stuck] == [
        ("supervisor/app", pytest.approx(5.0)),
        ("supervisor/app", pytest.approx(10.0)),
        ("supervisor/app", pytest.approx(20.0)),
    ]
    assert report.stuck == 1


@pytest.mark.parametrize(("own", "told"), [(0.0, []), (4.9, []), (5.1, [10.0])])
async def test_a_child_whose_supervisor_has_just_stopped_is_not_stuck(
    autojump_clock: MockClock, recorder: Recorder, own: float, told: list[float]
) -> None:
    """Its own time begins when that of the children within is over, also at that very moment."""

    async def app() -> None:
        async with open_supervisor() as inner:
            inner.start_soon(Puppet("leaf", cleanup=4.0).run, name="leaf")
            inner.start_soon(Puppet("late", cleanup=1.0).run, name="late")
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await inner.stop()
                    await trio.sleep(own)

    async with supervised(recorder, ChildSpec("app", app)) as supervisor:
        await quiet()
        await supervisor.stop()
    stuck = recorder.of(telemetry.ChildStuck)
    assert [each.elapsed for each in stuck] == [pytest.approx(each) for each in told]
