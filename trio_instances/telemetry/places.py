"""Where exceptions were raised, as text: the frames that matter to the author of the code."""

from __future__ import annotations

import contextlib
import linecache
from functools import lru_cache
from itertools import dropwhile
from pathlib import PurePath
from typing import TYPE_CHECKING

import trio

from ..policy.failures import flatten, stated_cause, text_of

if TYPE_CHECKING:
    from types import CodeType

    from ..policy.failures import Cause

_FOLDERS = tuple(
    str(folder / "x")[:-1]
    for folder in (PurePath(trio.__file__).parent, PurePath(__file__).parent.parent)
)
_MADE_BY_ATTRS = tuple(f"<attrs generated {what} trio_instances." for what in ("methods", "init"))
_AROUND = (*_FOLDERS, *_MADE_BY_ATTRS, contextlib.__file__)
"""What calls the code of users, or is called by it, and is of no interest where that has failed."""

MOST_LINES = 20
"""Frames that are told of an exception, the innermost: what recurses has a thousand."""
_MOST_CAUSES = 5
"""How often it is asked what an exception was raised from."""


def line_of(code: CodeType, number: int, *, file: str | None = None) -> str:
    """Return one frame as a line of text.

    Args:
        code: What runs in it.
        number: Which line of its file it is at.
        file: What to call the file; None: its whole path.
    """
    return _line(code.co_filename, number, code.co_qualname, file or code.co_filename)


# Kept, as what fails mostly fails again in the same place: a restart that is heard of would cost
# half as much again.
@lru_cache(maxsize=256)
def _line(path: str, number: int, function: str, file: str) -> str:
    return f"{file}:{number} in {function}: {linecache.getline(path, number).strip()}"


def raised_at(error: BaseException, cause: Cause) -> tuple[str, ...]:
    """Return where an exception was raised, outermost first, a line of text for each frame.

    Frames of Trio's and of this package around it, and inside of it, are left out; where there are
    no others, it is where that was raised which it was raised from. Empty where there is no such
    place either.

    Args:
        error: The exception. Of a group it is the one that has decided what the group means.
        cause: What it means.
    """
    raised: BaseException | None = error
    if isinstance(error, BaseExceptionGroup):
        raised = max(flatten(error), key=lambda leaf: _likeness(leaf, cause))
    for _ in range(_MOST_CAUSES):
        if raised is None:
            break
        lines = _lines(raised)
        if lines:
            return lines

        raised = raised.__cause__
    return ()


def _likeness(leaf: BaseException, cause: Cause) -> tuple[bool, bool, bool]:
    of_its_type = type(leaf).__qualname__ == cause.error_type
    return stated_cause(leaf) == cause, of_its_type, text_of(leaf) == cause.detail


def _lines(error: BaseException) -> tuple[str, ...]:
    frames: list[tuple[CodeType, int]] = []
    here = error.__traceback__
    while here is not None:
        frames.append((here.tb_frame.f_code, here.tb_lineno))
        here = here.tb_next
    while frames and _is_around(frames[-1]):
        frames.pop()
    theirs = list(dropwhile(_is_around, frames))[-MOST_LINES:]
    return tuple(line_of(code, number) for code, number in theirs)


def _is_around(frame: tuple[CodeType, int]) -> bool:
    return frame[0].co_filename.startswith(_AROUND)
