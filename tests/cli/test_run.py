"""``trio-instances run``: real processes, real signals, a real gateway."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import final

import pytest
import trio

import trio_instances
from trio_instances import telemetry
from trio_instances.telemetry.sinks.json_lines import read_json_lines
from trio_instances.testing.gateway import Gateway, Refusal, open_gateway

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the signals are those of POSIX")

FOLDER = Path(trio_instances.__file__).parents[1]
COMMAND = (sys.executable, "-W", "error", "-m", "trio_instances", "run")
SECONDS = 40


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
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._read_out)
            nursery.start_soon(self._read_err)
        return await self.process.wait()

    async def finish_after(self, text: bytes, number: signal.Signals) -> int:
        """Send it a signal once it has said something on standard error; see `finish`."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._signal_after, text, number)
            return await self.finish()

    async def _signal_after(self, text: bytes, number: signal.Signals) -> None:
        while text not in self.err:
            await self._said.wait()
        self.process.send_signal(number)

    async def _read_out(self) -> None:
        assert self.process.stdout is not None
        async for data in self.process.stdout:
            self.out += data

    async def _read_err(self) -> None:
        assert self.process.stderr is not None
        async for data in self.process.stderr:
            self.err += data
            self._said.set()
            self._said = trio.Event()


@asynccontextmanager
async def run(*arguments: object) -> AsyncIterator[Running]:
    """Run a file in a process of its own; leaving the block kills what still runs."""
    pipe = subprocess.PIPE
    process = await trio.lowlevel.open_process(
        [*COMMAND, *map(str, arguments)], stdout=pipe, stderr=pipe, cwd=FOLDER
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


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    """Run a gateway around a test, under the test's deadline."""
    with trio.fail_after(SECONDS):
        async with open_gateway() as gateway:
            yield gateway


def write(folder: Path, gateway: Gateway, *ids: str, more: str = "") -> Path:
    """Write a file with an instance for each id, which connects to a path of the same name."""
    rows = (f'[[instances]]\nid = "{name}"\nurl = "{gateway.url}/{name}"\n' for name in ids)
    file = folder / "bots.toml"
    file.write_text(more + "".join(rows))
    return file


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_the_instances_in_reverse_order(
    gateway: Gateway, tmp_path: Path, number: signal.Signals
) -> None:
    """One signal: every instance closes its connection and stops, the last one first; exit 0."""
    async with run(write(tmp_path, gateway, "a", "b", "c")) as running:
        for name in "abc":
            await gateway.wait_client(f"/{name}")
        assert await running.finish_after(b"instance.connected", number) == 0

    text = running.err.decode()
    ends = [line.split()[4] for line in text.splitlines() if "instance.stopped" in line]
    assert ends == ["c", "b", "a"]
    assert f"{number.name}: stopping in reverse start order" in text
    assert text.endswith("trio-instances: stopped\n")
    assert gateway.clients == ()


async def test_events_are_lines_of_json_that_the_reader_of_telemetry_takes(
    gateway: Gateway, tmp_path: Path
) -> None:
    """``--json``: standard output is one event a line, first to last, and nothing else."""
    async with run(write(tmp_path, gateway, "a"), "--json") as running:
        await gateway.wait_client("/a")
        running.process.send_signal(signal.SIGTERM)
        assert await running.finish() == 0

    file = tmp_path / "events.jsonl"
    file.write_bytes(running.out)
    told = list(read_json_lines(file))
    assert isinstance(told[0], telemetry.RuntimeStarted)
    assert isinstance(told[-1], telemetry.RuntimeStopped)
    assert {"instance.started", "instance.stopped"} < {event.name for event in told}
    assert all("T" in json.loads(line)["time"] for line in running.out.splitlines())


async def test_a_second_signal_a_second_later_stops_at_once(
    gateway: Gateway, tmp_path: Path
) -> None:
    """The process ends by the signal; one that comes within a second changes nothing."""
    file = write(tmp_path, gateway, "a", more="defaults.reconnect.close_timeout = 600\n")
    async with run(file) as running, trio.open_nursery() as nursery:
        client = await gateway.wait_client("/a")
        client.answers_close = False  # so that the ordered stop takes ten minutes
        first_at = time.monotonic()

        async def insist() -> None:
            while True:
                running.process.send_signal(signal.SIGTERM)
                await trio.sleep(0.1)

        nursery.start_soon(insist)
        assert await running.finish() == -signal.SIGTERM
        nursery.cancel_scope.cancel()

    assert time.monotonic() - first_at >= 1.0
    assert running.err.endswith(b"SIGTERM again: stopping at once\n")


async def test_a_broken_file_starts_nothing(gateway: Gateway, tmp_path: Path) -> None:
    """Every mistake is listed, the exit code is 2, and no right instance was started either."""
    file = write(tmp_path, gateway, "a", "b", "b", more="[defaults]\nprobe.timeout = 0\n")
    async with run(file) as running:
        assert await running.finish() == 2

    assert running.err.decode().splitlines() == [
        f"{file}: 2 mistakes",
        "  defaults.probe.timeout: must be a finite number above 0, not 0",
        "  instances[2].id: must be unique (instances[1] has it), not 'b'",
    ]
    assert gateway.statistics().accepted == 0


async def test_an_escalation_ends_the_run_with_code_1(gateway: Gateway, tmp_path: Path) -> None:
    """Where the file says so, an instance that fails for good ends all, and the reason is said."""
    gateway.admit = lambda asked: Refusal(status=401) if asked.path == "/b" else None
    more = '[runtime]\non_instance_failure = "escalate"\n'
    async with run(write(tmp_path, gateway, "a", "b", more=more)) as running:
        assert await running.finish() == 1

    assert b"the runtime has given up" in running.err
    assert b"http_401" in running.err.splitlines()[-1]


async def test_an_instance_that_fails_does_not_end_the_run(
    gateway: Gateway, tmp_path: Path
) -> None:
    """By default it is parked, and the others go on until they are stopped."""
    gateway.admit = lambda asked: Refusal(status=401) if asked.path == "/a" else None
    async with run(write(tmp_path, gateway, "a", "b")) as running:
        await gateway.wait_client("/b")
        assert await running.finish_after(b"instance.failed a", signal.SIGTERM) == 0
