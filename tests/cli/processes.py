"""``trio-instances run`` in a process of its own, and the file that it runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import final

import trio

import trio_instances
from trio_instances.testing import Gateway

FOLDER = Path(trio_instances.__file__).parents[1]
COMMAND = (sys.executable, "-W", "error", "-m", "trio_instances", "run")


@final
class Running:
    """A ``run`` under way, with what it has said so far."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.out = b""
        self.err = b""
        self._said = trio.Event()

    async def finish(self) -> int:
        """Wait until it has ended and all that it said was read; return its exit code."""
        async with self.heard():
            pass
        return await self.process.wait()

    async def finish_after(self, text: bytes, number: signal.Signals) -> int:
        """Send it a signal once it has said something on standard error; see `finish`."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._signal_after, text, number)
            return await self.finish()

    @asynccontextmanager
    async def heard(self) -> AsyncIterator[None]:
        """Read what it says while the block runs, and then to the end."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._read_out)
            nursery.start_soon(self._read_err)
            yield

    async def wait_said(self, text: bytes, times: int = 1) -> None:
        """Wait until it has said something so often on standard error."""
        while self.err.count(text) < times:
            await self._said.wait()

    async def wait_printed(self, text: bytes, times: int = 1) -> None:
        """Wait until it has said something so often on standard output."""
        while self.out.count(text) < times:
            await self._said.wait()

    async def _signal_after(self, text: bytes, number: signal.Signals) -> None:
        await self.wait_said(text)
        self.process.send_signal(number)

    async def _read_out(self) -> None:
        assert self.process.stdout is not None
        async for data in self.process.stdout:
            self.out += data
            self._tell()

    async def _read_err(self) -> None:
        assert self.process.stderr is not None
        async for data in self.process.stderr:
            self.err += data
            self._tell()

    def _tell(self) -> None:
        self._said.set()
        self._said = trio.Event()


@asynccontextmanager
async def run(*arguments: object, **environ: str) -> AsyncIterator[Running]:
    """Run a file in a process of its own; leaving the block kills what still runs.

    Args:
        arguments: Those of ``run``.
        environ: Environment variables beside those of this process.
    """
    pipe = subprocess.PIPE
    process = await trio.lowlevel.open_process(
        [*COMMAND, *map(str, arguments)],
        stdout=pipe,
        stderr=pipe,
        cwd=FOLDER,
        env={**os.environ, **environ},
    )
    try:
        yield Running(process)
    finally:
        if process.returncode is None:
            process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
        for pipe_end in (process.stdout, process.stderr):
            assert pipe_end is not None
            await trio.aclose_forcefully(pipe_end)


def write(folder: Path, gateway: Gateway, *ids: str, more: str = "") -> Path:
    """Write a file with an instance for each id, which connects to a path of the same name."""
    rows = (f'[[instances]]\nid = "{name}"\nurl = "{gateway.url}/{name}"\n' for name in ids)
    file = folder / "bots.toml"
    file.write_text(more + "".join(rows))
    return file
