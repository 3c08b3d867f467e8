"""A channel to a WebSocket server; the only module that imports trio_websocket."""

from __future__ import annotations

import contextlib
import functools
import itertools
import time
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, cast, final

import trio
import trio_websocket
from attrs import evolve
from wsproto.connection import ConnectionState
from wsproto.utilities import LocalProtocolError

from .._attended import attended
from .._exceptions import ChannelError
from ..abc import Channel
from ..policy.causes.defaults import DEFAULTS
from ..policy.failures import Cause, flatten
from ..policy.handlers import parse_handler
from ..policy.mistakes import MistakeList
from ..policy.rule_sets import RuleSet
from ..policy.specs import ChildSpec
from ._causes import FOUND_HERE, HANDLER_BUSY, SUBPROTOCOL
from ._handshake import cause_of_failed_handshake
from ._options import (
    Headers,
    Message,
    OnMessage,
    Target,
    check_close,
    check_tls,
    parse_headers,
    parse_subprotocols,
    parse_target,
    sendable,
)
from ._outbox import Outbox
from ._reader import Reader
from ._sameness import SameByOptions
from ._transport import Transport, open_transport, system_tls

if TYPE_CHECKING:
    import ssl

    from .._instance.handle import Instance

Socket = trio_websocket.WebSocketConnection

_LAST_WORDS = 1.0
"""Seconds that a failed send leaves to the receiver, for what had arrived before the close."""
_BUSY = 1.0
"""Seconds of not reading after which a probe blames the handler and not the server."""
_ABNORMAL = 1006
_CLOSED = (trio_websocket.ConnectionClosed, LocalProtocolError)


@final
class WebSocketConnection:
    """One open WebSocket. Made by `WebSocketChannel.connect` only.

    Every method raises `ChannelError` when the connection is closed, with the close code's cause,
    which is read after the close has completed.
    """

    def __init__(
        self,
        socket: trio_websocket.WebSocketConnection,
        transport: Transport,
        causes: RuleSet,
    ) -> None:
        self._socket = socket
        self._transport = transport
        self._causes = causes
        self._payloads = itertools.count()
        self._emptied = trio.Event()

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that the server chose."""
        return self._socket.subprotocol

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        """The headers of the server's answer, names in lower case."""
        return [
            (n.decode("latin-1"), v.decode("latin-1")) for n, v in self._socket.handshake_headers
        ]

    @property
    def closed(self) -> tuple[int, str] | None:
        """The close code and its text, once there are any; 1006 without a close frame."""
        reason = self._socket.closed
        return None if reason is None else (reason.code, reason.reason or "")

    async def receive(self) -> Message:
        """Return the next message; wait for it. Cancelling loses nothing.

        Raises:
            ChannelError: The connection is closed, and every message that came before was received.
        """
        try:
            return await self._socket.get_message()
        except trio_websocket.ConnectionClosed:
            pass
        if self.closed is None:
            # The reader has failed, and is about to say how.
            with trio.move_on_after(_LAST_WORDS), self._transport.until_end():
                await trio.sleep_forever()
        self._emptied.set()
        raise self._lost()

    async def send(self, message: Message) -> None:
        """Send a message. Cancelling it while a part of it is on its way ends the connection.

        Raises:
            ChannelError: The connection is closed, and the message was not sent. It is raised after
                the receiver has had up to a second for what had arrived before the close.
        """
        with contextlib.suppress(*_CLOSED):
            await self._socket.send_message(message)
            if not self._transport.broken:
                return

        with trio.move_on_after(_LAST_WORDS):
            await self._emptied.wait()
        raise self._lost()

    async def ping(self) -> None:
        """Send a ping and wait for its pong, for ever; give it a deadline.

        Cancelling gives it up; while a part of the ping is on its way, it ends the connection.

        Raises:
            ChannelError: The connection is closed; or the message handler has not let the reader
                read for a second, so that a pong could not be seen (then the cause is degraded).
        """
        self.check()
        if self._transport.unread > _BUSY:
            raise ChannelError(HANDLER_BUSY)

        payload = next(self._payloads).to_bytes(8, "big")
        try:
            with contextlib.suppress(*_CLOSED), self._transport.until_end():
                await self._socket.ping(payload)
                return
        finally:
            # There is no public way to give a ping up, and without one each ping that was
            # cancelled would stay in the table until a later one is answered.
            self._socket._pings.pop(payload, None)  # noqa: SLF001 - see above
        raise self._lost()

    def check(self) -> None:
        """Raise `ChannelError` when the connection is known to be closed; ask nobody."""
        if self.closed is not None or self._transport.ended:
            raise self._lost()

    async def close(self, code: int, reason: str) -> None:
        """Close with a code; wait for the server's answer, for ever; give it a deadline.

        Nothing happens when the connection is closed already. Cancelling drops the connection.
        """
        if self._transport.broken:
            return

        with self._transport.until_end():
            await self._socket.aclose(code, reason)

    def _lost(self) -> ChannelError:
        code, text = self.closed or (_ABNORMAL, "")
        text = text or self._transport.failure
        # trio-websocket reports what it finds wrong itself as if the server had said it. Only the
        # protocol's state tells the two apart, and only this attribute has it.
        state = self._socket._wsproto.state  # noqa: SLF001 - see above
        by_server = state in {ConnectionState.REMOTE_CLOSING, ConnectionState.CLOSED}
        causes = self._causes if by_server else FOUND_HERE | self._causes
        return ChannelError(causes.cause_of_close(code, text))


