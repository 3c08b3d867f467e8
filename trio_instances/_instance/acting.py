"""Doing what the connection machine says: one small function for each kind of action."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ..policy.connection import Action, ActionKind, ConnectionState, Phase
from ..policy.failures import Cause, FailureClass
from ..policy.status import Change
from ..telemetry import events

if TYPE_CHECKING:
    from .record import InstanceRecord

RECONNECT_REQUESTED = Cause(FailureClass.RECOVERABLE, "reconnect_requested")
PAUSE_REQUESTED = Cause(FailureClass.RECOVERABLE, "pause_requested")
STOP_REQUESTED = Cause(FailureClass.RECOVERABLE, "stop_requested")
_REQUESTED = frozenset({RECONNECT_REQUESTED, PAUSE_REQUESTED, STOP_REQUESTED})
"""Ends that somebody asked for: they are told of, and are no failures."""
_BUDGETED = frozenset({Phase.QUEUED, Phase.CONNECTING, Phase.CONNECTED, Phase.PROVEN})
"""Where an instance has something of its connection budget, or counts in it."""


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
    record.attempt_at = now
    record.change(Change.CONNECT)
    state = record.connection
    again = before.generation > 0
    if again:
        record.reconnect_attempts += 1
    if record.bus.listening:
        record.tell(events.InstanceConnecting, generation=state.generation, attempt=state.attempt)
        if again:
            record.tell(events.ReconnectAttempt, attempt=state.attempt, generation=state.generation)


def _close(record: InstanceRecord, action: Action, before: ConnectionState, now: float) -> None:
    if before.phase in (Phase.CONNECTED, Phase.PROVEN):
        _disconnect(record, action, before, now)
    elif before.phase is Phase.CONNECTING:
        _abandon(record, action, before, now)
    if record.seat is not None and before.phase in _BUDGETED:
        record.seat.ended(failed=_is_failure(action.cause))


def _is_failure(cause: Cause | None) -> bool:
    return cause is not None and not cause.planned and cause not in _REQUESTED


def _disconnect(
    record: InstanceRecord, action: Action, before: ConnectionState, now: float
) -> None:
    cause = action.cause or STOP_REQUESTED
    record.lost_at = now
    record.change(Change.LOSE)
    if record.body_scope is not None:
        record.body_scope.cancel()
    if cause not in _REQUESTED:
        record.cause = cause
    if record.bus.listening:
        uptime = now - record.connected_at
        record.tell(
            events.InstanceDisconnected, generation=before.generation, cause=cause, uptime=uptime
        )


def _abandon(record: InstanceRecord, action: Action, before: ConnectionState, now: float) -> None:
    record.change(Change.LOSE)
    scope = record.body_scope or record.attempt_scope
    if scope is not None:
        scope.cancel()
    if action.cause is None or action.cause in _REQUESTED:
        return

    record.cause = action.cause
    if record.bus.listening:
        record.tell(
            events.ReconnectFailed,
            attempt=before.attempt,
            generation=before.generation,
            cause=action.cause,
            elapsed=now - record.attempt_at,
        )


def _opened(record: InstanceRecord, action: Action, _: ConnectionState, now: float) -> None:
    record.connected_at = now
    record.proven_in = action.seconds
    outage = None if record.lost_at is None else now - record.lost_at
    record.lost_at = None
    if record.connection.generation > 1:
        record.reconnects += 1
    record.change(Change.OPEN)
    if record.seat is not None:
        record.seat.opened()
    if record.bus.listening:
        supervisor = record.connection_supervisor
        children = () if supervisor is None else tuple(c.name for c in supervisor.which_children())
        record.tell(
            events.InstanceConnected,
            generation=record.connection.generation,
            attempt=record.connection.attempt,
            elapsed=now - record.attempt_at,
            children=children,
            outage=outage,
        )


def _proven(record: InstanceRecord, _: Action, before: ConnectionState, now: float) -> None:
    if record.bus.listening:
        uptime = now - record.connected_at
        record.tell(events.InstanceProven, generation=before.generation, uptime=uptime)
    record.recover("reconnect")


def _wait(record: InstanceRecord, action: Action, before: ConnectionState, _: float) -> None:
    if record.bus.listening:
        record.tell(
            events.ReconnectScheduled,
            attempt=before.attempt + 1,
            delay=action.seconds,
            quick=action.quick,
            cause=action.cause,
        )


def _exhausted(record: InstanceRecord, action: Action, before: ConnectionState, _: float) -> None:
    assert action.cause is not None
    if record.bus.listening:
        record.tell(events.ReconnectExhausted, attempts=before.attempt, cause=action.cause)
    record.degrade("reconnect", action.cause)


def _pause(record: InstanceRecord, *_: object) -> None:
    record.paused = True
    record.change(Change.PAUSE)
    if record.bus.listening:
        record.tell(events.InstancePaused)


def _resume(record: InstanceRecord, *_: object) -> None:
    record.paused = False
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
    ActionKind.PAUSE: _pause,
    ActionKind.RESUME: _resume,
    ActionKind.FAIL: _fail,
}
