"""Looking at an instance from time to time: queues, a drain, how long it is connected, or away.

One task and one time serve all of it: a task for each would weigh an instance down by a tenth.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import trio

from ..policy.connection import TABLE
from ..policy.requested import DRAIN_REQUESTED
from ..policy.signals import Phase, SignalKind
from .pressure import all_queues, look_at_queues
from .stuck import tell_stuck

if TYPE_CHECKING:
    from .record import InstanceRecord

DRAIN_INTERVAL = 0.05
"""Seconds between two looks at the queues while an instance is drained."""


async def watch(record: InstanceRecord) -> None:
    """Look at it again and again, whenever something may be due; ends only by cancellation."""
    while True:
        wakeup = record.wakeup  # of now: what a look leads to may need another
        look_at_queues(record)
        _look_at_drain(record)
        _look_at_age(record)
        _look_at_absence(record)
        _look_at_stuck(record)
        with trio.move_on_at(_next_look(record)):
            await wakeup.wait()


def _look_at_drain(record: InstanceRecord) -> None:
    """Tell the machine when nothing is left to be sent, or the time is over."""
    until = record.connection.drain_by
    if until is None:
        return

    empty = all(queue.used == 0 for queue in all_queues(record))
    if empty or trio.current_time() >= until:
        record.signal(SignalKind.DRAINED, cause=DRAIN_REQUESTED)


def _look_at_age(record: InstanceRecord) -> None:
    """Tell the machine when its connection is stable, or to be replaced; and whoever follows."""
    now, generation = trio.current_time(), record.connection.generation
    if now >= _stable_at(record):
        record.signal(SignalKind.STABLE, generation=generation)
    if now >= _lasted_at(record):
        assert record.seat is not None
        record.seat.lasted()
    if now >= _rotate_at(record):
        record.rotate(generation)


def _stable_at(record: InstanceRecord) -> float:
    state = record.connection
    waits = state.phase is Phase.CONNECTED and not state.stable
    return record.connected_at + record.proven_in if waits else math.inf


def _lasted_at(record: InstanceRecord) -> float:
    seat = record.seat
    if seat is None or not record.connected or not seat.is_canary:
        return math.inf

    return record.connected_at + seat.lasts_after


def _rotate_at(record: InstanceRecord) -> float:
    at = record.connection.rotate_at
    return math.inf if at is None or not record.connected else at


def _look_at_absence(record: InstanceRecord) -> None:
    """Tell the machine when it may have been away for too long."""
    if trio.current_time() >= _overdue_at(record):
        record.signal(SignalKind.OVERDUE)


def _overdue_at(record: InstanceRecord) -> float:
    state = record.connection
    since = state.away_since
    if since is None or state.needs_attention or SignalKind.OVERDUE not in TABLE[state.phase]:
        return math.inf

    return since + record.spec.reconnect.attention_after


def _look_at_stuck(record: InstanceRecord) -> None:
    """Tell of attempts and closings that ignore their cancellation, at growing intervals."""
    now = trio.current_time()
    for life in list(record.lives.values()):
        if now >= life.told_stuck_at:
            hook = "connect" if life.attempt is not None else "close"
            tell_stuck(record, hook, now - life.whole.deadline, life.task)
            life.patience *= 2


def _next_look(record: InstanceRecord) -> float:
    now = trio.current_time()
    looks = [_overdue_at(record), _stable_at(record), _lasted_at(record), _rotate_at(record)]
    looks += [life.told_stuck_at for life in record.lives.values()]
    if record.queues:
        looks.append(now + record.spec.pressure.interval)
    if record.connection.drain_by is not None:
        looks += [record.connection.drain_by, now + DRAIN_INTERVAL]
    return min(looks)
