"""One task for each connection, on Hypercorn's worker for Trio, and the power to give one up.

Hypercorn's own ``serve`` was rejected: it shields each write to the other side from cancellation,
without a deadline, so that a single reader that has stalled would keep the endpoint, and with it
the whole program, from ever ending. So the accepting is ours, the protocol is Hypercorn's, and in
between is a stream whose writes have an end.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, cast, final

import trio
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.utils import wrap_app

from .work import Work

if TYPE_CHECKING:
    from starlette.types import ASGIApp

logger = logging.getLogger("trio_instances.http")

STALL = 30.0
"""Seconds that one write may wait for a reader that takes nothing."""
SEND_BUFFER = 128 * 1024
"""Bytes that the system keeps for a reader; its own default grows to megabytes for each."""
_REQUEST, _REQUEST_TIMEOUT = 16 * 1024, 1.0
"""Bytes and seconds of a request that is turned away unread."""
_FULL = b'{"error":"busy","detail":"too many connections: try again in 5 seconds"}\n'


@final
class PatientStream:
    """A connection, as Hypercorn sees it. Its writes wait for a reader, but not for ever.

    Args:
        stream: The connection.
    """

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self.socket = stream.socket
        """Hypercorn asks it for the addresses of both sides."""
        self.context = WorkerContext(None)
        """What Hypercorn calls its worker: of each connection, so that one can be ended alone."""

    async def send_all(self, data: bytes) -> None:
        """Send data; inside Hypercorn's shield, so that the deadline reaches it.

        Raises:
            trio.BrokenResourceError: The reader took nothing for so long that it was given up.
            trio.ClosedResourceError: The connection was given up.
        """
        with trio.move_on_after(STALL) as patience:
            await self._stream.send_all(data)
        if patience.cancelled_caught:
            self.abort()
            raise trio.BrokenResourceError("the other side takes nothing")

    async def receive_some(self, max_bytes: int) -> bytes | bytearray:
        """Return what has arrived."""
        data: bytes | bytearray = b""
        try:
            data = await self._stream.receive_some(max_bytes)
        finally:
            if not data:
                # Hypercorn would keep what is closed from the other side until it is too long idle.
                await self.end()
        return data

    async def end(self) -> None:
        """Ask it to end: at once where it is idle, otherwise after the answer. No checkpoint."""
        await self.context.terminated.set()

    async def send_eof(self) -> None:
        """Say that nothing more will be sent."""
        await self._stream.send_eof()

    async def aclose(self) -> None:
        """Close the connection."""
        await self._stream.aclose()

    def abort(self) -> None:
        """Close the connection at once. Whoever waits for it is told that it is closed."""
        self.socket.close()


@final
class Connections:
    """All connections of an endpoint.

    Args:
        application: The ASGI application that answers them.
        work: What is under way, so that its end can be waited for.
        limit: How many connections there may be at a time.
    """

    def __init__(self, application: ASGIApp, work: Work, *, limit: int) -> None:
        self._config = _config()
        self._application = wrap_app(cast("Any", application), 0, "asgi")
        self._work = work
        self._limit = limit
        self._open: set[PatientStream] = set()
        self._stopping = False

    async def serve(self, stream: trio.SocketStream) -> None:
        """Serve one connection until it ends. It never raises for what the other side does."""
        await self._work.run(self._serve, stream)

    async def stop(self) -> None:
        """Ask every connection to end: idle ones at once, the others after their answer."""
        self._stopping = True
        for stream in self._open:
            await stream.end()

    def abort(self) -> None:
        """Close every connection that is left, so that no write waits any longer."""
        for stream in list(self._open):
            stream.abort()

    async def _serve(self, socket_stream: trio.SocketStream) -> None:
        stream = PatientStream(socket_stream)
        if self._stopping or len(self._open) >= self._limit:
            await _turn_away(stream)
            return

        socket_stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_SNDBUF, SEND_BUFFER)
        self._open.add(stream)
        try:
            await TCPServer(
                self._application,
                self._config,
                stream.context,
                cast("Any", {}),
                cast("Any", stream),
            )
        except* Exception:
            logger.exception("a connection of the operations endpoint has failed")
        finally:
            self._open.discard(stream)
            stream.abort()


async def _turn_away(stream: PatientStream) -> None:
    head = (
        "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 5\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(_FULL)}\r\n\r\n"
    )
    try:
        # What is closed with a request unread is reset, and the answer lost on its way.
        with trio.move_on_after(_REQUEST_TIMEOUT):
            await stream.receive_some(_REQUEST)
        await stream.send_all(head.encode() + _FULL)
        await stream.send_eof()
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass
    finally:
        stream.abort()


def _config() -> Config:
    config = Config()
    config.errorlog = logger
    config.include_server_header = False
    config.keep_alive_timeout = 10.0
    config.h2_max_concurrent_streams = 20
    return config
