"""The init system's side: a bound datagram socket, as systemd has one."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import final

import trio


@final
class InitSocket:
    """Takes what a process tells, in order.

    Args:
        sock: A bound datagram socket.
        address: How ``NOTIFY_SOCKET`` names it.
    """

    def __init__(self, sock: socket.socket, address: str) -> None:
        self._sock = sock
        self.address = address
        self.lines: list[str] = []
        """The assignments that have been taken in so far."""
        self._taken = 0
        self._more = trio.Event()

    def take(self) -> list[str]:
        """Return the assignments that have come since the last call."""
        self._receive()
        new, self._taken = self.lines[self._taken :], len(self.lines)
        return new

    async def listen(self) -> None:
        """Keep the queue empty, as an init system does; it has room for some ten messages."""
        while True:
            await trio.lowlevel.wait_readable(self._sock)
            self._receive()

    def forget(self) -> None:
        """Forget what has come so far."""
        self._receive()
        self.lines.clear()
        self._taken = 0

    async def wait(self, line: str) -> None:
        """Wait until an assignment has come that begins so; somebody has to listen."""
        while not any(each.startswith(line) for each in self.lines):
            await self._more.wait()

    def _receive(self) -> None:
        with suppress(BlockingIOError):
            while True:
                self.lines += self._sock.recv(65536).decode().split("\n")
                self._more.set()
                self._more = trio.Event()


@contextmanager
def open_init_socket(address: str | Path) -> Iterator[InitSocket]:
    """Bind a socket to a path, or to an abstract address that begins with ``@``."""
    name = str(address)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.bind("\0" + name[1:] if name.startswith("@") else name)
        yield InitSocket(sock, name)
