"""Whose steps the event loop's time goes to; the clock is scripted, the steps are real."""

from __future__ import annotations

from typing import Any, Self

import pytest
import trio

from trio_instances import ChildSpec, open_runtime, open_supervisor
from trio_instances._supervision.loop_meter import LoopMeter

from ..instance.scripted import ScriptedChannel
from ..runtime.instances import spec_of


class Hands:
    """A clock whose hands a test moves, from within a step."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def spend(self, seconds: float) -> None:
        """Let a step take so long."""
        self.now += seconds


class Meter:
    """A meter at work, and what it has told."""

    def __init__(self, *, threshold: float = 1.0, window: float = 1000.0) -> None:
        self.hands = Hands()
        self.told: list[tuple[str, str | None, float]] = []
        self.meter = LoopMeter(
            threshold=threshold, window=window, stalled=self._stalled, clock=self.hands
        )

    def _stalled(self, task: trio.lowlevel.Task, record: Any, _: float, seconds: float) -> None:
        self.told.append((task.name, None if record is None else record.path, seconds))

    def __enter__(self) -> Self:
        trio.lowlevel.add_instrument(self.meter)
        return self

    def __exit__(self, *_: object) -> None:
        trio.lowlevel.remove_instrument(self.meter)


def busy(hands: Hands, *seconds: float) -> Any:
    """Return a child that has steps of these seconds."""

    async def child() -> None:
        for each in seconds:
            hands.spend(each)
            await trio.lowlevel.checkpoint()

    return child


async def test_a_step_counts_for_the_instance_that_the_task_belongs_to() -> None:
    """Its own children, those of its connection, and any task that these have started."""
    with Meter() as meter:
        channel = ScriptedChannel()

        async def with_nursery() -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(busy(meter.hands, 0.25))

        channel.give_own = lambda _: [
            ChildSpec("own", busy(meter.hands, 0.25, 0.25), restart="temporary"),
            ChildSpec("nursery", with_nursery, restart="temporary"),
        ]
        channel.give_children = lambda *_: [
            ChildSpec("child", busy(meter.hands, 0.25), restart="temporary")
        ]
        async with open_runtime() as runtime:
            await runtime.start_instance(spec_of("a", channel))
            await runtime.start_instance(spec_of("b"))
            await trio.testing.wait_all_tasks_blocked()
            meter.hands.spend(3.0)  # by the test itself, which is of no instance
            await trio.lowlevel.checkpoint()

            shares = meter.meter.shares()

    assert shares.seconds == 4.0
    assert shares.by_instance == {"a": 0.25, "b": 0.0}
    assert shares.other == 0.75
    assert shares.busy == 1.0


async def test_the_largest_share_comes_first() -> None:
    """It is what people look for."""
    with Meter() as meter:
        async with open_runtime() as runtime:
            for name, seconds in [("a", 0.1), ("b", 0.5), ("c", 0.2)]:
                channel = ScriptedChannel()
                child = ChildSpec("own", busy(meter.hands, seconds), restart="temporary")
                channel.give_own = lambda _, child=child: [child]  # type: ignore[misc]  # mypy infers no lambda with a default
                await runtime.start_instance(spec_of(name, channel))
            await trio.testing.wait_all_tasks_blocked()

    assert list(meter.meter.shares().by_instance) == ["b", "c", "a"]


async def test_waiting_is_nobodys_time() -> None:
    """What passes while the loop waits for input counts as time, and not as a step."""
    with Meter(window=10.0) as meter:
        meter.meter.before_task_step(trio.lowlevel.current_task())
        meter.meter.before_io_wait(1.0)
        meter.hands.spend(20.0)
        meter.meter.before_task_step(trio.lowlevel.current_task())
        meter.hands.spend(5.0)
        meter.meter.before_io_wait(1.0)

    shares = meter.meter.shares()
    assert shares.seconds == 25.0
    assert shares.busy == 0.2


async def test_a_window_is_forgotten_when_the_next_one_is_full() -> None:
    """An instance that is gone goes out of the shares; memory is bounded."""
    with Meter(window=10.0) as meter:
        async with open_supervisor() as supervisor:
            supervisor.start_soon(busy(meter.hands, 5.0, 6.0), name="x", restart="temporary")
        await trio.sleep(0.001)
        first = meter.meter.shares()
        for _ in range(2):
            meter.hands.spend(10.0)
            await trio.sleep(0.001)
        second = meter.meter.shares()

    assert (first.seconds, first.busy) == (11.0, 1.0)
    assert first.by_instance == {}  # the child of a supervisor alone is of no instance
    assert second.seconds == 10.0


def test_no_time_has_no_shares() -> None:
    """Asked at the moment at which it begins, it divides nothing by nothing."""
    shares = Meter().meter.shares()

    assert (shares.seconds, shares.busy, shares.by_instance) == (0.0, 0.0, {})


async def test_a_step_that_took_too_long_is_told_with_its_child_and_task() -> None:
    """Exactly the threshold is too long."""
    with Meter(threshold=1.0) as meter:
        async with open_supervisor(name="root") as supervisor:
            supervisor.start_soon(busy(meter.hands, 0.5, 1.0, 2.5), name="x", restart="temporary")
        meter.hands.spend(1.5)
        await trio.lowlevel.checkpoint()

    name = trio.lowlevel.current_task().name
    assert meter.told == [("root/x", "root/x", 1.0), ("root/x", "root/x", 2.5), (name, None, 1.5)]


async def test_the_name_of_a_task_within_a_child_is_told_beside_the_childs_path() -> None:
    """Somebody who has many tasks wants to know which."""
    with Meter(threshold=1.0) as meter:

        async def child() -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(busy(meter.hands, 2.0), name="inner")

        async with open_supervisor(name="root") as supervisor:
            supervisor.start_soon(child, name="x", restart="temporary")

    assert meter.told == [("inner", "root/x", 2.0)]


@pytest.mark.parametrize("times", [1, 3])
async def test_every_incarnation_counts_alike(times: int) -> None:
    """A restart changes the task's context, and not to whom it belongs."""
    with Meter() as meter:
        channel = ScriptedChannel()
        left = times

        async def child() -> None:
            nonlocal left
            meter.hands.spend(0.5)
            await trio.lowlevel.checkpoint()
            left -= 1
            if left:
                raise RuntimeError
            await trio.sleep_forever()

        channel.give_own = lambda _: [ChildSpec("own", child)]
        async with open_runtime() as runtime:
            await runtime.start_instance(spec_of("a", channel))
            await trio.testing.wait_all_tasks_blocked()

    assert meter.meter.shares().by_instance == {"a": 1.0}
