"""The ordered, bounded, explained stop.

Reverse start order, one at a time, each fully ended before the next is asked; or all at once, where
the supervisor says so. Trio cannot kill a task: a child that ignores its cancellation is reported,
with its stack, and waited for.
"""

from __future__ import annotations

import contextvars
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, final

import trio
from trio.lowlevel import enable_ki_protection

from ..policy.restart import ChildState, Move
from ..policy.strategies import StopOrder
from .frames import stack_of

if TYPE_CHECKING:
    from .core import Core
    from .record import ChildRecord

STUCK_AFTER = 5.0
"""Seconds after its cancellation at which a child that has not ended is reported; then doubling."""


def request_stop(record: ChildRecord) -> None:
    """Ask a child that runs to stop: softly inside `until_stopped`, else by cancelling it."""
    if record.stop_asked_at is not None:
        return

    now = trio.current_time()
    record.stop_asked_at = now
    begun = record.scope is not None and record.state is not ChildState.RESTARTING
    record.move(Move.STOP, now)
    if begun:
        record.core.reporter.stopping(record, now)
    if record.soft_scopes:
        record.was_soft = True
        for nested in record.nested:
            nested.stop_waiting()
        for scope in record.soft_scopes:
            scope.cancel()
        if record.scope is not None:
            record.scope.deadline = now + record.spec.shutdown
    elif record.scope is not None:
        record.scope.cancel()


async def stop_one(core: Core, record: ChildRecord) -> None:
    """Stop a child, whatever it is doing, and wait until it has ended.

    When cancelled, the child still ends: it was asked, and its budget is a deadline of its scope.
    """
    if _ask(core, record):
        await _wait_ended([record])


def _ask(core: Core, record: ChildRecord) -> bool:
    """Ask a child to stop, or call off what was due; tell whether there is an end to wait for."""
    if record.alive and record.exit is None:
        request_stop(record)
        return True
    if record.awaited and record.exit is not None and not core.closing:
        return False  # its start has failed, and whoever waits for it is about to settle that

    record.exit = None
    if not record.is_down:
        # It was between two restarts, or had ended by itself.
        core.rest(record, trio.current_time())
    return False


@enable_ki_protection
async def stop_in_background(core: Core) -> None:
    """Stop every child, as a task of the supervisor, while its block goes on."""
    with trio.CancelScope(shield=True):
        await stop_all(core)
    core.left()


async def stop_all(core: Core) -> None:
    """Stop every child in reverse start order, or all at once, and take note that it is done.

    An interrupt in the middle of it changes nothing: it can be called again, and goes on.
    """
    for scope in core.rounds:
        scope.cancel()
    newest_first = list(reversed(core.children.values()))
    if core.options.stop_order is StopOrder.CONCURRENT:
        await _wait_ended([record for record in newest_first if _ask(core, record)])
    else:
        await StopInTurn(core, newest_first).run()
    core.end_stop()


@final
class StopInTurn:
    """The stop of children one after the other: the end of each asks the next.

    The task that stops them only looks after one that is stuck. Were it to ask the next one, each
    child would take two turns of the loop in place of one: a third of what its stop costs.

    Args:
        core: Their supervisor.
        records: The children, in the order in which they are stopped; gone through as they are.
    """

    __slots__ = ("_asked", "_context", "_core", "_launch", "_left", "_over")

    def __init__(self, core: Core, records: Iterable[ChildRecord]) -> None:
        self._core = core
        self._left = iter(records)
        self._asked: ChildRecord | None = None
        """Who is being stopped."""
        self._launch = 0
        self._over = trio.Event()
        # Whoever is told of a stop is not to find himself in the child that has ended before it.
        self._context = contextvars.copy_context()

    def go_on(self) -> None:
        """Ask the next one that there is something to wait for, if the last one has ended."""
        if self._asked is not None and self._asked.lasts(self._launch):
            return

        for record in self._left:
            if self._context.run(_ask, self._core, record):
                self._asked, self._launch = record, record.launches
                return
        self._asked = None
        self._over.set()

    async def run(self) -> None:
        """Begin, and wait for the end of the last one; report those that are stuck.

        When cancelled, it asks no others.
        """
        self._core.stop_in_turn = self
        try:
            self.go_on()
            watch: _Watch | None = None
            while self._asked is not None:
                watch = watch or _Watch(self._asked)
                now = trio.current_time()
                # Never later than this, or whoever is asked meanwhile could be overdue before it.
                with trio.move_on_at(min(watch.due(now), now + STUCK_AFTER)):
                    await self._over.wait()
                watch = self._report_stuck(watch)
        finally:
            if self._core.stop_in_turn is self:  # and not the end of the supervisor
                self._core.stop_in_turn = None

    def _report_stuck(self, watch: _Watch) -> _Watch | None:
        if self._asked is None:
            return None
        if not watch.lasts:
            watch = _Watch(self._asked)  # only for who is still there when somebody looks
        watch.report_stuck(trio.current_time())
        return watch


