"""Messages waiting to be sent: bounded, in order, and kept until they were sent."""

from __future__ import annotations

from collections import deque
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
    """A bounded queue whose only reader takes a message out after it was sent, not before.

    A memory channel would not do: it gives up a message at the moment of reading, so that one whose
    sending fails or is cancelled would be lost with the connection.

    Args:
        capacity: How many messages may wait.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._messages: deque[T] = deque()
        self._room = trio.Semaphore(capacity, max_value=capacity)
        self._arrived = trio.lowlevel.ParkingLot()

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

    async def wait_first(self) -> T:
        """Return the oldest message, which stays; wait for one if there is none."""
        while not self._messages:
            await self._arrived.park()
        return self._messages[0]

    def drop_first(self) -> None:
        """Take the oldest message out, because it was sent."""
        self._messages.popleft()
        self._room.release()

    def statistics(self) -> OutboxStatistics:
        """Return how full it is."""
        waiting = self._room.statistics().tasks_waiting
        return OutboxStatistics(len(self._messages), self._capacity, waiting)

    def _append(self, message: T) -> None:
        self._messages.append(message)
        self._arrived.unpark()
