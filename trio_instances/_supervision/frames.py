"""Where tasks are, as text: their frames, and which of these are of interest."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

import trio

from ..telemetry.places import line_of

if TYPE_CHECKING:
    from types import CodeType

# As texts with the separator at their end: this is asked for every frame of every task.
_INNER = tuple(str(PurePath(file).parent / "x")[:-1] for file in (trio.__file__, __file__))


def stack_of(task: trio.lowlevel.Task | None) -> tuple[str, ...]:
    """Return where a task is waiting, outermost first, a line of text for each frame.

    It ends with the innermost frame that is neither Trio's nor ours, if there is any: what is
    further inside says only that it waits.
    """
    if task is None:
        return ()

    return tuple(line_of(code, number) for code, number in _frames(task))


def waiting_at(task: trio.lowlevel.Task) -> str:
    """Say where a task is waiting, in one short line."""
    if task is trio.lowlevel.current_task():
        return "the call of dump()"

    code, number = _frames(task)[-1]
    return line_of(code, number, file=PurePath(code.co_filename).name)


def _frames(task: trio.lowlevel.Task) -> list[tuple[CodeType, int]]:
    frames = [(frame.f_code, number) for frame, number in task.iter_await_frames()]
    for end in range(len(frames), 0, -1):
        if not frames[end - 1][0].co_filename.startswith(_INNER):
            return frames[:end]
    return frames
