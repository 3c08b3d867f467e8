"""A bounded buffer of events between the publishers, who never wait, and one receiver's pace."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import trio
from attrs import frozen

from .schema import Event

if TYPE_CHECKING:
    from .bus import EventBus


@final
@frozen(kw_only=True)
class SubscriptionStatistics:
    """A subscription at one moment."""

    current_buffer_used: int
    """How many events wait to be received."""
    max_buffer_size: int
    """How many can."""
    tasks_waiting_receive: int
    """How many tasks wait for an event."""
    dropped: int
    """How many events were dropped so far because the buffer was full."""


@final
class Subscription(trio.abc.ReceiveChannel[Event]):
    """The events of a bus, from the moment it is made until it is closed.

    Made by `EventBus.subscribe` only. When the buffer is full the *oldest* event is dropped:
    what a receiver that fell behind needs most is how things are now, and that is what the newest
    events tell; and what it still gets has no further gap in it. Subscriptions know nothing of each
    other. Several tasks may receive from one; they take turns.
    """

    def __init__(self, bus: EventBus, max_buffer: int) -> None:
        # Trio's own channel brings turns, wake-ups and receives that lose nothing when cancelled.
        self._send, self._receive = trio.open_memory_channel[Event](max_buffer)
        self._max_buffer = max_buffer
        self._dropped = 0
        self._place = bus.listen(self._put, on_close=self._send.close)

    def _put(self, event: Event) -> None:
        try:
            self._send.send_nowait(event)
        except trio.WouldBlock:
            self._receive.receive_nowait()
            self._dropped += 1
            self._send.send_nowait(event)

    @property
    def dropped(self) -> int:
        """How many events were dropped so far because the buffer was full."""
        return self._dropped

    async def receive(self) -> Event:
        """Wait for the next event and return it; when cancelled, no event is lost.

        Raises:
            trio.EndOfChannel: The subscription, or its bus, is closed and the buffer empty.
        """
        return await self._receive.receive()

    def receive_nowait(self) -> Event:
        """Return the next event, if there is one.

        Raises:
            trio.WouldBlock: There is none yet.
            trio.EndOfChannel: The subscription, or its bus, is closed and the buffer empty.
        """
        return self._receive.receive_nowait()

    def statistics(self) -> SubscriptionStatistics:
        """Return how full it is, and how much it lost."""
        channel = self._receive.statistics()
        return SubscriptionStatistics(
            current_buffer_used=channel.current_buffer_used,
            max_buffer_size=self._max_buffer,
            tasks_waiting_receive=channel.tasks_waiting_receive,
            dropped=self._dropped,
        )

    def close(self) -> None:
        """Take in nothing more. What is buffered can be received, then iterations end.

        So a task that iterates is ended softly by another one that closes. May be repeated.
        """
        self._place.close()

    async def aclose(self) -> None:
        """Close it as `close` does; a checkpoint, so it may be cancelled, and closes even then."""
        self.close()
        await trio.lowlevel.checkpoint()
