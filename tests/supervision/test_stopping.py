"""The ordered, bounded, explained stop: the same, whatever leads to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    ChildSpec,
    RestartIntensity,
    RestartLimitExceeded,
    Supervisor,
    open_supervisor,
    telemetry,
    until_stopped,
)

from .conftest import Crash, Puppet, Recorder, forever, puppets, quiet, states, supervised


class BodyFailed(Exception):
    """What the body raises, or a task beside the supervisor."""


Ending = Callable[[Supervisor, trio.Nursery, list[Puppet]], Awaitable[None]]


async def by_stop(supervisor: Supervisor, nursery: trio.Nursery, children: list[Puppet]) -> None:
    """Call `stop`."""
    await supervisor.stop()


async def by_leaving(supervisor: Supervisor, nursery: trio.Nursery, children: list[Puppet]) -> None:
    """Leave the block, and have somebody else stop what it waits for."""

    async def later() -> None:
        await trio.sleep(10)
        await supervisor.stop()

    nursery.start_soon(later)


async def by_error(supervisor: Supervisor, nursery: trio.Nursery, children: list[Puppet]) -> None:
    """Raise in the body."""
    raise BodyFailed


async def by_outer_scope(
    supervisor: Supervisor, nursery: trio.Nursery, children: list[Puppet]
) -> None:
    """Cancel what is around the supervisor."""
    nursery.cancel_scope.cancel()
    await trio.sleep_forever()


async def by_outer_deadline(
    supervisor: Supervisor, nursery: trio.Nursery, children: list[Puppet]
) -> None:
    """Let a deadline around the supervisor pass."""
    nursery.cancel_scope.deadline = trio.current_time() + 3.0
    await trio.sleep_forever()


async def by_neighbour(
    supervisor: Supervisor, nursery: trio.Nursery, children: list[Puppet]
) -> None:
    """Let a task beside the supervisor fail."""

    async def neighbour() -> None:
        raise BodyFailed

    nursery.start_soon(neighbour)
    await trio.sleep_forever()


async def by_interrupt_in_the_body(
    supervisor: Supervisor, nursery: trio.Nursery, children: list[Puppet]
) -> None:
    """Raise what Ctrl-C raises, in the body."""
    raise KeyboardInterrupt


async def by_interrupt_in_a_child(
    supervisor: Supervisor, nursery: trio.Nursery, children: list[Puppet]
) -> None:
    """Raise what Ctrl-C raises, in a child."""
    children[-1].crash(KeyboardInterrupt())
    await trio.sleep_forever()


async def by_exit_in_a_child(
    supervisor: Supervisor, nursery: trio.Nursery, children: list[Puppet]
) -> None:
    """Raise `SystemExit` in a child."""
    children[-1].crash(SystemExit(3))
    await trio.sleep_forever()


async def by_escalation(
    supervisor: Supervisor, nursery: trio.Nursery, children: list[Puppet]
) -> None:
    """Let a child crash once too often."""
    children[-1].crash()
    await trio.sleep_forever()


OUTCOMES: dict[Ending, type[BaseException] | None] = {
    by_stop: None,
    by_leaving: None,
    by_error: BodyFailed,
    by_outer_scope: None,
    by_outer_deadline: None,
    by_neighbour: BodyFailed,
    by_interrupt_in_the_body: KeyboardInterrupt,
    by_interrupt_in_a_child: KeyboardInterrupt,
    by_exit_in_a_child: SystemExit,
    by_escalation: RestartLimitExceeded,
}
"""What each way of ending raises from the surrounding nursery, where it wraps it."""

ENDINGS = pytest.mark.parametrize("ending", OUTCOMES, ids=lambda ending: ending.__name__)
STRATEGIES = pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])


async def end_by(
    ending: Ending, recorder: Recorder, children: list[Puppet], strategy: str = "one_for_one"
) -> type[BaseException] | None:
    """Run a supervisor with some children, end it, and return what came out of its block."""
    came_out: type[BaseException] | None = None
    specs = [child.spec() for child in children]
    try:
        async with trio.open_nursery() as nursery:
            try:
                async with open_supervisor(
                    strategy=strategy, intensity=RestartIntensity(0, 5), events=recorder.bus
                ) as supervisor:
                    await supervisor.start_children(specs)
                    recorder.take()
                    await ending(supervisor, nursery, children)
            except BaseException as exc:
                came_out = type(exc)
                if isinstance(exc, trio.Cancelled):
                    raise
    except* BodyFailed:
        came_out = came_out or BodyFailed
    assert not any(child.alive for child in children)
    return came_out


@ENDINGS
@STRATEGIES
async def test_every_way_of_ending_leads_to_the_same_ordered_stop(
    autojump_clock: MockClock, strategy: str, ending: Ending, recorder: Recorder
) -> None:
    """T1, laws 3 and 4: reverse start order, each fully ended before the next is asked."""
    children = [Puppet(name, cleanup=1.0) for name in "abcdef"]
    await end_by(ending, recorder, children, strategy)

    asked = list("fedcba")
    lines = recorder.take()
    if not lines[0].startswith("stop"):  # the last child has ended by itself
        assert lines.pop(0) == "crashed f#1"
        asked.pop(0)
    assert lines == [f"{what} {name}#1" for name in asked for what in ("stop", "stopped")]


@ENDINGS
async def test_what_led_to_the_stop_comes_out_bare_after_it(
    autojump_clock: MockClock, ending: Ending, recorder: Recorder
) -> None:
    """T11, law 3: the cause goes on when the stop is complete, and not as a group of one."""
    expected = OUTCOMES[ending]
    if ending in (by_outer_scope, by_outer_deadline, by_neighbour):
        expected = trio.Cancelled

    assert await end_by(ending, recorder, puppets("abc")) is expected


@ENDINGS
async def test_twenty_stops_are_one_order(
    autojump_clock: MockClock, ending: Ending, recorder: Recorder
) -> None:
    """Trio runs ready tasks in an order of its own; the stop does not depend on it."""
    orders = set()
    for _ in range(20):
        await end_by(ending, recorder, puppets("abcdefgh"))
        orders.add(tuple(recorder.take()))

    assert len(orders) == 1


@ENDINGS
async def test_soft_stops_get_their_time_whatever_leads_to_the_stop(
    autojump_clock: MockClock, ending: Ending, recorder: Recorder
) -> None:
    """Law 4: a child inside `until_stopped` finishes within its budget, also under cancellation."""
    finished: list[str] = []

    async def soft(name: str) -> None:
        with until_stopped():
            await trio.sleep_forever()
        await trio.sleep(3)
        finished.append(name)

    async def begin(supervisor: Supervisor, nursery: trio.Nursery, children: list[Puppet]) -> None:
        for name in "xy":
            supervisor.start_soon(soft, name, name=name, shutdown=4.0)
        await quiet()
        await ending(supervisor, nursery, children)

    await end_by(begin, recorder, puppets("a"))

    assert finished == ["y", "x"]


async def test_a_thousand_children_are_down_at_once(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """Cancellation gets out promptly: without soft parts a stop takes no virtual time at all."""
    with trio.move_on_after(1) as scope:
        async with open_supervisor() as supervisor:
            for number in range(1000):
                supervisor.start_soon(forever, name=str(number))
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert trio.current_time() - scope.deadline < 0.001


@pytest.mark.parametrize(("shutdown", "took"), [(0.0, 0.0), (2.0, 2.0), (float("inf"), 50.0)])
async def test_the_budget_of_a_soft_stop(
    autojump_clock: MockClock, shutdown: float, took: float, recorder: Recorder
) -> None:
    """T2, T3, T5: so many seconds after being asked it is cancelled; infinity waits for ever."""

    async def soft() -> None:
        with until_stopped():
            await trio.sleep_forever()
        await trio.sleep(50)

    async with supervised(recorder, ChildSpec("a", soft, shutdown=shutdown)) as supervisor:
        await quiet()
        began = trio.current_time()
        await supervisor.stop()
        assert trio.current_time() - began == pytest.approx(took)
    (stopped,) = recorder.of(telemetry.ChildStopped)
    assert (stopped.elapsed, stopped.forced) == (pytest.approx(took), took < 50)


async def test_the_time_of_a_stop_is_the_sum_over_the_children(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """T3: one at a time means that budgets add up."""

    async def stubborn() -> None:
        with until_stopped():
            await trio.sleep_forever()
        await trio.sleep_forever()

    specs = [ChildSpec(name, stubborn, shutdown=2.0) for name in "abc"]
    async with supervised(recorder, *specs) as supervisor:
        await quiet()
        began = trio.current_time()
        await supervisor.stop()
        assert trio.current_time() - began == pytest.approx(6.0)


async def test_a_child_that_ends_in_time_is_not_waited_for_any_longer(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """T16: the budget is a limit; who is ready earlier ends the wait."""

    async def quick() -> None:
        with until_stopped():
            await trio.sleep_forever()
        await trio.sleep(0.5)

    async with supervised(recorder, ChildSpec("a", quick, shutdown=60.0)) as supervisor:
        await quiet()
        began = trio.current_time()
        await supervisor.stop()
        assert trio.current_time() - began == pytest.approx(0.5)


@pytest.mark.parametrize("soft", [False, True])
async def test_an_error_in_a_child_s_cleanup_is_told_and_stops_nothing(
    *, autojump_clock: MockClock, soft: bool, recorder: Recorder
) -> None:
    """T6: the stop is complete all the same, the block raises nothing, the error is an event."""

    async def broken() -> None:
        try:
            if soft:
                with until_stopped():
                    await trio.sleep_forever()
            else:
                await trio.sleep_forever()
        finally:
            raise Crash("while cleaning up")

    a = Puppet("a")
    async with supervised(recorder, a.spec(), ChildSpec("b", broken), Puppet("c").spec()):
        await quiet()
    stopped = recorder.of(telemetry.ChildStopped)
    assert [event.child for event in stopped] == ["c", "b", "a"]
    assert [event.cause and event.cause.detail for event in stopped] == [
        None, "while cleaning up", None,
    ]  # fmt: skip


async def test_an_error_in_cleanup_mixed_with_the_cancellation_is_told_alone(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """Law 6: of a group of `Cancelled` and an error, the error is left, and is no crash."""

    async def fails_in_cleanup() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise Crash("deep inside")

    async def mixed() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            nursery.start_soon(fails_in_cleanup)
            async with trio.open_nursery() as inner:
                inner.start_soon(fails_in_cleanup)

    async with supervised(recorder, ChildSpec("a", mixed)):
        await quiet()
    (stopped,) = recorder.of(telemetry.ChildStopped)
    assert (stopped.cause.error_type, stopped.cause.detail) == ("Crash", "deep inside")
    assert recorder.of(telemetry.ChildExited) == []


async def test_the_body_goes_on_after_a_stop(autojump_clock: MockClock, recorder: Recorder) -> None:
    """`stop` ends the children, not the block."""
    async with supervised(recorder, Puppet("a").spec()) as supervisor:
        await supervisor.stop()
        await trio.sleep(5)
        assert states(supervisor) == {"a": "stopped"}


async def test_leaving_the_block_waits_for_the_children(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """As a nursery does; a supervisor whose children have all ended is left at once."""
    began = trio.current_time()
    async with open_supervisor(events=recorder.bus) as supervisor:
        supervisor.start_soon(trio.sleep, 5, name="a", restart="transient")
        supervisor.start_soon(trio.sleep, 9, name="b", restart="temporary")
    assert trio.current_time() - began == 9.0
    assert recorder.of(telemetry.ChildStopping) == []


async def test_errors_of_body_and_escalation_are_both_raised(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """Nothing is lost: two reasons are a group of two."""
    puppet = Puppet("a")
    with pytest.raises(ExceptionGroup, match="several reasons") as caught:
        async with supervised(recorder, puppet.spec(), intensity=RestartIntensity(0, 5)):
            puppet.crash()
            try:
                await trio.sleep_forever()
            finally:
                raise BodyFailed
    assert [type(each) for each in caught.value.exceptions] == [RestartLimitExceeded, BodyFailed]


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all"])
async def test_a_body_that_asks_something_of_an_ended_supervisor_raises_only_why_it_ended(
    autojump_clock: MockClock, strategy: str, recorder: Recorder
) -> None:
    """That the supervisor is not running is a consequence, and no second reason."""

    async def crashes(*, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        raise Crash

    with pytest.raises(RestartLimitExceeded):
        async with open_supervisor(
            strategy=strategy, intensity=RestartIntensity(0, 5), events=recorder.bus
        ) as supervisor:
            while True:
                await supervisor.start(crashes)
