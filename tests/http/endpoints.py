"""An endpoint on a real loopback socket, and ways to ask it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, final

import httpx
import trio
import trio.testing
from attrs import frozen
from trio.testing import MockClock

from trio_instances import Instance, InstanceStatus, Runtime, RuntimeSettings, open_runtime
from trio_instances.http import serve_operations
from trio_instances.telemetry import EventBus

from ..instance.scripted import ScriptedChannel
from ..runtime.instances import spec_of

TOKEN = "a-token-that-only-tests-know"  # noqa: S105 - it guards nothing
BEARER = {"authorization": f"Bearer {TOKEN}"}


@final
@frozen
class Endpoint:
    """An endpoint that serves, and a client that asks it."""

    url: str
    client: httpx.AsyncClient
    scope: trio.CancelScope
    """Cancelling it ends the endpoint."""
    ended: trio.Event
    """Set when it has ended."""

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    async def get(self, path: str, **options: Any) -> httpx.Response:
        """Ask for something."""
        return await self.client.get(path, **options)

    async def status(self, path: str, method: str = "GET") -> int:
        """Return the status of an answer."""
        return (await self.client.request(method, path)).status_code

    async def has_room(self) -> bool:
        """Tell whether one more reader of events would be let in."""
        return await self.status("/events", "HEAD") == 200

    async def json(self, path: str, **options: Any) -> Any:
        """Ask for something that is there, and is JSON."""
        answer = await self.client.get(path, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def refusal(self, path: str, method: str = "GET", **options: Any) -> tuple[int, str, str]:
        """Ask for something that is refused; return the status, the word for it, the detail."""
        answer = await self.client.request(method, path, **options)
        body = answer.json()
        return answer.status_code, body["error"], body["detail"]

    async def connect(self, *, receive_buffer: int | None = None) -> trio.SocketStream:
        """Open a connection for bytes of one's own."""
        sock = trio.socket.socket()
        if receive_buffer is not None:
            sock.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, receive_buffer)
        await sock.connect(("127.0.0.1", self.port))
        return trio.SocketStream(sock)

    async def say(self, data: bytes) -> bytes:
        """Send bytes of one's own, and return everything that comes until the connection ends."""
        async with await self.connect() as stream:
            await stream.send_all(data)
            return await read_all(stream)

    async def follow(self, path: str = "/events", **headers: str) -> Reader:
        """Begin to read a stream of events, past its head."""
        stream = await self.connect()
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        await stream.send_all(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n".encode())
        reader = Reader(stream)
        head = await reader.until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        assert b"content-type: text/event-stream" in head
        return reader


@final
@frozen
class Message:
    """One server-sent event."""

    kind: str
    id: str | None
    data: Any


@final
class Reader:
    """A reader of events: HTTP's chunks, and the lines in them, by hand."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._raw = b""
        self._text = b""
        self.over = False

    async def until(self, mark: bytes) -> bytes:
        """Return the raw bytes up to a mark."""
        while mark not in self._raw:
            more = await self.stream.receive_some()
            assert more, self._raw
            self._raw += more
        head, _, self._raw = self._raw.partition(mark)
        return head

    async def _chunk(self) -> bytes:
        size = int(await self.until(b"\r\n"), 16)
        while len(self._raw) < size + 2:
            more = await self.stream.receive_some()
            assert more
            self._raw += more
        chunk, self._raw = self._raw[:size], self._raw[size + 2 :]
        return chunk

    async def next(self) -> Message | None:
        """Return the next message, and None at the end of the stream."""
        while b"\n\n" not in self._text:
            chunk = await self._chunk()
            if not chunk:
                assert self._text == b""
                self.over = True
                return None
            self._text += chunk
        text, _, self._text = self._text.partition(b"\n\n")
        fields = dict(line.split(": ", 1) for line in text.decode().split("\n"))
        return Message(fields.get("event", "message"), fields.get("id"), json.loads(fields["data"]))

    async def wait(self, kind: str = "message", name: str | None = None) -> Message:
        """Return the next message of a kind, and of an event's name."""
        while True:
            message = await self.next()
            assert message is not None, f"no {kind} {name} came"
            if message.kind == kind and (name is None or message.data["event"] == name):
                return message

    async def rest(self) -> list[Message]:
        """Return what comes until the stream ends, without its pulses."""
        found = []
        while (message := await self.next()) is not None:
            if message.kind != "pulse":
                found.append(message)
        return found

    async def aclose(self) -> None:
        """Go away."""
        await self.stream.aclose()


async def read_all(stream: trio.abc.ReceiveStream) -> bytes:
    """Return everything that comes until a connection ends, whichever way."""
    data = b""
    try:
        async for part in stream:
            data += part
    except trio.BrokenResourceError:
        pass
    return data


async def until(done: Callable[[], Awaitable[bool]], pause: float = 0.01) -> None:
    """Ask again and again, with pauses, until something is so that nobody tells by himself."""
    while not await done():  # noqa: ASYNC110 - see above
        await trio.sleep(pause)


async def let_pass(clock: MockClock, seconds: float) -> None:
    """Let virtual time pass at once, between two moments at which nothing is left to do."""
    await trio.testing.wait_all_tasks_blocked()
    clock.jump(seconds)
    await trio.testing.wait_all_tasks_blocked()


def request(path: str = "/livez", method: str = "GET", **headers: object) -> bytes:
    """Return the bytes of a request, after which the connection is to be closed."""
    given = {"Host": "localhost", "Connection": "close", **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in given.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode()


async def serve(
    runtime: Runtime, *, task_status: trio.TaskStatus[Endpoint], **options: Any
) -> None:
    """Serve a runtime until the endpoint's scope is cancelled; for `trio.Nursery.start`."""
    ended, scope = trio.Event(), trio.CancelScope()
    async with httpx.AsyncClient(trust_env=False, timeout=None) as client:  # noqa: S113 - tests end

        def tell(url: str) -> None:
            client.base_url = httpx.URL(url)
            task_status.started(Endpoint(url, client, scope, ended))

        try:
            with scope:
                status = _Status(tell)
                await serve_operations(runtime, **{"port": 0, "task_status": status, **options})
        finally:
            ended.set()


@final
class _Status(trio.TaskStatus[str]):
    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell

    def started(self, value: Any = None) -> None:
        self._tell(value)


@asynccontextmanager
async def serving(runtime: Runtime, **options: Any) -> AsyncIterator[Endpoint]:
    """Serve a runtime while the block runs."""
    async with trio.open_nursery() as nursery:
        endpoint = await nursery.start(partial(serve, runtime, **options))
        yield endpoint
        endpoint.scope.cancel()


@asynccontextmanager
async def fleet(
    *channels: ScriptedChannel, settings: RuntimeSettings | None = None, bus: EventBus | None = None
) -> AsyncIterator[tuple[Runtime, Sequence[Instance]]]:
    """Run an instance for each channel: ``bot-0``, ``bot-1`` and so on."""
    async with open_runtime(settings, events=bus) as runtime:
        bots = [
            await runtime.start_instance(spec_of(f"bot-{number}", channel))
            for number, channel in enumerate(channels)
        ]
        yield runtime, bots


@asynccontextmanager
async def served(*channels: ScriptedChannel, **options: Any) -> AsyncIterator[Endpoint]:
    """Serve a runtime with connected instances."""
    given = channels or (ScriptedChannel(),)
    async with fleet(*given) as (runtime, bots), serving(runtime, **options) as endpoint:
        for bot in bots:
            await bot.wait_status(InstanceStatus.CONNECTED)
        yield endpoint
