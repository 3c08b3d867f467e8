"""Who am I, and was I asked to stop: what a child can learn from its surroundings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar

import trio

from .record import ChildRecord

current: ContextVar[ChildRecord] = ContextVar("trio_instances.current_child")
"""The child that this task belongs to; its own tasks inherit it."""


def current_child_path() -> str | None:
    """Return the path of the child that this task belongs to, or None outside any child."""
    record = current.get(None)
    return None if record is None else record.path


def stop_requested() -> bool:
    """Tell whether the child that this task belongs to was asked to stop."""
    record = current.get(None)
    return record is not None and record.stop_asked_at is not None


def until_stopped() -> AbstractContextManager[object]:
    """Mark the part of a child that a stop request ends softly.

    When the child is asked to stop, what is inside is cancelled, the block is left without an
    error, and the rest of the child has its ``shutdown`` seconds to finish; then it is cancelled.
    A child that is asked while it is outside of such a block is cancelled at once. Use it as often
    as you like; entered after the request, it is cancelled at its first checkpoint.

    Cancellation from elsewhere passes through it as through any code.

    Raises:
        RuntimeError: Outside of any supervised child.
    """
    return soft_scope()


@contextmanager
def soft_scope() -> Iterator[trio.CancelScope]:
    """Do what `until_stopped` does, and give the scope of it, to be ended for other reasons too."""
    record = current.get(None)
    if record is None:
        raise RuntimeError("until_stopped() marks a part of a supervised child; this is none")

    with trio.CancelScope() as scope:
        record.soft_scopes = (*record.soft_scopes, scope)
        if record.stop_asked_at is not None:
            scope.cancel()
        try:
            yield scope
        finally:
            record.soft_scopes = tuple(each for each in record.soft_scopes if each is not scope)
