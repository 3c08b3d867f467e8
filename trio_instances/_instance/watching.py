"""Looking at instances from time to time: queues, a drain, how long each is connected, or away.

One task and one heap of times serve all instances of a runtime: a task for each would weigh an
instance down by a tenth, and a scope and an event for each by a twentieth.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from heapq import heapify, heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, final
from weakref import ReferenceType, ref

import trio
from trio.lowlevel import enable_ki_protection

from .._supervision.context import stop_requested
from ..policy.connection import TABLE
from ..policy.requested import DRAIN_REQUESTED
from ..policy.signals import Phase, SignalKind
from ..telemetry import events
from ..telemetry.places import raised_at
from .pressure import all_queues, look_at_queues
from .stuck import tell_stuck

if TYPE_CHECKING:
    from .record import InstanceRecord

DRAIN_INTERVAL = 0.05
"""Seconds between two looks at the queues while an instance is drained."""
LOOK_AGAIN = 60.0
"""Seconds until an instance is looked at again when that has failed."""
_NEEDLESS = 64
"""How many times may be kept of what is called off, beside a quarter of all others."""


@final
class Lookout:
    """When which instance of a runtime is looked at: whenever something may be due."""

    def __init__(self) -> None:
        self._instances = 0
        """How many are looked at; those whose `look_at` is not None."""
        self._soon: OrderedDict[InstanceRecord, None] = OrderedDict()
        """Those to be looked at as soon as whoever runs now waits."""
        self._times: list[tuple[float, int, ReferenceType[InstanceRecord]]] = []
        """When to look at which; called off where its `look_at` says another time.

        Weakly, as one that is gone is not to be kept until its time comes."""
        self._numbers = count()
        self._alarm = trio.CancelScope()
        self._asleep = trio.lowlevel.ParkingLot()

    @enable_ki_protection
    async def run(self) -> None:
        """Look at each in its time; ends only by cancellation. It can be run again."""
        while True:
            self._look_at_due(trio.current_time())
            next_at = self._times[0][0] if self._times else math.inf
            # One scope for all that comes before it: one for each look would double its price.
            with trio.CancelScope(deadline=next_at) as self._alarm:
                while True:
                    if self._soon:  # a look has made another due: not before the rest has its turn
                        await trio.lowlevel.checkpoint()
                    else:
                        await self._asleep.park()
                    for _ in range(len(self._soon)):
                        self._look_at(self._soon.popitem(last=False)[0])

    def add(self, record: InstanceRecord) -> None:
        """Look at an instance that runs, and is not looked at, from now on."""
        record.look_at = math.inf
        self._instances += 1
        self.look_soon(record)

    def remove(self, record: InstanceRecord) -> None:
        """Look at an instance no more, if it is looked at."""
        if record.look_at is not None:
            record.look_at = None
            self._instances -= 1
            self._soon.pop(record, None)

    def look_soon(self, record: InstanceRecord) -> None:
        """Look at an instance, if it is looked at at all, as soon as its own task waits."""
        if record.look_at is not None:
            self._soon[record] = None
            self._asleep.unpark()

    def _look_at_due(self, now: float) -> None:
        while self._times and self._times[0][0] <= now:
            at, _, reference = heappop(self._times)
            record = reference()
            if record is not None and at == record.look_at:
                record.look_at = math.inf
                self._soon[record] = None

    def _look_at(self, record: InstanceRecord) -> None:
        assert record.child is not None
        assert record.child.context is not None
        # Who is told of what is seen is to find himself in the instance; in a copy of its context,
        # as what is done about it may run in the same one.
        at = record.child.context.copy().run(_look_safely, record)
        if at == record.look_at:
            return

        record.look_at = at
        if at < math.inf:
            self._forget_needless()
            heappush(self._times, (at, next(self._numbers), ref(record)))
            if at == self._times[0][0]:
                self._alarm.deadline = at

    def _forget_needless(self) -> None:
        if len(self._times) > 1.25 * self._instances + _NEEDLESS:
            self._times = [each for each in self._times if _is_due(each[2](), each[0])]
            heapify(self._times)


def _is_due(record: InstanceRecord | None, at: float) -> bool:
    return record is not None and record.look_at == at


def _look_safely(record: InstanceRecord) -> float:
    """Look at an instance; a failure in that is its own, and of no other one."""
    try:
        return _look(record)
    except Exception as exc:
        if record.bus.listening:
            path, cause = record.spec.id, record.classify(exc)
            stack = raised_at(exc, cause)
            record.tell(events.HookFailed, hook="look", path=path, cause=cause, stack=stack)
        return trio.current_time() + LOOK_AGAIN


def _look(record: InstanceRecord) -> float:
    """Look at an instance, and return when something may be due next."""
    if stop_requested():  # its supervisor looks at it from now on
        return math.inf

    look_at_queues(record)
    _look_at_drain(record)
    _look_at_age(record)
    _look_at_absence(record)
    _look_at_stuck(record)
    return _next_look(record)


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
    for life in record.lives:
        if now >= life.told_stuck_at:
            hook = "connect" if life.attempt is not None else "close"
            tell_stuck(record, hook, now - life.whole.deadline, life.task)
            life.patience *= 2


def _next_look(record: InstanceRecord) -> float:
    now = trio.current_time()
    looks = [_overdue_at(record), _stable_at(record), _lasted_at(record), _rotate_at(record)]
    looks += [life.told_stuck_at for life in record.lives]
    if record.queues:
        looks.append(now + record.spec.pressure.interval)
    if record.connection.drain_by is not None:
        looks += [record.connection.drain_by, now + DRAIN_INTERVAL]
    return min(looks)
