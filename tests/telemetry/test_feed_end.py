"""The end of running sinks: bounded and complete, whatever leads to it."""

from __future__ import annotations

from functools import partial

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from trio_instances.telemetry import EventBus, open_sinks

from .scripted_sinks import OtherSink, ScriptedSink, Step, broken, publish, reports_of


async def test_the_budget_covers_the_flush_and_the_closing(autojump_clock: MockClock) -> None:
    """A sink that needs too long for both together is cut off in the second one."""
    bus = EventBus()
    sink = ScriptedSink(partial(trio.sleep, 2), close=partial(trio.sleep, 2))
    async with open_sinks(bus, [sink], flush_timeout=3):
        publish(bus, 1)

    assert sink.taken == [1]
    assert trio.current_time() == pytest.approx(3)


async def test_a_sink_that_used_up_its_time_is_closed_all_the_same(
    autojump_clock: MockClock,
) -> None:
    """What its closing does before its first checkpoint happens, and the loss is reported."""
    bus = EventBus()
    reports = reports_of(bus)
    sink = ScriptedSink(trio.sleep_forever, close=trio.sleep_forever)
    async with open_sinks(bus, [sink], flush_timeout=3) as (feed,):
        publish(bus, 1)
        await wait_all_tasks_blocked()
        publish(bus, 2, 3)

    assert sink.closed == 1
    assert feed.statistics().lost == 3
    assert [report.cause.reason for report in reports] == ["flush_timeout"]
    assert reports[0].cause.detail == "not done within 3 s; 2 events left over"


async def test_no_time_at_all_closes_at_once(autojump_clock: MockClock) -> None:
    """A budget of nothing still closes the sinks."""
    bus = EventBus()
    sink = ScriptedSink(trio.sleep_forever)
    async with open_sinks(bus, [sink], flush_timeout=0):
        publish(bus, 1)

    assert sink.closed == 1
    assert trio.current_time() == 0


async def test_cancelled_surroundings_do_not_keep_the_sinks_from_flushing(
    autojump_clock: MockClock,
) -> None:
    """The cancellation waits for the flush and the closing, and goes on then."""
    bus = EventBus()
    sink = ScriptedSink(partial(trio.sleep, 2), close=partial(trio.sleep, 0.5))
    with trio.CancelScope() as scope:
        async with open_sinks(bus, [sink], flush_timeout=3):
            publish(bus, 1)
            scope.cancel()
            await trio.sleep_forever()

    assert scope.cancelled_caught
    assert (sink.taken, sink.closed) == ([1], 1)
    assert trio.current_time() == pytest.approx(2.5)


