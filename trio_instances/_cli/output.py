"""Standard output, for readers that may be slow, or go away."""

from __future__ import annotations

import errno
import os
import sys
from typing import final

import trio

_GONE = (errno.EPIPE, errno.EIO)
"""What a pipe says whose reader has closed it, and a terminal that was closed."""


class ReaderGone(Exception):
    """Whoever read standard output has stopped to."""


@final
class Output:
    """Writes texts to standard output in a thread, past Python's buffer.

    A write that waits for a slow reader can so be left behind at Ctrl-C: the buffer has a lock, on
    which the interpreter would wait at its end.
    """

    def __init__(self) -> None:
        sys.stdout.flush()
        self._file = sys.stdout.fileno()

    async def write(self, text: str) -> None:
        """Write a text.

        Raises:
            ReaderGone: Nobody reads it any more.
            OSError: It cannot be written for another reason, such as a full disk.
        """
        data = text.encode(sys.stdout.encoding, "backslashreplace")
        try:
            await trio.to_thread.run_sync(self._write, data, abandon_on_cancel=True)
        except OSError as exc:
            if exc.errno in _GONE:
                raise ReaderGone from None
            raise

    def _write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._file, data) :]
