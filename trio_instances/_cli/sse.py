"""Server-sent events, read from bytes that come in any pieces. Pure.

The format is that of the HTML standard, section 9.2: lines that end in CR, LF or both, fields, and
an empty line after each message.
"""

from __future__ import annotations

import re
from typing import final

from attrs import define, field, frozen

MAX_MESSAGE = 256 * 1024
"""Bytes of one message; far more than any event has, and a bound for what is no stream of them."""

_LINE_END = re.compile(rb"\r\n|\r|\n")
_BOM = b"\xef\xbb\xbf"


class TooLong(ValueError):
    """A message that does not end."""


@final
@frozen
class Message:
    """One message."""

    kind: str
    """Its field ``event``; ``message`` where it has none."""
    data: str
    last_id: str
    """The id to go on from after it; empty where none was given yet."""


@final
@define(eq=False)
class Parser:
    """Turns bytes into messages, whatever the pieces they come in."""

    last_id: str = ""
    """The id of the last whole message: one that is cut short has not happened yet."""
    _next_id: str = ""
    _rest: bytes = b""
    """What follows the last whole line."""
    _data: list[str] = field(factory=list)
    _kind: str = ""
    _size: int = 0
    _began: bool = False

    def feed(self, piece: bytes) -> list[Message]:
        """Take the next piece in, and return the messages that it completes.

        Raises:
            TooLong: A message has more than `MAX_MESSAGE` bytes.
        """
        text = self._rest + piece
        if not self._began:
            if len(text) < len(_BOM) and _BOM.startswith(text):
                self._rest = text
                return []
            self._began = True
            text = text.removeprefix(_BOM)

        found: list[Message] = []
        start = 0
        for end in _LINE_END.finditer(text):
            # A CR at the end may be the first half of a line's end: what follows will tell.
            if end.group() == b"\r" and end.end() == len(text):
                break
            self._take_line(text[start : end.start()], found)
            start = end.end()
        self._rest = text[start:]
        if self._size + len(self._rest) > MAX_MESSAGE:
            raise TooLong(f"a message of more than {MAX_MESSAGE} bytes")

        return found

    def _take_line(self, line: bytes, found: list[Message]) -> None:
        if not line:
            self.last_id = self._next_id
            if self._data:
                found.append(Message(self._kind or "message", "\n".join(self._data), self.last_id))
            self._data, self._kind, self._size = [], "", 0
            return

        self._size += len(line)
        name, _, value = line.decode(errors="replace").partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._kind = value
        elif name == "id" and "\0" not in value:
            self._next_id = value
