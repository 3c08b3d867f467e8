"""Events as lines of JSON in a file, or in a row of files, and the way back."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, final

import trio
from attrs import define, field

from ..._exceptions import InvalidSpec
from ...abc import Sink
from ...policy.mistakes import MistakeList
from ..codec import event_to_dict, from_json

if TYPE_CHECKING:
    from ..schema import Event

TORN = b" <torn>"
"""What ends a line that was cut short, once something follows it. No JSON object ends so."""


@final
class JSONLinesSink(Sink):
    """Appends each event to a file as one line: the wire form, and the UTC time for people.

    The file is opened for each batch, in a worker thread, and closed after it. So nothing is held
    between two batches, a file that was moved away is simply begun anew, and a crash tears at most
    the last line. A torn line that is found before a batch is ended with a mark, so that the reader
    can tell it from a broken one; cutting it off instead would destroy a file given by mistake.

    With `max_bytes` the sink moves a full file away by itself: ``events.jsonl`` becomes
    ``events.jsonl.1``, that one ``events.jsonl.2``, and so on. A crash in between loses nothing: at
    most a number is missing. `json_lines_files` lists what there is. One file is for one sink of
    one process.

    Args:
        path: The file; made when the first events come. Its folder must be there.
        max_bytes: The file is moved away before a line would make it larger than this. A single
            line that is larger is a file of its own. None lets it grow for ever.
        keep: How many of those that were moved away are kept; the oldest is deleted.

    Raises:
        InvalidSpec: The folder is missing, `path` is a folder itself, or a number is not what it
            must be; with every mistake.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, max_bytes: int | None = None, keep: int = 5
    ) -> None:
        self.path: Path = Path(path)
        self.max_bytes = max_bytes
        self.keep = keep
        wrong = MistakeList("JSONLinesSink")
        if self.path.is_dir():
            wrong.add("path", str(path), "must be a file, and this is a folder")
        elif not self.path.parent.is_dir():
            wrong.add("path", str(path), "must be in a folder that exists")
        if max_bytes is not None:
            wrong.whole("max_bytes", max_bytes, at_least=1)
        wrong.whole("keep", keep, at_least=1)
        wrong.raise_any()
        # Its own, so that a dead disk holds one thread and not those that the application shares.
        self._limiter = trio.CapacityLimiter(1)

    async def write(self, events: Sequence[Event]) -> None:
        """Append the events; they are with the operating system when it returns.

        When cancelled it returns at once and leaves the thread to finish alone: a thread that
        waits for a dead disk cannot be called back.

        Raises:
            OSError: The file cannot be written, or not moved away.
        """
        # Monotonic to wall time, taken here because only the Trio thread knows the former.
        offset = time.time() - trio.current_time()
        await trio.to_thread.run_sync(
            self._append, events, offset, abandon_on_cancel=True, limiter=self._limiter
        )

    def _append(self, events: Sequence[Event], offset: float) -> None:
        waiting = deque(json_line(event, offset).encode() for event in events)
        while waiting:
            if self._append_what_fits(waiting):
                move_away(self.path, self.keep)

    def _append_what_fits(self, waiting: deque[bytes]) -> bool:
        """Append lines and take them off the queue; return whether the file is full."""
        with self.path.open("ab+") as file:
            end = _end_of_torn_line(file)
            size = file.tell() + len(end)
            lines: list[bytes] = []
            # An empty file takes any line: one that is too long for every file would wait for ever.
            while waiting and (size == 0 or self._fits(size + len(waiting[0]))):
                size += len(waiting[0])
                lines.append(waiting.popleft())
            if lines:
                file.write(end + b"".join(lines))

        return bool(waiting)

    def _fits(self, size: int) -> bool:
        return self.max_bytes is None or size <= self.max_bytes


def _end_of_torn_line(file: BinaryIO) -> bytes:
    """Return what a file that is at its end needs for the next line to be one of its own."""
    if file.tell() == 0:
        return b""

    file.seek(-1, os.SEEK_END)
    return b"" if file.read(1) == b"\n" else TORN + b"\n"


def move_away(path: Path, keep: int) -> None:
    """Give a file the number 1, and those that have one the next one, as far as there is room.

    The oldest goes first, so that wherever a crash ends it, no file has taken another one's place.

    Raises:
        OSError: One cannot be moved.
    """
    free = next((n for n in range(1, keep) if not _numbered(path, n).exists()), keep)
    for number in range(free, 1, -1):
        _numbered(path, number - 1).replace(_numbered(path, number))
    path.replace(_numbered(path, 1))


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def json_lines_files(path: str | os.PathLike[str]) -> list[Path]:
    """Return a file of JSON lines and those that its sink has moved away, the oldest first.

    It lists what is there now; a sink at work may move a file at any time, so whoever follows one
    that grows reads it by itself.

    Args:
        path: The file, as the sink has it. It need not be there.

    Raises:
        OSError: Its folder cannot be read.
    """
    file = Path(path)
    numbered: list[tuple[int, Path]] = []
    for other in file.parent.iterdir():
        stem, _, number = other.name.rpartition(".")
        if stem == file.name and number.isdecimal():
            numbered.append((int(number), other))

    older = [other for _, other in sorted(numbered, reverse=True)]
    return [*older, file] if file.exists() else older


def json_line(event: Event, offset: float) -> str:
    """Return an event as a line of JSON, newline included: the UTC time for people, the wire form.

    Args:
        event: An event of a class in the catalogue.
        offset: What makes its time one in POSIX seconds: ``time.time() - trio.current_time()``,
            taken in the Trio run that the event comes from.

    Raises:
        InvalidSpec: Its class is not in the catalogue.
    """
    when = datetime.fromtimestamp(event.at + offset, UTC).isoformat(timespec="milliseconds")
    return json.dumps({"time": when, **event_to_dict(event)}, allow_nan=False) + "\n"


@final
@define
class JSONLines:
    """The events of a file, read again at each iteration. Made by `read_json_lines`."""

    path: Path
    torn: list[int] = field(factory=list, init=False)
    """The numbers of the lines that the last iteration found cut short and left out."""

    def __iter__(self) -> Iterator[Event]:
        self.torn.clear()
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                text = line.removesuffix(b"\n").removesuffix(TORN)
                if not text.strip():
                    continue

                try:
                    event = from_json(text)
                except InvalidSpec as exc:
                    if line.endswith(b"\n") and not line.endswith(TORN + b"\n"):
                        raise InvalidSpec(f"{self.path}, line {number}", exc.mistakes) from None
                    self.torn.append(number)
                    continue

                yield event


def read_json_lines(path: str | os.PathLike[str]) -> JSONLines:
    """Return the events of a file that `JSONLinesSink` wrote, to be iterated over.

    A line that a crash cut short, or that is being written right now, is left out and its number
    noted in `JSONLines.torn`. It reads the file as it goes, and blocks: it is for tools, and in
    Trio for a worker thread.

    Args:
        path: The file.

    Raises:
        OSError: While iterating: the file cannot be read.
        InvalidSpec: While iterating: a whole line is no event; the file and the line are named.
    """
    return JSONLines(Path(path))
