"""What comes out of a supervisor's block: what the body, the supervisor and others have to say."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    RestartIntensity,
    RestartLimitExceeded,
    current_child_path,
    open_supervisor,
    telemetry,
    until_stopped,
)

from .conftest import Crash, Recorder, forever


class BodyFailed(Exception):
    """What the body raises."""


@pytest.mark.filterwarnings("ignore::trio.TrioDeprecationWarning")
@pytest.mark.parametrize(
    "failure", [BodyFailed(), ExceptionGroup("several", [BodyFailed()])], ids=["one", "a group"]
)
def test_the_body_s_failure_comes_out_as_it_was_whatever_groups_the_program_has_chosen(
    failure: Exception,
) -> None:
    """The very exception, or the very group, also where Trio is not to make strict groups."""
    for strict in (True, False):

        async def main() -> None:
            async with open_supervisor() as supervisor:
                await supervisor.start(forever)
                raise failure

        with pytest.raises((BodyFailed, ExceptionGroup)) as caught:
            trio.run(main, strict_exception_groups=strict)
        assert caught.value is failure


async def test_a_scope_that_the_body_leaves_open_is_complained_of_when_the_children_have_stopped(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """Trio's own complaint; the order of the stop is what it always is."""
    with pytest.raises(RuntimeError, match="Cancel scope stack corrupted") as caught:
        async with open_supervisor(events=recorder.bus) as supervisor:
            await supervisor.start(forever, name="a")
            await supervisor.start(forever, name="b")
            trio.CancelScope().__enter__()
            raise BodyFailed
    assert isinstance(caught.value.__context__, BodyFailed)
    assert [event.child for event in recorder.of(telemetry.ChildStopped)] == ["b", "a"]


async def test_what_the_body_waits_for_is_cancelled_when_the_supervisor_ends_by_itself(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """The body's tasks end with it; a child that stops softly has its time all the same."""
    tidied = False

    async def soft(*, task_status: trio.TaskStatus[None]) -> None:
        nonlocal tidied
        with until_stopped():
            task_status.started()
            await trio.sleep_forever()
        await trio.sleep(3)
        tidied = True

    async def crashing() -> None:
        await trio.sleep(1)
        raise Crash

    with pytest.raises(RestartLimitExceeded):
        async with open_supervisor(
            intensity=RestartIntensity(max_restarts=0), events=recorder.bus
        ) as supervisor:
            await supervisor.start(soft, name="soft")
            await supervisor.start(crashing, name="crashing")
            async with trio.open_nursery() as beside:
                beside.start_soon(trio.sleep_forever)
    assert tidied


async def test_who_is_told_of_a_stop_is_not_in_the_child_that_ended_before_it(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """The end of each asks the next, and is not what its request is about."""
    where: list[tuple[str, str | None]] = []

    def listen(event: telemetry.Event) -> None:
        if isinstance(event, telemetry.ChildStopping):
            where.append((event.child, current_child_path()))

    recorder.bus.listen(listen)
    async with open_supervisor(events=recorder.bus) as supervisor:
        for name in "abc":
            await supervisor.start(forever, name=name)
        await supervisor.stop()
    assert where == [("c", None), ("b", None), ("a", None)]


async def test_a_body_that_was_cancelled_in_a_nursery_gives_way_as_any_other(
    autojump_clock: MockClock,
) -> None:
    """What led to the stop comes out bare, and not in a group with what that has cancelled."""

    async def crashing() -> None:
        await trio.sleep(1)
        raise Crash

    with trio.CancelScope() as whole, pytest.raises(RestartLimitExceeded):
        async with open_supervisor(intensity=RestartIntensity(max_restarts=0)) as supervisor:
            await supervisor.start(crashing)
            with trio.CancelScope(shield=True):
                await trio.sleep(2)
            whole.cancel()
            async with trio.open_nursery() as beside:
                beside.start_soon(trio.sleep_forever)
