"""Sinks that block: cut off, counted, reported once, tried again; and nobody else is delayed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from trio_instances import telemetry
from trio_instances.telemetry import EventBus, SinkFeed, SinkRecovered, open_sinks
from trio_instances.telemetry.sinks.feed import MAX_BATCH
from trio_instances.telemetry.sinks.holding import Holding

from .scripted_sinks import OtherSink, ScriptedSink, broken, fine, publish, reports_of


def recoveries_of(bus: EventBus) -> list[SinkRecovered]:
    """Return a list that every recovery that is told from now on goes to."""
    told: list[SinkRecovered] = []

    def note(event: telemetry.Event) -> None:
        if isinstance(event, SinkRecovered):
            told.append(event)

    bus.listen(note)
    return told


async def test_a_write_that_does_not_come_back_is_cut_off(autojump_clock: MockClock) -> None:
    """After its time it is cancelled, its batch is lost, and the next try comes a second later."""
    bus = EventBus()
    sink = ScriptedSink(trio.sleep_forever)
    async with open_sinks(bus, [sink], write_timeout=10) as (feed,):
        publish(bus, 1)
        await trio.sleep(10.5)
        seen = feed.statistics()
        await trio.sleep(11)
        publish(bus, 2)
        await trio.sleep(2)

        assert sink.tried_at == pytest.approx([0, 11, 23])

    assert (seen.blocked, seen.failures, seen.lost, seen.failing) == (1, 0, 1, True)
    assert sink.taken == []


async def test_a_blocked_sink_is_reported_once(autojump_clock: MockClock) -> None:
    """However often it is cut off again."""
    bus = EventBus()
    reports = reports_of(bus)
    async with open_sinks(bus, [ScriptedSink(trio.sleep_forever)], write_timeout=2) as (feed,):
        for _ in range(100):
            publish(bus, 1)
            await trio.sleep(1)

        assert feed.statistics().blocked > 3

    assert [(report.path, report.cause.reason) for report in reports] == [
        ("ScriptedSink", "sink_blocked")
    ]
    assert reports[0].cause.detail == "it did not come back within 2 s"


async def test_a_blocked_sink_delays_neither_publisher_nor_other_sinks(
    autojump_clock: MockClock,
) -> None:
    """They go on as if it were not there."""
    bus = EventBus()
    quick = OtherSink()
    sinks = [ScriptedSink(trio.sleep_forever), ScriptedSink(broken), quick]
    async with open_sinks(bus, sinks, write_timeout=5):
        for at in range(100):
            publish(bus, at)
            await trio.sleep(1)

    ours = [at for at in quick.taken if at == int(at)]
    assert set(ours) >= set(range(100))
    assert max(b - a for a, b in zip(quick.tried_at, quick.tried_at[1:], strict=False)) <= 1


async def test_a_sink_that_is_well_again_says_what_it_missed(autojump_clock: MockClock) -> None:
    """For how long, after how many failures of both kinds, and how many events were lost."""
    bus = EventBus()
    told = recoveries_of(bus)
    sink = ScriptedSink(trio.sleep_forever, broken, fine)
    async with open_sinks(bus, [sink], write_timeout=10, max_buffer=2) as (feed,):
        publish(bus, 1)
        await trio.sleep(1)
        publish(bus, 2, 3, 4)
        await trio.sleep(11)
        publish(bus, 5)
        await trio.sleep(2)

        assert not feed.statistics().failing

    # Lost at 10: 1 in its batch; 2 and 3 out of the full buffer, the latter for the report. At 11:
    # 4 and the report.
    (recovery,) = told
    assert (recovery.sink, recovery.failures, recovery.lost) == ("ScriptedSink", 2, 5)
    assert recovery.elapsed == pytest.approx(13)
    assert feed.statistics().lost == 5
    assert sink.batches[0] == [5]


async def test_nothing_is_said_of_a_sink_that_never_failed(autojump_clock: MockClock) -> None:
    """A recovery needs a failure."""
    bus = EventBus()
    told = recoveries_of(bus)
    async with open_sinks(bus, [ScriptedSink()]):
        publish(bus, 1)
        await trio.sleep(1)

    assert told == []


async def test_a_write_that_ignores_its_end_holds_up_its_own_feed_only(
    autojump_clock: MockClock,
) -> None:
    """Trio cannot kill it. What it takes late it has taken; its overflow is counted."""

    async def stubborn() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(30)

    bus = EventBus()
    quick = OtherSink()
    sink = ScriptedSink(stubborn, fine)
    async with open_sinks(bus, [sink, quick], write_timeout=10, max_buffer=1) as (feed, _):
        publish(bus, 1)
        await trio.sleep(5)
        publish(bus, 2)
        await trio.sleep(5)
        publish(bus, 3)
        await trio.sleep(15)

        assert quick.taken == [1, 2, 3]
        assert sink.taken == []
        await trio.sleep(10)
        assert sink.taken == [1, 3]
        assert (feed.statistics().lost, feed.statistics().blocked) == (1, 0)


async def test_a_write_may_be_cut_off_and_raise(autojump_clock: MockClock) -> None:
    """What it raises while it is cancelled is its failure; the block goes on."""

    async def raise_in_cleanup() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise OSError("in cleanup")

    bus = EventBus()
    reports = reports_of(bus)
    async with open_sinks(bus, [ScriptedSink(raise_in_cleanup, fine)], write_timeout=1) as (feed,):
        publish(bus, 1)
        await trio.sleep(5)

        assert (feed.statistics().failures, feed.statistics().blocked) == (1, 0)
    assert [report.cause.detail for report in reports] == ["in cleanup"]


async def test_a_pause_after_a_block_ends_with_the_body(autojump_clock: MockClock) -> None:
    """A sink that is cut off does not make the end wait for its next try."""
    bus = EventBus()
    sink = ScriptedSink(trio.sleep_forever, fine)
    async with open_sinks(bus, [sink], write_timeout=5):
        publish(bus, 1)
        await trio.sleep(5.5)
        publish(bus, 2)

    assert sink.taken[-1] == 2
    assert trio.current_time() == pytest.approx(5.5)


async def test_a_long_row_of_events_is_several_writes(autojump_clock: MockClock) -> None:
    """So that a sink that was away has to take a bounded part in its time."""
    bus = EventBus()
    sink = ScriptedSink()
    async with open_sinks(bus, [sink]):
        publish(bus, *range(2 * MAX_BATCH + 1))

    assert [len(batch) for batch in sink.batches] == [MAX_BATCH, MAX_BATCH, 1]
    assert sink.taken == list(range(2 * MAX_BATCH + 1))


# --- sinks that let nothing else run -------------------------------------------------------------


class Stopwatch:
    """A clock of real seconds, as a test wants them."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    async def hold(self, seconds: float) -> None:
        """Be what lets nothing else run for so long, between two checkpoints."""
        await trio.lowlevel.checkpoint()
        self.now += seconds
        await trio.lowlevel.checkpoint()


