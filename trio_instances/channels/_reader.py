"""The task that reads a connection, apart from whoever uses it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar, cast, final

import trio

from ..policy.failures import flatten, text_of
from ._transport import Transport

S = TypeVar("S")

Upgrade = Callable[[trio.Nursery, trio.SocketStream], Awaitable[S]]


@final
class Reader(Generic[S]):
    """Runs trio-websocket's reader for one connection, apart from whoever uses the connection.

    Its scope is shielded and its failures are kept, so that it never cancels the block in which the
    connection is used: that one learns of the end by what it calls. `connect` alone ends it.

    Args:
        transport: What it reads from.
    """

    def __init__(self, transport: Transport) -> None:
        self.scope = trio.CancelScope(shield=True)
        self.settled = trio.Event()
        self.socket: S | None = None
        self._transport = transport

    async def run(self, upgrade: Upgrade[S]) -> None:
        """Make the upgrade, and read until `scope` is cancelled or nothing is left to read.

        Args:
            upgrade: Starts the reader in a nursery, and returns the socket after the handshake.
        """
        try:
            with self.scope:
                async with trio.open_nursery() as nursery:
                    # trio-websocket waits for ever when the stream ends before an answer came.
                    with self._transport.until_end():
                        # ... and it takes whatever sends, receives and closes like a stream.
                        stream = cast("trio.SocketStream", self._transport)
                        self.socket = await upgrade(nursery, stream)
                    self.settled.set()
        except Exception as exc:
            # A refusal, which is read from the answer; or a fault below, which ends the stream.
            self._transport.failure = self._transport.failure or text_of(next(flatten(exc)))
        finally:
            self._transport.end()
            self.settled.set()
