"""Saying how an instance is, at length or briefly, from plain fields, without a single await."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio

from .._supervision.supervisor import records_of
from ..policy.failures import WhoMustAct
from ..policy.health import ChildHealth, HealthSnapshot
from ..policy.restart import ChildState
from ..policy.signals import Phase
from ..policy.standing import Standing, due_by, gives_up, to_mend
from ..policy.status import InstanceStatus
from .pressure import all_queues

CONNECTION = "connection"
"""The name of the child that keeps an instance connected."""

if TYPE_CHECKING:
    from .._supervision.supervisor import Supervisor
    from .record import InstanceRecord


def make_snapshot(record: InstanceRecord) -> HealthSnapshot:
    """Return everything there is to know about an instance now."""
    now = trio.current_time()
    spec, cause, last, signs = record.spec, record.cause, record.last_restart, record.signs
    children = (
        *_children(record.supervisor, of_connection=False),
        *_children(record.connection_supervisor, of_connection=True),
    )
    states = [child.state for child in children]
    return HealthSnapshot(
        instance_id=spec.id,
        name=spec.name or spec.id,
        channel_type=spec.channel.channel_type,
        at=now,
        status=record.status.status,
        since=record.status_since,
        uptime=now - record.started_at,
        cause=cause,
        last_error=None if cause is None else cause.detail or cause.reason,
        last_error_class=None if cause is None else cause.failure_class,
        restarts=record.restarts,
        last_restart_reason=None if last is None else last.reason,
        last_restart_class=None if last is None else last.failure_class,
        children=children,
        children_total=len(children),
        children_running=states.count(ChildState.RUNNING),
        children_parked=states.count(ChildState.PARKED),
        probe=signs.probe,
        since_frame=None if signs.frame_at is None else now - signs.frame_at,
        since_event=None if signs.event_at is None else now - signs.event_at,
        silent=signs.silent,
        pressure=record.pressure,
        queues=all_queues(record),
        failures_in_a_row=record.failures_in_a_row,
        degraded=record.status.reasons,
        budget=None if record.seat is None else record.seat.health(),
        **_of_connection(record),
    )


def _of_connection(record: InstanceRecord) -> dict[str, Any]:
    state, status = record.connection, record.status.status
    mend = to_mend(record.status, state, record.cause)
    return {
        "connected": record.connected,
        "proven": state.phase is Phase.PROVEN,
        "generation": state.generation,
        "attempt": state.attempt,
        "next_retry_at": state.next_retry_at,
        "reconnect_attempts": record.reconnect_attempts,
        "reconnects": record.reconnects,
        "handovers": record.handed_over,
        "draining": state.drain_by is not None,
        "handover": state.successor is not None,
        "rotate_at": state.rotate_at,
        "needs_attention": state.needs_attention
        or status is InstanceStatus.FAILED
        or gives_up(record.status, state),
        "who_must_act": WhoMustAct.NOBODY if mend is None else mend.who_must_act,
    }


def _children(supervisor: Supervisor | None, *, of_connection: bool) -> tuple[ChildHealth, ...]:
    if supervisor is None:
        return ()

    return tuple(
        [
            ChildHealth(
                record.spec.name,
                record.state,
                record.incarnation,
                record.since,
                record.spec.essential,
                of_connection,
                record.last_cause,
            )
            for record in records_of(supervisor)
            if of_connection or record.spec.name != CONNECTION
        ]
    )


def make_standing(record: InstanceRecord) -> Standing:
    """Return the few facts by which a fleet is judged."""
    connection = record.connection
    connected = record.connected
    deadlines = [life.due_by for life in record.lives]
    return Standing(
        record.spec.id,
        record.status.status,
        connected,
        connected and connection.stable,
        connection.phase is Phase.PROVEN,
        due_by(connection, record.spec.reconnect, deadlines),
        record.cause,
        to_mend(record.status, connection, record.cause),
    )
