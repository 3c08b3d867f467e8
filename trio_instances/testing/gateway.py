"""A real WebSocket server on the loopback interface that misbehaves when it is told to."""

from __future__ import annotations

import contextlib
import math
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, final

import trio
from attrs import frozen
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, RejectConnection, Request
from wsproto.utilities import RemoteProtocolError

from .._attended import attended
from .gateway_client import CHUNK, LOST, GatewayClient, Handshake, Stream, reset
from .gateway_script import as_playable, play, status_of
from .script import Attempt, Script

if TYPE_CHECKING:
    import ssl

_ADDRESS = "127.0.0.1"
_BACKLOG = 1024
_HANDSHAKE_TIMEOUT = 10.0


@final
@frozen(kw_only=True)
class Refusal:
    """How a handshake is refused."""

    status: int
    """The HTTP status, 400 to 599."""
    retry_after: float | None = None
    """Seconds in a ``Retry-After`` header, rounded up to whole ones; None: no such header."""


Admit = Callable[[Handshake], Refusal | None]
"""Decides about a handshake; None lets the client in."""


@final
@frozen(kw_only=True)
class GatewayStatistics:
    """What a gateway has done since it was opened."""

    open: int
    """Connections that are open now."""
    accepted: int = 0
    """Handshakes that were accepted."""
    refused: int = 0
    """Handshakes that were refused."""
    messages: int = 0
    """Messages that were received and echoed."""
    pings_answered: int = 0
    pings_ignored: int = 0
    deaths: int = 0
    """How often it died."""


