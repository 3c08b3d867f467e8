"""Keys that are pressed while a picture fills the terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import trio


async def cancel_at_key(
    scope: trio.CancelScope, wanted: bytes, *, task_status: trio.TaskStatus[None]
) -> None:
    """Cancel a scope when a key is pressed; do nothing, where no terminal says which.

    Keys come as soon as they are pressed, and are not seen; Ctrl-C stays a signal. Whether it is
    cancelled or not, the terminal is left as it was.
    """
    if sys.platform == "win32" or sys.stdin is None or not sys.stdin.isatty():
        task_status.started()
        return

    with _keys_at_once(sys.stdin.fileno()) as keyboard:
        task_status.started()  # before anything is drawn, which a key would else be seen in
        pressed = b" "
        while pressed and wanted not in pressed:
            await trio.lowlevel.wait_readable(keyboard)
            pressed = os.read(keyboard, 64)
    if pressed:
        scope.cancel()


@contextmanager
def _keys_at_once(keyboard: int) -> Iterator[int]:
    import termios  # noqa: PLC0415 - not everywhere
    import tty  # noqa: PLC0415

    before = termios.tcgetattr(keyboard)
    tty.setcbreak(keyboard)
    try:
        yield keyboard
    finally:
        termios.tcsetattr(keyboard, termios.TCSANOW, before)
