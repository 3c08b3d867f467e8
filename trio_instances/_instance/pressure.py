"""Looking at an instance's queues, and telling when their occupancy crosses a threshold."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from ..policy.failures import Cause, FailureClass
from ..policy.health import QueueHealth
from ..policy.pressure import PressureLevel
from ..telemetry import events, health_events
from ..telemetry.places import raised_at

if TYPE_CHECKING:
    from .record import InstanceRecord


class Queue(Protocol):
    """Anything whose occupancy can be watched: Trio's memory channels, or something alike."""

    def statistics(self) -> Any:
        """Return an object with ``current_buffer_used`` and ``max_buffer_size``."""


def queue_health(name: str, queue: Queue) -> QueueHealth:
    """Return how full a queue is. One without a bound is never full."""
    statistics = queue.statistics()
    used, capacity = statistics.current_buffer_used, statistics.max_buffer_size
    bounded = 0 < capacity < math.inf
    return QueueHealth(name, used, capacity, used / capacity if bounded else 0.0)


def all_queues(record: InstanceRecord) -> tuple[QueueHealth, ...]:
    """Return how full each queue is, without those that cannot tell."""
    found = []
    for name, queue in record.queues.items():
        with suppress(Exception):  # told of, and given up, at the next look
            found.append(queue_health(name, queue))
    return tuple(found)


def look_at_queues(record: InstanceRecord) -> None:
    """Take the fullest queue's occupancy as the instance's pressure."""
    fullest = None
    for name, queue in record.queues.items():
        try:
            health = queue_health(name, queue)
        except Exception as exc:
            record.queues = {key: each for key, each in record.queues.items() if key != name}
            _tell_broken(record, name, exc)
            health = QueueHealth(name, 0, 0, 0.0)  # the pressure that it made has gone with it
        if fullest is None or health.occupancy > fullest.occupancy:
            fullest = health
    if fullest is not None:
        _take_in(record, fullest)


def _take_in(record: InstanceRecord, fullest: QueueHealth) -> None:
    previous = record.pressure
    level = record.pressure = record.spec.pressure.level(previous, fullest.occupancy)
    if level is previous:
        return

    if record.bus.listening:
        record.tell(
            health_events.PressureChanged,
            level=level,
            previous=previous,
            queue=fullest.name,
            occupancy=fullest.occupancy,
        )
    if level in (PressureLevel.DEGRADED, PressureLevel.SHED):
        detail = f"queue {fullest.name!r} is {fullest.occupancy:.0%} full"
        record.degrade("pressure", Cause(FailureClass.DEGRADED, f"pressure_{level}", detail))
    else:
        record.recover("pressure")


def _tell_broken(record: InstanceRecord, name: str, exc: Exception) -> None:
    if record.bus.listening:
        cause = record.classify(exc)
        record.tell(
            events.HookFailed,
            hook="watch_queue",
            path=f"{record.spec.id}:{name}",
            cause=cause,
            stack=raised_at(exc, cause),
        )