def cancel_all(core: Core) -> None:
    """Ask every child at once, and cut every soft stop short, in the whole subtree.

    Who asks twice is in a hurry.
    """
    now = trio.current_time()
    for record in reversed(core.children.values()):
        if record.alive:
            request_stop(record)
        if record.scope is not None:
            record.scope.deadline = min(record.scope.deadline, now)
        for nested in record.nested:
            cancel_all(nested)


def stuck_in(core: Core) -> Iterator[str]:
    """Yield the paths of the children, anywhere below, that were reported as stuck and still are.

    Only what was asked to stop is looked into, so that it costs little while nothing is.
    """
    for record in core.children.values():
        if record.alive and record.stop_asked_at is not None:
            if record.was_stuck:
                yield record.path
            for nested in record.nested:
                yield from stuck_in(nested)


async def _wait_ended(records: Sequence[ChildRecord]) -> None:
    """Wait until children that were asked to stop have ended; report those that are stuck."""
    watches = [_Watch(record) for record in records]
    while watches:
        now = trio.current_time()
        with trio.move_on_at(min([watch.due(now) for watch in watches])):
            for watch in watches:
                await watch.wait()
            return
        watches = [watch for watch in watches if watch.lasts]
        for watch in watches:
            watch.report_stuck(trio.current_time())


@final
class _Watch:
    """An eye on one run of a child that was asked to stop."""

    __slots__ = ("_interval", "_launch", "_record")

    def __init__(self, record: ChildRecord) -> None:
        self._record = record
        self._launch = record.launches
        self._interval = STUCK_AFTER

    @property
    def lasts(self) -> bool:
        """Whether that run has not ended."""
        return self._record.lasts(self._launch)

    async def wait(self) -> None:
        """Wait for its end."""
        while self.lasts:
            await self._record.wait_change()

    def due(self, now: float) -> float:
        """Return when to look at it next."""
        due = self._cancelled_at(now) + self._interval
        return due if due > now else now + self._interval

    def _cancelled_at(self, now: float) -> float:
        record = self._record
        if record.was_soft and record.scope is not None:
            budget = min(record.scope.deadline, record.gone_by)
            at = now if budget == math.inf else budget
        else:
            at = record.stop_asked_at if record.stop_asked_at is not None else now
        # The time that a supervisor within it took to stop was not its own.
        return max([at, *(nested.ended_at for nested in record.nested)])

    def report_stuck(self, now: float) -> None:
        """Report it if it has ignored its cancellation for too long, at growing intervals."""
        record = self._record
        cancelled = record.scope is not None and (
            record.scope.cancel_called or now >= record.gone_by
        )
        overdue = now >= self._cancelled_at(now) + self._interval
        # A supervisor within the child that stops reports its own children, and takes their time.
        within = any(nested.stop_log is not None for nested in record.nested)
        if within or not (cancelled and overdue):
            return

        self._interval *= 2
        record.was_stuck = True
        asked = now if record.stop_asked_at is None else record.stop_asked_at
        record.core.reporter.stuck(record, now, now - asked, stack_of(record.task))
