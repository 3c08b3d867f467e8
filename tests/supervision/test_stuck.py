"""Children that ignore their cancellation: reported, with their stack, and waited for."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from trio_instances import ChildSpec, open_supervisor, telemetry, until_stopped

from .conftest import Puppet, Recorder, quiet, supervised


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
