"""The laws of the outbox."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from trio_instances.channels._outbox import Outbox


async def test_a_message_stays_first_until_it_is_dropped() -> None:
    """Reading takes nothing out."""
    outbox = Outbox[str](2)
    outbox.put_nowait("a")
    outbox.put_nowait("b")

    assert [await outbox.wait_first(), await outbox.wait_first()] == ["a", "a"]

    outbox.drop_first()
    assert await outbox.wait_first() == "b"


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

    seen = []
    for _ in range(3):
        seen.append(await outbox.wait_first())
        outbox.drop_first()
        await trio.testing.wait_all_tasks_blocked()
    assert seen == [0, 1, 2]


async def test_a_cancelled_put_leaves_no_message_and_no_lost_room() -> None:
    """A task that gave up neither sends nor keeps a place."""
    outbox = Outbox[int](1)
    outbox.put_nowait(0)
    with trio.CancelScope() as scope:
        scope.cancel()
        await outbox.put(1)

    assert scope.cancelled_caught
    outbox.drop_first()
    outbox.put_nowait(2)
    assert await outbox.wait_first() == 2


async def test_waiting_for_the_first_message_is_woken_by_it(nursery: trio.Nursery) -> None:
    """A reader that came before the message gets it."""
    outbox = Outbox[str](1)
    seen: list[str] = []

    async def read() -> None:
        seen.append(await outbox.wait_first())

    nursery.start_soon(read)
    await trio.testing.wait_all_tasks_blocked()
    outbox.put_nowait("a")
    await trio.testing.wait_all_tasks_blocked()

    assert seen == ["a"]


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
