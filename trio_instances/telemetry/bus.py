"""The event bus: one publisher's words, heard by any number of listeners, harmed by none."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, final

import trio
from attrs import define, field

from ..policy.causes.defaults import classify_failure
from ..policy.mistakes import MistakeList
from .events import HookFailed
from .places import raised_at
from .schema import Event
from .subscription import Subscription

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

Listener = Callable[[Event], None]
"""What is called with each event, at once and in the publisher's task; so it must not block."""


@final
@define(eq=False)
class Listening:
    """One listener's place on a bus; a context manager that gives the place up at its end.

    Made by `EventBus.listen` only.
    """

    callback: Listener
    on_close: Callable[[Listening], None]
    """What takes it off the bus."""
    closed: bool = False
    """Whether it has been given up; nothing is heard any more then."""
    failures: int = 0
    """How often the listener raised."""
    failing: bool = False
    """Whether it raised at the last event; then its next failure is not reported again."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening, at once: also while an event is being published. May be repeated."""
        if not self.closed:
            self.closed = True
            self.on_close(self)

    def call(self, event: Event) -> Exception | None:
        """Hand one event to the listener.

        Returns:
            What it raised, where that is an `Exception`; anything worse passes.
        """
        if self.closed:
            return None

        try:
            self.callback(event)
        except Exception as exc:
            self.failures += 1
            return exc

        return None


@final
@define(eq=False)
class EventBus:
    """Hands each event to every listener, synchronously and in the order in which they came.

    It belongs to one Trio run and is not for other threads. A publisher on a hot path asks first,
    so that an event that nobody wants is not even built::

        if bus.listening:
            bus.publish(ChildStarted(...))
    """

    listening: bool = field(default=False, init=False)
    """Whether anybody listens. A plain attribute, kept up to date; read it, do not set it."""
    closed: bool = field(default=False, init=False)
    """Whether `close` was called."""
    # Replaced and never changed, so that listeners may come and go while an event is published.
    _places: tuple[Listening, ...] = field(default=(), init=False)

    def publish(self, event: Event) -> None:
        """Hand an event to every listener.

        A listener that raises an `Exception` is kept, and the others are told with `HookFailed`:
        once, and again only after it has taken an event without failing.

        Args:
            event: What has happened.
        """
        failed: list[tuple[Listening, Exception]] = []
        for place in self._places:
            error = place.call(event)
            if error is None:
                place.failing = False
            elif not place.failing:
                place.failing = True
                failed.append((place, error))

        # After the loop, so that nobody hears of the failure before the event it failed at.
        for place, error in failed:
            self._report(place, error, event.at)

    def _report(self, culprit: Listening, error: Exception, now: float) -> None:
        # A listener that fails at a report is counted and not reported: otherwise two that
        # fail at each other's reports would go on for ever.
        path = getattr(culprit.callback, "__qualname__", type(culprit.callback).__qualname__)
        cause = classify_failure(error)
        stack = raised_at(error, cause)
        report = HookFailed(at=now, hook="listener", path=path, cause=cause, stack=stack)
        for place in self._places:
            if place is not culprit:
                place.call(report)

    def listen(
        self, callback: Listener, *, on_close: Callable[[], None] | None = None
    ) -> Listening:
        """Call a function with every event from now on.

        Args:
            callback: A plain function. It is called in the publisher's task, so it must be quick.
            on_close: Called once when the place is given up, or the bus is closed.

        Returns:
            Its place on the bus; leave it as a context manager, or `Listening.close` it.

        Raises:
            InvalidSpec: `callback` cannot be called, or is async.
            trio.ClosedResourceError: The bus is closed.
        """
        wrong = MistakeList("EventBus.listen")
        if not callable(callback) or inspect.iscoroutinefunction(callback):
            wrong.add("callback", callback, "must be a plain function of one event, not async")
        wrong.raise_any()
        if self.closed:
            msg = "the event bus is closed: listen while its owner is open, or make another bus"
            raise trio.ClosedResourceError(msg)

        def leave(place: Listening) -> None:
            self._places = tuple(each for each in self._places if each is not place)
            self.listening = bool(self._places)
            if on_close is not None:
                on_close()

        place = Listening(callback, leave)
        self._places = (*self._places, place)
        self.listening = True
        return place

    def subscribe(self, *, max_buffer: int = 1000) -> Subscription:
        """Buffer every event from now on, for a task to receive.

        ::

            async with bus.subscribe(max_buffer=1000) as events:
                async for event in events:
                    ...

        Args:
            max_buffer: How many events are kept for a slow receiver. Beyond that the oldest are
                dropped, and counted in `Subscription.dropped`.

        Raises:
            InvalidSpec: `max_buffer` is not a whole number of at least 1.
            trio.ClosedResourceError: The bus is closed.
        """
        wrong = MistakeList("subscribe")
        wrong.whole("max_buffer", max_buffer, at_least=1)
        wrong.raise_any()
        return Subscription(self, max_buffer)

    def close(self) -> None:
        """Let every listener go, and end every subscription once its buffer has been received.

        What is published from then on is heard by nobody. May be repeated.
        """
        self.closed = True
        for place in self._places:
            place.close()
