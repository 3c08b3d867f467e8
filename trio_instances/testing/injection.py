"""Cancelling a piece of code at each of its checkpoints, and seeing how long it holds the loop."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from typing import final

import trio
from attrs import frozen

from .rules import MAX_HOLD, BrokenRule, Late, limited, said

MOST_CHECKPOINTS = 10_000
"""A piece of code that has more of them does not end, as far as anybody can tell."""


@final
class _Watch(trio.abc.Instrument):
    """Counts the steps of one task, and cancels a scope at one of them.

    It measures the steps of this task, and of those that are begun meanwhile.
    """

    def __init__(self, task: trio.lowlevel.Task, step: int, scope: trio.CancelScope) -> None:
        self.reached = False
        self.cancelled_at = 0.0
        self.longest_step = 0.0
        self._task = task
        self._measured = {task}
        self._left = step
        self._scope = scope
        self._began = time.perf_counter()

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        self._measured.add(task)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._began = time.perf_counter()
        if task is self._task:
            self.count()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if task in self._measured:
            self.measure()

    def measure(self) -> None:
        """Take in how long the present step has taken."""
        self.longest_step = max(self.longest_step, time.perf_counter() - self._began)

    def count(self) -> None:
        """Count one checkpoint; the scope is cancelled so that the next one raises."""
        if self._left == 0 and not self.reached:
            self.reached = True
            self.cancelled_at = trio.current_time()
            self._scope.cancel()
        self._left -= 1


@final
@frozen
class Cut:
    """How a piece of code ended that was cancelled at one checkpoint."""

    reached: bool
    """Whether it had so many checkpoints; False: it ended before."""
    seconds: float
    """From the cancellation to its end; 0.0 where it was not reached."""
    longest_step: float
    """The longest time, in real seconds, for which its task, or one that was begun meanwhile, let
    nothing else run."""


async def cut(run: Callable[[], Awaitable[object]], checkpoint: int) -> Cut:
    """Run something in this task, and cancel it at one of its checkpoints.

    Args:
        run: What to run.
        checkpoint: Which one raises, counted from 1; later ones do, too.

    Raises:
        BaseException: What it raised, the cancellation apart.
    """
    with trio.CancelScope() as scope:
        watch = _Watch(trio.lowlevel.current_task(), checkpoint - 1, scope)
        trio.lowlevel.add_instrument(watch)
        try:
            watch.count()
            await run()
        finally:
            watch.measure()  # the last step goes on when the instrument is taken away
            trio.lowlevel.remove_instrument(watch)
    seconds = trio.current_time() - watch.cancelled_at if watch.reached else 0.0
    return Cut(watch.reached, seconds, watch.longest_step)


async def cut_everywhere(
    what: str, run: Callable[[], Awaitable[object]], patience: float, limit: float
) -> None:
    """Cancel something at its first checkpoint, then at its second, until it ends uncancelled.

    Args:
        what: What it is, for people.
        run: What to run, again and again.
        patience: Seconds that it may take to end when it is cancelled.
        limit: Seconds that it may take otherwise, each time.

    Raises:
        BrokenRule: It did not end in time, raised something, held the loop, or did not run again.
        Late: It was too slow before anything was cancelled.
    """
    for checkpoint in checkpoints(what):
        try:
            reached = await cut_at(checkpoint, what, run, patience, limit)
        except Late as late:
            if checkpoint == 1:
                raise
            again = f"after {what} was cancelled there can be another one"
            how = f"after a cancellation at checkpoint {checkpoint - 1} {late}"
            raise BrokenRule(again, how) from None
        if not reached:
            return


def checkpoints(what: str) -> Iterator[int]:
    """Yield the numbers of checkpoints.

    Raises:
        BrokenRule: There are too many.
    """
    yield from range(1, MOST_CHECKPOINTS)
    raise BrokenRule(f"{what} ends", f"it has more than {MOST_CHECKPOINTS} checkpoints")


async def cut_at(
    checkpoint: int,
    what: str,
    run: Callable[[], Awaitable[object]],
    patience: float,
    limit: float,
) -> bool:
    """Cancel something at one checkpoint, and tell whether it had so many.

    Raises:
        BrokenRule: It did not end in time when it was cancelled, raised something, or held the
            loop.
        Late: It was too slow otherwise, or a step of it was.
    """
    rule = f"{what} that is cancelled ends at once, and raises nothing else"
    place = f"cancelled at checkpoint {checkpoint} "
    try:
        with limited(what, limit + patience):
            end = await cut(run, checkpoint)
    except (BrokenRule, Late):
        raise
    except Exception as exc:
        raise BrokenRule(rule, f"{place}it raised {said(exc)}") from exc

    if end.seconds > patience:
        raise BrokenRule(rule, f"{place}it took {end.seconds:.1f} s to end")
    if end.longest_step > MAX_HOLD:
        how = f"nothing else ran for {end.longest_step:.1f} s; what blocks belongs into a thread"
        raise BrokenRule(f"{what} lets others run", how)

    return end.reached
