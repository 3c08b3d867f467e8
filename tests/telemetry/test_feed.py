"""Running sinks: a bad one harms nobody."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from trio_instances import telemetry
from trio_instances._exceptions import InvalidSpec
from trio_instances.abc import Sink
from trio_instances.telemetry import Event, EventBus, SinkFeed, open_sinks

from .scripted_sinks import OtherSink, ScriptedSink, broken, fine, publish, reports_of


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
        sink="ScriptedSink", written=0, lost=6, buffered=0, failures=0, blocked=0, failing=False
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
    sink = ScriptedSink(broken, broken, fine, fine, broken, fine)
    async with open_sinks(bus, [sink]) as (feed,):
        for _ in range(20):
            publish(bus, 0)
            await trio.sleep(0.25)

    # At 3 the second write is that of the event that says so.
    assert [report.at for report in reports] == [0, pytest.approx(3.25)]
    assert sink.tried_at[:6] == pytest.approx([0, 1, 3, 3, 3.25, 4.25])
    assert not feed.statistics().failing


async def test_a_failed_batch_is_lost_and_counted(autojump_clock: MockClock) -> None:
    """It is not written twice, and holds up nothing that comes after it."""
    bus = EventBus()
    sink = ScriptedSink(broken, fine)
    async with open_sinks(bus, [sink]) as (feed,):
        publish(bus, 11, 12)
        await trio.sleep(0.5)
        publish(bus, 13)
        await trio.sleep(1)
        seen = feed.statistics()

    assert sink.taken.count(13) == 1
    assert not {11, 12} & set(sink.taken)
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


async def test_without_listeners_nothing_is_reported() -> None:
    """The failure is counted all the same."""
    bus = EventBus()
    async with open_sinks(bus, [ScriptedSink(close=broken)]) as (feed,):
        pass

    assert feed.statistics().failures == 1


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
        async with open_sinks(bus, sinks, max_buffer=0, flush_timeout=math.inf, write_timeout=0.0):
            pass

    assert [(mistake.place, mistake.expected) for mistake in caught.value.mistakes] == [
        ("sinks[1]", "must be a Sink"),
        ("sinks[2]", "must not be there twice"),
        ("max_buffer", "must be a whole number of at least 1"),
        ("flush_timeout", "must be a finite number at least 0"),
        ("write_timeout", "must be a number above 0"),
    ]
    assert not bus.listening


def test_a_feed_is_named_after_its_sink() -> None:
    """Reports and statistics call it by its type."""
    bus = EventBus()

    assert SinkFeed(OtherSink(), bus, bus.subscribe(), 1.0).name == "OtherSink"
