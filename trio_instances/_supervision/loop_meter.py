"""Which task the event loop runs, for how long, and for which instance.

Trio calls an instrument before each step of a task and before it waits for input. These two are
enough: a step ends where the next one begins, or the waiting does. So the time that the scheduler
needs between two steps counts as the earlier one's, and each step costs one call and not two.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, final

import trio

from ..policy.stalls import LoopShares
from .context import current

if TYPE_CHECKING:
    from .record import ChildRecord


Stalled = Callable[["trio.lowlevel.Task", "ChildRecord | None", float, float], None]
"""What is told of a step that took too long: the task, its child, when it began, its seconds."""


@final
class LoopMeter(trio.abc.Instrument):
    """Counts the seconds of each step for the instance that the task belongs to.

    What it holds is bounded by the instances that ran within two windows.

    Args:
        threshold: Seconds from which a step is told of.
        window: Seconds over which is counted.
        stalled: Who is told; called between two steps, so it must be quick, and raise nothing.
        clock: Seconds; another one in tests.
    """

    __slots__ = (
        "_clock",
        "_last",
        "_since",
        "_spent",
        "_stalled",
        "_threshold",
        "_window",
        "began",
        "stalled",
        "stalls",
        "task",
    )

    def __init__(
        self,
        *,
        threshold: float,
        window: float,
        stalled: Stalled,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        # Written by the event loop and read by another thread, the task first: so `began` is
        # written first, and what that thread takes for an old step is never a new one.
        self.began = 0.0
        self.task: trio.lowlevel.Task | None = None
        self.stalls = 0
        """How many steps took too long."""
        self.stalled = 0.0
        """For how many seconds, all together."""
        self._threshold = threshold
        self._window = window
        self._stalled = stalled
        self._clock = clock
        self._since = clock()
        self._spent: dict[str, float] = defaultdict(float)
        self._last: tuple[dict[str, float], float] | None = None

    # Both hooks are on the hot path of everything, so what they share is written out in the first.

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """A step begins, and the one before it ends."""
        now = self._clock()
        last = self.task
        if last is not None:
            seconds = now - self.began
            record = last.context.get(current)
            if record is None:
                owner = ""
            else:
                owner = record.owner if record.owner is not None else _learn_owner(record)
            self._spent[owner] += seconds
            if seconds >= self._threshold:
                self.stalls += 1
                self.stalled += seconds
                self._stalled(last, record, self.began, seconds)
        self.began = now
        self.task = task

    def before_io_wait(self, timeout: float) -> None:  # noqa: ARG002 - Trio's signature
        """The loop is about to wait, so the last step has ended."""
        if self.task is not None:
            self.before_task_step(self.task)
            self.task = None
        now = self._clock()
        if now - self._since >= self._window:
            self._last = (self._spent, now - self._since)
            self._spent, self._since = defaultdict(float), now

    def shares(self) -> LoopShares:
        """Return the shares of the last full window; in the first one, of the time until now."""
        spent, seconds = self._last or (self._spent, self._clock() - self._since)
        largest_first = sorted(spent, key=spent.__getitem__, reverse=True)
        parts = {name: spent[name] / seconds for name in largest_first if seconds}
        other = parts.pop("", 0.0)
        return LoopShares(seconds, parts, other)


def _learn_owner(record: ChildRecord) -> str:
    """Find out once for each child to which instance it belongs; an empty text is for none."""
    record.owner = record.core.reporter.labels(record)[0] or ""
    return record.owner
