"""Machine 2: a connection. Attempt, connected, proven, lost, and what comes next.

Everything that decides about a connection is in this file, but for the rules that only close one,
which are in `closing`; its words are in `signals`. Whoever learns something about it (the attempt
itself, a child, a probe, a timer, an operator) sends a `Signal`; only `step` decides, and only the
instance's connection loop acts on what it returns. A signal about an older generation is ignored,
so that nothing of a dead connection judges the living one.

The retry is decided at the moment of the loss, before the lost connection is closed: closing can be
slow, and must not keep the retry from being due. The backoff starts anew when a connection is
*proven*, never because one was opened: a server that accepts and then closes would otherwise be
hammered for ever. To replace a connection that is open counts as no further attempt; so it has a
floor: who asks each new connection for another one makes no storm.

A *handover* makes the successor before it leaves the old connection. Until the successor is open
it is only an attempt beside: if it fails, the old connection stays, and it is tried again later; if
the old one is lost meanwhile, it is the attempt that is under way already.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from attrs import evolve

from . import closing
from .failures import Cause, FailureClass, WhoMustAct
from .reconnect import Exhausted, ReconnectPolicy
from .signals import Action, ActionKind, ConnectionState, Phase, Signal, SignalKind, Step

NOT_CONNECTED = Cause(FailureClass.RECOVERABLE, "not_connected", "no attempt has ended yet")
Rule = Callable[[ConnectionState, Signal, ReconnectPolicy, float, float], Step]


def step(
    state: ConnectionState, signal: Signal, policy: ReconnectPolicy, now: float, u: float
) -> Step:
    """Take in one signal.

    Args:
        state: What the machine knows.
        signal: What was learned, or is wanted.
        policy: How connections are made again.
        now: The time, in seconds of a monotonic clock.
        u: A random number in [0, 1].

    Returns:
        The new state, and what is to be done, in order.
    """
    if signal.generation is None or signal.generation == state.generation:
        rule = TABLE[state.phase].get(signal.kind)
    elif signal.generation == state.successor:
        rule = SUCCESSOR.get(signal.kind)
    else:
        rule = None
    if rule is None:
        return state, ()

    return rule(state, signal, policy, now, u)


# --- attempts ------------------------------------------------------------------------------------


def _start(s: ConnectionState, g: Signal, p: ReconnectPolicy, now: float, u: float) -> Step:
    return (closing.pause if s.pause_wanted else _due)(s, g, p, now, u)


def _due(s: ConnectionState, g: Signal, p: ReconnectPolicy, now: float, u: float) -> Step:
    s = s.away(now)
    if not s.budgeted:
        return _open(s, g, p, now, u)

    return evolve(s, phase=Phase.QUEUED, next_retry_at=None), (Action(ActionKind.QUEUE),)


def _cleared(s: ConnectionState, g: Signal, p: ReconnectPolicy, now: float, u: float) -> Step:
    # What the other side asked of this one is no guess about an outage, and stays in force.
    asked = s.cause is not None and s.cause.retry_after
    return (s, ()) if asked else _due(s, g, p, now, u)


def _open(s: ConnectionState, _: Signal, __: ReconnectPolicy, ___: float, ____: float) -> Step:
    begun = s.begun + 1
    after = evolve(
        s,
        phase=Phase.CONNECTING,
        generation=begun,
        begun=begun,
        attempt=s.attempt + 1,
        next_retry_at=None,
        stable=False,
        data=False,
    )
    return after, (Action(ActionKind.OPEN, generation=begun),)


def _opened(s: ConnectionState, _: Signal, p: ReconnectPolicy, now: float, u: float) -> Step:
    age = p.lifetime(u)
    after = evolve(
        s,
        phase=Phase.CONNECTED,
        rotate_at=None if math.isinf(age) else now + age,
        besides=0,
        opened_at=now,
        # A server that accepts and then closes, again and again, is away all the time.
        away_since=s.away_since if s.exhausted else None,
    )
    seconds = max(p.stable_after, s.waited)
    return after, (Action(ActionKind.OPENED, generation=s.generation, seconds=seconds),)


def _stable(s: ConnectionState, _: Signal, p: ReconnectPolicy, __: float, ___: float) -> Step:
    return _prove(evolve(s, stable=True), p)


def _data(s: ConnectionState, _: Signal, p: ReconnectPolicy, __: float, ___: float) -> Step:
    return _prove(evolve(s, data=True), p)


def _prove(s: ConnectionState, p: ReconnectPolicy) -> Step:
    if not s.stable or (p.needs_data and not s.data):
        return s, ()

    after = evolve(s.counting_anew(), phase=Phase.PROVEN)
    return after, (Action(ActionKind.PROVEN, generation=s.generation),)


# --- losses --------------------------------------------------------------------------------------


def _lost(s: ConnectionState, signal: Signal, p: ReconnectPolicy, now: float, u: float) -> Step:
    cause = signal.cause
    if cause is None:
        raise ValueError("a signal 'lost' needs a cause")

    s = s.away(now)
    if s.generation <= s.outdated and cause.who_must_act is WhoMustAct.CREDENTIALS:
        # They have acted: nobody has refused the credentials that there are now.
        cause = evolve(
            cause, failure_class=FailureClass.RECOVERABLE, who_must_act=WhoMustAct.NOBODY
        )
    close = Action(ActionKind.CLOSE, cause, generation=s.generation)
    if cause.failure_class is FailureClass.FATAL:
        return _fail(s, cause, close)
    if s.successor is not None:
        return _succeed(evolve(s, cause=cause), close)

    exhausted = Action(ActionKind.EXHAUSTED, cause, generation=s.generation)
    if not p.quick(s.attempt) and p.exhausted is Exhausted.ESCALATE:
        return _fail(s, cause, close, *(() if s.exhausted else (exhausted,)))

    quick = p.quick(s.attempt) and cause.failure_class is FailureClass.RECOVERABLE
    delay = _delay(s.attempt, cause, p, u, quick=quick)
    after = evolve(
        s.down(),
        phase=Phase.WAITING,
        next_retry_at=now + delay,
        cause=cause,
        exhausted_at=now if not quick and not s.exhausted else s.exhausted_at,
        waited=p.step(s.attempt, quick=quick),
    )
    told = () if quick or s.exhausted else (exhausted,)
    wait = Action(ActionKind.WAIT, cause, delay, quick, s.generation)
    return after, (close, *told, wait)


def _delay(attempt: int, cause: Cause, p: ReconnectPolicy, u: float, *, quick: bool) -> float:
    if cause.retry_after is None:
        return p.delay(attempt, u, quick=quick)

    return p.delay_after_hint(attempt, cause.retry_after, u, quick=quick)


def _fail(s: ConnectionState, cause: Cause, *before: Action) -> Step:
    after = evolve(s.down(), phase=Phase.FAILED, cause=cause, next_retry_at=None, drain_by=None)
    return after, (*before, *closing.leave_successor(s), Action(ActionKind.FAIL, cause))


def _overdue(s: ConnectionState, _: Signal, p: ReconnectPolicy, now: float, __: float) -> Step:
    since = s.away_since
    # As whoever has the timer reckons: the difference of the two may be a little less.
    if since is None or s.needs_attention or now < since + p.attention_after:
        return s, ()

    cause = s.cause or NOT_CONNECTED
    attention = Action(ActionKind.ATTENTION, cause, seconds=now - since)
    return evolve(s, needs_attention=True, cause=cause), (attention,)


# --- wishes --------------------------------------------------------------------------------------


def _reconnect(s: ConnectionState, g: Signal, p: ReconnectPolicy, now: float, u: float) -> Step:
    if s.successor is not None or not _is_young(s, p, now):
        return _reopen(s, g, p, now, u)

    # Whoever asks as soon as there is one asks again and again: as if the other side said "now".
    delay = p.delay_after_hint(s.attempt, 0.0, u, quick=True)
    close = Action(ActionKind.CLOSE, g.cause, generation=s.generation)
    after = evolve(s.down().uncounted().away(now), phase=Phase.WAITING, next_retry_at=now + delay)
    return after, (close, Action(ActionKind.WAIT, g.cause, delay, generation=s.generation))


def _is_young(s: ConnectionState, p: ReconnectPolicy, now: float) -> bool:
    return now < s.opened_at + p.hint_floor


def _rotate(s: ConnectionState, g: Signal, p: ReconnectPolicy, now: float, u: float) -> Step:
    if s.successor is not None or not _is_young(s, p, now):
        return _reopen(s, g, p, now, u)

    return _plan(s, p, now, u), ()


def _plan(s: ConnectionState, p: ReconnectPolicy, now: float, u: float) -> ConnectionState:
    """Have a connection that is too young be replaced when it is not, if that is not planned."""
    at = s.opened_at + p.delay_after_hint(s.attempt, 0.0, u, quick=True)
    planned = s.rotate_at
    return s if planned is not None and now < planned <= at else evolve(s, rotate_at=at)


def _reopen(s: ConnectionState, g: Signal, p: ReconnectPolicy, now: float, u: float) -> Step:
    close = Action(ActionKind.CLOSE, g.cause, generation=s.generation)
    s = s.uncounted().away(now)
    if s.successor is not None:
        return _succeed(s, close)

    after, actions = _due(s.down(), g, p, now, u)
    return after, (close, *actions)


def _outdate(s: ConnectionState, _: Signal, __: ReconnectPolicy, ___: float, ____: float) -> Step:
    return evolve(s, outdated=s.begun), ()


def _resume(s: ConnectionState, g: Signal, p: ReconnectPolicy, now: float, u: float) -> Step:
    # An operator who resumes says that things are well again, so the attempts are counted anew.
    after, actions = _due(evolve(s.counting_anew(), pause_wanted=False), g, p, now, u)
    return after, (Action(ActionKind.RESUME), *actions)


# --- handovers -----------------------------------------------------------------------------------


def _beside(s: ConnectionState, _: Signal, p: ReconnectPolicy, now: float, u: float) -> Step:
    if s.successor is not None:
        return s, ()
    if _is_young(s, p, now):
        return _plan(s, p, now, u), ()
    if s.besides and s.rotate_at is not None and now < s.rotate_at:
        return s, ()  # one has failed, and the next one has a time

    begun = s.begun + 1
    after = evolve(s, begun=begun, successor=begun, rotate_at=None)
    return after, (Action(ActionKind.OPEN_BESIDE, generation=begun),)


def _take_over(s: ConnectionState, g: Signal, p: ReconnectPolicy, now: float, u: float) -> Step:
    leave = Action(ActionKind.LEAVE, generation=s.generation)
    s = s.uncounted()
    after = evolve(
        s, generation=s.begun, successor=None, attempt=s.attempt + 1, stable=False, data=False
    )
    after, actions = _opened(after, g, p, now, u)
    return after, (leave, *actions)


def _succeed(s: ConnectionState, close: Action) -> Step:
    """The connection is gone, and its successor is the attempt that is under way already."""
    after = evolve(
        s.down(),
        phase=Phase.CONNECTING,
        generation=s.begun,
        attempt=s.attempt + 1,
        stable=False,
        data=False,
    )
    return after, (close, Action(ActionKind.PROMOTE, generation=s.begun))


def _fail_beside(s: ConnectionState, g: Signal, p: ReconnectPolicy, now: float, u: float) -> Step:
    # Whatever the cause: there is a connection, and it is not to be given up for a try.
    cause = g.cause
    if cause is None:
        raise ValueError("a signal 'lost' needs a cause")

    besides = s.besides + 1
    delay = _delay(besides, cause, p, u, quick=p.quick(besides))
    after = evolve(s, successor=None, besides=besides, rotate_at=now + delay)
    close = Action(ActionKind.CLOSE, cause, generation=s.begun)
    return after, (close,)


_WISHES: Mapping[SignalKind, Rule] = {
    SignalKind.PAUSE: closing.pause,
    SignalKind.STOP: closing.stop,
    SignalKind.DRAIN: closing.drain,
    SignalKind.DRAINED: closing.drained,
    SignalKind.RESUME: closing.undrain,
}
_OPEN: Mapping[SignalKind, Rule] = {
    SignalKind.LOST: _lost,
    SignalKind.RECONNECT: _reconnect,
    SignalKind.ROTATE: _rotate,
    SignalKind.HANDOVER: _beside,
    SignalKind.CREDENTIALS: _outdate,
    **_WISHES,
}

TABLE: Mapping[Phase, Mapping[SignalKind, Rule]] = {
    Phase.IDLE: {
        SignalKind.START: _start,
        SignalKind.PAUSE: closing.pause,
        SignalKind.DRAIN: closing.pause,
        SignalKind.RESUME: closing.begin_anew,
        SignalKind.STOP: closing.stop,
    },
    Phase.QUEUED: {
        SignalKind.GRANTED: _open,
        SignalKind.OVERDUE: _overdue,
        **_WISHES,
    },
    Phase.CONNECTING: {
        SignalKind.OPENED: _opened,
        SignalKind.DATA: _data,
        SignalKind.LOST: _lost,
        SignalKind.OVERDUE: _overdue,
        SignalKind.CREDENTIALS: _outdate,
        **_WISHES,
    },
    Phase.CONNECTED: {
        SignalKind.STABLE: _stable,
        SignalKind.DATA: _data,
        **_OPEN,
    },
    Phase.PROVEN: _OPEN,
    Phase.WAITING: {
        SignalKind.DUE: _due,
        SignalKind.CLEARED: _cleared,
        SignalKind.RECONNECT: _due,
        SignalKind.RETRY: _due,
        SignalKind.CREDENTIALS: _due,
        SignalKind.OVERDUE: _overdue,
        **_WISHES,
    },
    Phase.PAUSED: {
        SignalKind.RESUME: _resume,
        SignalKind.STOP: closing.stop,
    },
    Phase.FAILED: {},
    Phase.STOPPED: {
        SignalKind.PAUSE: closing.begin_paused,
        SignalKind.DRAIN: closing.begin_paused,
        SignalKind.RESUME: closing.begin_anew,
    },
}
"""What each signal does in each phase. A pair that is missing changes nothing.

So every verb may come at any time, and twice: ``reconnect`` wakes a retry that waits and does not
double one that runs, or is queued; ``pause`` stays in force until ``resume``.

No signal leads out of ``failed`` or ``stopped``. Another run of the instance may follow the latter,
and what an operator wishes until then is kept for it.
"""

SUCCESSOR: Mapping[SignalKind, Rule] = {
    SignalKind.OPENED: _take_over,
    SignalKind.LOST: _fail_beside,
}
"""What a signal about the successor does during a handover, whose old connection is there."""
