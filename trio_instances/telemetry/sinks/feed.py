"""Running sinks: a task and a bounded buffer for each, and a bounded end for all.

How cancellation goes:

- *The surroundings are cancelled, once or several times.* Each feed runs in a scope of its own that
  is shielded, so nothing changes for it until the body has ended. Then the feed is told to stop and
  its scope gets a deadline; the block waits for the feeds, at most `flush_timeout`, and lets
  the cancellation go on after that.
- *The deadline passes.* The scope's cancellation reaches the sink wherever it is. ``aclose`` is
  called all the same, in a scope with that deadline: what it does before its first checkpoint
  happens.
- *A sink raises while it is being cancelled.* What comes out is a group of ``Cancelled`` and an
  exception. ``except*`` takes the exception out and reports it; ``Cancelled`` goes on to the scope.
- *KeyboardInterrupt and SystemExit* are never caught. They end the feed and cancel the block, as in
  every nursery; the other feeds flush within their budget, and it goes through, in a group.
- *A sink that ignores cancellation* holds up the end of the block. Trio cannot kill a task.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, final

import trio
from attrs import define, field, frozen

from ...abc import Sink
from ...policy.backoff import Backoff, Jitter
from ...policy.causes.defaults import classify_failure
from ...policy.failures import Cause, FailureClass, flatten
from ...policy.mistakes import MistakeList
from ..events import HookFailed
from ..schema import Event

if TYPE_CHECKING:
    from ..bus import EventBus
    from ..subscription import Subscription

MAX_BUFFER = 10_000
"""Events that are kept for a slow sink; a few seconds of a large fleet that reconnects."""
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
    failing: bool
    """Whether it raised the last time."""


@final
@define(eq=False)
class SinkFeed:
    """One sink at work. Made by `open_sinks` only."""

    sink: Sink
    _bus: EventBus
    _events: Subscription
    _flush_timeout: float
    _written: int = field(default=0, init=False)
    _lost: int = field(default=0, init=False)
    _failures: int = field(default=0, init=False)
    _failing: bool = field(default=False, init=False)
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
        events = self._events.statistics()
        return SinkStatistics(
            sink=self.name,
            written=self._written,
            lost=self._lost + events.dropped,
            buffered=events.current_buffer_used,
            failures=self._failures,
            failing=self._failing,
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
        failures_in_a_row = 0
        async for event in self._events:
            if await self._write([event, *self._drain()]):
                failures_in_a_row = 0
                continue

            with trio.move_on_after(RETRIES.step(failures_in_a_row)):
                await self._stopping.wait()
            failures_in_a_row += 1

    def _drain(self) -> Iterator[Event]:
        while True:
            try:
                yield self._events.receive_nowait()
            except (trio.WouldBlock, trio.EndOfChannel):
                return

    async def _write(self, batch: list[Event]) -> bool:
        # A batch that failed is not written again: nobody knows how much of it got through, and
        # an event that the sink cannot digest would hold up all others for ever.
        done = False
        try:
            await self.sink.write(batch)
            done = True
        except* Exception as failures:
            self._fail(failures)
        finally:
            if done:
                self._written += len(batch)
                self._failing = False
            else:
                self._lost += len(batch)

        return done

    async def _close(self) -> None:
        try:
            await self.sink.aclose()
        except* Exception as failures:
            self._fail(failures)

    def _fail(self, exc: BaseException) -> None:
        self._failures += 1
        if not self._failing:
            self._failing = True
            self._report(classify_failure(exc))

    def _report(self, cause: Cause) -> None:
        if self._bus.listening:
            self._bus.publish(
                HookFailed(at=trio.current_time(), hook="sink", path=self.name, cause=cause)
            )


@asynccontextmanager
async def open_sinks(
    bus: EventBus,
    sinks: Iterable[Sink],
    *,
    max_buffer: int = MAX_BUFFER,
    flush_timeout: float = FLUSH_TIMEOUT,
) -> AsyncIterator[tuple[SinkFeed, ...]]:
    """Write the events of a bus to sinks until the block ends.

    Each sink gets batches: whatever is buffered when it is ready for more. One that raises is
    reported once as ``hook.failed``, and not again until it has written something; it is tried
    again after pauses that grow from 1 s to 60 s. One that is slow or hangs loses events, oldest
    first. Neither delays a publisher or another sink.

    At the end of the block, also when it is cancelled, each sink writes what is buffered and is
    closed, all of it within `flush_timeout`. What the body raises comes out as it is.

    Args:
        bus: Where the events come from.
        sinks: Where they go.
        max_buffer: How many events are kept for each sink.
        flush_timeout: Seconds that the sinks have at the end, all at the same time.

    Yields:
        What is at work, for `SinkFeed.statistics`, in the order of the sinks.

    Raises:
        InvalidSpec: With every mistake in the arguments.
        trio.ClosedResourceError: The bus is closed.
    """
    several = tuple(sinks)
    _check(several, max_buffer, flush_timeout)
    feeds = tuple(
        SinkFeed(sink, bus, bus.subscribe(max_buffer=max_buffer), flush_timeout) for sink in several
    )
    async with _running(feeds):
        yield feeds


@asynccontextmanager
async def _running(feeds: Sequence[SinkFeed]) -> AsyncIterator[None]:
    body: BaseException | None = None
    bare: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            for feed in feeds:
                nursery.start_soon(feed.run, name=f"sink {feed.name}")
            try:
                yield
            except BaseException as exc:
                body = exc
                raise
            finally:
                for feed in feeds:
                    feed.stop()
    except BaseExceptionGroup as group:
        # The nursery is ours, so its wrapping is none of the caller's business. If anything came
        # out beside what the body raised, or instead of it, the group stays as it is. Leaves are
        # compared, as the nursery may copy a group that the body raised.
        if body is None or list(flatten(group)) != list(flatten(body)):
            raise
        bare = body
    finally:
        body = None  # it would hold this frame, and the frame it, until a collection

    if bare is not None:
        try:
            raise bare
        finally:
            bare = None


def _check(sinks: Sequence[Sink], max_buffer: int, flush_timeout: float) -> None:
    wrong = MistakeList("open_sinks")
    for index, sink in enumerate(sinks):
        wrong.instance(f"sinks[{index}]", sink, Sink)
        if any(sink is earlier for earlier in sinks[:index]):
            wrong.add(f"sinks[{index}]", sink, "must not be there twice")
    wrong.whole("max_buffer", max_buffer, at_least=1)
    wrong.number("flush_timeout", flush_timeout, finite=True)
    wrong.raise_any()
