"""Running sinks: a task and a bounded buffer for each, and a bounded end for all.

How cancellation goes:

- *The surroundings are cancelled, once or several times.* Each feed runs in a scope of its own that
  is shielded, so nothing changes for it until the body has ended. Then the feed is told to stop and
  its scope gets a deadline; the block waits for the feeds, at most `flush_timeout`, and lets
  the cancellation go on after that.
- *A write does not come back.* It is cancelled after `write_timeout`, alone; the feed goes on.
- *The deadline passes.* The scope's cancellation reaches the sink wherever it is. ``aclose`` is
  called all the same, in a scope with that deadline: what it does before its first checkpoint
  happens.
- *A sink raises while it is being cancelled.* What comes out is a group of ``Cancelled`` and an
  exception. ``except*`` takes the exception out and reports it; ``Cancelled`` goes on to the scope.
- *KeyboardInterrupt and SystemExit* are never caught. They end the feed and cancel the block, as in
  every nursery; the other feeds flush within their budget, and it goes through, in a group.
- *A sink that ignores cancellation* holds up its own feed, and the end of the block. Trio cannot
  kill a task.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import TYPE_CHECKING, final

import trio
from attrs import define, field, frozen

from ..._attended import attended
from ...abc import Sink
from ...policy.backoff import Backoff, Jitter
from ...policy.causes.defaults import classify_failure
from ...policy.failures import Cause, FailureClass
from ...policy.mistakes import MistakeList
from ..events import HookFailed
from ..places import raised_at
from ..schema import Event
from ..sink_events import SinkRecovered
from .holding import Holding

if TYPE_CHECKING:
    from ..bus import EventBus
    from ..subscription import Subscription

MAX_BUFFER = 10_000
"""Events that are kept for a slow sink; a few seconds of a large fleet that reconnects."""
MAX_BATCH = 1000
"""Events of one write, so that a write has an end also after a sink was away for long."""
WRITE_TIMEOUT = 10.0
"""Seconds after which a write is cut off: a file or a log takes its batch in milliseconds, and an
exporter over a network gives up by itself before."""
MAX_HOLD = 1.0
"""Real seconds for which a write may let nothing else run. Instances feel it long before; a busy
machine must not be taken for a bad sink, though."""
FLUSH_TIMEOUT = 5.0
"""Seconds that the sinks have when the block ends; as a supervisor gives its children."""
RETRIES = Backoff(initial=1.0, factor=2.0, cap=60.0, jitter=Jitter.NONE)
"""The pauses after failures in a row. One sink of one process needs no jitter."""


@final
@frozen(kw_only=True)
class SinkStatistics:
    """One sink at one moment."""

    sink: str
    """The name of its type."""
    written: int
    """Events that it took."""
    lost: int
    """Events that it did not take: dropped from the full buffer, in a failed batch, left over."""
    buffered: int
    """Events that wait for it."""
    failures: int
    """How often it raised."""
    blocked: int
    """How often it was cut off: it did not come back in time, or let nothing else run."""
    failing: bool
    """Whether it did any of this the last time, and so waits for its next try."""


@frozen
class _Outage:
    """A row of failures, by how things were before the first of them."""

    since: float
    lost: int


@final
@define(eq=False)
class SinkFeed:
    """One sink at work. Made by `open_sinks` only."""

    sink: Sink
    _bus: EventBus
    _events: Subscription
    _flush_timeout: float
    _write_timeout: float = WRITE_TIMEOUT
    _clock: Callable[[], float] = time.perf_counter
    """Tells real seconds, to find out whether a write lets others run."""
    _written: int = field(default=0, init=False)
    _lost: int = field(default=0, init=False)
    _failures: int = field(default=0, init=False)
    _blocked: int = field(default=0, init=False)
    _in_a_row: int = field(default=0, init=False)
    _stack: tuple[str, ...] = field(default=(), init=False)
    """Where the last failure was raised."""
    _outage: _Outage | None = field(default=None, init=False)
    _stopping: trio.Event = field(factory=trio.Event, init=False)
    _scope: trio.CancelScope = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._scope = trio.CancelScope(shield=True)

    @property
    def name(self) -> str:
        """The name of the sink's type, which reports call it by."""
        return type(self.sink).__name__

    def statistics(self) -> SinkStatistics:
        """Return what it has done so far; also valid after the block has ended."""
        return SinkStatistics(
            sink=self.name,
            written=self._written,
            lost=self._lost + self._events.dropped,
            buffered=self._events.statistics().current_buffer_used,
            failures=self._failures,
            blocked=self._blocked,
            failing=self._outage is not None,
        )

    def stop(self) -> None:
        """Take in nothing more; what is buffered has until now + `flush_timeout` to be written."""
        self._events.close()
        self._stopping.set()
        if self._scope.deadline == math.inf:
            self._scope.deadline = trio.current_time() + self._flush_timeout

    async def run(self) -> None:
        """Write until the events end, then close the sink."""
        try:
            with self._scope:
                await self._write_all()
        finally:
            # Told to stop or not (a KeyboardInterrupt, say), the sink must not hang in aclose. The
            # scope is one of its own, for a Cancelled that left this block would take the place of
            # the KeyboardInterrupt.
            self.stop()
            with trio.CancelScope(shield=True, deadline=self._scope.deadline) as closing:
                await self._close()

        left = len(list(self._drain()))
        self._lost += left
        if self._scope.cancelled_caught or closing.cancelled_caught:
            detail = f"not done within {self._flush_timeout:g} s; {left} events left over"
            self._report(Cause(FailureClass.DEGRADED, "flush_timeout", detail))

    async def _write_all(self) -> None:
        async for event in self._events:
            before = self._now()
            cause = await self._write([event, *islice(self._drain(), MAX_BATCH - 1)])
            if cause is None:
                self._recover()
                continue

            self._fail(cause, before)
            with trio.move_on_after(RETRIES.step(self._in_a_row - 1)):
                await self._stopping.wait()

    def _drain(self) -> Iterator[Event]:
        while True:
            try:
                yield self._events.receive_nowait()
            except (trio.WouldBlock, trio.EndOfChannel):
                return

    async def _write(self, batch: list[Event]) -> Cause | None:
        """Hand over a batch; return what was wrong with that, if anything was."""
        # A batch that failed is not written again: nobody knows how much of it got through, and
        # an event that the sink cannot digest would hold up all others for ever.
        cause: Cause | None = None
        self._stack = ()
        done = False
        holding = Holding(self._hand_over(batch), self._clock)
        try:
            with trio.move_on_after(self._write_timeout):
                await holding
                done = True
        except* Exception as failures:
            self._failures += 1
            cause = classify_failure(failures)
            self._stack = raised_at(failures, cause)
        finally:
            if done:
                self._written += len(batch)
            else:
                self._lost += len(batch)

        return cause or self._blockage(holding, done=done)

    async def _hand_over(self, batch: list[Event]) -> None:
        await self.sink.write(batch)

    def _blockage(self, holding: Holding, *, done: bool) -> Cause | None:
        if holding.longest > MAX_HOLD:
            detail = f"it let nothing else run for {holding.longest:.3g} s"
            cause = Cause(FailureClass.DEGRADED, "sink_held_the_loop", detail)
        elif not done:
            detail = f"it did not come back within {self._write_timeout:g} s"
            cause = Cause(FailureClass.DEGRADED, "sink_blocked", detail)
        else:
            return None

        self._blocked += 1
        return cause

    async def _close(self) -> None:
        try:
            await self.sink.aclose()
        except* Exception as failures:
            self._failures += 1
            cause = classify_failure(failures)
            self._stack = raised_at(failures, cause)
            self._fail(cause, self._now())

    def _now(self) -> _Outage:
        return _Outage(trio.current_time(), self.statistics().lost)

    def _fail(self, cause: Cause, before: _Outage) -> None:
        self._in_a_row += 1
        if self._outage is None:
            self._outage = before
            self._report(cause)

    def _recover(self) -> None:
        outage, failures = self._outage, self._in_a_row
        self._outage, self._in_a_row = None, 0
        if outage is not None and self._bus.listening:
            now = trio.current_time()
            self._bus.publish(
                SinkRecovered(
                    at=now,
                    sink=self.name,
                    elapsed=now - outage.since,
                    failures=failures,
                    lost=self.statistics().lost - outage.lost,
                )
            )

    def _report(self, cause: Cause) -> None:
        if self._bus.listening:
            now, stack = trio.current_time(), self._stack
            self._bus.publish(
                HookFailed(at=now, hook="sink", path=self.name, cause=cause, stack=stack)
            )


