"""The part of a child that a stop request ends softly."""

from __future__ import annotations

import math

import pytest
import trio
from trio.testing import MockClock

from trio_instances import ChildSpec, open_supervisor, telemetry, until_stopped

from .conftest import Recorder, quiet, states, supervised


async def test_it_is_for_supervised_children_only() -> None:
    """Outside of any child there is nobody who could ask."""
    with pytest.raises(RuntimeError, match="this is none"), until_stopped():
        pass


async def test_a_stop_request_ends_it_without_an_error(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """What follows the block runs, uncancelled, and the child returns as if by itself."""
    log: list[str] = []

    async def child() -> None:
        with until_stopped():
            await trio.sleep_forever()
        log.append("draining")
        await trio.sleep(1)
        log.append("drained")

    async with supervised(recorder, ChildSpec("a", child)) as supervisor:
        await quiet()
        await supervisor.terminate_child("a")
        assert (log, states(supervisor)) == (["draining", "drained"], {"a": "stopped"})
    (stopped,) = recorder.of(telemetry.ChildStopped)
    assert not stopped.forced


async def test_a_child_that_is_asked_outside_of_it_is_cancelled_at_once(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """T4, K6: only the marked part is soft."""
    log: list[str] = []

    async def child() -> None:
        with until_stopped():
            await trio.sleep(1)
        log.append("left")
        await trio.sleep(10)
        log.append("never")

    async with supervised(recorder, ChildSpec("a", child)) as supervisor:
        await trio.sleep(2)
        began = trio.current_time()
        await supervisor.terminate_child("a")
        assert (log, trio.current_time() - began) == (["left"], 0.0)


async def test_it_may_be_nested_in_helper_functions(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """The outermost block decides: all that is inside it is cancelled, and what follows it runs."""
    log: list[str] = []

    async def inner() -> None:
        with until_stopped():
            await trio.sleep_forever()
        log.append("never: this is inside the outer block")

    async def child() -> None:
        with until_stopped():
            await inner()
        await trio.sleep(1)
        log.append("drained")

    async with supervised(recorder, ChildSpec("a", child)):
        await quiet()
    assert log == ["drained"]


async def test_it_may_be_used_again_and_again(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """A worker marks each wait for the next job, and is never stopped within one."""
    jobs = []

    async def worker() -> None:
        for job in range(100):
            with until_stopped() as _:
                await trio.sleep(1)
            await trio.sleep(0.5)
            jobs.append(job)

    async with supervised(recorder, ChildSpec("a", worker, shutdown=1.0)) as supervisor:
        await trio.sleep(1.5 * 3 + 0.7)  # it waits for the fourth job
        await supervisor.terminate_child("a")
    # Asked during the wait: the block is left, what follows runs, and the next block ends at once.
    assert jobs[:4] == [0, 1, 2, 3]


async def test_entered_after_the_request_it_ends_at_its_first_checkpoint(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """A child that is finishing cannot begin to wait again."""
    log: list[str] = []

    async def child() -> None:
        with until_stopped():
            await trio.sleep_forever()
        with until_stopped():
            log.append("entered")
            await trio.sleep_forever()
        log.append("left")

    async with supervised(recorder, ChildSpec("a", child)) as supervisor:
        await quiet()
        began = trio.current_time()
        await supervisor.stop()
        assert (log, trio.current_time() - began) == (["entered", "left"], 0.0)


async def test_a_task_of_the_child_may_use_it(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """The tasks that a child starts belong to it: the request reaches each of their blocks."""
    drained: list[str] = []

    async def part(name: str) -> None:
        with until_stopped():
            await trio.sleep_forever()
        await trio.sleep(1)
        drained.append(name)

    async def child() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(part, "x")
            nursery.start_soon(part, "y")

    async with supervised(recorder, ChildSpec("a", child)):
        await quiet()
    assert sorted(drained) == ["x", "y"]


async def test_cancellation_from_elsewhere_passes_through(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """It answers to the stop request alone."""

    async def child() -> None:
        with trio.move_on_after(1) as scope:
            with until_stopped():
                await trio.sleep_forever()
            raise AssertionError("the block was left though nobody asked")
        assert scope.cancelled_caught

    async with supervised(recorder) as supervisor:
        supervisor.start_soon(child, name="a", restart="transient")
        await trio.sleep(2)
        assert recorder.take() == ["started a#1", "returned a#1"]


async def test_each_incarnation_is_asked_for_itself(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """The request to one run is not remembered by the next."""
    drained = 0

    async def child() -> None:
        nonlocal drained
        with until_stopped():
            await trio.sleep_forever()
        await trio.sleep(1)
        drained += 1

    async with supervised(recorder, ChildSpec("a", child)) as supervisor:
        for _ in range(3):
            await quiet()
            await supervisor.terminate_child("a")
            await supervisor.restart_child("a")
            await trio.sleep(10)
            assert states(supervisor) == {"a": "running"}
    assert drained == 4


async def test_a_start_may_be_soft_too(autojump_clock: MockClock, recorder: Recorder) -> None:
    """A child that is asked while it starts, inside the block, has its budget as well."""
    undone: list[bool] = []

    async def child(*, task_status: trio.TaskStatus[None]) -> None:
        with until_stopped():
            await trio.sleep_forever()
        await trio.sleep(2)
        undone.append(True)

    async with supervised(recorder) as supervisor:
        supervisor.start_soon(child)
        await quiet()
        await supervisor.terminate_child("child")
    assert undone == [True]


async def test_nested_supervisors_pass_the_request_down(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """T14: a subtree is asked child by child, and its budget is not cut short by its parent's."""
    drained: list[str] = []

    async def leaf(name: str) -> None:
        with until_stopped():
            await trio.sleep_forever()
        await trio.sleep(4)
        drained.append(name)

    async def subtree() -> None:
        async with open_supervisor() as inner:
            for name in "xyz":
                inner.start_soon(leaf, name, name=name)
            await trio.sleep_forever()

    async with supervised(recorder, ChildSpec("tree", subtree, shutdown=1.0)) as supervisor:
        await quiet()
        await supervisor.stop()
    assert drained == ["z", "y", "x"]


async def test_a_supervisor_inside_a_soft_block_is_not_cut_short_either(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """T14: when the budget of the child around it is over, its stop goes on to the end."""
    drained: list[str] = []

    async def leaf(name: str) -> None:
        with until_stopped():
            await trio.sleep_forever()
        await trio.sleep(4)
        drained.append(name)

    async def subtree() -> None:
        with until_stopped():
            async with open_supervisor() as inner:
                for name in "xyz":
                    inner.start_soon(leaf, name, name=name)
                await trio.sleep_forever()
        drained.append("never: the child's own time is over")

    async with supervised(recorder, ChildSpec("tree", subtree, shutdown=1.0)) as supervisor:
        await quiet()
        await supervisor.stop()
    assert drained == ["z", "y", "x"]


@pytest.mark.parametrize("shutdown", [5.0, math.inf])
async def test_it_is_passed_on_by_a_supervisor_around_it(
    autojump_clock: MockClock, recorder: Recorder, shutdown: float
) -> None:
    """The block of a supervisor that is left softly stops its children, and does not wait for them.

    They would otherwise be asked only when the budget of the child around them is over, or never.
    """
    log: list[str] = []

    async def leaf(name: str) -> None:
        with until_stopped():
            await trio.sleep_forever()
        log.append(f"{name} asked at {trio.current_time():g}")

    async def app() -> None:
        async with open_supervisor() as inner:
            await inner.start(leaf, "a")
            await inner.start(leaf, "b")
            with until_stopped():
                await trio.sleep_forever()
            log.append("app asked")

    async with supervised(recorder, ChildSpec("app", app, shutdown=shutdown)) as supervisor:
        await trio.sleep(1)
        await supervisor.stop()
    assert log == ["app asked", "b asked at 1", "a asked at 1"]


async def test_a_supervisor_opened_after_the_request_waits_for_its_children(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """What a child still does in order to end well is its own, within its budget."""
    log: list[str] = []

    async def goodbye() -> None:
        await trio.sleep(2)
        log.append("said goodbye")

    async def app() -> None:
        with until_stopped():
            await trio.sleep_forever()
        async with open_supervisor() as inner:
            await inner.start(goodbye, restart="temporary")

    async with supervised(recorder, ChildSpec("app", app)) as supervisor:
        await quiet()
        await supervisor.stop()
    assert log == ["said goodbye"]
