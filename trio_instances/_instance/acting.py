"""Doing what the connection machine says: one small function for each kind of action."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ..policy.failures import Cause, FailureClass
from ..policy.requested import REQUESTED, STOP_REQUESTED, is_failure
from ..policy.signals import Action, ActionKind, ConnectionState, Phase
from ..policy.status import Change
from ..telemetry import events
from .life import Life, drop, life_of
from .reporter import judge_children

if TYPE_CHECKING:
    from .record import InstanceRecord

_UNKNOWN = Cause(FailureClass.RECOVERABLE, "unknown")


def perform(record: InstanceRecord, action: Action, before: ConnectionState, now: float) -> None:
    """Do one action, and tell of it.

    Args:
        record: The instance.
        action: What to do.
        before: What the machine knew before the signal that led to it.
        now: The time of the decision.
    """
    _ACTIONS[action.kind](record, action, before, now)


def _queue(record: InstanceRecord, *_: object) -> None:
    """The connection loop waits; that it has to is told of there."""
    record.change(Change.CONNECT)


def _open(record: InstanceRecord, _: Action, before: ConnectionState, now: float) -> None:
    state = record.connection
    record.lives = (*record.lives, Life(state.generation, now))
    record.change(Change.CONNECT)
    again = before.generation > 0
    if again:
        record.reconnect_attempts += 1
    if record.bus.listening:
        record.tell(events.InstanceConnecting, generation=state.generation, attempt=state.attempt)
        if again:
            record.tell(events.ReconnectAttempt, attempt=state.attempt, generation=state.generation)


def _close(record: InstanceRecord, action: Action, before: ConnectionState, now: float) -> None:
    if action.generation != before.generation:
        _fail_beside(record, action, before, now)
        return

    if before.phase in (Phase.CONNECTED, Phase.PROVEN):
        _disconnect(record, action, before, now)
    elif before.phase is Phase.CONNECTING:
        _abandon(record, action, before, now)
    if record.seat is not None:  # also while it waits: its last failure counts in the breaker
        record.seat.ended(failed=_is_failure(action.cause))


def _is_failure(cause: Cause | None) -> bool:
    return cause is not None and is_failure(cause)


def _disconnect(
    record: InstanceRecord, action: Action, before: ConnectionState, now: float
) -> None:
    cause = action.cause or STOP_REQUESTED
    record.lost_at = now
    record.change(Change.LOSE)
    _end(record, before.generation, cause)
    if not cause.resumable:
        record.session = None
    if cause not in REQUESTED:
        record.cause = cause
    if record.bus.listening:
        uptime = now - record.connected_at
        record.tell(
            events.InstanceDisconnected, generation=before.generation, cause=cause, uptime=uptime
        )
    record.forget_probes()


def _abandon(record: InstanceRecord, action: Action, before: ConnectionState, now: float) -> None:
    record.change(Change.LOSE)
    life = _end(record, before.generation, action.cause)
    if action.cause is None or action.cause in REQUESTED:
        return

    record.cause = action.cause
    _tell_failed(record, action, before.attempt, life, now)


def _fail_beside(
    record: InstanceRecord, action: Action, before: ConnectionState, now: float
) -> None:
    life = _end(record, action.generation, action.cause)
    if record.seat is not None:
        record.seat.give_up()
    if action.cause is not None and action.cause not in REQUESTED:
        _tell_failed(record, action, before.besides + 1, life, now)


def _end(record: InstanceRecord, generation: int, cause: Cause | None) -> Life | None:
    """End a generation, and return it, if anything is left of it."""
    life = life_of(record, generation)
    if life is not None:
        life.end(cause)
        if not life.runs:
            drop(record, life)
    return life


def _tell_failed(
    record: InstanceRecord, action: Action, attempt: int, life: Life | None, now: float
) -> None:
    if record.bus.listening:
        record.tell(
            events.ReconnectFailed,
            attempt=attempt,
            generation=action.generation,
            cause=action.cause,
            elapsed=0.0 if life is None else now - life.began_at,
            stack=() if life is None else life.stack,
        )


def _opened(record: InstanceRecord, action: Action, _: ConnectionState, now: float) -> None:
    record.connected_at = now
    record.proven_in = action.seconds
    outage = None if record.lost_at is None else now - record.lost_at
    record.lost_at = None
    if record.connection.generation > 1:
        record.reconnects += 1
    record.forget_probes()
    record.change(Change.OPEN)
    life = life_of(record, action.generation)
    assert life is not None
    if record.seat is not None:
        record.seat.opened()
        life.granted = False
    if record.bus.listening:
        supervisor = record.connection_supervisor
        children = () if supervisor is None else tuple(c.name for c in supervisor.which_children())
        record.tell(
            events.InstanceConnected,
            generation=record.connection.generation,
            attempt=record.connection.attempt,
            elapsed=now - life.began_at,
            children=children,
            outage=outage,
        )


def _proven(record: InstanceRecord, _: Action, before: ConnectionState, now: float) -> None:
    if record.bus.listening:
        uptime = now - record.connected_at
        record.tell(events.InstanceProven, generation=before.generation, uptime=uptime)
    record.recover("reconnect")


def _wait(record: InstanceRecord, action: Action, *_: object) -> None:
    if record.connection.exhausted and _is_failure(action.cause):
        assert action.cause is not None
        record.degrade("reconnect", action.cause)  # it is so because of this one now
    if record.bus.listening:
        record.tell(
            events.ReconnectScheduled,
            attempt=record.connection.attempt + 1,
            delay=action.seconds,
            quick=action.quick,
            cause=action.cause,
            refused=record.spec.reconnect.refused(action.cause),
        )


def _exhausted(record: InstanceRecord, action: Action, before: ConnectionState, _: float) -> None:
    assert action.cause is not None
    if record.bus.listening:
        record.tell(events.ReconnectExhausted, attempts=before.attempt, cause=action.cause)
    record.degrade("reconnect", action.cause)


def _attend(record: InstanceRecord, action: Action, _: ConnectionState, __: float) -> None:
    assert action.cause is not None
    if record.bus.listening:
        record.tell(events.InstanceNeedsAttention, elapsed=action.seconds, cause=action.cause)
    record.degrade("reconnect", action.cause)  # also where few attempts were made in all that time


def _open_beside(record: InstanceRecord, action: Action, _: ConnectionState, now: float) -> None:
    assert record.handovers is not None
    life = Life(action.generation, now, beside=True)
    life.runs = True
    record.lives = (*record.lives, life)
    record.reconnect_attempts += 1
    if record.bus.listening:
        attempt = record.connection.besides + 1
        record.tell(events.ReconnectAttempt, attempt=attempt, generation=action.generation)
    record.handovers(life)


def _leave(record: InstanceRecord, action: Action, _: ConnectionState, now: float) -> None:
    _end(record, action.generation, action.cause)
    _judge_children(record)
    record.handed_over += 1
    if record.bus.listening:
        record.tell(
            events.InstanceHandedOver,
            generation=record.connection.generation,
            previous=action.generation,
            uptime=now - record.connected_at,
        )


def _promote(record: InstanceRecord, *_: object) -> None:
    # The attempt is under way already, and was told of when it began.
    _judge_children(record)


def _judge_children(record: InstanceRecord) -> None:
    """Say of a successor's children what was not said while the old connection was there."""
    supervisor = record.connection_supervisor
    for child in () if supervisor is None else supervisor.which_children():
        judge_children(record, child.name)


