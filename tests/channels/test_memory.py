"""The laws of the in-process channel."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from trio_instances._exceptions import ChannelError, InvalidSpec
from trio_instances.channels import MemoryChannel, MemoryServer
from trio_instances.policy.failures import Cause, FailureClass

CAUSE = Cause(FailureClass.FATAL, "session_revoked", lost=True)


async def test_messages_pass_both_ways_in_order(instance: Any, run_children: Any) -> None:
    """What one end sends, the other receives."""
    seen: list[object] = []

    async def on_message(_: Any, message: object) -> None:
        seen.append(message)

    server = MemoryServer()
    channel = MemoryChannel(server, on_message=on_message)
    async with (
        channel.connect(instance) as connection,
        run_children(channel, instance, connection),
    ):
        far = await server.accept()
        await channel.send({"to": "server"})
        assert await far.receive() == {"to": "server"}
        for number in range(3):
            await far.send(number)
        await trio.testing.wait_all_tasks_blocked()

    assert seen == [0, 1, 2]
    assert (instance.frames, instance.events) == (3, 3)


async def test_a_refusal_is_the_cause_of_the_failed_attempt(instance: Any) -> None:
    """The server says why, and a later attempt can succeed."""
    server = MemoryServer()
    channel = MemoryChannel(server)
    server.refusal = CAUSE
    with pytest.raises(ChannelError) as caught:
        async with channel.connect(instance):
            pass
    assert caught.value.cause is CAUSE

    server.refusal = None
    async with channel.connect(instance):
        await server.accept()


async def test_a_close_tells_its_cause_after_what_was_sent_before(instance: Any) -> None:
    """The last messages arrive, then the cause."""
    server = MemoryServer()
    channel = MemoryChannel(server)
    async with channel.connect(instance) as connection:
        far = await server.accept()
        await far.send("last")
        far.close(CAUSE)

        assert await connection.receive() == "last"
        with pytest.raises(ChannelError, match="session_revoked"):
            await connection.receive()
        with pytest.raises(ChannelError, match="session_revoked"):
            await connection.send("too late")


async def test_leaving_the_block_closes_the_connection(instance: Any) -> None:
    """The far end learns of it, whether we left in order or were cancelled."""
    server = MemoryServer()
    channel = MemoryChannel(server)
    async with channel.connect(instance):
        first = await server.accept()
    with trio.CancelScope() as scope:
        async with channel.connect(instance):
            second = await server.accept()
            scope.cancel()
            await trio.sleep_forever()

    for far in (first, second):
        with pytest.raises(ChannelError, match="closed"):
            await far.receive()


async def test_the_outbox_survives_a_reconnect(instance: Any, run_children: Any) -> None:
    """A message that was not sent is sent on the next connection."""
    server = MemoryServer()
    channel = MemoryChannel(server, outbox_capacity=1)
    async with channel.connect(instance):
        channel.send_nowait("kept")
        with pytest.raises(trio.WouldBlock):
            channel.send_nowait("too many")
        await server.accept()
    async with (
        channel.connect(instance) as connection,
        run_children(channel, instance, connection, "sender"),
    ):
        far = await server.accept()
        assert await far.receive() == "kept"

    assert instance.queues["outbox"].statistics().current_buffer_used == 0


async def test_without_a_handler_messages_are_only_counted(
    instance: Any, run_children: Any
) -> None:
    """A channel that only sends still reads, and so holds nobody up."""
    server = MemoryServer(capacity=1)
    channel = MemoryChannel(server)
    async with (
        channel.connect(instance) as connection,
        run_children(channel, instance, connection),
    ):
        far = await server.accept()
        for number in range(5):
            await far.send(number)
        await trio.testing.wait_all_tasks_blocked()

    assert instance.events == 5


async def test_everything_is_bounded(instance: Any, autojump_clock: Any) -> None:
    """An end that does not read holds up the other one, and so do connections not accepted."""
    server = MemoryServer(capacity=1)
    channel = MemoryChannel(server)
    async with channel.connect(instance) as connection:
        await connection.send("fits")
        with trio.move_on_after(1) as sending:
            await connection.send("does not")
        with trio.move_on_after(1) as connecting:
            await server.connect()

    assert sending.cancelled_caught
    assert connecting.cancelled_caught


async def test_the_probe_waits_for_ever_where_none_is_answered(
    instance: Any, autojump_clock: Any
) -> None:
    """It is the instance's budget that ends such a probe."""
    server = MemoryServer()
    channel = MemoryChannel(server)
    async with channel.connect(instance) as connection:
        await channel.probe(instance, connection)
        server.answers_probes = False
        with trio.move_on_after(1e6) as budget:
            await channel.probe(instance, connection)

    assert budget.cancelled_caught


async def test_its_repr_says_how_full_its_outbox_is() -> None:
    """It is what a mistake and a specification show of it."""
    channel = MemoryChannel(MemoryServer(), outbox_capacity=4)
    channel.send_nowait("hello")
    assert repr(channel) == "<MemoryChannel outbox=1/4>"


def test_every_mistake_is_listed() -> None:
    """Wrong options are refused before anything starts."""
    wrong: Any = "nothing"
    with pytest.raises(InvalidSpec) as caught:
        MemoryChannel(wrong, on_message=wrong, outbox_capacity=0)

    places = [mistake.place for mistake in caught.value.mistakes]
    assert places == ["server", "on_message", "outbox_capacity"]

    with pytest.raises(InvalidSpec, match="capacity"):
        MemoryServer(capacity=0)
