"""The laws of probing a WebSocket connection that does not answer."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
import trio_websocket

from trio_instances._exceptions import ChannelError
from trio_instances.channels import WebSocketChannel
from trio_instances.policy.failures import FailureClass

from .failing import reader_is_held_up, reset


async def test_a_probe_of_a_server_that_reads_nothing_can_be_cancelled(
    instance: Any, serve_raw: Any, upgrade: Any
) -> None:
    """The ping that was given up leaves nothing behind, and the connection is still in use."""

    async def handler(stream: trio.SocketStream) -> None:
        await upgrade(stream)
        await trio.sleep_forever()

    channel = WebSocketChannel(await serve_raw(handler))
    with trio.move_on_after(10) as body:
        async with channel.connect(instance) as connection:
            for _ in range(3):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(channel.probe, instance, connection)
                    await trio.testing.wait_all_tasks_blocked()
                    nursery.cancel_scope.cancel()
            assert not connection._socket._pings  # noqa: SLF001 - the law is about this table
            connection.check()
            body.cancel()
    assert body.cancelled_caught


async def test_a_probe_of_a_closed_connection_says_why_it_was_closed(
    instance: Any, serve: Any
) -> None:
    """No ping is sent into the void."""

    async def handler(request: trio_websocket.WebSocketRequest) -> None:
        await (await request.accept()).aclose(1012)

    channel = WebSocketChannel(await serve(handler))
    with trio.fail_after(5):
        async with channel.connect(instance) as connection:
            with pytest.raises(ChannelError, match="close_1012"):
                await connection.receive()
            with pytest.raises(ChannelError, match="close_1012"):
                await channel.probe(instance, connection)


async def test_a_probe_ends_when_the_connection_does(
    instance: Any, serve_raw: Any, upgrade: Any
) -> None:
    """A pong that cannot come any more is not waited for."""

    async def handler(stream: trio.SocketStream) -> None:
        await upgrade(stream)
        await stream.receive_some()
        reset(stream)

    channel = WebSocketChannel(await serve_raw(handler))
    with trio.fail_after(5):
        async with channel.connect(instance) as connection:
            with pytest.raises(ChannelError, match="close_1006"):
                await channel.probe(instance, connection)


async def test_a_handler_that_holds_up_the_reader_is_not_blamed_on_the_server(
    instance: Any, serve: Any, run_children: Any, mock_clock: trio.testing.MockClock
) -> None:
    """Where a pong could not be seen, the verdict is degraded, and the author is named."""
    busy = trio.Event()

    async def on_message(_: Any, __: Any) -> None:
        busy.set()
        await trio.sleep_forever()

    async def handler(request: trio_websocket.WebSocketRequest) -> None:
        server = await request.accept()
        for _ in range(10):
            await server.send_message("work")
        await server.get_message()

    channel = WebSocketChannel(await serve(handler), on_message=on_message, inbox_capacity=1)
    async with (
        channel.connect(instance) as connection,
        run_children(channel, instance, connection),
    ):
        await busy.wait()
        await reader_is_held_up(connection)
        mock_clock.jump(2.0)
        with pytest.raises(ChannelError) as caught:
            await channel.probe(instance, connection)

    cause = caught.value.cause
    assert (cause.failure_class, cause.reason) == (FailureClass.DEGRADED, "handler_busy")
    assert not cause.lost
