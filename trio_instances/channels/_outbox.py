"""Messages waiting to be sent: bounded, in order, and kept until they were sent."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar, final

import trio
from attrs import frozen

T = TypeVar("T")


@final
@frozen
class OutboxStatistics:
    """How full an outbox is, named as a Trio memory channel names it."""

    current_buffer_used: int
    """Messages that wait to be sent."""
    max_buffer_size: int
    """Messages that there is room for."""
    tasks_waiting_send: int
    """Tasks that wait for room."""


@final
class Outbox(Generic[T]):
    """A bounded queue that gives up a message after it was sent, not before.

    A memory channel would not do: it gives up a message at the moment of reading, so that one whose
    sending fails or is cancelled would be lost with the connection. Senders take turns: in a
    handover there are two for a while, and each message is to be sent by one of them, in order.

    Args:
        capacity: How many messages may wait.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._messages: deque[T] = deque()
        self._room = trio.Semaphore(capacity, max_value=capacity)
        self._arrived = trio.lowlevel.ParkingLot()
        self._sending = trio.Lock()

    async def put(self, message: T) -> None:
        """Append a message; wait for room, first come, first served.

        When it is cancelled, the message is not in the outbox.
        """
        await self._room.acquire()
        self._append(message)

    def put_nowait(self, message: T) -> None:
        """Append a message.

        Raises:
            trio.WouldBlock: There is no room.
        """
        self._room.acquire_nowait()
        self._append(message)

    async def send_first(self, send: Callable[[T], Awaitable[object]]) -> None:
        """Send the oldest message; wait for one if there is none, and for the sender before.

        When `send` raises, or is cancelled, the message stays.
        """
        # Without the checkpoint of a lock that is free: `send`, or the waiting, has one.
        if self._sending.locked():
            await self._sending.acquire()
        else:
            self._sending.acquire_nowait()
        try:
            while not self._messages:
                await self._arrived.park()
            await send(self._messages[0])
            self._messages.popleft()
            self._room.release()
        finally:
            self._sending.release()

    def statistics(self) -> OutboxStatistics:
        """Return how full it is."""
        waiting = self._room.statistics().tasks_waiting
        return OutboxStatistics(len(self._messages), self._capacity, waiting)

    def _append(self, message: T) -> None:
        self._messages.append(message)
        self._arrived.unpark()
