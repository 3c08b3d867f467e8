"""The file of JSON lines, written and read."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
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


def write(path: Path, *events: telemetry.Event) -> None:
    """Write events as one batch of a new sink, in a Trio run of its own."""
    trio.run(JSONLinesSink(path).write, events)


def test_events_survive_the_file(path: Path) -> None:
    """What one process writes another one reads."""
    write(path, *EVENTS)

    lines = read_json_lines(path)
    assert list(lines) == EVENTS
    assert lines.torn == []


def test_a_line_is_the_wire_form_and_the_time(path: Path) -> None:
    """One object for each line, with the UTC time at which it happened."""

    async def two_events() -> None:
        now = trio.current_time()
        events = [telemetry.RuntimeStarted(at=now - 60), telemetry.RuntimeStarted(at=now)]
        await JSONLinesSink(path).write(events)

    before = datetime.now(UTC)
    trio.run(two_events)
    earlier, later = map(json.loads, path.read_text(encoding="ascii").splitlines())
    when = datetime.fromisoformat(later["time"])

    assert list(later) == ["time", *telemetry.event_to_dict(EVENTS[0])]
    assert when.tzinfo is UTC
    assert (when - datetime.fromisoformat(earlier["time"])).total_seconds() == pytest.approx(
        60, abs=0.01
    )
    assert before - timedelta(seconds=1) < when < datetime.now(UTC) + timedelta(seconds=1)


def test_a_line_by_itself_is_for_sinks_of_one_s_own() -> None:
    """The same line for whatever else takes lines: when it happened, what, and the end."""
    event = telemetry.RuntimeStarted(at=5.25)

    line = telemetry.json_line(event, 1e9)

    assert line.startswith('{"time": "2001-09-09T01:46:45.250+00:00", "event": "runtime.started", ')
    assert (line.count("\n"), line[-1]) == (1, "\n")
    assert telemetry.from_json(line) == event


def test_batches_are_appended(path: Path) -> None:
    """Nothing that was there is touched, whichever sink wrote it."""
    sink = JSONLinesSink(path)
    trio.run(sink.write, EVENTS[:1])
    trio.run(sink.write, EVENTS[1:2])
    write(path, *EVENTS[2:])

    assert list(read_json_lines(path)) == EVENTS


def test_a_file_that_was_moved_away_is_begun_anew(path: Path) -> None:
    """A rotated log needs no signal."""
    sink = JSONLinesSink(path)
    trio.run(sink.write, EVENTS[:1])
    path.rename(path.with_suffix(".1"))
    trio.run(sink.write, EVENTS[1:])

    assert list(read_json_lines(path)) == EVENTS[1:]


def test_the_file_is_made_at_the_first_write(path: Path) -> None:
    """A sink that never writes leaves nothing behind."""
    sink = JSONLinesSink(str(path))
    trio.run(sink.aclose)

    assert not path.exists()


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    """At the door, not at the first event."""
    with pytest.raises(InvalidSpec, match=r"path: must be in a folder that exists, not .*gone"):
        JSONLinesSink(tmp_path / "gone" / "events.jsonl")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    """A folder is no file."""
    with pytest.raises(InvalidSpec, match="path: must be a file, and this is a folder"):
        JSONLinesSink(tmp_path)


def test_what_the_file_system_raises_comes_out(path: Path) -> None:
    """So that the feed reports it and tries again."""
    sink = JSONLinesSink(path)
    path.mkdir()

    with pytest.raises(OSError, match="events"):
        trio.run(sink.write, EVENTS)


@pytest.mark.parametrize("cut", [1, 20, -1])
def test_a_torn_last_line_is_left_out_and_said(path: Path, cut: int) -> None:
    """A crash in the middle of a line costs that line only."""
    write(path, *EVENTS)
    text = path.read_bytes()
    last = text.rindex(b"\n", 0, -1) + 1
    path.write_bytes(text[:last] + text[last:-1][:cut])

    lines = read_json_lines(path)
    assert list(lines) == EVENTS[:2]
    assert lines.torn == [3]


def test_a_torn_line_stays_a_torn_line_when_more_is_written(path: Path) -> None:
    """Whoever comes after the crash marks it, so that nothing runs into it."""
    write(path, *EVENTS[:2])
    os.truncate(path, path.stat().st_size - 10)
    write(path, *EVENTS[2:])
    write(path, EVENTS[0])

    lines = read_json_lines(path)
    assert list(lines) == [EVENTS[0], EVENTS[2], EVENTS[0]]
    assert lines.torn == [2]
    assert (list(lines), lines.torn) == ([EVENTS[0], EVENTS[2], EVENTS[0]], [2])


def test_a_whole_line_without_its_end_is_read(path: Path) -> None:
    """Only the line break is missing, before and after more is written."""
    write(path, *EVENTS[:2])
    os.truncate(path, path.stat().st_size - 1)
    alone = list(read_json_lines(path))
    write(path, *EVENTS[2:])

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
def test_a_broken_line_elsewhere_names_file_and_line(path: Path, line: bytes, said: str) -> None:
    """That is no crash of the writer: somebody must look."""
    write(path, *EVENTS)
    first, *rest = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + line + b"\n" + b"".join(rest))
    read = iter(read_json_lines(path))

    assert next(read) == EVENTS[0]
    with pytest.raises(InvalidSpec) as caught:
        next(read)
    assert f"{path}, line 2" in str(caught.value)
    assert said in str(caught.value)


def test_empty_lines_are_nothing(path: Path) -> None:
    """Editors leave them behind."""
    write(path, *EVENTS)
    path.write_bytes(b"\n" + path.read_bytes() + b"  \n\n")

    assert list(read_json_lines(path)) == EVENTS


def test_a_missing_file_is_said_by_the_file_system(path: Path) -> None:
    """The error is Python's own."""
    with pytest.raises(FileNotFoundError):
        list(read_json_lines(path))


class Stalled(list[telemetry.Event]):
    """A batch that holds up the thread that wants to write it, as a dead disk does."""

    def __init__(self) -> None:
        super().__init__(EVENTS)
        self.token = trio.lowlevel.current_trio_token()
        self.reached = trio.Event()
        self.gate = threading.Event()

    def __iter__(self) -> Iterator[telemetry.Event]:
        trio.from_thread.run_sync(self.reached.set, trio_token=self.token)
        self.gate.wait()
        return super().__iter__()


async def test_a_dead_disk_blocks_neither_the_loop_nor_the_end(path: Path) -> None:
    """A write that does not come back is left behind in its thread when it is cancelled."""
    batch = Stalled()
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(JSONLinesSink(path).write, batch)
            await batch.reached.wait()
            nursery.cancel_scope.cancel()

        assert not batch.gate.is_set()
        batch.gate.set()


async def test_the_sink_works_in_its_feed(path: Path) -> None:
    """From the bus to the file, with real threads."""
    bus = EventBus()
    with trio.fail_after(30):
        async with open_sinks(bus, [JSONLinesSink(path)]):
            for event in EVENTS:
                bus.publish(event)

    assert list(read_json_lines(path)) == EVENTS
