"""Files of JSON lines whose writer was killed, a real process each time."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trio

from trio_instances import telemetry
from trio_instances.telemetry import JSONLinesSink, json_lines_files, read_json_lines

WRITER = """
import resource, signal, sys, trio
from trio_instances import telemetry

path, start, max_bytes, file_limit, pause = sys.argv[1], *map(int, sys.argv[2:])
if file_limit:
    # The write that would go beyond this many bytes writes what fits; the next one kills.
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))

async def main():
    sink = telemetry.JSONLinesSink(path, max_bytes=max_bytes or None, keep=10_000)
    number = start
    while True:
        batch = [telemetry.RuntimeStopping(at=0.0, instances=number + i) for i in range(50)]
        await sink.write(batch)
        number += 50
        print(number, flush=True)
        await trio.sleep(pause / 1000)

trio.run(main)
"""
"""Writes numbered events until it is killed, and says up to which number each batch went."""


def start_writer(
    path: Path, start: int, *, max_bytes: int = 0, file_limit: int = 0, pause: int = 0
) -> subprocess.Popen[str]:
    """Start a process that writes until it is killed; the pause is in milliseconds."""
    arguments = [str(path), *map(str, (start, max_bytes, file_limit, pause))]
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, *arguments], stdout=subprocess.PIPE, text=True
    )


def numbers_in(path: Path) -> tuple[list[int], int]:
    """Return the numbers of all events there are, and how many lines are torn."""
    numbers: list[int] = []
    torn = 0
    for file in json_lines_files(path):
        lines = read_json_lines(file)
        numbers += [e.instances for e in lines if isinstance(e, telemetry.RuntimeStopping)]
        torn += len(lines.torn)

    return numbers, torn


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a file may be written."""
    return tmp_path / "events.jsonl"


def test_a_process_that_is_killed_within_a_line_costs_that_line_only(path: Path) -> None:
    """Whoever writes next leaves the torn line apart, and both before and after it is whole."""
    with start_writer(path, 0, file_limit=20_005) as writer:
        writer.wait(30)
    assert writer.returncode == -signal.SIGXFSZ
    assert path.stat().st_size == 20_005
    before, torn = numbers_in(path)
    assert (before, torn) == (list(range(len(before))), 1)

    more = telemetry.RuntimeStopping(at=0.0, instances=-1)
    trio.run(JSONLinesSink(path).write, [more])
    assert numbers_in(path) == ([*before, -1], 1)


@pytest.mark.parametrize("max_bytes", [0, 4_000])
def test_processes_that_are_killed_at_any_moment_lose_nothing_they_had_written(
    path: Path, max_bytes: int
) -> None:
    """Of each, what it said it wrote is there, in order, once; whether files are moved or not."""
    start = 0
    for life in range(4):
        with start_writer(path, start, max_bytes=max_bytes) as writer:
            assert writer.stdout is not None
            told = [int(writer.stdout.readline()) for _ in range(3)]
            time.sleep(0.003 * life)
            writer.send_signal(signal.SIGKILL)
            told += [int(line) for line in writer.stdout if line.endswith("\n")]
            writer.wait(30)

        numbers, torn = numbers_in(path)
        mine = [number for number in numbers if number >= start]
        assert mine == list(range(start, start + len(mine)))
        assert len(mine) >= told[-1] - start
        assert torn <= life + 1
        start += 1_000_000


def test_a_reader_beside_a_writer_sees_whole_lines(path: Path) -> None:
    """A line that is being written is left out, until it is there."""
    with start_writer(path, 0, pause=5) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        seen = [numbers_in(path)[0] for _ in range(10)]
        writer.kill()

    assert all(numbers == list(range(len(numbers))) for numbers in seen)
    assert len(seen[-1]) >= 50
