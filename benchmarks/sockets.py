"""A provider dies and comes back under many real WebSocket connections on the loopback device.

It is a process of its own, killed and started anew. Counted are the seconds from its return until
every connection is back, the attempts of all of them since its death, and the processor's time.
"""

from __future__ import annotations

import resource
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from random import Random
from subprocess import PIPE

import trio
from trio_websocket import (
    ConnectionClosed,
    HandshakeError,
    WebSocketRequest,
    open_websocket_url,
    serve_websocket,
)

from trio_instances import Instance, InstanceSpec, ReconnectPolicy, RuntimeSettings, open_runtime
from trio_instances.channels import WebSocketChannel, WebSocketConnection

from .harness.command import main
from .harness.values import OURS, Contender, Figure, Sample, Workload, check

OUTAGE = 1.0
"""Seconds for which the provider is gone."""
RECONNECT = ReconnectPolicy(attempts=1000)
"""Never slow: by default the few that have failed five times would wait for a minute, as they
should for the sake of the provider, and it would be that minute which is measured."""
SPARE = 200
"""Files that are open beside the connections."""


async def _serve(port: int) -> None:
    async def hold(request: WebSocketRequest) -> None:
        connection = await request.accept()
        with suppress(ConnectionClosed):
            while True:
                await connection.get_message()

    async with trio.open_nursery() as nursery:
        await nursery.start(partial(serve_websocket, hold, "127.0.0.1", port, None))
        print("serves", flush=True)


def serve(port: int) -> None:
    """Take any connection, until killed."""
    _more_files()
    trio.run(_serve, port)


def _more_files() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@asynccontextmanager
async def _provider(port: int) -> AsyncIterator[None]:
    command = [sys.executable, "-P", "-c", f"from benchmarks.sockets import serve; serve({port})"]
    async with trio.open_nursery() as nursery:
        start = partial(trio.run_process, command, stdout=PIPE, check=False)
        process = await nursery.start(start)
        check("the provider", (await process.stdout.receive_some()).strip(), b"serves")
        yield
        process.kill()
        nursery.cancel_scope.cancel()


class Fleet:
    """Who is connected, and what it took.

    Args:
        size: How many connections there are.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.attempts = 0
        self.connected = 0
        self.changed = trio.Event()

    def change(self, by: int) -> None:
        """One more, or one less, is connected."""
        self.connected += by
        self.changed.set()
        self.changed = trio.Event()

    async def wait(self, connected: int) -> None:
        """Wait until so many are connected."""
        while self.connected != connected:
            await self.changed.wait()


async def _play(fleet: Fleet, port: int) -> Sample:
    async with _provider(port):
        await fleet.wait(fleet.size)
        fleet.attempts, begun = 0, time.process_time()
    await fleet.wait(0)
    await trio.sleep(OUTAGE)
    async with _provider(port):
        returned = trio.current_time()
        await fleet.wait(fleet.size)
        back = trio.current_time() - returned
        taken = time.process_time() - begun
        check("attempts", fleet.attempts >= fleet.size, expected=True)
        return {"back": back, "attempts": fleet.attempts / fleet.size, "processor": taken}


class Counted(WebSocketChannel):
    """A channel that counts its attempts and its connections.

    Args:
        fleet: Where.
        port: Of the provider.
    """

    def __init__(self, fleet: Fleet, port: int) -> None:
        super().__init__(f"ws://127.0.0.1:{port}")
        self._fleet = fleet

    @asynccontextmanager
    async def connect(self, instance: Instance) -> AsyncIterator[WebSocketConnection]:
        """Open one connection."""
        self._fleet.attempts += 1
        async with super().connect(instance) as connection:
            self._fleet.change(1)
            try:
                yield connection
            finally:
                self._fleet.change(-1)


async def ours(size: int) -> Sample:
    """Keep them as instances of a runtime, by the same delays."""
    fleet, port = Fleet(size), _free_port()
    settings = RuntimeSettings(stop_order="concurrent")
    async with open_runtime(settings, random=Random(1)) as runtime:
        for number in range(size):
            channel = Counted(fleet, port)
            spec = InstanceSpec(id=f"c-{number}", channel=channel, probe=None, reconnect=RECONNECT)
            await runtime.start_instance(spec)
        return await _play(fleet, port)


async def _by_hand(fleet: Fleet, port: int, chance: Random) -> None:
    attempt = 0
    while True:
        fleet.attempts += 1
        try:
            async with open_websocket_url(f"ws://127.0.0.1:{port}") as connection:
                attempt = 0
                fleet.change(1)
                try:
                    while True:
                        await connection.get_message()
                finally:
                    fleet.change(-1)
        except (OSError, HandshakeError, ConnectionClosed):
            pass
        await trio.sleep(chance.random() * min(0.25 * 2**attempt, 5.0))
        attempt = min(attempt + 1, 5)


async def by_hand(size: int) -> Sample:
    """Keep them by a loop with full jitter each, and nothing else."""
    fleet, port, chance = Fleet(size), _free_port(), Random(1)
    async with trio.open_nursery() as nursery:
        for _ in range(size):
            nursery.start_soon(_by_hand, fleet, port, chance)
        sample = await _play(fleet, port)
        nursery.cancel_scope.cancel()
    return sample


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def within_limits(run: partial[Sample], size: int) -> Sample:
    """Run with as many connections as files may be open, and refuse fewer than asked for."""
    _more_files()
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    check("files enough", most >= size + SPARE, expected=True)
    return run(size)


WORKLOAD = Workload(
    name="sockets",
    title="{n} WebSocket connections whose provider is gone for a second, and comes back",
    size=1_000,
    tiny=5,
    figures=(
        Figure("back", "s until all are back"),
        Figure("attempts", "a connection"),
        Figure("processor", "s"),
    ),
    contenders={
        OURS: Contender(partial(within_limits, partial(trio.run, ours))),
        "by hand": Contender(partial(within_limits, partial(trio.run, by_hand))),
    },
)

if __name__ == "__main__":
    main(WORKLOAD)
