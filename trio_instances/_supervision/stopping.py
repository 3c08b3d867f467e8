"""The ordered, bounded, explained stop.

Reverse start order, one at a time, each fully ended before the next is asked. Trio cannot kill a
task: a child that ignores its cancellation is reported, with its stack, and waited for.
"""

from __future__ import annotations

import linecache
import math
from typing import TYPE_CHECKING

import trio
from trio.lowlevel import enable_ki_protection

from ..policy.restart import ChildState, Move, RestartType

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
    if record.alive and record.exit is None:
        request_stop(record)
        await _wait_ended(record)
        return
    if record.awaited and record.exit is not None and not core.closing:
        return  # its start has failed, and whoever waits for it is about to settle that

    record.exit = None
    if record.state in _DOWN:
        return

    # It was between two restarts, or had ended by itself: what was due is called off.
    if record.spec.restart is RestartType.TEMPORARY:
        core.remove(record, trio.current_time())
    else:
        record.move(Move.REST, trio.current_time())


_DOWN = frozenset({ChildState.STOPPED, ChildState.PARKED, ChildState.REMOVED})


@enable_ki_protection
async def stop_all(core: Core) -> None:
    """Stop every child in reverse start order; runs as a task of the supervisor."""
    with trio.CancelScope(shield=True):
        for scope in core.rounds:
            scope.cancel()
        for record in reversed(list(core.children.values())):
            await stop_one(core, record)
    core.stopped.set()
    core.left()


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


async def _wait_ended(record: ChildRecord) -> None:
    interval = STUCK_AFTER
    launch = record.launches
    while record.alive and record.launches == launch:
        now = trio.current_time()
        due = _cancelled_at(record) + interval
        with trio.move_on_at(due if due > now else now + interval):
            await record.wait_ended()
            return
        if _is_stuck(record, interval):
            interval *= 2
            _report_stuck(record)


def _cancelled_at(record: ChildRecord) -> float:
    if record.was_soft and record.scope is not None:
        return record.scope.deadline if record.scope.deadline != math.inf else trio.current_time()

    return record.stop_asked_at if record.stop_asked_at is not None else trio.current_time()


def _is_stuck(record: ChildRecord, interval: float) -> bool:
    # A supervisor within the child reports its own children, and takes the time that they take.
    cancelled = record.scope is not None and record.scope.cancel_called
    overdue = trio.current_time() >= _cancelled_at(record) + interval
    return record.alive and cancelled and not record.nested and overdue


def _report_stuck(record: ChildRecord) -> None:
    now = trio.current_time()
    asked = now if record.stop_asked_at is None else record.stop_asked_at
    record.core.reporter.stuck(record, now, now - asked, stack_of(record.task))


def stack_of(task: trio.lowlevel.Task | None) -> tuple[str, ...]:
    """Return where a task is waiting, outermost first, a line of text for each frame."""
    if task is None:
        return ()

    lines = []
    for frame, number in task.iter_await_frames():
        code = frame.f_code
        text = linecache.getline(code.co_filename, number).strip()
        lines.append(f"{code.co_filename}:{number} in {code.co_qualname}: {text}")
    return tuple(lines)