@final
class _Port:
    """A loopback port, kept while nobody listens on it.

    A port that is bound and does not listen refuses connections, and nobody else can be given it
    meanwhile, not even as a client's own end.
    """

    def __init__(self) -> None:
        self.number = 0
        self.reserve()

    def reserve(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        if sys.platform != "win32":  # there, the option would let others take the port as well
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((_ADDRESS, self.number))
        self.number = self._socket.getsockname()[1]

    def listen(self) -> trio.SocketListener:
        self._socket.listen(_BACKLOG)
        return trio.SocketListener(trio.socket.from_stdlib_socket(self._socket))

    def close(self) -> None:
        self._socket.close()


@final
class Gateway:
    """A WebSocket server that echoes, and misbehaves when it is told to. See `open_gateway`."""

    def __init__(
        self,
        nursery: trio.Nursery,
        port: _Port,
        admit: Admit | None,
        subprotocols: Sequence[str],
        ssl_context: ssl.SSLContext | None,
    ) -> None:
        self.admit = admit
        """Decides about each handshake from now on; None lets everybody in."""
        self._script: Script | None = None
        self._attempts: Counter[str] = Counter()
        self._nursery = nursery
        self._subprotocols = tuple(subprotocols)
        self._ssl_context = ssl_context
        self._clients: list[GatewayClient] = []
        self._counts: Counter[str] = Counter()
        self._arrival = trio.Event()
        self._port = port
        self._life = trio.CancelScope()
        self._life_ended = trio.Event()
        self._life_ended.set()

    @property
    def script(self) -> Script | None:
        """What each connection from now on meets; it is given as `open_gateway` takes it.

        Raises:
            InvalidSpec: What is set is no script, or asks for what a server cannot do.
        """
        return self._script

    @script.setter
    def script(self, script: Script | Attempt | Iterable[Attempt] | None) -> None:
        self._script = None if script is None else as_playable(script)

    @property
    def url(self) -> str:
        """Where it listens; the same after every revival."""
        scheme = "ws" if self._ssl_context is None else "wss"
        return f"{scheme}://{_ADDRESS}:{self._port.number}"

    @property
    def clients(self) -> Sequence[GatewayClient]:
        """The open connections, oldest first."""
        return tuple(self._clients)

    def statistics(self) -> GatewayStatistics:
        """Return what it has done so far."""
        return GatewayStatistics(open=len(self._clients), **self._counts)

    async def wait_client(self, path: str) -> GatewayClient:
        """Return the newest open connection with this path; wait for one if there is none.

        Cancelling changes nothing.
        """
        while True:
            for client in reversed(self._clients):
                if client.handshake.path == path:
                    return client
            await self._arrival.wait()

    async def send_all(self, message: str | bytes) -> None:
        """Send a message to every client there is, in turn; one that goes meanwhile is left out.

        Cancelling may cut the message to one of them, so it resets that one; the next get none.
        """
        for client in self.clients:
            with contextlib.suppress(*LOST):
                await client.send(message)

    async def close_all(self, code: int = 1000, reason: str = "", *, grace: float = 5.0) -> None:
        """Close every open connection with a code, all at once; see `GatewayClient.close`.

        Cancelling resets those that have not ended.
        """
        async with trio.open_nursery() as nursery:
            for client in self.clients:
                nursery.start_soon(partial(client.close, code, reason, grace=grace))

    async def die(self) -> None:
        """Refuse connections from now on, reset every one there is, and wait until it is done.

        Nothing changes where it is dead. Cancelling cuts the wait only.
        """
        if not self._life.cancel_called and not self._life_ended.is_set():
            self._life.cancel()
            self._counts["deaths"] += 1
        await self._life_ended.wait()

    async def revive(self) -> None:
        """Listen again on the same port; nothing changes where it is alive.

        When cancelled, it is as dead as before.
        """
        if self._life.cancel_called:
            await self._life_ended.wait()
        if self._life_ended.is_set():
            self._life, self._life_ended = trio.CancelScope(), trio.Event()
            await self._nursery.start(self._live)

    async def _live(self, task_status: trio.TaskStatus[None]) -> None:
        try:
            with self._life:
                listener = self._port.listen()
                async with trio.open_nursery() as connections:
                    task_status.started()
                    await trio.serve_listeners(
                        self._handle, [listener], handler_nursery=connections
                    )
        finally:
            self._port.close()
            self._port.reserve()
            self._life_ended.set()

    async def _handle(self, transport: trio.SocketStream) -> None:
        stream: Stream = transport
        if self._ssl_context is not None:
            stream = trio.SSLStream(
                transport, self._ssl_context, server_side=True, https_compatible=True
            )
        try:
            with contextlib.suppress(*LOST):
                await self._serve(stream)
                await stream.aclose()
        finally:
            reset(stream)

    async def _serve(self, stream: Stream) -> None:
        protocol = WSConnection(ConnectionType.SERVER)
        request: Request | None = None
        with trio.move_on_after(_HANDSHAKE_TIMEOUT):
            request = await _read_request(stream, protocol)
        if request is None:
            return

        handshake = _handshake(request)
        attempt = self._next_attempt(handshake)
        if attempt is not None:
            await trio.sleep(attempt.takes)
        if await self._refuse(handshake, attempt, stream, protocol):
            return

        spoken = [word for word in request.subprotocols if word in self._subprotocols]
        accept = AcceptConnection(subprotocol=spoken[0] if spoken else None)
        await stream.send_all(protocol.send(accept))
        self._counts["accepted"] += 1
        await self._converse(GatewayClient(handshake, stream, protocol, self._counts), attempt)

    def _next_attempt(self, handshake: Handshake) -> Attempt | None:
        if self.script is None:
            return None

        self._attempts[handshake.path] += 1
        return self.script[self._attempts[handshake.path]]

    async def _refuse(
        self,
        handshake: Handshake,
        attempt: Attempt | None,
        stream: Stream,
        protocol: WSConnection,
    ) -> bool:
        """Refuse a handshake where that is wanted, and tell whether it was."""
        refusal = self.admit(handshake) if self.admit is not None else None
        if refusal is None and (attempt is None or attempt.refused is None):
            return False

        if refusal is None and attempt is not None:
            status = status_of(attempt)
            refusal = None if status is None else Refusal(status=status[0], retry_after=status[1])
        self._counts["refused"] += 1
        if refusal is None:
            reset(stream)
        else:
            await stream.send_all(protocol.send(_rejection(refusal)))
        return True

    async def _converse(self, client: GatewayClient, attempt: Attempt | None) -> None:
        async with trio.open_nursery() as nursery:
            self._clients.append(client)
            self._arrival.set()
            self._arrival = trio.Event()
            if attempt is not None:
                nursery.start_soon(play, client, attempt)
            try:
                with contextlib.suppress(*LOST):  # bare here, in a group outside of the nursery
                    await client.converse()
            finally:
                self._clients.remove(client)
            nursery.cancel_scope.cancel()


async def _read_request(stream: Stream, protocol: WSConnection) -> Request | None:
    while data := await stream.receive_some(CHUNK):
        try:
            protocol.receive_data(bytes(data))
        except RemoteProtocolError:
            await stream.send_all(protocol.send(RejectConnection(status_code=400)))
            return None

        for event in protocol.events():
            if isinstance(event, Request):
                return event

    return None


def _handshake(request: Request) -> Handshake:
    names = ((name.decode().lower(), value.decode()) for name, value in request.extra_headers)
    return Handshake(path=request.target, headers=dict(names))


def _rejection(refusal: Refusal) -> RejectConnection:
    headers = []
    if refusal.retry_after is not None:
        headers.append((b"Retry-After", b"%d" % math.ceil(refusal.retry_after)))

    return RejectConnection(status_code=refusal.status, headers=headers)


@contextlib.asynccontextmanager
async def open_gateway(
    *,
    admit: Admit | None = None,
    subprotocols: Sequence[str] = (),
    ssl_context: ssl.SSLContext | None = None,
    script: Script | Attempt | Iterable[Attempt] | None = None,
) -> AsyncIterator[Gateway]:
    """Run a gateway on a free loopback port for as long as the block lasts.

    Leaving the block, also when it is cancelled, resets what is still connected. What the block
    raises comes out as it is.

    Args:
        admit: Decides about each handshake; what it raises ends the gateway, and cancels the block.
        subprotocols: Those it speaks; of those a client offers, the first one spoken is taken.
        ssl_context: A server's context, for ``wss``.
        script: What each connection meets, attempt by attempt, as a `FakeChannel` has it; attempts
            are counted by path, so that each client that has its own path has all of the script. It
            is also what makes the gateway send messages: texts of whole numbers, from 1. A refusal
            or an end by a `Cause` other than ``http_...`` or ``close_...`` is a reset.

    Raises:
        InvalidSpec: The script asks for what a server cannot do.
    """
    played = None if script is None else as_playable(script)
    with contextlib.closing(_Port()) as port:
        async with attended() as nursery:
            gateway = Gateway(nursery, port, admit, subprotocols, ssl_context)
            gateway.script = played
            await gateway.revive()
            yield gateway
