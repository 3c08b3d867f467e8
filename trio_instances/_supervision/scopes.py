"""Whether code of a user's has left a cancel scope, or a nursery, open."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import trio

INNERMOST = "_cancel_status"
"""The attribute of a task that tells one innermost scope of it from another.

There is no public way to ask before the scope around is left. Where this one is gone, nobody knows.
"""


def innermost(task: trio.lowlevel.Task) -> object | None:
    """Return what stands for the innermost scope that a task is in; None where nobody knows."""
    return getattr(task, INNERMOST, None)