async def test_cancelling_twice_changes_nothing(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """A second cancellation, from further out and while the sinks flush, shortens nothing."""
    bus = EventBus()
    sink = ScriptedSink(partial(trio.sleep, 2))
    with trio.CancelScope() as outer, trio.CancelScope() as inner:

        async def cancel_again() -> None:
            await trio.sleep(1)
            outer.cancel()

        nursery.start_soon(cancel_again)
        async with open_sinks(bus, [sink], flush_timeout=3):
            publish(bus, 1)
            inner.cancel()
            await trio.sleep_forever()

    assert outer.cancelled_caught
    assert (sink.taken, sink.closed) == ([1], 1)
    assert trio.current_time() == pytest.approx(2)


async def test_cancelled_surroundings_and_a_sink_that_hangs_end_in_time(
    autojump_clock: MockClock,
) -> None:
    """Nothing hangs: the budget counts from the end of the body."""
    bus = EventBus()
    sink = ScriptedSink(trio.sleep_forever, close=trio.sleep_forever)
    with trio.move_on_after(10) as scope:
        async with open_sinks(bus, [sink], flush_timeout=3):
            publish(bus, 1)
            await trio.sleep_forever()

    assert scope.cancelled_caught
    assert sink.closed == 1
    assert trio.current_time() == pytest.approx(13)


async def fail_in_cleanup() -> None:
    """Raise while being cancelled."""
    try:
        await trio.sleep_forever()
    finally:
        raise OSError("in cleanup")


async def fail_beside_cancelled() -> None:
    """Raise while being cancelled, so that a group of both comes out."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fail_in_cleanup)
        nursery.start_soon(trio.sleep_forever)


@pytest.mark.parametrize("failing", [fail_in_cleanup, fail_beside_cancelled])
async def test_a_sink_that_raises_while_it_is_cancelled_is_reported(
    failing: Step, autojump_clock: MockClock
) -> None:
    """Neither its exception nor a group of it and Cancelled comes out of the block."""
    bus = EventBus()
    reports = reports_of(bus)
    sink = ScriptedSink(failing, close=failing)
    async with open_sinks(bus, [sink], flush_timeout=3) as (feed,):
        publish(bus, 1)

    assert reports[0].cause.detail == "in cleanup"
    assert feed.statistics().failures == 2
    assert (feed.statistics().lost, sink.closed) == (1, 1)
    assert trio.current_time() == pytest.approx(3)


async def test_a_sink_that_fails_to_close_is_reported() -> None:
    """It harms nobody any more."""
    bus = EventBus()
    reports = reports_of(bus)
    async with open_sinks(bus, [ScriptedSink(close=broken)]):
        publish(bus, 1)

    assert [report.cause.error_type for report in reports] == ["OSError"]


async def interrupt() -> None:
    """Be where a Ctrl-C arrives."""
    raise KeyboardInterrupt


def test_a_keyboard_interrupt_in_a_sink_passes() -> None:
    """It cancels the body; the other sinks flush; it goes through."""
    interrupted = ScriptedSink(interrupt, close=trio.sleep_forever)
    other = OtherSink(partial(trio.sleep, 1))

    async def main() -> None:
        bus = EventBus()
        async with open_sinks(bus, [interrupted, other], flush_timeout=3):
            publish(bus, 1)
            await trio.sleep_forever()

    # A run of its own: pytest-trio would take a stray Cancelled for the end of the test.
    clock = MockClock(autojump_threshold=0)
    with pytest.raises(BaseExceptionGroup) as caught:
        trio.run(main, clock=clock)

    assert [type(exc) for exc in caught.value.exceptions] == [KeyboardInterrupt]
    assert (interrupted.closed, other.taken, other.closed) == (1, [1], 1)
    assert clock.current_time() == pytest.approx(3)


def test_a_keyboard_interrupt_is_not_lost_beside_what_the_body_raises() -> None:
    """Both come out, as a group."""

    async def main() -> None:
        bus = EventBus()
        async with open_sinks(bus, [ScriptedSink(interrupt)]):
            publish(bus, 1)
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError("mine")

    with pytest.raises(BaseExceptionGroup) as caught:
        trio.run(main)

    assert {type(exc) for exc in caught.value.exceptions} == {KeyboardInterrupt, ValueError}


async def test_what_the_body_raises_comes_out_bare() -> None:
    """The nursery inside is nobody's business."""
    bus = EventBus()
    sink = ScriptedSink()
    raised = ValueError("mine")

    async def block() -> None:
        async with open_sinks(bus, [sink]):
            publish(bus, 1)
            raise raised

    with pytest.raises(ValueError, match="mine") as caught:
        await block()

    assert caught.value is raised
    assert sink.taken == [1]


async def test_a_group_that_the_body_raises_comes_out_as_it_is() -> None:
    """Also where it looks like one of a nursery."""
    raised = ExceptionGroup("mine", [ValueError()])
    with pytest.raises(ExceptionGroup) as caught:
        async with open_sinks(EventBus(), []):
            raise raised

    assert caught.value is raised


async def test_a_closed_bus_ends_the_feeds_and_not_the_block() -> None:
    """The sinks are closed once, when there is nothing more to come."""
    bus = EventBus()
    sink = ScriptedSink()
    async with open_sinks(bus, [sink]):
        publish(bus, 1)
        bus.close()
        await wait_all_tasks_blocked()

        assert (sink.taken, sink.closed) == ([1], 1)

    assert sink.closed == 1
