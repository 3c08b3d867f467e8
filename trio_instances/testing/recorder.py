"""An ear on the events of what is tested, to wait for them, to ask for them, to state what came."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar, final, overload

import trio
from attrs import evolve

from ..policy.mistakes import MistakeList
from ..telemetry.bus import EventBus
from ..telemetry.schema import Event
from ..telemetry.wording import one_line, repeats
from .patterns import EventPattern, Kind, event

E = TypeVar("E", bound=Event)

_DAY = 86_400.0
"""Longer than anything that the library does by itself takes."""
_SHOWN = 30
"""Events that a failure shows."""


@final
class EventRecorder:
    """Keeps events. Give what is tested ``events=recorder.bus``.

    It is a listener: ``bus.listen(recorder)`` lets it hear another bus as well. What is asked for
    is said as in `event`: a kind, an instance, a child, what fields hold.

    Args:
        keep: Events that are kept; older ones are forgotten. The default is more than a test tells.

    Raises:
        InvalidSpec: It is to keep none.
    """

    def __init__(self, *, keep: int = 100_000) -> None:
        wrong = MistakeList("EventRecorder")
        wrong.whole("keep", keep, at_least=1)
        wrong.raise_any()
        self.bus: EventBus = EventBus()
        """A bus of its own, for what is tested."""
        self._events: deque[Event] = deque(maxlen=keep)
        self._more = trio.Event()
        self.bus.listen(self)

    def __iter__(self) -> Iterator[Event]:
        return iter(tuple(self._events))

    def __len__(self) -> int:
        return len(self._events)

    def __call__(self, event: Event) -> None:
        """Take an event in."""
        self._events.append(event)
        if self._more.statistics().tasks_waiting:
            self._more.set()
            self._more = trio.Event()

    # --- asking ----------------------------------------------------------------------------------

    @overload
    def of(
        self,
        kind: type[E],
        *,
        instance: str | None = None,
        child: str | None = None,
        **fields: Any,
    ) -> Sequence[E]: ...

    @overload
    def of(
        self,
        kind: str | EventPattern = "*",
        *,
        instance: str | None = None,
        child: str | None = None,
        **fields: Any,
    ) -> Sequence[Event]: ...

    def of(
        self,
        kind: Kind | EventPattern = "*",
        *,
        instance: str | None = None,
        child: str | None = None,
        **fields: Any,
    ) -> Sequence[Event]:
        """Return the events of a kind, oldest first; the arguments are those of `event`."""
        return self._matching(_pattern(kind, instance, child, fields))

    def _matching(self, pattern: EventPattern) -> Sequence[Event]:
        return [event for event in self._events if pattern.matches(event)]

    def names(self, *, instance: str | None = None, child: str | None = None) -> Sequence[str]:
        """Return the wire names of the events, oldest first."""
        return [event.name for event in self.of(instance=instance, child=child)]

    def clear(self) -> Sequence[Event]:
        """Forget what came until now, and return it."""
        events = list(self._events)
        self._events.clear()
        return events

    def tell(self, last: int = _SHOWN) -> str:
        """Return the last events as text, a line for each: the time and what happened.

        Probes that passed like the one before are left out: a day has thousands of them.
        """
        return _listed([event for event in self._events if not repeats(event)][-last:])

    # --- waiting ---------------------------------------------------------------------------------

    @overload
    async def wait_for(
        self,
        kind: type[E],
        *,
        instance: str | None = None,
        child: str | None = None,
        times: int = 1,
        within: float = _DAY,
        **fields: Any,
    ) -> E: ...

    @overload
    async def wait_for(
        self,
        kind: str | EventPattern = "*",
        *,
        instance: str | None = None,
        child: str | None = None,
        times: int = 1,
        within: float = _DAY,
        **fields: Any,
    ) -> Event: ...

    async def wait_for(
        self,
        kind: Kind | EventPattern = "*",
        *,
        instance: str | None = None,
        child: str | None = None,
        times: int = 1,
        within: float = _DAY,
        **fields: Any,
    ) -> Event:
        """Wait until such an event has come, and return it. One that came already counts.

        Cancelling it changes nothing.

        Args:
            kind: As in `event`.
            instance: The same.
            child: The same.
            times: How many of them there must be; the last one of these is returned.
            within: Seconds to wait; by default a day, which takes no time where time is virtual.
                Where it is real, give less.
            fields: As in `event`.

        Raises:
            AssertionError: It has not come; the message shows what has.
        """
        pattern = _pattern(kind, instance, child, fields)
        await trio.lowlevel.checkpoint()
        with trio.move_on_after(within):
            while len(found := self._matching(pattern)) < times:
                await self._more.wait()
            return found[times - 1]

        came = f"{len(self._matching(pattern))} of {times} came" if times > 1 else "it did not come"
        raise AssertionError(
            f"waited {within:g} s for {pattern}: {came}\n{self._context(pattern, instance)}"
        )

    # --- stating ---------------------------------------------------------------------------------

    def assert_sequence(
        self,
        *expected: Kind | EventPattern,
        instance: str | None = None,
        child: str | None = None,
        exact: bool = False,
    ) -> None:
        """State that such events came, in this order.

        Args:
            expected: What came: kinds, or patterns made by `event`.
            instance: Of which instance; None: of any.
            child: Of which child; None: of any.
            exact: Whether nothing else came, of this instance and child.

        Raises:
            AssertionError: They did not; the message shows what came, and what fits where.
        """
        patterns = [_pattern(each, None, None, {}) for each in expected]
        events = self.of(instance=instance, child=child)
        found = _first_fits(patterns, events)
        missing = len(found) < len(patterns)
        if not missing and (not exact or len(found) == len(events)):
            return

        if missing:
            problem = f"event {len(found) + 1} of {len(patterns)} did not come in its place"
        else:
            problem = f"{len(events) - len(found)} events came that were not expected"
        wanted = "\n".join(
            f"  {'+' if index < len(found) else '-'} {pattern}"
            for index, pattern in enumerate(patterns)
        )
        raise AssertionError(
            f"{problem}\nexpected (+ came, - did not):\n{wanted}\n"
            f"came (+ as expected):\n{_marked(events, found)}"
        )

    def assert_none(
        self,
        kind: Kind | EventPattern = "*",
        *,
        instance: str | None = None,
        child: str | None = None,
        **fields: Any,
    ) -> None:
        """State that no such event came; the arguments are those of `event`.

        Raises:
            AssertionError: Some did; the message shows them.
        """
        pattern = _pattern(kind, instance, child, fields)
        if found := self._matching(pattern):
            count = f"{len(found)} came" if len(found) > 1 else "one came"
            raise AssertionError(f"there should be no {pattern}: {count}\n{_listed(found)}")

    def _context(self, awaited: EventPattern, instance: str | None) -> str:
        """Say what came of an instance; probes that passed again only where they were awaited."""
        of_this_kind = evolve(awaited, fields={})
        events = [
            event
            for event in self._matching(EventPattern("*", instance, None, {}))
            if not repeats(event) or (awaited.kind != "*" and of_this_kind.matches(event))
        ]
        if not events:
            return "nothing came at all" if not self._events else "nothing came of it"

        return f"the last events:\n{_listed(events[-_SHOWN:])}"


def _pattern(
    kind: Kind | EventPattern, instance: str | None, child: str | None, fields: dict[str, Any]
) -> EventPattern:
    if isinstance(kind, EventPattern):
        return kind

    return event(kind, instance=instance, child=child, **fields)


def _first_fits(patterns: Sequence[EventPattern], events: Sequence[Event]) -> list[int]:
    """Return the places of the events that fit the patterns in order, as far as they do."""
    found: list[int] = []
    for place, each in enumerate(events):
        if len(found) < len(patterns) and patterns[len(found)].matches(each):
            found.append(place)
    return found


def _listed(events: Iterable[Event]) -> str:
    return "\n".join(f"  {event.at:10.3f} {one_line(event)}" for event in events)


def _marked(events: Sequence[Event], found: Sequence[int]) -> str:
    if not events:
        return "  nothing"

    first = max(0, len(events) - _SHOWN)
    left_out = [f"  ({first} earlier events)"] if first else []
    lines = [
        f"  {'+' if place in found else ' '} {events[place].at:10.3f} {one_line(events[place])}"
        for place in range(first, len(events))
    ]
    return "\n".join([*left_out, *lines])
