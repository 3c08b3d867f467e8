"""The TCP or TLS stream under a WebSocket: opened with a cause for each failure, and watched."""

from __future__ import annotations

import functools
import os
import ssl
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, final

import trio

from .._exceptions import ChannelError
from ..policy.failures import text_of
from ._handshake import may_be_answer

if TYPE_CHECKING:
    from ..policy.rule_sets import RuleSet
    from ._options import Target

_MAX_HEAD = 16_384


async def open_transport(
    target: Target, tls: ssl.SSLContext | None, on_bytes: Callable[[], None], causes: RuleSet
) -> Transport:
    """Open the stream. When it is cancelled, nothing is left open.

    Args:
        target: Where to.
        tls: How to speak TLS; None for plain TCP.
        on_bytes: Is called each time something has arrived.
        causes: What failures mean.

    Raises:
        ChannelError: It cannot be opened, and why.
    """
    try:
        tcp = await trio.open_tcp_stream(target.host, target.port)
    except OSError as exc:
        # Trio sums up the attempts at all addresses as an OSError; its cause has the true errors.
        summed_up = exc.__cause__ if isinstance(exc.__cause__, BaseExceptionGroup) else exc
        raise ChannelError(causes.cause_of_error(summed_up)) from exc

    if tls is None:
        return Transport(tcp, tcp, on_bytes)

    stream = trio.SSLStream(tcp, tls, server_hostname=target.host, https_compatible=True)
    transport = Transport(stream, tcp, on_bytes)
    try:
        # Here and not with the first data, because then trio-websocket would wait for ever.
        await stream.do_handshake()
    except trio.BrokenResourceError as exc:
        transport.drop()
        raise ChannelError(causes.cause_of_error(_root(exc))) from exc
    except BaseException:
        transport.drop()
        raise

    return transport


@functools.cache
def system_tls() -> ssl.SSLContext:
    """Return a context with the system's certificate authorities, one for all channels.

    Loading the authorities takes tens of milliseconds and a megabyte each time.
    """
    return ssl.create_default_context()


def _root(exc: BaseException) -> BaseException:
    while exc.__cause__ is not None:
        exc = exc.__cause__
    return exc


@final
class Transport:
    """A stream that knows whether it still works, for trio-websocket to talk through.

    It has the three methods of a stream that are used there, and differs from a plain stream in
    four ways, each for a failure that would otherwise be silent, or late:

    - A send to a peer that is gone does not raise. It would make trio-websocket forget the close
      frame that lies unread in the other direction, and with it why the connection was closed. The
      reader comes to it, and then to the end.
    - A send that is cancelled may have left half a frame on the wire, and the next frame would be
      read as its other half; so it ends the connection.
    - What waits for something to arrive is woken when nothing can: see `until_end`.
    - A stream that does not begin as HTTP is at its end, for nothing on it will be understood.
    """

    def __init__(
        self,
        stream: trio.SocketStream | trio.SSLStream[trio.SocketStream],
        tcp: trio.SocketStream,
        on_bytes: Callable[[], None],
    ) -> None:
        self._stream = stream
        self._tcp = tcp
        self._on_bytes = on_bytes
        self._waiting: set[trio.CancelScope] = set()
        self._handed_over_at: float | None = None
        self.head: bytearray | None = bytearray()
        """The beginning of what has arrived, while it is wanted."""
        self.ended = False
        """Whether nothing will arrive any more."""
        self.broken = False
        """Whether what is sent is lost."""
        self.failure = ""
        """The error's text, if the stream ended with one."""

    @property
    def unread(self) -> float:
        """For how many seconds the reader has been busy with what arrived last, not reading on."""
        if self._handed_over_at is None:
            return 0.0

        return trio.current_time() - self._handed_over_at

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Receive, and take note of what that tells."""
        self._handed_over_at = None
        try:
            data = await self._stream.receive_some(max_bytes)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            self.failure = text_of(_root(exc))
            self.end()
            raise

        if not data:
            self.end()
            return data

        self._handed_over_at = trio.current_time()
        self._on_bytes()
        if self.head is not None and len(self.head) < _MAX_HEAD:
            self.head += data
            if not may_be_answer(self.head):
                self.end()
                return b""
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send, or lose it where the peer is gone. Cancelling ends the connection.

        It lets other tasks run only when it has to wait: trio-websocket has let them when it took
        its lock, before every send.
        """
        # Cancelled before anything was sent is harmless, so that case is taken out first.
        await trio.lowlevel.checkpoint_if_cancelled()
        sent = self._send_at_once(data)
        if sent == len(data):
            return

        try:
            await self._stream.send_all(memoryview(data)[sent:])
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.broken = True
            await trio.lowlevel.checkpoint()
        except BaseException:
            self.drop()
            raise

    def _send_at_once(self, data: bytes | bytearray | memoryview) -> int:
        # The stream gives up its turn after it has sent, which is a third of a small message's
        # cost, and the second turn given up for it. Nothing can be cancelled in here; what the
        # system does not take, and what it says against it, is left to the stream.
        if self._stream is not self._tcp or sys.platform == "win32":
            return 0  # TLS has to be spoken; and there a socket is no file

        try:
            return os.write(self._tcp.socket.fileno(), data)
        except OSError:
            return 0

    async def aclose(self) -> None:
        """Close it."""
        self.end()
        await self._stream.aclose()

    def drop(self) -> None:
        """Close it at once, without a word to the peer, and without an await."""
        self.broken = True
        self.end()
        self._tcp.socket.close()

    def end(self) -> None:
        """Take note that nothing will arrive any more."""
        self.ended = True
        for scope in self._waiting:
            scope.cancel()

    @contextmanager
    def until_end(self) -> Iterator[None]:
        """Cut the block short when the stream ends, because what it waits for cannot come then."""
        with trio.CancelScope() as scope:
            self._waiting.add(scope)
            if self.ended:
                scope.cancel()
            try:
                yield
            finally:
                self._waiting.discard(scope)
