"""The laws of the stream under a WebSocket, where trio-websocket's own lock is not in the way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
import trio_websocket

from trio_instances.channels import WebSocketChannel
from trio_instances.channels._transport import Transport

from .failing import BIG


@pytest.fixture
async def ends() -> AsyncIterator[tuple[Transport, trio.SocketStream]]:
    """A transport, and the other end of its stream."""
    near, far = (trio.SocketStream(end) for end in trio.socket.socketpair())
    async with far:
        transport = Transport(near, near, lambda: None)
        yield transport, far
        transport.drop()


async def test_what_the_system_takes_in_part_goes_out_in_full_and_in_order(
    ends: tuple[Transport, trio.SocketStream],
) -> None:
    """A part is sent at once and the rest as there is room, and no byte twice."""
    transport, far = ends
    sent = bytes(range(256)) * 10_000
    received = bytearray()

    async def receive() -> None:
        async for some in far:
            received.extend(some)

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            await transport.send_all(sent)
            await transport.send_all(b"after")
            await transport.aclose()

    assert received == sent + b"after"


async def test_a_send_cancelled_before_it_begins_spoils_nothing_where_there_is_no_room(
    ends: tuple[Transport, trio.SocketStream],
) -> None:
    """Nothing of it is on its way, so the connection goes on."""
    transport, _ = ends
    while transport._send_at_once(BIG):  # noqa: SLF001 - nothing public fills the buffers
        pass

    with trio.CancelScope() as scope:
        scope.cancel()
        await transport.send_all(b"never")

    assert (scope.cancelled_caught, transport.broken) == (True, False)


async def test_a_send_that_is_cancelled_before_it_begins_sends_nothing(
    ends: tuple[Transport, trio.SocketStream],
) -> None:
    """Also where there is room: in a handover it would come after what the successor has sent."""
    transport, far = ends
    with trio.CancelScope() as scope:
        scope.cancel()
        await transport.send_all(b"never")
    await transport.send_all(b"after")

    assert scope.cancelled_caught
    assert await far.receive_some() == b"after"


async def test_sending_lets_other_tasks_run(instance: Any, serve: Any) -> None:
    """However much room there is, one who sends without end holds nobody up."""
    turns = 0

    async def handler(request: trio_websocket.WebSocketRequest) -> None:
        server = await request.accept()
        while True:
            await server.get_message()

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    with trio.fail_after(5):
        async with (
            WebSocketChannel(await serve(handler)).connect(instance) as connection,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(take_turns)
            for _ in range(100):
                await connection.send("x")
            nursery.cancel_scope.cancel()

    assert turns > 50  # the other one may begin late, and end early
