"""The laws of the outbox."""

from __future__ import annotations

from typing import Generic, TypeVar, final

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from trio_instances.channels._outbox import Outbox

T = TypeVar("T")


@final
class Wire(Generic[T]):
    """Somewhere to send to: takes its time, and fails when it is told to."""

    def __init__(self) -> None:
        self.sent: list[T] = []
        self.seconds = 0.0
        self.broken = False

    async def send(self, message: T) -> None:
        """Send one message."""
        await trio.sleep(self.seconds)
        if self.broken:
            raise OSError("broken")
        self.sent.append(message)


async def test_a_message_stays_first_until_it_was_sent(autojump_clock: MockClock) -> None:
    """Neither a failure nor a cancellation takes it out."""
    outbox, wire = Outbox[str](2), Wire[str]()
    outbox.put_nowait("a")
    outbox.put_nowait("b")

    wire.broken = True
    with pytest.raises(OSError, match="broken"):
        await outbox.send_first(wire.send)
    wire.broken, wire.seconds = False, 5.0
    with trio.move_on_after(1.0):
        await outbox.send_first(wire.send)
    assert wire.sent == []

    await outbox.send_first(wire.send)
    await outbox.send_first(wire.send)
    assert wire.sent == ["a", "b"]


async def test_two_senders_send_each_message_once_and_in_order(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """In a handover the old connection has a sender, and the new one has another."""
    outbox, wire = Outbox[int](100), Wire[int]()
    wire.seconds = 1.0
    for number in range(20):
        outbox.put_nowait(number)

    async def sender() -> None:
        while True:
            await outbox.send_first(wire.send)

    nursery.start_soon(sender)
    nursery.start_soon(sender)
    await trio.sleep(20.5)
    nursery.cancel_scope.cancel()
    assert wire.sent == list(range(20))


async def test_a_sender_that_is_cancelled_lets_the_next_one_send(autojump_clock: MockClock) -> None:
    """One that hangs in a dead connection holds the messages up no longer than it lives."""
    outbox, dead, living = Outbox[str](1), Wire[str](), Wire[str]()
    dead.seconds = 1000.0
    outbox.put_nowait("a")
    with trio.move_on_after(3.0):
        await outbox.send_first(dead.send)
    await outbox.send_first(living.send)
    assert (dead.sent, living.sent) == ([], ["a"])


async def test_a_full_outbox_would_block() -> None:
    """There is never more in it than its capacity."""
    outbox = Outbox[int](1)
    outbox.put_nowait(1)

    with pytest.raises(trio.WouldBlock):
        outbox.put_nowait(2)
    assert outbox.statistics().current_buffer_used == 1


async def test_put_waits_for_room_first_come_first_served(nursery: trio.Nursery) -> None:
    """Dropping one message lets in the one that waited longest."""
    outbox = Outbox[int](1)
    outbox.put_nowait(0)
    for number in (1, 2):
        nursery.start_soon(outbox.put, number)
        await trio.testing.wait_all_tasks_blocked()
    assert outbox.statistics().tasks_waiting_send == 2

    wire = Wire[int]()
    for _ in range(3):
        await outbox.send_first(wire.send)
        await trio.testing.wait_all_tasks_blocked()
    assert wire.sent == [0, 1, 2]


async def test_a_cancelled_put_leaves_no_message_and_no_lost_room() -> None:
    """A task that gave up neither sends nor keeps a place."""
    outbox = Outbox[int](1)
    outbox.put_nowait(0)
    with trio.CancelScope() as scope:
        scope.cancel()
        await outbox.put(1)

    assert scope.cancelled_caught
    wire = Wire[int]()
    await outbox.send_first(wire.send)
    outbox.put_nowait(2)
    await outbox.send_first(wire.send)
    assert wire.sent == [0, 2]


async def test_waiting_for_the_first_message_is_woken_by_it(nursery: trio.Nursery) -> None:
    """A sender that came before the message sends it."""
    outbox, wire = Outbox[str](1), Wire[str]()
    nursery.start_soon(outbox.send_first, wire.send)
    await trio.testing.wait_all_tasks_blocked()
    outbox.put_nowait("a")
    await trio.testing.wait_all_tasks_blocked()

    assert wire.sent == ["a"]


async def test_statistics_have_the_names_of_a_memory_channel() -> None:
    """Whoever watches a memory channel can watch an outbox."""
    outbox = Outbox[int](3)
    outbox.put_nowait(0)
    send, receive = trio.open_memory_channel[int](3)
    with send, receive:
        send.send_nowait(0)
        theirs = send.statistics()
    ours = outbox.statistics()

    assert (ours.current_buffer_used, ours.max_buffer_size, ours.tasks_waiting_send) == (
        theirs.current_buffer_used,
        theirs.max_buffer_size,
        theirs.tasks_waiting_send,
    )
