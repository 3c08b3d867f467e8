"""The laws of closing a WebSocket connection: the server cannot hold it up."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import trio
import trio.testing
import trio_websocket

from trio_instances._exceptions import ChannelError
from trio_instances.channels import WebSocketChannel

from .failing import cause_of_end, reader_is_held_up, reset


async def test_a_server_that_never_answers_the_close_costs_the_deadline_only(
    instance: Any, serve_raw: Any, upgrade: Any, mock_clock: trio.testing.MockClock
) -> None:
    """The close is cut where the surroundings say, and the server sees the connection drop."""
    asked = trio.Event()
    gone = trio.Event()

    async def handler(stream: trio.SocketStream) -> None:
        await upgrade(stream)
        assert (await stream.receive_some())[0] == 0x88
        asked.set()
        try:
            await stream.receive_some()
        finally:
            gone.set()

    async def pass_time() -> None:
        await asked.wait()
        mock_clock.jump(10.0)

    channel = WebSocketChannel(await serve_raw(handler))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pass_time)
        with trio.move_on_after(10.0) as deadline:
            async with channel.connect(instance):
                pass
        assert deadline.cancelled_caught
        await gone.wait()


async def test_a_server_that_drops_the_connection_instead_of_answering_the_close_is_no_error(
    instance: Any, serve_raw: Any, upgrade: Any
) -> None:
    """The close was meant to end the connection, and it has ended."""

    async def handler(stream: trio.SocketStream) -> None:
        await upgrade(stream)
        await stream.receive_some()
        reset(stream)

    channel = WebSocketChannel(await serve_raw(handler))
    with trio.fail_after(5):
        async with channel.connect(instance):
            pass


async def test_a_server_that_pings_while_we_close_does_not_hang_the_close(
    instance: Any, serve_raw: Any, upgrade: Any
) -> None:
    """trio-websocket's reader fails on that ping; the close does not wait for a dead reader."""

    async def handler(stream: trio.SocketStream) -> None:
        await upgrade(stream)
        await stream.receive_some()
        await stream.send_all(b"\x89\x00")
        await trio.sleep_forever()

    channel = WebSocketChannel(await serve_raw(handler))
    with trio.fail_after(5):
        async with channel.connect(instance):
            pass


async def test_messages_nobody_reads_do_not_hang_the_close(instance: Any, serve: Any) -> None:
    """A full inbox does not keep the server's answer out."""

    async def handler(request: trio_websocket.WebSocketRequest) -> None:
        server = await request.accept()
        for _ in range(1000):
            await server.send_message("x" * 1000)
        await server.get_message()

    channel = WebSocketChannel(await serve(handler), inbox_capacity=1)
    with trio.fail_after(5):
        async with channel.connect(instance) as connection:
            await reader_is_held_up(connection)


async def test_a_server_that_closes_and_never_drops_the_connection_does_not_hang_us(
    instance: Any, serve_raw: Any, upgrade: Any
) -> None:
    """After the close frames it is our side that goes, whatever the server does."""

    async def handler(stream: trio.SocketStream) -> None:
        await upgrade(stream)
        await stream.send_all(b"\x88\x02\x03\xe9")
        await trio.sleep_forever()

    cause = await cause_of_end(WebSocketChannel(await serve_raw(handler)), instance)

    assert cause.reason == "close_1001"


@pytest.mark.parametrize("how", ["cancelled", "raised"])
async def test_leaving_otherwise_than_normally_drops_the_connection_at_once(
    instance: Any, serve_raw: Any, upgrade: Any, how: str
) -> None:
    """There is no goodbye: the server sees the stream end and no close frame."""
    received = bytearray()
    gone = trio.Event()

    async def handler(stream: trio.SocketStream) -> None:
        await upgrade(stream)
        received.extend(await stream.receive_some())
        gone.set()

    async def leave() -> None:
        if how == "raised":
            raise KeyError(how)

        scope.cancel()
        await trio.sleep_forever()

    channel = WebSocketChannel(await serve_raw(handler))
    with trio.fail_after(5):
        with contextlib.suppress(KeyError), trio.CancelScope() as scope:
            async with channel.connect(instance):
                await leave()
        await gone.wait()

    assert received == b""


async def test_a_keyboard_interrupt_in_the_reader_comes_out(instance: Any, serve: Any) -> None:
    """Ctrl-C hits whichever task runs; it ends the block and is not lost."""

    async def handler(request: trio_websocket.WebSocketRequest) -> None:
        server = await request.accept()
        await server.get_message()
        await server.send_message("now")
        await server.get_message()

    def interrupt() -> None:
        raise KeyboardInterrupt

    channel = WebSocketChannel(await serve(handler))

    async def use() -> None:
        async with channel.connect(instance) as connection:
            connection._transport._on_bytes = interrupt  # noqa: SLF001 - runs in the reader's task
            await connection.send("go")
            await trio.sleep_forever()

    # In a task of its own, because pytest-trio takes a Cancelled that escapes for the test's end.
    with trio.fail_after(5), pytest.raises(BaseExceptionGroup) as caught:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(use)

    assert caught.group_contains(KeyboardInterrupt)


async def test_a_reader_that_fails_ends_the_connection_and_no_more(
    instance: Any, serve: Any
) -> None:
    """A fault below us is an abnormal close, which neither cancels the block nor hangs its end."""

    async def handler(request: trio_websocket.WebSocketRequest) -> None:
        server = await request.accept()
        await server.get_message()
        await server.send_message("now")
        await trio.sleep_forever()

    def fail() -> None:
        raise ValueError("a fault below")

    channel = WebSocketChannel(await serve(handler))
    with trio.fail_after(5):
        async with channel.connect(instance) as connection:
            connection._transport._on_bytes = fail  # noqa: SLF001 - runs in the reader's task
            await connection.send("go")
            with pytest.raises(ChannelError, match=r"close_1006 .*a fault below"):
                await connection.receive()
