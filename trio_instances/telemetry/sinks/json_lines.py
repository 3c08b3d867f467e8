"""Events as lines of JSON in a file, and the way back."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, final

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
    between two batches, a rotated file is simply begun anew, and a crash tears at most the last
    line. A torn line that is found before a batch is ended with a mark, so that the reader can tell
    it from a broken one; cutting it off instead would destroy a file given by mistake.

    Args:
        path: The file; made when the first events come. Its folder must be there.

    Raises:
        InvalidSpec: The folder is missing, or `path` is a folder itself.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        wrong = MistakeList("JSONLinesSink")
        if self.path.is_dir():
            wrong.add("path", str(path), "must be a file, and this is a folder")
        elif not self.path.parent.is_dir():
            wrong.add("path", str(path), "must be in a folder that exists")
        wrong.raise_any()
        # Its own, so that a dead disk holds one thread and not those that the application shares.
        self._limiter = trio.CapacityLimiter(1)

    async def write(self, events: Sequence[Event]) -> None:
        """Append the events; they are with the operating system when it returns.

        When cancelled it returns at once and leaves the thread to finish alone: a thread that
        waits for a dead disk cannot be called back.

        Raises:
            OSError: The file cannot be written.
        """
        # Monotonic to wall time, taken here because only the Trio thread knows the former.
        offset = time.time() - trio.current_time()
        await trio.to_thread.run_sync(
            self._append, events, offset, abandon_on_cancel=True, limiter=self._limiter
        )

    def _append(self, events: Sequence[Event], offset: float) -> None:
        lines = b"".join(json_line(event, offset).encode() for event in events)
        with self.path.open("ab+") as file:
            if file.tell() > 0:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    lines = TORN + b"\n" + lines
            file.write(lines)


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
