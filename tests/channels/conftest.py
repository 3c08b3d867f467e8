"""Far ends to talk to, and the smallest thing that a channel takes for its instance."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
import trio
import trio_websocket

Handler = Callable[[trio_websocket.WebSocketRequest], Awaitable[None]]
RawHandler = Callable[[trio.SocketStream], Awaitable[None]]


class Recorder:
    """Notes what a channel tells its instance."""

    id = "one"
    generation = 1
    session: Any = None

    def __init__(self) -> None:
        self.frames = 0
        self.events = 0
        self.queues: dict[str, Any] = {}

    def saw_frame(self) -> None:
        """Something arrived."""
        self.frames += 1

    def saw_event(self) -> None:
        """A message arrived."""
        self.events += 1

    def watch_queue(self, name: str, queue: Any) -> None:
        """A queue is there to be watched."""
        self.queues[name] = queue


@pytest.fixture
def instance() -> Recorder:
    """What `connect` is given."""
    return Recorder()


@pytest.fixture
def serve(nursery: trio.Nursery) -> Callable[..., Awaitable[str]]:
    """Start a WebSocket server on a free port of the loopback interface; gives its URL."""

    async def start(handler: Handler, ssl_context: Any = None) -> str:
        async def tolerant(request: trio_websocket.WebSocketRequest) -> None:
            try:
                await handler(request)
            except trio_websocket.ConnectionClosed:
                return

        server = await nursery.start(
            trio_websocket.serve_websocket, tolerant, "127.0.0.1", 0, ssl_context
        )
        host = "127.0.0.1" if ssl_context is None else "localhost"
        return f"{'ws' if ssl_context is None else 'wss'}://{host}:{server.port}"

    return start


@pytest.fixture
def serve_raw(nursery: trio.Nursery) -> Callable[..., Awaitable[str]]:
    """Start a TCP server on a free port of the loopback interface; gives a URL for it."""

    async def start(handler: RawHandler) -> str:
        async def tolerant(stream: trio.SocketStream) -> None:
            try:
                async with stream:
                    await handler(stream)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return

        listen = functools.partial(trio.serve_tcp, tolerant, 0, host="127.0.0.1")
        listeners = await nursery.start(listen)
        return f"ws://127.0.0.1:{listeners[0].socket.getsockname()[1]}"

    return start


@pytest.fixture
def upgrade() -> Callable[[trio.SocketStream], Awaitable[None]]:
    """Answer a WebSocket handshake on a raw stream."""

    async def answer(stream: trio.SocketStream) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            request += await stream.receive_some()
        found = re.search(rb"Sec-WebSocket-Key: *(\S+)", request, re.IGNORECASE)
        assert found is not None
        token = found[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(token, usedforsecurity=False).digest())
        await stream.send_all(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )

    return answer


@pytest.fixture
def run_children() -> Callable[..., AbstractAsyncContextManager[None]]:
    """Run a connection's children as tasks while the block lasts; a failure ends the block."""

    @asynccontextmanager
    async def run(channel: Any, instance: Any, connection: Any, *names: str) -> AsyncIterator[None]:
        async with trio.open_nursery() as children:
            for spec in channel.children(instance, connection):
                if spec.name in (names or ("receiver", "sender")):
                    children.start_soon(spec.run, *spec.args)
            yield
            children.cancel_scope.cancel()

    return run
