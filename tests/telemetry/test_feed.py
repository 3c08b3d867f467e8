"""Running sinks: a bad one harms nobody, and the end is bounded whatever happens."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from trio_instances import telemetry
from trio_instances._exceptions import InvalidSpec
from trio_instances.abc import Sink
from trio_instances.telemetry import Event, EventBus, HookFailed, SinkFeed, open_sinks

Step = Callable[[], Awaitable[object]]


async def fine() -> None:
    """Do nothing, as a sink that takes everything."""


async def broken() -> None:
    """Fail, as a sink whose disk is full."""
    raise OSError("no space left")


class ScriptedSink(Sink):
    """Keeps what it takes; each write does the next step of a script, and the last one for ever."""

    def __init__(self, *script: Step, close: Step = fine) -> None:
        self.script = list(script) or [fine]
        self.close = close
        self.batches: list[list[float]] = []
        self.tried_at: list[float] = []
        self.closed = 0

    async def write(self, events: Sequence[Event]) -> None:
        """Do the next step, and keep the events if it goes well."""
        self.tried_at.append(trio.current_time())
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        await step()
        self.batches.append([event.at for event in events])

    async def aclose(self) -> None:
        """Count the closings, and do what the script says."""
        self.closed += 1
        await self.close()

    @property
    def taken(self) -> list[float]:
        """The times of all events that it took."""
        return [at for batch in self.batches for at in batch]


class OtherSink(ScriptedSink):
    """One that a report tells from the first."""


def publish(bus: EventBus, *times: float) -> None:
    """Publish an event for each time."""
    for at in times:
        bus.publish(telemetry.RuntimeStarted(at=at))


def reports_of(bus: EventBus) -> list[HookFailed]:
    """Return a list that every failure that is reported from now on goes to."""
    reports: list[HookFailed] = []

    def note(event: Event) -> None:
        if isinstance(event, HookFailed):
            reports.append(event)

    bus.listen(note)
    return reports


async def test_a_sink_gets_what_is_buffered_as_one_batch() -> None:
    """One write for all that has happened since the last one, oldest first, never empty."""
    bus = EventBus()
    sink = ScriptedSink()
    async with open_sinks(bus, [sink]):
        publish(bus, 1, 2, 3)
        await wait_all_tasks_blocked()
        publish(bus, 4)

    assert sink.batches == [[1, 2, 3], [4]]
    assert sink.closed == 1
    assert not bus.listening


async def test_what_happened_before_the_tasks_ran_is_not_lost() -> None:
    """The bus is heard from the moment the block is entered, and flushed when it ends."""
    bus = EventBus()
    sink = ScriptedSink()
    async with open_sinks(bus, [sink]):
        publish(bus, 1)

    assert sink.taken == [1]


async def test_a_sink_that_hangs_delays_neither_publisher_nor_other_sinks(
    autojump_clock: MockClock,
) -> None:
    """It loses the oldest of its own events, which are counted."""
    bus = EventBus()
    hanging = ScriptedSink(trio.sleep_forever)
    quick = OtherSink()
    async with open_sinks(bus, [hanging, quick], max_buffer=2, flush_timeout=3) as (feed, _):
        for at in range(6):
            publish(bus, at)
            await wait_all_tasks_blocked()

        assert quick.taken == [0, 1, 2, 3, 4, 5]
        assert (feed.statistics().lost, feed.statistics().buffered) == (3, 2)

    assert trio.current_time() == pytest.approx(3)
    assert hanging.taken == []
    assert feed.statistics() == telemetry.SinkStatistics(
        sink="ScriptedSink", written=0, lost=6, buffered=0, failures=0, failing=False
    )


async def test_a_failing_sink_is_reported_once_and_tried_again_after_growing_pauses(
    autojump_clock: MockClock,
) -> None:
    """The report names it; the pauses double up to a minute."""
    bus = EventBus()
    reports = reports_of(bus)
    sink = ScriptedSink(broken)
    async with open_sinks(bus, [sink]) as (feed,):
        for _ in range(400):
            publish(bus, 0)
            await trio.sleep(1)
        tried_at = list(sink.tried_at)

    pauses = [round(b - a) for a, b in pairwise(tried_at)]
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60]
    assert [(report.hook, report.path) for report in reports] == [("sink", "ScriptedSink")]
    assert reports[0].cause.detail == "no space left"
    assert feed.statistics().written == 0
    assert feed.statistics().failures == len(sink.tried_at)


async def test_a_sink_that_works_again_starts_anew(autojump_clock: MockClock) -> None:
    """After a success the next failure is reported again, and its pause is the first one."""
    bus = EventBus()
    reports = reports_of(bus)
    sink = ScriptedSink(broken, broken, fine, broken, fine)
    async with open_sinks(bus, [sink]) as (feed,):
        for _ in range(20):
            publish(bus, 0)
            await trio.sleep(0.25)

    assert [report.at for report in reports] == [0, pytest.approx(3.25)]
    assert sink.tried_at[:5] == pytest.approx([0, 1, 3, 3.25, 4.25])
    assert not feed.statistics().failing


async def test_a_failed_batch_is_lost_and_counted(autojump_clock: MockClock) -> None:
    """It is not written twice, and holds up nothing that comes after it."""
    bus = EventBus()
    sink = ScriptedSink(broken, fine)
    async with open_sinks(bus, [sink]) as (feed,):
        publish(bus, 1, 2)
        await trio.sleep(0.5)
        publish(bus, 3)
        await trio.sleep(1)
        seen = feed.statistics()

    assert sink.taken[-1] == 3
    assert 1 not in sink.taken
    assert (seen.lost, seen.failures, seen.failing) == (2, 1, False)


async def test_the_end_does_not_wait_for_a_pause(autojump_clock: MockClock) -> None:
    """A sink that is paused after a failure is tried once more at once."""
    bus = EventBus()
    sink = ScriptedSink(broken, fine)
    async with open_sinks(bus, [sink]):
        publish(bus, 1)
        await wait_all_tasks_blocked()
        publish(bus, 2)

    assert sink.taken[-1] == 2
    assert trio.current_time() == 0


async def test_a_sink_that_fails_at_the_end_is_not_tried_again(autojump_clock: MockClock) -> None:
    """What is left is one batch, which is lost; then the sink is closed."""
    bus = EventBus()
    sink = ScriptedSink(broken)
    async with open_sinks(bus, [sink]) as (feed,):
        publish(bus, 1)

    assert (feed.statistics().lost, sink.closed) == (1, 1)
    assert trio.current_time() == 0


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


async def test_without_listeners_nothing_is_reported() -> None:
    """The failure is counted all the same."""
    bus = EventBus()
    async with open_sinks(bus, [ScriptedSink(close=broken)]) as (feed,):
        pass

    assert feed.statistics().failures == 1


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


async def test_no_sinks_is_fine() -> None:
    """Then nobody listens either."""
    bus = EventBus()
    async with open_sinks(bus, []) as feeds:
        assert feeds == ()
        assert not bus.listening


async def test_a_sink_whose_write_is_not_async_is_reported() -> None:
    """A sink that is no sink is a failing one."""

    class Wrong(Sink):
        def write(self, events: Sequence[Event]) -> None:  # type: ignore[override]  # that is the mistake
            return None

    bus = EventBus()
    reports = reports_of(bus)
    async with open_sinks(bus, [Wrong()]):
        publish(bus, 1)

    assert [report.cause.error_type for report in reports] == ["TypeError"]


async def test_a_sink_need_not_have_anything_to_release() -> None:
    """``aclose`` is optional."""

    class Minimal(Sink):
        def __init__(self) -> None:
            self.taken = 0

        async def write(self, events: Sequence[Event]) -> None:
            self.taken += len(events)

    bus = EventBus()
    sink = Minimal()
    async with open_sinks(bus, [sink]) as (feed,):
        publish(bus, 1)

    assert (sink.taken, feed.statistics().failures) == (1, 0)


async def test_every_mistake_in_the_arguments_is_listed() -> None:
    """And nothing listens."""
    bus = EventBus()
    sink = ScriptedSink()
    sinks: list[Sink] = [sink, "log.txt", sink]  # type: ignore[list-item]  # that is the mistake
    with pytest.raises(InvalidSpec) as caught:
        async with open_sinks(bus, sinks, max_buffer=0, flush_timeout=math.inf):
            pass

    assert [(mistake.place, mistake.expected) for mistake in caught.value.mistakes] == [
        ("sinks[1]", "must be a Sink"),
        ("sinks[2]", "must not be there twice"),
        ("max_buffer", "must be a whole number of at least 1"),
        ("flush_timeout", "must be a finite number at least 0"),
    ]
    assert not bus.listening


def test_a_feed_is_named_after_its_sink() -> None:
    """Reports and statistics call it by its type."""
    bus = EventBus()

    assert SinkFeed(OtherSink(), bus, bus.subscribe(), 1.0).name == "OtherSink"
