"""Where exceptions were raised, as text: the frames that matter to the author of the code."""

from __future__ import annotations

import contextlib
import linecache
from functools import lru_cache
from pathlib import PurePath
from typing import TYPE_CHECKING

import trio

from ..policy.failures import flatten

if TYPE_CHECKING:
    from types import CodeType, TracebackType

_FOLDERS = tuple(
    str(folder / "x")[:-1]
    for folder in (PurePath(trio.__file__).parent, PurePath(__file__).parent.parent)
)
_AROUND = (*_FOLDERS, contextlib.__file__, "<attrs generated methods trio_instances.")
"""What calls the code of users, and is of no interest where that has failed."""

MOST_LINES = 20
"""Frames that are told of an exception, the innermost: what recurses has a thousand."""


# Kept, as what fails mostly fails again in the same place: a restart that is heard of would cost
# half as much again.
@lru_cache(maxsize=256)
def line_of(code: CodeType, number: int, *, file: str | None = None) -> str:
    """Return one frame as a line of text.

    Args:
        code: What runs in it.
        number: Which line of its file it is at.
        file: What to call the file; None: its whole path.
    """
    text = linecache.getline(code.co_filename, number).strip()
    return f"{file or code.co_filename}:{number} in {code.co_qualname}: {text}"


def raised_at(error: BaseException) -> tuple[str, ...]:
    """Return where an exception was raised, outermost first, a line of text for each frame.

    It begins at the outermost frame that is neither Trio's nor this package's, and is empty where
    there is none. Of a group it is where its first exception was raised.
    """
    leaf = next(flatten(error)) if isinstance(error, BaseExceptionGroup) else error
    theirs: list[TracebackType] = []
    here = leaf.__traceback__
    while here is not None:
        if theirs or not here.tb_frame.f_code.co_filename.startswith(_AROUND):
            theirs.append(here)
        here = here.tb_next
    return tuple([line_of(each.tb_frame.f_code, each.tb_lineno) for each in theirs[-MOST_LINES:]])
