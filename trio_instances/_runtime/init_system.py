"""The way to the init system that started this process: systemd, or whatever speaks as it does.

One datagram for each message, to the socket that the environment names. Everything about when to
say what is decided in `policy.notices`.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import final

import trio

from .._exceptions import InvalidSpec, Mistake

_PATIENCE = 5.0
"""Seconds that the init system has to take a message; it has a queue, so that it is milliseconds.

Without such a limit an init system that hangs would keep the process from ending.
"""


@final
class InitSystem:
    """Where the init system listens, and how often it wants to hear.

    Args:
        address: The path of its datagram socket; one that begins with ``@`` is of Linux's abstract
            namespace.
        watchdog: Seconds without a sign of life after which it gives the process up; None: never.

    Raises:
        InvalidSpec: The address is of another kind.
    """

    def __init__(self, address: str, *, watchdog: float | None = None) -> None:
        if not address.startswith(("/", "@")) or len(address) < len("/x"):
            expected = "must be a path that begins with / or @ (systemd's vsock is not supported)"
            raise InvalidSpec("the environment", [Mistake("NOTIFY_SOCKET", address, expected)])

        self.address = address
        self.watchdog = watchdog
        self.ready = False
        """Whether it was told that the process is ready."""

    def __repr__(self) -> str:
        return f"<InitSystem {self.address!r} watchdog={self.watchdog}>"

    @classmethod
    def from_environment(
        cls, environ: Mapping[str, str] = os.environ, *, pid: int | None = None
    ) -> InitSystem | None:
        """Return the init system that the environment names, or None where it names none.

        ``NOTIFY_SOCKET`` is its address. ``WATCHDOG_USEC`` counts where ``WATCHDOG_PID`` is this
        process, or is not there: otherwise it is meant for another one.

        Args:
            environ: The environment variables.
            pid: This process; None asks the operating system.

        Raises:
            InvalidSpec: One of the variables is not what it must be.
        """
        address = environ.get("NOTIFY_SOCKET", "")
        if not address:
            return None

        mine = str(os.getpid() if pid is None else pid)
        usec = environ.get("WATCHDOG_USEC", "")
        if not usec or environ.get("WATCHDOG_PID", mine) != mine:
            return cls(address)
        if not (usec.isascii() and usec.isdigit() and int(usec)):
            wrong = Mistake("WATCHDOG_USEC", usec, "must be a whole number of microseconds above 0")
            raise InvalidSpec("the environment", [wrong])

        return cls(address, watchdog=int(usec) / 1e6)

    async def tell(self, *assignments: str) -> None:
        """Send one message.

        Cancelling it may lose the message.

        Args:
            assignments: ``NAME=value`` each, in order. What would break a line is replaced.

        Raises:
            OSError: There is nobody at the address, or it is not allowed.
            trio.TooSlowError: It did not take the message within 5 s.
        """
        message = "\n".join(map(_one_line, assignments)).encode()
        path = self.address
        at = f"\0{path[1:]}" if path.startswith("@") else path
        # A socket for each message: there are few, and so it does not matter when the init system
        # is started anew. Connected, because only then does "writable" mean that there is room in
        # the queue of the other side.
        with trio.fail_after(_PATIENCE):
            with trio.socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                await sender.connect(at)
                await sender.send(message)

    @asynccontextmanager
    async def reloading(self) -> AsyncIterator[None]:
        """Tell that the process reads its configuration again, until the block is left.

        It is ready again then, also where the block failed: what ran goes on. Before it was ready
        for the first time nothing is told. Nor is a failure to tell raised: the reload goes on, and
        `notify_init_system` meets the same failure. Cancelling it leaves the end untold.
        """
        if not self.ready:
            yield
            return

        with suppress(OSError, trio.TooSlowError):
            now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            await self.tell("RELOADING=1", f"MONOTONIC_USEC={now}")
        try:
            yield
        finally:
            with suppress(OSError, trio.TooSlowError):
                await self.tell("READY=1")


def _one_line(assignment: str) -> str:
    return "".join(char if char.isprintable() else " " for char in assignment)
