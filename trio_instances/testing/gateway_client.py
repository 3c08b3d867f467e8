"""The gateway's end of one WebSocket connection."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
from collections import Counter
from collections.abc import Mapping
from typing import final

import trio
from attrs import frozen
from wsproto import WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import BytesMessage, CloseConnection, Event, Message, Ping, TextMessage
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]

LOST = (trio.BrokenResourceError, trio.ClosedResourceError, RemoteProtocolError)
"""What reading and writing raise when the peer is gone, or talks nonsense."""

CHUNK = 65536
"""Bytes that are read at once."""


@final
@frozen(kw_only=True)
class Handshake:
    """What a client asked for when it connected."""

    path: str
    """The request's target, query included."""
    headers: Mapping[str, str]
    """The request's headers, names in lower case."""


@final
class GatewayClient:
    """The gateway's end of one connection. Made by the gateway only."""

    def __init__(
        self, handshake: Handshake, stream: Stream, protocol: WSConnection, counts: Counter[str]
    ) -> None:
        self.handshake = handshake
        self.answers_pings = True
        """Set it to False for a peer that is gone although its socket is open."""
        self.answers_close = True
        """Set it to False for a peer that leaves a closing handshake hanging."""
        self.close_delay: float = 0.0
        """Seconds from the client's close frame to the answer; ``math.inf``: it leaves it hanging,
        as without `answers_close`."""
        self._stream = stream
        self._protocol = protocol
        self._counts = counts
        self._sending = trio.Lock()
        self._ended = trio.Event()
        self._parts: list[str | bytes | bytearray] = []

    async def send(self, message: str | bytes) -> None:
        """Send a message.

        Cancelling may cut the message, so it resets the connection.

        Raises:
            trio.ClosedResourceError: The connection is closed, or closing.
            trio.BrokenResourceError: The client is gone.
        """
        if isinstance(message, str):
            await self._transmit(TextMessage(message))
        else:
            await self._transmit(BytesMessage(message))

    async def close(self, code: int = 1000, reason: str = "", *, grace: float = 5.0) -> None:
        """Close with a code, and wait until the client has answered.

        Args:
            code: The close code.
            reason: Its text.
            grace: Seconds to wait for the answer; after them the connection is reset. Cancelling
                resets it as well.
        """
        try:
            with trio.move_on_after(grace):
                with contextlib.suppress(*LOST):
                    await self._transmit(CloseConnection(code, reason))
                await self._ended.wait()
        finally:
            if not self._ended.is_set():
                self.reset()

    def reset(self) -> None:
        """End the connection at once, without a close frame, as a crashing host does."""
        reset(self._stream)

    async def wait_closed(self) -> None:
        """Wait until the connection has ended. Cancelling changes nothing."""
        await self._ended.wait()

    async def _transmit(self, event: Event) -> None:
        async with self._sending:
            try:
                data = self._protocol.send(event)
            except LocalProtocolError as exc:
                raise trio.ClosedResourceError("the connection is closed, or closing") from exc

            try:
                await self._stream.send_all(data)
            except BaseException:
                # Part of a frame may be on its way; nothing sensible can follow it.
                self.reset()
                raise

    async def converse(self) -> None:
        """Answer what comes, until the connection has ended; for the gateway alone.

        Cancelling ends the answers, and `wait_closed`; the gateway then resets the connection.
        """
        try:
            await self._receive()
        finally:
            self._ended.set()

    async def _receive(self) -> None:
        while True:
            for event in self._protocol.events():
                # A connection that is closing reads on, up to the other side's close frame.
                with contextlib.suppress(trio.ClosedResourceError):
                    await self._answer(event)
            if self._protocol.state is ConnectionState.CLOSED:
                return

            data = await self._stream.receive_some(CHUNK)
            if not data:
                return

            self._protocol.receive_data(bytes(data))

    async def _answer(self, event: Event) -> None:
        if isinstance(event, Ping):
            self._counts["pings_answered" if self.answers_pings else "pings_ignored"] += 1
            if self.answers_pings:
                await self._transmit(event.response())
        elif isinstance(event, CloseConnection):
            if self.answers_close and self._protocol.state is not ConnectionState.CLOSED:
                await trio.sleep(self.close_delay)
                await self._transmit(event.response())
        elif isinstance(event, Message):
            await self._echo(event)

    async def _echo(self, part: Message[str] | Message[bytes | bytearray]) -> None:
        self._parts.append(part.data)
        if not part.message_finished:
            return

        parts, self._parts = self._parts, []
        self._counts["messages"] += 1
        if isinstance(part, TextMessage):
            await self.send("".join(str(text) for text in parts))
        else:
            await self.send(b"".join(bytes(data) for data in parts if not isinstance(data, str)))


def reset(stream: Stream) -> None:
    """End a connection at once: the peer is sent a reset, and nothing that was still to be sent."""
    transport = stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
    linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
    with contextlib.suppress(OSError):  # it may be closed already
        transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.socket.close()
