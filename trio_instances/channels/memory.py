"""A channel whose far end is in the same process: the simplest true one, and how to write one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, final

import trio
from attrs import define

from .._exceptions import ChannelError
from ..abc import Channel
from ..policy.failures import Cause, FailureClass
from ..policy.handlers import parse_handler
from ..policy.mistakes import MistakeList
from ..policy.specs import ChildSpec
from ._outbox import Outbox

if TYPE_CHECKING:
    from .._instance.handle import Instance

OnMessage = Callable[["Instance", object], Awaitable[None]]

CLOSED = Cause(FailureClass.RECOVERABLE, "closed", lost=True)
"""Why a connection ended whose far end gave no cause."""


@define
class _Ending:  # both ends of a connection share one
    cause: Cause = CLOSED


@final
class MemoryConnection:
    """One end of a connection. Both ends are alike: what one sends, the other receives."""

    def __init__(
        self,
        incoming: trio.MemoryReceiveChannel[object],
        outgoing: trio.MemorySendChannel[object],
        ending: _Ending,
    ) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._ending = ending

    async def receive(self) -> object:
        """Return the next message; wait for it. Cancelling loses nothing.

        Raises:
            ChannelError: The connection is closed, and every message sent before was received.
        """
        try:
            return await self._incoming.receive()
        except (trio.EndOfChannel, trio.ClosedResourceError):
            raise ChannelError(self._ending.cause) from None

    async def send(self, message: object) -> None:
        """Send a message; wait for room at the other end. When cancelled, it was not sent.

        Raises:
            ChannelError: The connection is closed.
        """
        try:
            await self._outgoing.send(message)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise ChannelError(self._ending.cause) from None

    def close(self, cause: Cause = CLOSED) -> None:
        """Close the connection; the other end can still receive what was sent before.

        Args:
            cause: What the other end is told.
        """
        self._ending.cause = cause
        self._incoming.close()
        self._outgoing.close()


@final
class MemoryServer:
    """The far end: accepts connections, and misbehaves when it is told to.

    Args:
        capacity: Messages on their way, each way, and connections that wait to be accepted.
    """

    def __init__(self, capacity: int = 16) -> None:
        wrong = MistakeList("MemoryServer")
        wrong.whole("capacity", capacity, at_least=1)
        wrong.raise_any()
        self.refusal: Cause | None = None
        """Why connections are refused from now on; None accepts them."""
        self.answers_probes = True
        """Set it to False for a far end that is there and says nothing."""
        self._capacity = capacity
        self._arrivals, self._arrived = trio.open_memory_channel[MemoryConnection](capacity)

    async def accept(self) -> MemoryConnection:
        """Return this side's end of the next connection; wait for it. Cancelling loses none."""
        return await self._arrived.receive()

    async def connect(self) -> MemoryConnection:
        """Return the other end of a new connection; wait while too many are not accepted yet.

        When cancelled, there is no new connection.

        Raises:
            ChannelError: Connections are refused.
        """
        if self.refusal is not None:
            raise ChannelError(self.refusal)

        to_server, at_server = trio.open_memory_channel[object](self._capacity)
        to_client, at_client = trio.open_memory_channel[object](self._capacity)
        ending = _Ending()
        await self._arrivals.send(MemoryConnection(at_server, to_client, ending))
        return MemoryConnection(at_client, to_server, ending)


class MemoryChannel(Channel[MemoryConnection]):
    """A channel to a `MemoryServer`.

    Args:
        server: The far end.
        on_message: Is called with each message, one at a time. When it raises, the receiver has
            crashed: it is restarted, and goes on with the next message.
        outbox_capacity: Messages that may wait to be sent, also while there is no connection. The
            default is our choice: what talks within a process is quick.
    """

    channel_type = "memory"

    def __init__(
        self,
        server: MemoryServer,
        *,
        on_message: OnMessage | None = None,
        outbox_capacity: int = 64,
    ) -> None:
        wrong = MistakeList("MemoryChannel")
        wrong.instance("server", server, MemoryServer)
        self._on_message = parse_handler(wrong, on_message)
        wrong.whole("outbox_capacity", outbox_capacity, at_least=1)
        wrong.raise_any()
        self._server = server
        self._outbox = Outbox[object](outbox_capacity)

    def __repr__(self) -> str:
        outbox = self._outbox.statistics()
        used, size = outbox.current_buffer_used, outbox.max_buffer_size
        return f"<{type(self).__qualname__} outbox={used}/{size}>"

    async def send(self, message: object) -> None:
        """Put a message into the outbox; wait for room. When cancelled, it is not in there."""
        await self._outbox.put(message)

    def send_nowait(self, message: object) -> None:
        """Put a message into the outbox.

        Raises:
            trio.WouldBlock: There is no room.
        """
        self._outbox.put_nowait(message)

    @asynccontextmanager
    async def connect(self, instance: Instance) -> AsyncIterator[MemoryConnection]:
        """Open one connection. See `Channel.connect`."""
        instance.watch_queue("outbox", self._outbox)
        connection = await self._server.connect()
        try:
            yield connection
        finally:
            # It needs no await, so it does for a cancellation as well. A channel that says goodbye
            # does so right after the yield, where only an orderly end comes by.
            connection.close()

    def children(self, instance: Instance, connection: MemoryConnection) -> Sequence[ChildSpec]:
        """Return the receiver and the sender. See `Channel.children`."""
        return (
            ChildSpec("receiver", self._receive, (instance, connection)),
            ChildSpec("sender", self._send, (connection,)),
        )

    async def probe(self, instance: Instance, connection: MemoryConnection) -> None:  # noqa: ARG002 - the contract
        """Ask the far end whether it is there; wait for ever when it does not answer."""
        if not self._server.answers_probes:
            await trio.sleep_forever()
        await trio.lowlevel.checkpoint()

    async def _receive(self, instance: Instance, connection: MemoryConnection) -> None:
        while True:
            message = await connection.receive()
            instance.saw_frame()
            instance.saw_event()
            if self._on_message is not None:
                await self._on_message(instance, message)

    async def _send(self, connection: MemoryConnection) -> None:
        while True:
            await self._outbox.send_first(connection.send)
