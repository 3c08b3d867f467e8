"""What readers of the operations endpoint cost everybody else: how late the event loop gets.

A fleet lives and tells its events, first without a reader, then with many, half of which take
nothing. All is one run, by turns, so that another load on the machine falls on both. The readers
that read are in a process of their own, as they are in life.

    python benchmarks/readers.py
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio

from trio_instances import InstanceSpec, Runtime, open_runtime
from trio_instances.channels import MemoryChannel, MemoryServer
from trio_instances.http import serve_operations
from trio_instances.telemetry import InstanceStarted

READERS = 1_000
INSTANCES = 200
EVENTS_PER_SECOND = 100
SECONDS = 8.0
ROUNDS = 3
TICK = 0.005
FILES = 2 * READERS + 500

CLIENT = """
import socket, sys, selectors
port, good, stalled, files = map(int, sys.argv[1:])
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (files, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
chosen, still = selectors.DefaultSelector(), []
for number in range(good + stalled):
    sock = socket.socket()
    if number >= good:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", port))
    sock.sendall(b"GET /events HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
    still.append(sock)
    if number < good:
        sock.setblocking(False)
        chosen.register(sock, selectors.EVENT_READ)
print("ready", flush=True)
while True:
    for key, _ in chosen.select():
        try:
            if not key.fileobj.recv(1 << 16):
                chosen.unregister(key.fileobj)
        except BlockingIOError:
            pass
"""


async def lateness(seconds: float) -> list[float]:
    """Return by how many seconds a task woke too late, each time."""
    late, end = [], trio.current_time() + seconds
    while trio.current_time() < end:
        due = trio.current_time() + TICK
        await trio.sleep_until(due)
        late.append(trio.current_time() - due)
    return sorted(late)


async def tell(runtime: Runtime) -> None:
    """Let a fleet's worth of events happen."""
    while True:
        for _ in range(EVENTS_PER_SECOND // 10):
            event = InstanceStarted(
                at=trio.current_time(), instance_id="bot-1", children=("reader", "writer")
            )
            runtime.events.publish(event)
        await trio.sleep(0.1)


@asynccontextmanager
async def readers(port: int) -> AsyncIterator[None]:
    """Have readers while the block runs."""
    half = READERS // 2
    command = [sys.executable, "-c", CLIENT, str(port), *map(str, (half, READERS - half, FILES))]
    process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        async with process.stdout:
            await process.stdout.receive_some()
            yield
    finally:
        process.kill()
        await process.wait()


async def measure() -> None:
    """Measure by turns, and print both."""
    server = MemoryServer()
    async with open_runtime() as runtime, trio.open_nursery() as nursery:
        for number in range(INSTANCES):
            spec = InstanceSpec(id=f"bot-{number}", channel=MemoryChannel(server))
            await runtime.start_instance(spec)
        url = await nursery.start(lambda **kw: serve_operations(runtime, port=0, **kw))
        nursery.start_soon(tell, runtime)
        port = int(url.rpartition(":")[2])
        without: list[float] = []
        with_them: list[float] = []
        processor = [0.0, 0.0]
        for _ in range(ROUNDS):
            for index, found in enumerate((without, with_them)):
                async with readers(port) if index else nobody():
                    await trio.sleep(1.0)
                    began = time.process_time()
                    found.extend(await lateness(SECONDS))
                    processor[index] += (time.process_time() - began) / SECONDS / ROUNDS
                await trio.sleep(1.0)
        nursery.cancel_scope.cancel()

    for what, found, used in (
        ("no reader", without, processor[0]),
        (f"{READERS} readers, half of them stalled", with_them, processor[1]),
    ):
        print(f"{what}: {words(found)}; {100 * used:.0f} % of a processor")
    ratio = quantile(with_them, 0.99) / quantile(without, 0.99)
    print(f"the 99th percentile of lateness is {ratio:.1f} times that without readers")


@asynccontextmanager
async def nobody() -> AsyncIterator[None]:
    """Have no readers while the block runs."""
    yield


def quantile(values: Sequence[float], part: float) -> float:
    """Return the value that this part of all does not exceed."""
    return sorted(values)[int(part * (len(values) - 1))]


def words(values: Sequence[float]) -> str:
    """Return how late a task was, in milliseconds."""
    parts = ((0.5, "median"), (0.99, "99 %"), (1.0, "worst"))
    return ", ".join(f"{name} {1e3 * quantile(values, part):.2f} ms" for part, name in parts)


def main() -> None:
    """Measure."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, hard))
    trio.run(measure)


if __name__ == "__main__":
    main()