async def run_feed(
    bus: EventBus, sink: ScriptedSink, watch: Stopwatch, body: Callable[[SinkFeed], Awaitable[None]]
) -> None:
    """Run one feed with a clock of its own while something else happens."""
    feed = SinkFeed(sink, bus, bus.subscribe(), 5.0, 10.0, watch)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(feed.run)
        await body(feed)
        feed.stop()


async def test_a_write_that_lets_nothing_else_run_is_cut_off(autojump_clock: MockClock) -> None:
    """Once that is over, as nobody can end it before; its events were taken."""
    bus = EventBus()
    reports = reports_of(bus)
    watch = Stopwatch()
    sink = ScriptedSink(partial(watch.hold, 1.5), fine)

    async def body(feed: SinkFeed) -> None:
        publish(bus, 1)
        await trio.sleep(0.5)
        publish(bus, 2)
        seen = feed.statistics()

        assert (seen.blocked, seen.written, seen.lost, seen.failing) == (1, 1, 0, True)
        assert sink.taken == [1]
        await trio.sleep(1)
        assert 2 in sink.taken

    await run_feed(bus, sink, watch, body)
    assert [report.cause.reason for report in reports] == ["sink_held_the_loop"]
    assert reports[0].cause.detail == "it let nothing else run for 1.5 s"


async def test_short_stretches_are_fine_however_many(autojump_clock: MockClock) -> None:
    """A write may be long as long as others get their turns."""

    async def often() -> None:
        for _ in range(10):
            await watch.hold(0.9)

    bus = EventBus()
    watch = Stopwatch()

    async def body(feed: SinkFeed) -> None:
        publish(bus, 1)
        await trio.sleep(1)

        assert (feed.statistics().blocked, feed.statistics().failing) == (0, False)

    await run_feed(bus, ScriptedSink(often), watch, body)


async def hold_and(watch: Stopwatch, then: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Hold the thread for two seconds after a checkpoint, then do something else."""
    await watch.hold(2.0)
    await then()


async def test_holding_gives_back_what_is_awaited() -> None:
    """Answers go in, and what is raised comes out, at any depth."""
    watch = Stopwatch()
    raising = Holding(hold_and(watch, broken), watch)
    with pytest.raises(OSError, match="no space left"):
        await raising

    assert raising.longest == 2.0


async def test_holding_passes_a_cancellation_on(autojump_clock: MockClock) -> None:
    """What is awaited is cancelled, cleans up, and the stretches of that count."""
    watch = Stopwatch()
    cleaned: list[bool] = []

    async def slow() -> None:
        try:
            await trio.sleep_forever()
        finally:
            watch.now += 3.0
            cleaned.append(True)

    holding = Holding(slow(), watch)
    with trio.move_on_after(1) as scope:
        await holding

    assert (scope.cancelled_caught, cleaned, holding.longest) == (True, [True], 3.0)


async def test_holding_lets_what_is_awaited_catch_what_it_is_sent(
    autojump_clock: MockClock,
) -> None:
    """A scope within it ends where it began, as if it were awaited by itself."""

    async def bounded() -> None:
        with trio.move_on_after(1):
            await trio.sleep_forever()
        await trio.sleep(1)

    await Holding(bounded(), Stopwatch())

    assert trio.current_time() == pytest.approx(2)
