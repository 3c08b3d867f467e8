"""Messages a second through one connection, against trio-websocket used plainly.

The other side is a process of its own that neither parses nor builds frames while it is measured:
it sends what it has built before, and throws away what comes. So the client is what is measured.
"""

from __future__ import annotations

import base64
import hashlib
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from subprocess import PIPE
from time import perf_counter

import trio
from trio_websocket import open_websocket_url

from trio_instances import Instance, InstanceSpec, open_runtime
from trio_instances.channels import WebSocketChannel

from .harness.command import main
from .harness.values import OURS, Contender, Figure, Sample, Target, Workload, check

TEXT = "x" * 100
MASKED = 6 + len(TEXT)
"""Bytes of a message from a client: a head of 2, a mask of 4, the text."""
MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def serve(size: int) -> None:
    """Take two connections: send one so many messages at its first, read so many from the other."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        with _shaken(listener) as connection:
            connection.recv(1 << 16)  # its first message: it is ready
            connection.sendall((b"\x81" + bytes([len(TEXT)]) + TEXT.encode()) * size)
            connection.recv(1 << 16)  # its closing
        with _shaken(listener) as connection:
            left = size * MASKED
            while left > 0:
                left -= len(connection.recv(1 << 16))
            connection.sendall(b"\x81\x02ok")
            connection.recv(1 << 16)


def _shaken(listener: socket.socket) -> socket.socket:
    connection, _ = listener.accept()
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += connection.recv(1 << 16)
    lines = head.lower().split(b"\r\n")
    place = next(n for n, line in enumerate(lines) if line.startswith(b"sec-websocket-key:"))
    key = head.split(b"\r\n")[place].split(b":")[1].strip()
    accept = base64.b64encode(hashlib.sha1(key + MAGIC, usedforsecurity=False).digest())
    answer = b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    connection.sendall(answer + b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
    return connection


@asynccontextmanager
async def _server(size: int) -> AsyncIterator[str]:
    code = f"from benchmarks.websocket import serve; serve({size})"
    command = [sys.executable, "-P", "-c", code]
    async with trio.open_nursery() as nursery:
        start = partial(trio.run_process, command, stdout=PIPE, check=False)
        process = await nursery.start(start)
        port = int(await process.stdout.receive_some())
        yield f"ws://127.0.0.1:{port}"
        nursery.cancel_scope.cancel()


async def plain(size: int) -> Sample:
    """Use trio-websocket's own connection."""
    async with _server(size) as url:
        async with open_websocket_url(url) as connection:
            await connection.send_message("go")
            begun = perf_counter()
            messages = [await connection.get_message() for _ in range(size)]
            received = perf_counter() - begun
            check("messages received", messages.count(TEXT), size)
            with trio.move_on_after(1):
                await connection.aclose()
        async with open_websocket_url(url) as connection:
            begun = perf_counter()
            for _ in range(size):
                await connection.send_message(TEXT)
            check("the server's answer", await connection.get_message(), "ok")
            sent = perf_counter() - begun
            with trio.move_on_after(1):
                await connection.aclose()
    return {"receive": received / size, "send": sent / size}


class Reader:
    """What `WebSocketChannel` calls with each message.

    Args:
        size: How many there are going to be.
    """

    def __init__(self, size: int) -> None:
        self.messages: list[str | bytes] = []
        self.size = size
        self.complete = trio.Event()

    async def read(self, _: Instance, message: str | bytes) -> None:
        """Keep a message."""
        self.messages.append(message)
        if len(self.messages) == self.size:
            self.complete.set()


async def ours(size: int) -> Sample:
    """Use a `WebSocketChannel`, supervised."""
    async with _server(size) as url:
        reader = Reader(size)
        received = await _with_channel(url, reader, partial(_receive, reader))
        check("messages received", reader.messages.count(TEXT), size)
        reader = Reader(1)
        sent = await _with_channel(url, reader, partial(_send, reader, size))
        check("the server's answer", reader.messages, ["ok"])
    return {"receive": received / size, "send": sent / size}


async def _with_channel(
    url: str, reader: Reader, use: Callable[[WebSocketChannel], Awaitable[float]]
) -> float:
    channel = WebSocketChannel(url, on_message=reader.read)
    async with open_runtime() as runtime:
        instance = await runtime.start_instance(InstanceSpec(id="c", channel=channel, probe=None))
        await instance.wait_status("connected")
        return await use(channel)


async def _receive(reader: Reader, channel: WebSocketChannel) -> float:
    await channel.send("go")
    begun = perf_counter()
    await reader.complete.wait()
    return perf_counter() - begun


async def _send(reader: Reader, size: int, channel: WebSocketChannel) -> float:
    begun = perf_counter()
    for _ in range(size):
        await channel.send(TEXT)
    await reader.complete.wait()
    return perf_counter() - begun


WORKLOAD = Workload(
    name="websocket",
    title="{n} messages of 100 characters each way through one WebSocket connection",
    size=20_000,
    tiny=20,
    figures=(Figure("receive", "µs a message", 1e6), Figure("send", "µs a message", 1e6)),
    contenders={
        OURS: Contender(partial(trio.run, ours)),
        "trio-websocket": Contender(partial(trio.run, plain)),
    },
    targets=(
        Target("receive", 1 / 0.95, of="trio-websocket"),
        Target("send", 1 / 0.95, of="trio-websocket"),
    ),
)

if __name__ == "__main__":
    main(WORKLOAD)