@asynccontextmanager
async def open_sinks(
    bus: EventBus,
    sinks: Iterable[Sink],
    *,
    max_buffer: int = MAX_BUFFER,
    flush_timeout: float = FLUSH_TIMEOUT,
    write_timeout: float = WRITE_TIMEOUT,
) -> AsyncIterator[tuple[SinkFeed, ...]]:
    """Write the events of a bus to sinks until the block ends.

    Each sink gets batches: whatever is buffered when it is ready for more, up to 1000 events. One
    that raises is reported once as ``hook.failed``, and so is one whose write does not come back in
    time, which is cancelled, and one that let nothing else run for more than a second. It is tried
    again after pauses that grow from 1 s to 60 s, and when it takes events again,
    ``sink.recovered`` says what was lost. Meanwhile it loses events, oldest first. It delays
    neither a publisher nor another sink.

    At the end of the block, also when it is cancelled, each sink writes what is buffered and is
    closed, all of it within `flush_timeout`. What the body raises comes out as it is.

    Args:
        bus: Where the events come from.
        sinks: Where they go.
        max_buffer: How many events are kept for each sink.
        flush_timeout: Seconds that the sinks have at the end, all at the same time.
        write_timeout: Seconds that one write may take.

    Yields:
        What is at work, for `SinkFeed.statistics`, in the order of the sinks.

    Raises:
        InvalidSpec: With every mistake in the arguments.
        trio.ClosedResourceError: The bus is closed.
    """
    several = tuple(sinks)
    _check(several, max_buffer, flush_timeout, write_timeout)
    feeds = tuple(
        SinkFeed(sink, bus, bus.subscribe(max_buffer=max_buffer), flush_timeout, write_timeout)
        for sink in several
    )
    async with attended() as nursery:
        for feed in feeds:
            nursery.start_soon(feed.run, name=f"sink {feed.name}")
        try:
            yield feeds
        finally:
            for feed in feeds:
                feed.stop()


def _check(
    sinks: Sequence[Sink], max_buffer: int, flush_timeout: float, write_timeout: float
) -> None:
    wrong = MistakeList("open_sinks")
    for index, sink in enumerate(sinks):
        wrong.instance(f"sinks[{index}]", sink, Sink)
        if any(sink is earlier for earlier in sinks[:index]):
            wrong.add(f"sinks[{index}]", sink, "must not be there twice")
    wrong.whole("max_buffer", max_buffer, at_least=1)
    wrong.number("flush_timeout", flush_timeout, finite=True)
    wrong.number("write_timeout", write_timeout, above=0.0)
    wrong.raise_any()
