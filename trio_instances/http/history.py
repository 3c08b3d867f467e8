"""What has happened, as far as it is kept: the newest events, and of those before them what counts.

A large fleet that is well probes hundreds of times a second, and every probe that has passed like
the one before it says the same. If such a probe could push anything else out, an hour in which
nothing happened would leave nothing of what happened before it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import final

from attrs import define

from ..telemetry import Event
from ..telemetry.wording import repeats


@final
@define(eq=False)
class Entry:
    """An event that is kept."""

    number: int
    """Counted from 1."""
    event: Event
    frame: bytes | None = None
    """What readers get; made for the first of them, and never where nobody reads."""


@final
class History:
    """The last events of a runtime, numbered from 1, each of them once and in order.

    One half of the room is for the newest, whatever they are. The other half is for the newest of
    those before them, without the probes that passed like the one before.

    Args:
        capacity: How many events are kept.
    """

    def __init__(self, capacity: int) -> None:
        self._newest: list[Entry | None] = [None] * (capacity - capacity // 2)
        self._earlier: deque[Entry] = deque(maxlen=capacity // 2)
        self.last = 0
        """The number of the newest event."""
        self.oldest = 0
        """The place before the oldest event that is kept; up to here everything is gone."""

    def add(self, event: Event) -> None:
        """Add an event."""
        self.last += 1
        index = self.last % len(self._newest)
        old = self._newest[index]
        self._newest[index] = Entry(self.last, event)
        if old is not None and not repeats(old.event):
            if len(self._earlier) == self._earlier.maxlen:
                self.oldest = next(iter(self._earlier), old).number
            self._earlier.append(old)

    def after(self, place: int) -> Iterator[Entry]:
        """Yield what is kept of what came after a place; nothing may be added meanwhile."""
        begin = self.last - len(self._newest)
        if place < begin:
            first = bisect_right(self._earlier, place, key=lambda entry: entry.number)
            yield from islice(self._earlier, first, None)
        for number in range(max(place, begin, 0) + 1, self.last + 1):
            yield self._at(number)

    def newest_first(self) -> Iterator[Entry]:
        """Yield everything that is kept; nothing may be added meanwhile."""
        for number in range(self.last, max(self.last - len(self._newest), 0), -1):
            yield self._at(number)
        yield from reversed(self._earlier)

    def _at(self, number: int) -> Entry:
        entry = self._newest[number % len(self._newest)]
        assert entry is not None
        return entry
