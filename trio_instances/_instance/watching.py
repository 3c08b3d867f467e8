"""Looking at an instance from time to time: its queues, its drain, and for how long it is away."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import trio

from ..policy.connection import TABLE
from ..policy.signals import SignalKind
from .acting import DRAIN_REQUESTED
from .pressure import all_queues, look_at_queues

if TYPE_CHECKING:
    from .record import InstanceRecord

DRAIN_INTERVAL = 0.05
"""Seconds between two looks at the queues while an instance is drained."""


async def watch(record: InstanceRecord) -> None:
    """Look at it again and again, whenever something may be due; ends only by cancellation."""
    while True:
        record.look_again = trio.Event()
        look_at_queues(record)
        _look_at_drain(record)
        _look_at_absence(record)
        with trio.move_on_at(_next_look(record)):
            await record.look_again.wait()


def _look_at_drain(record: InstanceRecord) -> None:
    """Tell the machine when nothing is left to be sent, or the time is over."""
    until = record.connection.drain_by
    if until is None:
        return

    empty = all(queue.used == 0 for queue in all_queues(record))
    if empty or trio.current_time() >= until:
        record.signal(SignalKind.DRAINED, cause=DRAIN_REQUESTED)


def _look_at_absence(record: InstanceRecord) -> None:
    """Tell the machine when it may have been away for too long."""
    if trio.current_time() >= _overdue_at(record):
        record.signal(SignalKind.OVERDUE)


def _overdue_at(record: InstanceRecord) -> float:
    state = record.connection
    told = state.exhausted_at is None or state.needs_attention
    if told or SignalKind.OVERDUE not in TABLE[state.phase]:
        return math.inf

    assert state.exhausted_at is not None
    return state.exhausted_at + record.spec.reconnect.attention_after


def _next_look(record: InstanceRecord) -> float:
    now = trio.current_time()
    looks = [_overdue_at(record)]
    if record.queues:
        looks.append(now + record.spec.pressure.interval)
    if record.connection.drain_by is not None:
        looks += [record.connection.drain_by, now + DRAIN_INTERVAL]
    return min(looks)
