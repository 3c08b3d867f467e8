"""The file of JSON lines, written and read."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio

from trio_instances import telemetry
from trio_instances._exceptions import InvalidSpec
from trio_instances.policy.failures import Cause, FailureClass
from trio_instances.telemetry import EventBus, JSONLinesSink, open_sinks, read_json_lines

CAUSE = Cause(FailureClass.FATAL, "close_4004", "naïve\nline")
EVENTS = [
    telemetry.RuntimeStarted(at=1.0),
    telemetry.InstanceFailed(at=2.0, instance_id="bot", cause=CAUSE),
    telemetry.RuntimeStopped(at=3.0, elapsed=0.5),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a file may be written."""
    return tmp_path / "events.jsonl"


async def write(path: Path, *events: telemetry.Event) -> None:
    """Write events as one batch of a new sink."""
    await JSONLinesSink(path).write(events)


async def test_events_survive_the_file(path: Path) -> None:
    """What one process writes another one reads."""
    await write(path, *EVENTS)

    lines = read_json_lines(path)
    assert list(lines) == EVENTS
    assert lines.torn == []


async def test_a_line_is_the_wire_form_and_the_time(path: Path) -> None:
    """One object for each line, with the UTC time at which it happened."""
    now = trio.current_time()
    before = datetime.now(UTC).timestamp()
    await write(path, telemetry.RuntimeStarted(at=now - 60), telemetry.RuntimeStarted(at=now))
    first, second = map(json.loads, path.read_text(encoding="ascii").splitlines())
    when = datetime.fromisoformat(second["time"])

    assert list(second) == ["time", *telemetry.event_to_dict(telemetry.RuntimeStarted(at=now))]
    assert when.utcoffset() == datetime.fromisoformat(first["time"]).utcoffset()
    assert str(when.tzinfo) == "UTC"
    assert 59.9 < (when - datetime.fromisoformat(first["time"])).total_seconds() < 60.1
    assert abs(when.timestamp() - before) < 30


async def test_batches_are_appended(path: Path) -> None:
    """Nothing that was there is touched, whichever sink wrote it."""
    sink = JSONLinesSink(path)
    await sink.write(EVENTS[:1])
    await sink.write(EVENTS[1:2])
    await write(path, *EVENTS[2:])

    assert list(read_json_lines(path)) == EVENTS


async def test_a_file_that_was_moved_away_is_begun_anew(path: Path) -> None:
    """A rotated log needs no signal."""
    sink = JSONLinesSink(path)
    await sink.write(EVENTS[:1])
    path.rename(path.with_suffix(".1"))
    await sink.write(EVENTS[1:])

    assert list(read_json_lines(path)) == EVENTS[1:]


async def test_the_file_is_made_at_the_first_write(path: Path) -> None:
    """A sink that never writes leaves nothing behind."""
    sink = JSONLinesSink(str(path))
    await sink.aclose()

    assert not path.exists()


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    """At the door, not at the first event."""
    with pytest.raises(InvalidSpec, match=r"path: must be in a folder that exists, not .*gone"):
        JSONLinesSink(tmp_path / "gone" / "events.jsonl")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    """A folder is no file."""
    with pytest.raises(InvalidSpec, match="path: must be a file, and this is a folder"):
        JSONLinesSink(tmp_path)


async def test_what_the_file_system_raises_comes_out(path: Path) -> None:
    """So that the feed reports it and tries again."""
    sink = JSONLinesSink(path)
    path.mkdir()

    with pytest.raises(OSError, match="events"):
        await sink.write(EVENTS)


@pytest.mark.parametrize("cut", [1, 20, -1])
async def test_a_torn_last_line_is_left_out_and_said(path: Path, cut: int) -> None:
    """A crash in the middle of a line costs that line only."""
    await write(path, *EVENTS)
    text = path.read_bytes()
    last = text.rindex(b"\n", 0, -1) + 1
    path.write_bytes(text[:last] + text[last:-1][:cut])

    lines = read_json_lines(path)
    assert list(lines) == EVENTS[:2]
    assert lines.torn == [3]


async def test_a_torn_line_stays_a_torn_line_when_more_is_written(path: Path) -> None:
    """Whoever comes after the crash marks it, so that nothing runs into it."""
    await write(path, *EVENTS[:2])
    os.truncate(path, path.stat().st_size - 10)
    await write(path, *EVENTS[2:])
    await write(path, EVENTS[0])

    lines = read_json_lines(path)
    assert list(lines) == [EVENTS[0], EVENTS[2], EVENTS[0]]
    assert lines.torn == [2]
    assert (list(lines), lines.torn) == ([EVENTS[0], EVENTS[2], EVENTS[0]], [2])


async def test_a_whole_line_without_its_end_is_read(path: Path) -> None:
    """Only the line break is missing, before and after more is written."""
    await write(path, *EVENTS[:2])
    os.truncate(path, path.stat().st_size - 1)
    alone = list(read_json_lines(path))
    await write(path, *EVENTS[2:])

    assert alone == EVENTS[:2]
    assert list(read_json_lines(path)) == EVENTS


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"event": "child.sta', "must be JSON"),
        (b'{"event": "child.exploded", "schema": 1}', "child.exploded"),
        (b'{"event": "runtime.started", "schema": 1}', "at: is missing"),
        (b"\xff\xfe", "must be JSON"),
    ],
)
async def test_a_broken_line_elsewhere_names_file_and_line(
    path: Path, line: bytes, said: str
) -> None:
    """That is no crash of the writer: somebody must look."""
    await write(path, *EVENTS)
    first, *rest = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + line + b"\n" + b"".join(rest))
    read = iter(read_json_lines(path))

    assert next(read) == EVENTS[0]
    with pytest.raises(InvalidSpec) as caught:
        next(read)
    assert f"{path}, line 2" in str(caught.value)
    assert said in str(caught.value)


async def test_empty_lines_are_nothing(path: Path) -> None:
    """Editors leave them behind."""
    await write(path, *EVENTS)
    path.write_bytes(b"\n" + path.read_bytes() + b"  \n\n")

    assert list(read_json_lines(path)) == EVENTS


def test_a_missing_file_is_said_by_the_file_system(path: Path) -> None:
    """The error is Python's own."""
    with pytest.raises(FileNotFoundError):
        list(read_json_lines(path))


@pytest.fixture
def full_pipe(path: Path) -> Iterator[int]:
    """Yield the reading end of a pipe in the file's place that nobody reads, and that is full."""
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield reading
    os.close(reading)


async def test_a_dead_disk_blocks_neither_the_loop_nor_the_end(path: Path) -> None:
    """A write that never returns is left behind in its thread."""
    os.mkfifo(path)  # opening it blocks until somebody opens the other end
    bus = EventBus()
    async with open_sinks(bus, [JSONLinesSink(path)], flush_timeout=0) as (feed,):
        bus.publish(EVENTS[0])

    assert feed.statistics().lost == 1
    if threading.active_count() > 1:  # let the thread go
        os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))


async def test_the_sink_works_in_its_feed(path: Path) -> None:
    """From the bus to the file, with real threads."""
    bus = EventBus()
    with trio.fail_after(30):
        async with open_sinks(bus, [JSONLinesSink(path)]):
            for event in EVENTS:
                bus.publish(event)

    assert list(read_json_lines(path)) == EVENTS