def _drain(record: InstanceRecord, action: Action, _: ConnectionState, __: float) -> None:
    if record.bus.listening:
        record.tell(events.InstanceDraining, timeout=action.seconds)


def _pause(record: InstanceRecord, *_: object) -> None:
    record.change(Change.PAUSE)
    record.recover("reconnect")  # nothing is tried, so nothing is tried in vain
    if record.bus.listening:
        record.tell(events.InstancePaused)


def _resume(record: InstanceRecord, _: Action, before: ConnectionState, __: float) -> None:
    if before.drain_by is None:  # else it was only being drained
        record.recover("reconnect")
    record.change(Change.RESUME)
    if record.bus.listening:
        record.tell(events.InstanceResumed)


def _fail(*_: object) -> None:
    """The connection loop sees the phase, and raises: the instance's supervisor decides."""


_ACTIONS: Mapping[ActionKind, Callable[[InstanceRecord, Action, ConnectionState, float], None]] = {
    ActionKind.QUEUE: _queue,
    ActionKind.OPEN: _open,
    ActionKind.CLOSE: _close,
    ActionKind.OPENED: _opened,
    ActionKind.PROVEN: _proven,
    ActionKind.WAIT: _wait,
    ActionKind.EXHAUSTED: _exhausted,
    ActionKind.ATTENTION: _attend,
    ActionKind.OPEN_BESIDE: _open_beside,
    ActionKind.LEAVE: _leave,
    ActionKind.PROMOTE: _promote,
    ActionKind.DRAIN: _drain,
    ActionKind.PAUSE: _pause,
    ActionKind.RESUME: _resume,
    ActionKind.FAIL: _fail,
}
