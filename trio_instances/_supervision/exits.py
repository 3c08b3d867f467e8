"""What a supervisor does about the exits of its children.

Decisions come from `policy.restart`; nothing here decides. Everything is synchronous: the state
changes between two checkpoints, so that nobody ever sees half of a change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from .._exceptions import Escalation, FatalChildFailure, RestartLimitExceeded
from ..policy.failures import flatten
from ..policy.restart import (
    RETURNED,
    ChildState,
    Decision,
    Exit,
    Move,
    Verdict,
    decide,
    ends_supervisor,
)
from .record import ACTIVE
from .stopping import cancel_all

if TYPE_CHECKING:
    from ..policy.failures import Cause
    from ..policy.intensity import RestartWindow
    from ..telemetry.schema import Event
    from .core import Core
    from .record import ChildExit, ChildRecord


def after_exit(core: Core, record: ChildRecord, exit_: ChildExit | None) -> float | None:
    """Take in the end of an incarnation.

    Returns:
        Seconds after which the child's own task restarts it, or None when that task ends.
    """
    now = trio.current_time()
    if record.stop_asked_at is not None or exit_ is None:
        _after_stop(core, record, exit_, now)
        return None

    _report_exit(core, record, exit_, now)
    if exit_.kind is Exit.DECLINED:
        core.rest(record, now)
        return None
    if record.awaited:
        record.exit = exit_
        record.wake()
        return None
    if core.on_group_exit is not None and not core.closing:
        record.exit = exit_
        core.on_group_exit(record, exit_)
        return None

    decision = settle(core, record, exit_, now)
    return decision.delay if decision.verdict is Verdict.RESTART else None


def _after_stop(core: Core, record: ChildRecord, exit_: ChildExit | None, now: float) -> None:
    if exit_ is not None:
        if exit_.cause is not None:
            record.last_cause = exit_.cause
        scope = record.scope
        forced = record.was_soft and scope is not None and scope.cancel_called
        core.reporter.stopped(record, now, exit_, forced=forced)
        if core.stop_log is not None:
            elapsed = now - (now if record.stop_asked_at is None else record.stop_asked_at)
            core.stop_log.note(
                record.path, elapsed, forced=forced, stuck=record.was_stuck, cause=exit_.cause
            )
    core.rest(record, now)


def _report_exit(core: Core, record: ChildRecord, exit_: ChildExit, now: float) -> None:
    if exit_.cause is not None:
        record.last_cause = exit_.cause
    if exit_.kind is Exit.DECLINED:
        core.reporter.declined(record, now)
    elif exit_.kind is Exit.START_FAILED:
        core.reporter.start_failed(record, now, exit_)
    else:
        core.reporter.exited(record, now, exit_)


def settle(core: Core, record: ChildRecord, exit_: ChildExit, now: float) -> Decision:
    """Decide about an exit, and do what needs no waiting: all but the restart itself."""
    record.exit = None
    record.awaited = False
    if core.closing:
        core.rest(record, now)
        return Decision(Verdict.STAY)

    cause = exit_.cause or RETURNED
    window = record.window
    if window is None:
        window = record.window = core.window_for(record.spec)
    decision = _decide(record, exit_, cause, window, now)
    match decision.verdict:
        case Verdict.RESTART:
            record.restarts += 1
            record.attempt += 1
            window.note(now, record.path, cause)
            record.move(Move.RETRY, now)
            core.reporter.restarting(record, now, cause, decision)
        case Verdict.STAY:
            record.move(Move.REST, now)
        case Verdict.FORGET:
            core.remove(record, now)
        case Verdict.PARK:
            record.move(Move.PARK, now)
            core.reporter.parked(record, now, cause)
        case Verdict.ESCALATE:
            record.move(Move.REST, now)
            _escalate(core, record, exit_, cause, exceeded=decision.exceeded)
    if record.spec.significant:
        _auto_shutdown(core, record, decision.verdict)
    return decision


def _decide(
    record: ChildRecord, exit_: ChildExit, cause: Cause, window: RestartWindow, now: float
) -> Decision:
    core, spec = record.core, record.spec
    backoff = spec.backoff or core.options.backoff
    if backoff is not None and exit_.kind is not Exit.START_FAILED:
        proven = now - record.ready_at >= backoff.proven_after(record.attempt)
        record.attempt = 0 if proven else record.attempt

    return decide(
        restart=spec.restart,
        essential=spec.essential,
        exit_kind=exit_.kind,
        cause=cause,
        window=window,
        backoff=backoff,
        attempt=record.attempt,
        now=now,
        u=0.0 if backoff is None else core.random.random(),
    )


def _auto_shutdown(core: Core, record: ChildRecord, verdict: Verdict) -> None:
    others = any(
        other.spec.significant and (other.state in ACTIVE or other.state is ChildState.RESTARTING)
        for other in core.children.values()
        if other is not record
    )
    rule = core.options.auto_shutdown
    if ends_supervisor(rule, significant=True, verdict=verdict, others_active=others):
        core.end()


def _escalate(
    core: Core, record: ChildRecord, exit_: ChildExit, cause: Cause, *, exceeded: bool
) -> None:
    failure: Escalation
    if exceeded:
        assert record.window is not None
        recent = record.window.recent(trio.current_time())
        failure = RestartLimitExceeded(core.path, record.path, cause, record.intensity, recent)
    else:
        failure = FatalChildFailure(core.path, record.path, cause)
    failure.__cause__ = exit_.error
    core.escalation = failure
    core.reporter.escalated(failure, record, exceeded=exceeded)
    core.end()


def let_pass(core: Core, error: BaseException) -> Exception | None:
    """Keep what must go through a supervisor until its children are stopped.

    Returns:
        The part of the error that is an ordinary failure of the child, if there is one.
    """
    ordinary: Exception | None = None
    passing: BaseException | None = error
    if isinstance(error, BaseExceptionGroup):
        ordinary, passing = error.split(Exception)
    # Of one alone no group is made, as a nursery does whatever comes through it.
    while isinstance(passing, BaseExceptionGroup) and len(passing.exceptions) == 1:
        passing = passing.exceptions[0]
    if passing is not None:
        core.passed = (*core.passed, passing)
        if core.closing and any(isinstance(leaf, KeyboardInterrupt) for leaf in flatten(passing)):
            cancel_all(core)  # a second Ctrl-C, that came in a child's own code
        core.end()

    return ordinary


def hand_out(core: Core, event: Event) -> None:
    """Publish an event of what a supervisor is there for.

    What a listener lets through, as a `sys.exit()`, goes through the supervisor, and not in the
    middle of what it was told of: a stop that it cut off would never end.

    Raises:
        BaseException: What a listener has let through once the supervisor is there no more.
    """
    try:
        core.reporter.bus.publish(event)
    except BaseException as exc:
        if core.nursery is None:
            raise
        let_pass(core, exc)
