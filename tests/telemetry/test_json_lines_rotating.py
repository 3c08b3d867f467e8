"""Files of JSON lines that are moved away when they are full, in a real folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from trio_instances import InvalidSpec, telemetry
from trio_instances.telemetry import JSONLinesSink, json_lines_files, read_json_lines
from trio_instances.telemetry.sinks.json_lines import TORN, move_away

LINE = len(telemetry.json_line(telemetry.RuntimeStarted(at=1.0), 0.0))
"""Bytes of the line of an event below."""


def event(number: int) -> telemetry.Event:
    """Return an event whose line is as long as all others, and which can be told from them."""
    return telemetry.RuntimeStarted(at=float(number % 10))


def write(sink: JSONLinesSink, *numbers: int) -> None:
    """Write events as one batch."""
    trio.run(sink.write, [event(number) for number in numbers])


def held(path: Path) -> dict[str, list[int]]:
    """Return the numbers of the events in each file, by the end of the file's name."""
    return {
        file.name.removeprefix(path.name): [int(event.at) for event in read_json_lines(file)]
        for file in json_lines_files(path)
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a file may be written."""
    return tmp_path / "events.jsonl"


def test_a_full_file_is_moved_away(path: Path) -> None:
    """The next line begins a new one; the highest number is the oldest."""
    sink = JSONLinesSink(path, max_bytes=2 * LINE, keep=3)
    for number in range(5):
        write(sink, number)

    assert held(path) == {".2": [0, 1], ".1": [2, 3], "": [4]}


def test_the_oldest_is_deleted(path: Path) -> None:
    """So the disk that is used is bounded: the number kept, and the file itself."""
    sink = JSONLinesSink(path, max_bytes=LINE, keep=2)
    write(sink, *range(7))

    assert held(path) == {".2": [4], ".1": [5], "": [6]}
    assert len(list(path.parent.iterdir())) == 3


def test_a_batch_may_be_longer_than_a_file(path: Path) -> None:
    """It goes into as many as it needs."""
    write(JSONLinesSink(path, max_bytes=3 * LINE + 1), *range(8))

    assert held(path) == {".2": [0, 1, 2], ".1": [3, 4, 5], "": [6, 7]}


def test_a_line_that_is_longer_than_a_file_is_one_of_its_own(path: Path) -> None:
    """It is neither cut nor left out."""
    sink = JSONLinesSink(path, max_bytes=1)
    write(sink, 1, 2)
    write(sink, 3)

    assert held(path) == {".2": [1], ".1": [2], "": [3]}


def test_without_a_limit_nothing_is_moved(path: Path) -> None:
    """One file, for whoever rotates by other means."""
    sink = JSONLinesSink(path)
    for number in range(9):
        write(sink, number)

    assert json_lines_files(path) == [path]


def test_what_another_process_left_is_counted(path: Path) -> None:
    """A file that is full already is moved before the first line."""
    write(JSONLinesSink(path), 1, 2, 3)
    write(JSONLinesSink(path, max_bytes=2 * LINE), 4)

    assert held(path) == {".1": [1, 2, 3], "": [4]}


def test_a_torn_line_goes_with_its_file(path: Path) -> None:
    """As the last line of a file it needs no mark, so it does not make the file too large."""
    sink = JSONLinesSink(path, max_bytes=2 * LINE)
    write(sink, 1, 2)
    os.truncate(path, 2 * LINE - 5)
    write(sink, 3)

    first, second = json_lines_files(path)
    lines = read_json_lines(first)
    assert ([event.at for event in lines], lines.torn) == ([1], [2])
    assert TORN not in first.read_bytes()
    assert [event.at for event in read_json_lines(second)] == [3]


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_a_crash_while_files_are_moved_loses_none(path: Path, missing: int) -> None:
    """It leaves a number out; that is filled before anything is deleted."""
    names = [f"{path.name}.{number}" for number in (3, 2, 1) if number != missing]
    for name in (*names, path.name):
        (path.parent / name).write_text(name, encoding="ascii")
    move_away(path, 3)

    # Without a gap the oldest goes; and a number that is missing at the end is no gap.
    kept = [*names, path.name]
    assert [file.read_text("ascii") for file in json_lines_files(path)] == kept
    assert not path.exists()


def test_files_of_other_names_are_let_alone(path: Path) -> None:
    """Only the file's own name and a number is one of them."""
    for name in ("events.jsonl.gz", "events.jsonl.1.gz", "other.jsonl.1", "events.jsonl.-1"):
        (path.parent / name).touch()
    write(JSONLinesSink(path, max_bytes=LINE), 1, 2)

    assert [file.name for file in json_lines_files(path)] == ["events.jsonl.1", "events.jsonl"]
    assert len(list(path.parent.iterdir())) == 6


def test_more_than_nine_files_are_in_their_order(path: Path) -> None:
    """Numbers are numbers, and not letters."""
    write(JSONLinesSink(path, max_bytes=LINE, keep=12), *range(10))

    assert [number for numbers in held(path).values() for number in numbers] == list(range(10))


def test_no_file_at_all_is_fine(path: Path) -> None:
    """Nothing was told yet."""
    assert json_lines_files(str(path)) == []


def test_a_missing_folder_is_said_by_the_file_system(tmp_path: Path) -> None:
    """The error is Python's own."""
    with pytest.raises(FileNotFoundError):
        json_lines_files(tmp_path / "gone" / "events.jsonl")


def test_a_file_that_cannot_be_moved_fails_the_write(path: Path) -> None:
    """So the feed reports it, and the file does not grow beyond its bound meanwhile."""
    sink = JSONLinesSink(path, max_bytes=LINE, keep=1)
    write(sink, 1)
    (path.parent / "events.jsonl.1").mkdir()
    (path.parent / "events.jsonl.1" / "occupied").touch()
    with pytest.raises(OSError, match=r"events\.jsonl"):
        write(sink, 2)

    assert path.stat().st_size == LINE


def test_every_mistake_in_the_numbers_is_listed(path: Path) -> None:
    """At the door."""
    with pytest.raises(InvalidSpec) as caught:
        JSONLinesSink(path, max_bytes=0, keep=0)

    assert [mistake.place for mistake in caught.value.mistakes] == ["max_bytes", "keep"]


@given(
    st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=5), max_size=6),
    st.integers(1, 4 * LINE),
    st.integers(1, 4),
)
def test_files_are_bounded_and_hold_the_newest_events_in_order(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[int]], limit: int, keep: int
) -> None:
    """Whatever comes in whatever batches: nothing is doubled, cut or out of place."""
    path = tmp_path_factory.mktemp("rotating") / "events.jsonl"
    sink = JSONLinesSink(path, max_bytes=limit, keep=keep)
    for batch in batches:
        write(sink, *batch)

    written = [number for batch in batches for number in batch]
    there = [number for numbers in held(path).values() for number in numbers]
    assert there == written[len(written) - len(there) :]
    assert len(json_lines_files(path)) <= keep + 1
    assert all(file.stat().st_size <= max(limit, LINE) for file in json_lines_files(path))
    if len(json_lines_files(path)) <= keep:
        assert there == written
