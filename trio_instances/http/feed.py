"""What happens, once for all readers: its history, and whose turn it is to write.

A reader owns nothing but a place in the history. One that is slow finds, when it comes back, that
the history has moved on, and is told how much it missed; so a thousand of them cost no more memory
than one, and none of them can hold up another, or an instance.

Readers take turns: a few in each pass of Trio's scheduler. If all were woken at once, a thousand
writes would come between one step of an instance and the next.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from itertools import islice
from typing import final

import trio
from attrs import frozen

from .._exceptions import TrioInstancesError
from ..telemetry import Event, InstanceConnecting, event_to_dict, level_of, one_line
from .history import Entry, History

PACE = 0.1
"""Seconds for which news are gathered before the readers get them."""
PULSE = 5.0
"""Seconds after which a reader hears something, even if there is no news."""
IN_A_PASS = 16
"""Readers that write in one pass of the scheduler; each takes some 0.2 ms."""
CHUNK = 16 * 1024
"""Bytes after which a reader that catches up lets others go first."""
_RATE_WINDOW = 10.0


class BadPosition(TrioInstancesError, ValueError):
    """An id that a reader wants to go on from, and that this run never gave out."""


@final
@frozen
class Reading:
    """What a reader gets next."""

    data: bytes
    """Whole frames; none where there is no news for it."""
    place: int
    """Where it is after them."""
    missed: int
    """How many events it will never get, because they are not kept any more."""
    full: bool
    """Whether there is more already."""


@final
class Feed:
    """The last events of a runtime, numbered from 1.

    Args:
        capacity: How many are kept.
        run: What makes this run's ids different from those of a run before it.
    """

    def __init__(self, capacity: int, run: str) -> None:
        self._history = History(capacity)
        self._run = run
        self.ended = False
        """Whether there will be no more."""
        self._idle = trio.lowlevel.ParkingLot()
        self._turns = trio.lowlevel.ParkingLot()
        self._stirred = trio.Event()
        """Set when there is something that idle readers should hear."""
        self._wanted = trio.Event()
        """Set when there may be readers that wait for their turn."""

    # --- what happens ----------------------------------------------------------------------------

    def take(self, event: Event) -> None:
        """Add an event. A listener for the runtime's bus."""
        self._history.add(event)
        self._stirred.set()

    def end(self) -> None:
        """Say that nothing more will come. May be repeated."""
        self.ended = True
        self._stirred.set()

    # --- places ----------------------------------------------------------------------------------

    @property
    def last(self) -> int:
        """The number of the newest event."""
        return self._history.last

    @property
    def oldest(self) -> int:
        """The place before the oldest event that is kept."""
        return self._history.oldest

    @property
    def position(self) -> str:
        """The id of the newest event: who goes on from here has missed nothing from now on."""
        return self.id_of(self.last)

    def id_of(self, place: int) -> str:
        """Return the id of a place."""
        return f"{self._run}-{place}"

    def place_of(self, position: str) -> tuple[int, bool]:
        """Return the place of an id, and whether it is of this run.

        Of another run nothing is known: everything of this one comes after it.

        Raises:
            BadPosition: It is no id, or one that was not given out yet.
        """
        run, dash, number = position.rpartition("-")
        if not (dash and run and number.isascii() and number.isdigit() and len(number) < _DIGITS):
            raise BadPosition(
                f"{position[:80]!r} is no id of an event: ids look like {self.position}"
            )
        if run != self._run:
            return 0, False
        if int(number) > self.last:
            raise BadPosition(f"{position!r} is ahead of the newest event, {self.position}")

        return int(number), True

    # --- reading ---------------------------------------------------------------------------------

    def read(self, place: int, instance_id: str | None = None) -> Reading:
        """Return the next frames after a place, a chunk at most.

        Args:
            place: Where the reader is.
            instance_id: The instance whose events it wants; None wants all.
        """
        missed = max(self.oldest - place, 0)
        place += missed
        frames, size = [], 0
        for entry in self._history.after(place):
            place = entry.number
            if instance_id is None or entry.event.instance_id == instance_id:
                frame = entry.frame = entry.frame or self._frame(entry)
                frames.append(frame)
                size += len(frame)
                if size >= CHUNK:
                    break
        return Reading(b"".join(frames), place, missed, place < self.last)

    def recent(self, instance_id: str, limit: int) -> list[Event]:
        """Return the last events of an instance, oldest first."""
        return self._recent(lambda event: event.instance_id == instance_id, limit)

    def lately(self, names: Collection[str], limit: int) -> list[Event]:
        """Return the last events of some names, oldest first."""
        return self._recent(lambda event: event.name in names, limit)

    def _recent(self, wanted: Callable[[Event], bool], limit: int) -> list[Event]:
        every = (entry.event for entry in self._history.newest_first())
        return list(islice(filter(wanted, every), limit))[::-1]

    def attempts_per_second(self, now: float) -> float:
        """Return how many connection attempts there were a second, lately."""
        count, known_since = 0, now
        for entry in self._history.newest_first():
            known_since = entry.event.at
            if known_since < now - _RATE_WINDOW:
                break
            count += isinstance(entry.event, InstanceConnecting)
        # Of what was before the oldest nothing is known, unless it was the first of all.
        window = min(now - known_since, _RATE_WINDOW) if self.oldest else _RATE_WINDOW
        return count / max(window, 1.0)

    def _frame(self, entry: Entry) -> bytes:
        data = json.dumps(told(entry.event))
        return f"id: {self.id_of(entry.number)}\ndata: {data}\n\n".encode()

    # --- turns -----------------------------------------------------------------------------------

    async def wait_news(self, place: int) -> None:
        """Wait until there is news after a place, or time for a pulse, and it is one's turn."""
        if place < self.last or self.ended:
            self._stirred.set()  # it came while the reader was busy, and nobody else may follow
        await self._idle.park()

    async def wait_turn(self) -> None:
        """Wait until it is one's turn."""
        self._wanted.set()
        await self._turns.park()

    async def keep_pace(self, scope: trio.CancelScope) -> None:
        """Give turns to readers, until the scope is cancelled."""
        with scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._bring_news)
                nursery.start_soon(self._give_turns)

    async def _bring_news(self) -> None:
        while True:
            with trio.move_on_after(PULSE):
                await self._stirred.wait()
            self._stirred = trio.Event()
            self._idle.repark_all(self._turns)
            self._wanted.set()
            await trio.sleep(PACE)

    async def _give_turns(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted = trio.Event()
            while self._turns:
                self._turns.unpark(count=IN_A_PASS)
                await trio.lowlevel.checkpoint()


_DIGITS = 18
"""More than any run gets to; and Python reads no numbers of thousands of digits."""


def told(event: Event) -> dict[str, object]:
    """Return an event as readers get it: its wire form, its level, and a line for people."""
    return {**event_to_dict(event), "level": level_of(event), "line": one_line(event)}
