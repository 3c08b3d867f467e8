"""Faulty servers, each in a process of its own that ends with the test."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import final

import trio

PROGRAM = Path(__file__).with_name("server.py")


@final
class Server:
    """A server under way, and what it has printed. Made by `open_server`."""

    def __init__(self, process: trio.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.port = 0
        self.connections = 0
        """How many TCP connections it has taken, by its own account."""
        self._process = process
        self._stdin = process.stdin
        self._stdout = process.stdout

    def url(self, scheme: str = "ws") -> str:
        """Return where it listens."""
        return f"{scheme}://127.0.0.1:{self.port}"

    async def order(self, line: str) -> None:
        """Write a line to its standard input."""
        await self._stdin.send_all(f"{line}\n".encode())

    async def dismiss(self) -> int:
        """Close its standard input, and return its exit code."""
        await self._stdin.aclose()
        return await self._process.wait()

    def freeze(self) -> None:
        """Stop the process where it is; the kernel goes on taking connections for it."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    async def kill(self) -> None:
        """End it without a word, frozen or not, and wait until it has ended."""
        self._process.kill()
        await self._process.wait()

    async def read(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Take in what it prints, until it ends; ready when it has told its port."""
        said = b""
        async with self._stdin, self._stdout:
            async for data in self._stdout:
                said += data
                port, *lines = said.split(b"\n")
                self.connections = lines.count(b"connection")
                if lines and not self.port:
                    self.port = int(port)
                    task_status.started()


@asynccontextmanager
async def open_server(
    nursery: trio.Nursery, *mode: object, port: int = 0, tls: Path | None = None
) -> AsyncIterator[Server]:
    """Run the program of `server.py`; leaving the block kills it and waits until it has ended.

    Args:
        nursery: Where what it prints is read.
        mode: The mode, and its arguments.
        port: The port to listen on; 0 takes a free one.
        tls: A file with a key and its certificate, for a server that speaks TLS.
    """
    command = [sys.executable, str(PROGRAM), *map(str, mode), f"--port={port}"]
    if tls is not None:
        command.append(f"--tls={tls}")
    pipe = subprocess.PIPE
    process = await trio.lowlevel.open_process(command, stdin=pipe, stdout=pipe)
    server = Server(process)
    try:
        await nursery.start(server.read)
        yield server
    finally:
        with trio.CancelScope(shield=True):
            await server.kill()
