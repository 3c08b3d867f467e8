"""One generation of a connection as it runs: what ends it, and what lives in it."""

from __future__ import annotations

import math
from contextvars import ContextVar
from typing import TYPE_CHECKING, final

import trio

from .._supervision.stopping import STUCK_AFTER

if TYPE_CHECKING:
    from .._supervision.supervisor import Supervisor
    from ..policy.failures import Cause
    from .record import InstanceRecord


@final
class Life:
    """One generation, from the decision to begin it until nothing of it is left.

    Args:
        generation: Which one.
        now: When it was decided.
        beside: Whether it is to replace one that goes on until then.
    """

    __slots__ = (
        "_ended",
        "attempt",
        "began_at",
        "beside",
        "body",
        "cause",
        "generation",
        "gone_by",
        "granted",
        "greeted",
        "patience",
        "runs",
        "stack",
        "supervisor",
        "task",
        "whole",
    )

    def __init__(self, generation: int, now: float, *, beside: bool = False) -> None:
        self.generation = generation
        self.began_at = now
        self.beside = beside
        self.granted = False
        """Whether it holds a grant of the connection budget, which it gives back at its end."""
        self.greeted = False
        """Whether an event came while it was made beside another, which is its own data once it is
        the connection that there is."""
        self.runs = False
        """Whether there is a task for it."""
        self.task: trio.lowlevel.Task | None = None
        """That task."""
        self.patience = STUCK_AFTER
        """Seconds beyond its deadline after which it is told to be stuck; then doubling."""
        self.whole = trio.CancelScope()
        """Around all of it; its deadline is until when it must have opened, or closed."""
        self.gone_by = math.inf
        """When nothing of it may be left, once it ends: also where what lives in it does not."""
        self.attempt: trio.CancelScope | None = self.whole
        """Around an attempt that has no connection yet; cancelling it gives the attempt up, also
        one whose task has not begun with it."""
        self.body: trio.CancelScope | None = None
        """Around all that is done with the connection; cancelling it begins the closing."""
        self.cause: Cause | None = None
        """Why it was ended, where that is known."""
        self.stack: tuple[str, ...] = ()
        """Where that was raised, while somebody listens."""
        self.supervisor: Supervisor | None = None
        """Of the connection's children, while it runs."""
        self._ended: trio.Event | None = None

    @property
    def due_by(self) -> float:
        """When it must have opened, or be gone; infinite while it is open."""
        return min(self.whole.deadline, self.gone_by)

    @property
    def closing(self) -> bool:
        """Whether its body is over, and its channel closes the connection."""
        return self.runs and self.attempt is None and self.body is None

    @property
    def told_stuck_at(self) -> float:
        """When it is to be told next that its attempt, or its closing, ignores its end.

        Of children and probes that hold it up others tell.
        """
        return self.whole.deadline + self.patience if self.runs else math.inf

    def end(self, cause: Cause | None) -> None:
        """End it: give the attempt up, or begin to close the connection.

        Args:
            cause: Why, where that is known.
        """
        self.cause = cause
        scope = self.body or self.attempt
        if scope is not None:
            scope.cancel()

    async def wait_left(self) -> None:
        """Wait until nothing is left of it. Not to be called any more when that is so."""
        if self._ended is None:  # made for who waits: hardly any generation is waited for
            self._ended = trio.Event()
        await self._ended.wait()

    def leave(self) -> None:
        """Nothing is left of it."""
        if self._ended is not None:
            self._ended.set()


def life_of(record: InstanceRecord, generation: int) -> Life | None:
    """Return what is left of a generation, if anything is."""
    for life in record.lives:
        if life.generation == generation:
            return life
    return None


def drop(record: InstanceRecord, life: Life) -> None:
    """Take note that nothing is left of a generation."""
    record.lives = tuple(each for each in record.lives if each is not life)


lived_in: ContextVar[Life | None] = ContextVar("trio_instances.lived_in", default=None)
"""The generation that this task belongs to: its channel, its children, its probes."""


def greet(record: InstanceRecord) -> None:
    """Take note of an event for a connection that the instance is not judged by yet."""
    life = lived_in.get()
    if life is not None and life.generation == record.connection.successor:
        life.greeted = True


def speaks_of_another(record: InstanceRecord) -> bool:
    """Tell whether this task belongs to a connection that the instance is not judged by.

    That is one that is still being closed, or a successor that is still being made. A task of which
    nothing else is left, as it outlives its connection, is none of these.
    """
    life = lived_in.get()
    if life is None or life.generation == record.connection.generation:
        return False

    return life in record.lives
