"""``trio-instances run``: real processes, real signals, a real gateway."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio

from trio_instances import telemetry
from trio_instances.telemetry.sinks.json_lines import read_json_lines
from trio_instances.testing import Gateway, Refusal

from .processes import run, write

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the signals are those of POSIX")


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


@pytest.mark.parametrize("how", [(), ("--json",)])
async def test_only_what_has_the_level_that_is_asked_for_is_told(
    gateway: Gateway, tmp_path: Path, how: Sequence[str]
) -> None:
    """``--level``: as lines and as JSON; what the process says of itself is no event."""
    gateway.admit = lambda asked: Refusal(status=401) if asked.path == "/b" else None
    file = write(tmp_path, gateway, "a", "b")
    async with run(file, "--level", "WARNING", *how) as running, running.heard():
        wait = running.wait_printed if how else running.wait_said
        await wait(b"instance.failed")
        running.process.send_signal(signal.SIGTERM)

    told = running.out if how else running.err
    assert b"instance.failed" in told
    assert b"instance.started" not in told
    assert b"runtime.st" not in told
    assert running.err.endswith(b"trio-instances: stopped\n")


async def test_a_level_that_there_is_not_is_refused(gateway: Gateway, tmp_path: Path) -> None:
    """The levels that there are are named, and nothing is started."""
    async with run(write(tmp_path, gateway, "a"), "--level", "LOUD") as running:
        assert await running.finish() == 2

    assert b"'DEBUG', 'INFO', 'WARNING', 'ERROR'" in running.err
    assert gateway.statistics().accepted == 0


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
