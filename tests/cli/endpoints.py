"""Real endpoints, strange servers, and the commands that ask them in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from random import Random

import trio
from attrs import frozen

from trio_instances import InstanceSpec, ReconnectPolicy, Runtime, open_runtime
from trio_instances.http import serve_operations

from ..instance.scripted import STEADY, ScriptedChannel
from .processes import FOLDER, Running

SECONDS = 40


@frozen
class Site:
    """A runtime with its endpoint."""

    runtime: Runtime
    url: str
    stop: Callable[[], None]
    """Ends the endpoint, and leaves the runtime."""

    async def start(
        self,
        name: str,
        *outcomes: float | BaseException,
        reconnect: ReconnectPolicy = STEADY,
    ) -> ScriptedChannel:
        """Start an instance whose attempts have these outcomes."""
        channel = ScriptedChannel(*outcomes)
        spec = InstanceSpec(id=name, channel=channel, reconnect=reconnect, probe=None)
        await self.runtime.start_instance(spec)
        return channel


@asynccontextmanager
async def site(port: int = 0, token: str | None = None) -> AsyncIterator[Site]:
    """Run a runtime with its endpoint, under a deadline."""
    serve = partial(serve_operations, port=port, token=token)
    with trio.fail_after(SECONDS):
        async with trio.open_nursery() as nursery, open_runtime(random=Random(1)) as runtime:
            stopping = trio.CancelScope()

            async def serving(*, task_status: trio.TaskStatus[str]) -> None:
                with stopping:
                    await serve(runtime, task_status=task_status)

            url = await nursery.start(serving)
            yield Site(runtime, url, stopping.cancel)
            stopping.cancel()


Handle = Callable[[trio.SocketStream], Awaitable[None]]


@asynccontextmanager
async def stranger(handle: Handle) -> AsyncIterator[str]:
    """Run a server that does what a test says with each connection; give its URL."""
    with trio.fail_after(SECONDS):
        async with trio.open_nursery() as nursery:
            serve = partial(trio.serve_tcp, handle, 0, host="127.0.0.1")
            listeners = await nursery.start(serve)
            yield f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
            nursery.cancel_scope.cancel()


def answering(head: str, body: str = "") -> Handle:
    """Return what gives everybody the same answer."""

    async def handle(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        text = f"HTTP/1.1 {head}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
        await stream.send_all(text.encode())

    return handle


@asynccontextmanager
async def command(*arguments: str, **environ: str) -> AsyncIterator[Running]:
    """Run a command in a process of its own; leaving the block kills what still runs."""
    inherited = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    process = await trio.lowlevel.open_process(
        [sys.executable, "-W", "error", "-m", "trio_instances", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=FOLDER,
        env={**inherited, **environ},
    )
    try:
        yield Running(process)
    finally:
        if process.returncode is None:
            process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
        for end in (process.stdout, process.stderr):
            assert end is not None
            await trio.aclose_forcefully(end)


async def call(*arguments: str, **environ: str) -> tuple[int, str, str]:
    """Run a command to its end; return its exit code and what it has said."""
    async with command(*arguments, **environ) as running:
        code = await running.finish()
    return code, running.out.decode(), running.err.decode()
