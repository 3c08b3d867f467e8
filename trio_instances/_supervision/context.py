"""Who am I, and was I asked to stop: what a child can learn from its surroundings."""

from __future__ import annotations

from contextlib import AbstractContextManager
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, final

import trio
from trio.lowlevel import enable_ki_protection

from .record import ChildRecord

if TYPE_CHECKING:
    from .core import Core

current: ContextVar[ChildRecord] = ContextVar("trio_instances.current_child")
"""The child that this task belongs to; its own tasks inherit it."""


def current_child_path() -> str | None:
    """Return the path of the child that this task belongs to, or None outside any child."""
    record = current.get(None)
    return None if record is None else record.path


def child_around(core: Core) -> ChildRecord | None:
    """Return the child of a supervisor within which this task is, however deep, if it is in one."""
    record = current.get(None)
    while record is not None and record.core is not core:
        record = record.core.parent
    return record


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


@final
class soft_scope:  # noqa: N801 - used as a function is
    """Do what `until_stopped` does, and give the scope of it, to be ended for other reasons too.

    Not a generator: an interrupt in the frames of `contextlib`, which nothing protects, would leave
    its scope open.
    """

    __slots__ = ("_record", "_scope")

    def __init__(self) -> None:
        record = current.get(None)
        if record is None:
            raise RuntimeError("until_stopped() marks a part of a supervised child; this is none")

        self._record = record
        self._scope = trio.CancelScope()

    @enable_ki_protection
    def __enter__(self) -> trio.CancelScope:
        record, scope = self._record, self._scope
        scope.__enter__()
        record.soft_scopes = (*record.soft_scopes, scope)
        if record.stop_asked_at is not None:
            scope.cancel()
        return scope

    @enable_ki_protection
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        record, scope = self._record, self._scope
        record.soft_scopes = tuple(each for each in record.soft_scopes if each is not scope)
        return scope.__exit__(kind, error, traceback)
