"""What the WebSocket channel needs of trio-websocket and cannot have by a public way.

No upper bound on trio-websocket guards these: it would keep users from releases that change nothing
here. These tests say what has vanished, and what has to be thought of anew.
"""

from __future__ import annotations

import ast
import inspect
from importlib.metadata import version
from typing import Any

import pytest
import trio
import trio.testing
import trio_websocket
from wsproto.connection import ConnectionState

from trio_instances.channels import WebSocketChannel, websocket

NEEDED = {
    "_pings": "a ping that is given up stays in this table (see WebSocketConnection.ping)",
    "_wsproto": "only its state tells who found what was wrong (see WebSocketConnection._lost)",
}


async def idle(request: trio_websocket.WebSocketRequest) -> None:
    """Answer pings, and nothing else."""
    socket = await request.accept()
    await socket.get_message()


def test_these_are_all_that_are_used() -> None:
    """One more has to be added here, with what it is needed for."""
    used = {
        node.attr
        for node in ast.walk(ast.parse(inspect.getsource(websocket)))
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.endswith("__")
        if not (isinstance(node.value, ast.Name) and node.value.id == "self")
    }

    assert used == NEEDED.keys()


@pytest.mark.parametrize("name", NEEDED)
async def test_trio_websocket_still_has(instance: Any, serve: Any, name: str) -> None:
    """An open connection has the attribute."""
    with trio.fail_after(5):
        async with WebSocketChannel(await serve(idle)).connect(instance) as connection:
            there = hasattr(connection._socket, name)  # noqa: SLF001 - the law is about what is in it

    assert there, (
        f"trio-websocket {version('trio-websocket')} has no WebSocketConnection.{name} any more, "
        f"and this was needed: {NEEDED[name]}"
    )


async def test_pings_is_still_where_a_ping_waits_by_its_payload(
    instance: Any, serve_raw: Any, upgrade: Any
) -> None:
    """As long as the server has not answered it."""

    async def handler(stream: trio.SocketStream) -> None:
        await upgrade(stream)
        await trio.sleep_forever()

    with trio.move_on_after(10) as body:
        async with WebSocketChannel(await serve_raw(handler)).connect(instance) as connection:
            socket = connection._socket  # noqa: SLF001 - the law is about what is in it
            async with trio.open_nursery() as nursery:
                nursery.start_soon(socket.ping, b"mine")
                await trio.testing.wait_all_tasks_blocked()

                assert list(socket._pings) == [b"mine"]  # noqa: SLF001 - see above
                body.cancel()


async def test_wsproto_still_knows_the_state(instance: Any, serve: Any) -> None:
    """As one of wsproto's own words."""
    with trio.fail_after(5):
        async with WebSocketChannel(await serve(idle)).connect(instance) as connection:
            protocol = connection._socket._wsproto  # noqa: SLF001 - the law is about what is in it
            assert protocol.state is ConnectionState.OPEN