class WebSocketChannel(SameByOptions, Channel[WebSocketConnection]):
    """A channel to a WebSocket server.

    To say something first on every connection, such as who you are, extend `connect`::

        @asynccontextmanager
        async def connect(self, instance):
            async with super().connect(instance) as connection:
                await connection.send("hello")
                yield connection

    Args:
        url: ``ws://`` or ``wss://``, host, and where needed port, path and query.
        ssl_context: How to speak TLS; None takes the system's certificate authorities.
        headers: Sent with every handshake, as a mapping or pairs.
        subprotocols: Offered to the server, best first. One that accepts none of them is refused,
            as browsers do.
        on_message: Is awaited with the instance and each message, str or bytes, one at a time. When
            it raises, the receiver has crashed: it is restarted, and goes on with the next one.
        outbox_capacity: Messages that may wait to be sent, also while there is no connection. The
            default is our choice: a minute of an outage at four messages a second.
        inbox_capacity: Messages that may wait for `on_message`. When there is no room, nothing more
            is read, pongs included. The default is that of the websockets library.
        max_message_size: Bytes, or characters of a text; a greater message ends the connection. The
            default, 1 MiB, is that of trio-websocket and of the websockets library.
        ping: Whether the probe sends a ping and wants a pong. False is for servers that answer
            none: the probe then only finds connections that are known to be closed.
        close_code: What this side closes with: 1000, which RFC 6455 calls a normal closure, 1001,
            or 3000 to 4999.
        resume_close_code: ... where the session goes on: `Instance.session` is set, and was not
            dropped by the end of this connection. 1000 and 1001 end a session on Discord; 4000 is
            what its clients use.
        close_reason: The text with it, at most 123 bytes.
        causes: What failures mean on this platform, such as
            `trio_instances.policy.causes.DISCORD`; goes before `DEFAULTS`, which None leaves alone.

    Raises:
        InvalidSpec: With every mistake.
    """

    channel_type = "websocket"

    def __init__(
        self,
        url: str,
        *,
        ssl_context: ssl.SSLContext | None = None,
        headers: Headers = (),
        subprotocols: Sequence[str] = (),
        on_message: OnMessage | None = None,
        outbox_capacity: int = 256,
        inbox_capacity: int = 16,
        max_message_size: int = 1_048_576,
        ping: bool = True,
        close_code: int = 1000,
        resume_close_code: int = 4000,
        close_reason: str = "",
        causes: RuleSet | None = None,
    ) -> None:
        wrong = MistakeList("WebSocketChannel")
        target = parse_target(wrong, url)
        check_tls(wrong, ssl_context, target)
        encoded = parse_headers(wrong, headers)
        offered = parse_subprotocols(wrong, subprotocols)
        handler = parse_handler(wrong, on_message)
        wrong.whole("outbox_capacity", outbox_capacity, at_least=1)
        wrong.whole("inbox_capacity", inbox_capacity)
        wrong.whole("max_message_size", max_message_size, at_least=1)
        wrong.boolean("ping", ping)
        check_close(wrong, close_code, resume_close_code, close_reason)
        wrong.instance("causes", causes, RuleSet, optional=True)
        wrong.raise_any()
        self._target = target = cast("Target", target)
        self._tls = system_tls() if ssl_context is None and target.secure else ssl_context
        self._on_message, self._ping = handler, ping
        self._outbox = Outbox[Message](outbox_capacity)
        self._farewell = (close_code, resume_close_code, close_reason)
        self._causes = DEFAULTS if causes is None else causes | DEFAULTS
        self._headers = encoded
        self._subprotocols = offered
        self._upgrade = functools.partial(
            trio_websocket.wrap_client_stream,
            host=target.authority,
            resource=target.resource,
            subprotocols=offered,
            message_queue_size=inbox_capacity,
            max_message_size=max_message_size,
            receive_buffer_size=None,  # Trio's own choice: larger, and adapting
        )
        own = (encoded, self._tls, on_message, ping, outbox_capacity, self._farewell, self._causes)
        self._options = (WebSocketChannel, target, (self._upgrade.keywords, own))

    def __repr__(self) -> str:
        # Without what may be a secret: the query, which often has a token, and the headers.
        return f"<{type(self).__qualname__} {self._target}>"

    @property
    def causes(self) -> RuleSet:
        """What failures mean to this channel, `DEFAULTS` included."""
        return self._causes

    async def send(self, message: Message) -> None:
        """Put a message into the outbox; wait for room. When cancelled, it is not in there.

        It is sent when its turn comes, on this connection or a later one; it leaves the outbox only
        after it was sent. A connection that breaks later can still lose it on the way.

        Raises:
            TypeError: It is neither text nor bytes.
            UnicodeEncodeError: The text cannot be sent as UTF-8.
        """
        await self._outbox.put(sendable(message))

    def send_nowait(self, message: Message) -> None:
        """Put a message into the outbox; see `send`.

        Raises:
            trio.WouldBlock: There is no room.
        """
        self._outbox.put_nowait(sendable(message))

    @contextlib.asynccontextmanager
    async def connect(self, instance: Instance) -> AsyncIterator[WebSocketConnection]:
        """Open one connection.

        It is closed in order when the block is left normally, and dropped at once when it is left
        with an exception or cancelled. The block's exception comes out as it was raised.

        Raises:
            ChannelError: It cannot be opened, and why.
        """
        instance.watch_queue("outbox", self._outbox)
        transport = await open_transport(self._target, self._tls, instance.saw_frame, self._causes)
        reader = Reader[Socket](transport)
        try:
            async with attended() as nursery:
                upgrade = functools.partial(self._upgrade, extra_headers=list(self._headers))
                nursery.start_soon(reader.run, upgrade)
                try:
                    connection = await self._shake_hands(reader, transport)
                    yield connection
                    # What cannot be resumed was dropped before the closing.
                    code, resume_code, reason = self._farewell
                    code = code if instance.session is None else resume_code
                    await connection.close(code, reason)
                finally:
                    reader.scope.cancel()
        finally:
            transport.drop()

    async def _shake_hands(
        self, reader: Reader[Socket], transport: Transport
    ) -> WebSocketConnection:
        await reader.settled.wait()
        head, transport.head = bytes(transport.head or b""), None
        if reader.socket is None:
            cause = cause_of_failed_handshake(
                head,
                offered=self._subprotocols,
                causes=self._causes,
                now=time.time(),
            )
            raise ChannelError(cause if cause.detail else evolve(cause, detail=transport.failure))
        if self._subprotocols and reader.socket.subprotocol is None:
            raise ChannelError(evolve(SUBPROTOCOL, detail="the server chose none of those offered"))

        return WebSocketConnection(reader.socket, transport, self._causes)

    def children(self, instance: Instance, connection: WebSocketConnection) -> Sequence[ChildSpec]:
        """Return the receiver and the sender. See `Channel.children`."""
        return (
            ChildSpec("receiver", self._receive, (instance, connection)),
            ChildSpec("sender", self._send, (connection,)),
        )

    async def probe(self, instance: Instance, connection: WebSocketConnection) -> None:  # noqa: ARG002 - the contract
        """Send a ping and wait for its pong; or only look, with ``ping=False``."""
        if self._ping:
            await connection.ping()
        else:
            connection.check()
            await trio.lowlevel.checkpoint()

    def update_credentials(self, credentials: Headers) -> None:
        """Take new headers for the handshakes to come; those of the same name are replaced.

        Args:
            credentials: Headers, as a mapping or pairs; ``Authorization``, say.

        Raises:
            InvalidSpec: They are no headers; nothing was changed.
        """
        wrong = MistakeList("update_credentials")
        newer = parse_headers(wrong, credentials)
        wrong.raise_any()
        names = {name.lower() for name, _ in newer}
        kept = [pair for pair in self._headers if pair[0].lower() not in names]
        self._headers = [*kept, *newer]

    def classify(self, exc: Exception) -> Cause:
        """Return the cause of a failure; only what states a cause can say that it is lost.

        A handler's own broken connection, to a database for instance, is no reason to end this one.
        """
        stated = (getattr(leaf, "cause", None) for leaf in flatten(exc))
        lost = any(isinstance(cause, Cause) and cause.lost for cause in stated)
        return evolve(self._causes.cause_of_error(exc), lost=lost)

    async def _receive(self, instance: Instance, connection: WebSocketConnection) -> None:
        while True:
            message = await connection.receive()
            instance.saw_event()
            if self._on_message is not None:
                await self._on_message(instance, message)

    async def _send(self, connection: WebSocketConnection) -> None:
        while True:
            await self._outbox.send_first(connection.send)
