"""Machine 2: a connection. Attempt, connected, proven, lost, and what comes next.

Everything that decides about a connection is in this file. Whoever learns something about it (the
attempt itself, a child, a probe, a timer, an operator) sends a `Signal`; only `step` decides, and
only the instance's connection loop acts on what it returns. A signal about an older generation is
ignored, so that nothing of a dead connection judges the living one.

The retry is decided at the moment of the loss, before the lost connection is closed: closing can be
slow, and must not keep the retry from being due. The backoff starts anew when a connection is
*proven*, never because one was opened: a server that accepts and then closes would otherwise be
hammered for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import final

from attrs import evolve, field, frozen

from .backoff import Backoff, Jitter
from .failures import Cause, FailureClass
from .mistakes import MistakeList, member_or_given


class Exhausted(StrEnum):
    """What follows when the quick attempts are used up.

    - ``degrade``: the instance is degraded, and slow attempts go on for ever.
    - ``escalate``: the connection is given up, and its instance with it.
    """

    DEGRADE = "degrade"
    ESCALATE = "escalate"


def _exhausted(value: Exhausted | str) -> Exhausted:
    return member_or_given(Exhausted, value)


@final
@frozen
class ReconnectPolicy:
    """How a connection is made again.

    The quick attempts follow the mission. The slow ones go on for ever, because an outage of the
    other side must not end an instance for good; they are too slow to be a burden to it.
    """

    attempts: int = 5
    """Quick attempts in a row."""
    backoff: Backoff = Backoff()
    """Delays between them; the delay before attempt n + 1 is its step n."""
    slow: Backoff = Backoff(initial=60.0, factor=2.0, cap=300.0, jitter=Jitter.EQUAL)
    """Delays after them."""
    exhausted: Exhausted = field(default=Exhausted.DEGRADE, converter=_exhausted)
    """What follows when they are used up."""
    stable_after: float = 60.0
    """Seconds, or the last delay before jitter if longer, after which a connection is proven."""
    needs_data: bool = False
    """Whether a connection must also have delivered an application event to be proven."""
    connect_timeout: float = 30.0
    """Seconds that an attempt may take, its children's start included."""
    close_timeout: float = 10.0
    """Seconds that closing a connection may take."""

    def __attrs_post_init__(self) -> None:
        wrong = MistakeList("ReconnectPolicy")
        wrong.whole("attempts", self.attempts, at_least=1)
        wrong.instance("backoff", self.backoff, Backoff)
        wrong.instance("slow", self.slow, Backoff)
        wrong.member("exhausted", self.exhausted, Exhausted)
        wrong.number("stable_after", self.stable_after, finite=True)
        wrong.boolean("needs_data", self.needs_data)
        wrong.number("connect_timeout", self.connect_timeout, above=0.0)
        wrong.number("close_timeout", self.close_timeout, above=0.0, finite=True)
        wrong.raise_any()

    def quick(self, attempt: int) -> bool:
        """Tell whether the attempt after number `attempt` is still a quick one."""
        return attempt < self.attempts

    def delay(self, attempt: int, u: float, *, quick: bool) -> float:
        """Return the seconds between attempt number `attempt` and the next one."""
        backoff, retry = self._row(attempt, quick=quick)
        return backoff.delay(retry, u)

    def step(self, attempt: int, *, quick: bool) -> float:
        """Return the seconds of `delay` before jitter."""
        backoff, retry = self._row(attempt, quick=quick)
        return backoff.step(retry)

    def _row(self, attempt: int, *, quick: bool) -> tuple[Backoff, int]:
        return (self.backoff, attempt) if quick else (self.slow, max(attempt - self.attempts, 0))


class Phase(StrEnum):
    """Where the connection is.

    - ``idle``: no attempt was made yet.
    - ``queued``: an attempt waits for its turn in the connection budget.
    - ``connecting``: an attempt is under way.
    - ``connected``: it is open, and not proven.
    - ``proven``: it has been open for long enough.
    - ``waiting``: the next attempt has a time.
    - ``paused``: an operator keeps it closed.
    - ``failed``: it is given up.
    - ``stopped``: its instance ends.
    """

    IDLE = "idle"
    QUEUED = "queued"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    PROVEN = "proven"
    WAITING = "waiting"
    PAUSED = "paused"
    FAILED = "failed"
    STOPPED = "stopped"


class SignalKind(StrEnum):
    """What can be learned about a connection, of its budget as well, or wanted of it."""

    START = "start"
    OPENED = "opened"
    LOST = "lost"
    STABLE = "stable"
    DATA = "data"
    DUE = "due"
    GRANTED = "granted"
    CLEARED = "cleared"
    RECONNECT = "reconnect"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"


@final
@frozen
class Signal:
    """One thing learned about a connection, or wanted of it."""

    kind: SignalKind
    generation: int | None = None
    """Which connection it is about; None for what is about whichever there is."""
    cause: Cause | None = None
    """Why; every ``lost`` has one."""


class ActionKind(StrEnum):
    """What the connection loop is to do.

    - ``queue``: wait for the connection budget to grant an attempt.
    - ``open``: begin an attempt.
    - ``close``: end the connection, or the attempt, that there is.
    - ``opened``: nothing; an attempt has succeeded.
    - ``proven``: nothing; the connection is proven.
    - ``wait``: let ``seconds`` pass before the next attempt.
    - ``exhausted``: nothing; the quick attempts are used up.
    - ``pause``, ``resume``: nothing; an operator's wish is in force.
    - ``fail``: give up, with the cause.

    Those with nothing to do are there to be told of.
    """

    QUEUE = "queue"
    OPEN = "open"
    CLOSE = "close"
    OPENED = "opened"
    PROVEN = "proven"
    WAIT = "wait"
    EXHAUSTED = "exhausted"
    PAUSE = "pause"
    RESUME = "resume"
    FAIL = "fail"


@final
@frozen
class Action:
    """One thing that the connection loop is to do, or to tell."""

    kind: ActionKind
    cause: Cause | None = None
    seconds: float = 0.0
    quick: bool = True


@final
@frozen
class ConnectionState:
    """All that the machine knows."""

    phase: Phase = Phase.IDLE
    generation: int = 0
    """Which connection there is, or was last; counted from 1."""
    attempt: int = 0
    """Attempts in a row since a connection was last proven."""
    next_retry_at: float | None = None
    """When the next attempt is due, while waiting."""
    cause: Cause | None = None
    """Why the last connection or attempt ended."""
    exhausted: bool = False
    """Whether the quick attempts are used up, until a connection is proven."""
    waited: float = 0.0
    """The step of the last delay, in seconds, until a connection is proven.

    No connection is proven before it has lasted that long: something that fails every few minutes
    under delays of minutes would otherwise always look healthy.
    """
    stable: bool = False
    data: bool = False
    budgeted: bool = False
    """Whether every attempt needs a grant of a connection budget."""


Step = tuple[ConnectionState, tuple[Action, ...]]
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
    if signal.generation is not None and signal.generation != state.generation:
        return state, ()

    rule = TABLE[state.phase].get(signal.kind)
    if rule is None:
        return state, ()

    return rule(state, signal, policy, now, u)


def _due(s: ConnectionState, g: Signal, p: ReconnectPolicy, now: float, u: float) -> Step:
    queued = evolve(s, phase=Phase.QUEUED, next_retry_at=None)
    return (queued, (Action(ActionKind.QUEUE),)) if s.budgeted else _open(s, g, p, now, u)


def _cleared(s: ConnectionState, g: Signal, p: ReconnectPolicy, now: float, u: float) -> Step:
    # What the other side asked of this one is no guess about an outage, and stays in force.
    asked = s.cause is not None and s.cause.retry_after
    return (s, ()) if asked else _due(s, g, p, now, u)


def _open(s: ConnectionState, _: Signal, __: ReconnectPolicy, ___: float, ____: float) -> Step:
    after = evolve(
        s,
        phase=Phase.CONNECTING,
        generation=s.generation + 1,
        attempt=s.attempt + 1,
        next_retry_at=None,
        stable=False,
        data=False,
    )
    return after, (Action(ActionKind.OPEN),)


def _opened(s: ConnectionState, _: Signal, p: ReconnectPolicy, __: float, ___: float) -> Step:
    seconds = max(p.stable_after, s.waited)
    return evolve(s, phase=Phase.CONNECTED), (Action(ActionKind.OPENED, seconds=seconds),)


def _stable(s: ConnectionState, _: Signal, p: ReconnectPolicy, __: float, ___: float) -> Step:
    return _prove(evolve(s, stable=True), p)


def _data(s: ConnectionState, _: Signal, p: ReconnectPolicy, __: float, ___: float) -> Step:
    return _prove(evolve(s, data=True), p)


def _prove(s: ConnectionState, p: ReconnectPolicy) -> Step:
    if not s.stable or (p.needs_data and not s.data):
        return s, ()

    after = evolve(s, phase=Phase.PROVEN, attempt=0, exhausted=False, waited=0.0)
    return after, (Action(ActionKind.PROVEN),)


def _lost(s: ConnectionState, signal: Signal, p: ReconnectPolicy, now: float, u: float) -> Step:
    cause = signal.cause
    if cause is None:
        raise ValueError("a signal 'lost' needs a cause")

    close = Action(ActionKind.CLOSE, cause)
    if cause.failure_class is FailureClass.FATAL:
        return _fail(s, cause, close)

    if not p.quick(s.attempt) and p.exhausted is Exhausted.ESCALATE:
        told = () if s.exhausted else (Action(ActionKind.EXHAUSTED, cause),)
        return _fail(s, cause, close, *told)

    quick = p.quick(s.attempt) and cause.failure_class is FailureClass.RECOVERABLE
    newly = not quick and not s.exhausted

    delay = max(p.delay(s.attempt, u, quick=quick), cause.retry_after or 0.0)
    after = evolve(
        s,
        phase=Phase.WAITING,
        next_retry_at=now + delay,
        cause=cause,
        exhausted=s.exhausted or not quick,
        waited=p.step(s.attempt, quick=quick),
    )
    told = (Action(ActionKind.EXHAUSTED, cause),) if newly else ()
    wait = Action(ActionKind.WAIT, cause, delay, quick)
    return after, (close, *told, wait)


def _fail(s: ConnectionState, cause: Cause, *before: Action) -> Step:
    after = evolve(s, phase=Phase.FAILED, cause=cause, next_retry_at=None)
    return after, (*before, Action(ActionKind.FAIL, cause))


def _reopen(s: ConnectionState, g: Signal, p: ReconnectPolicy, now: float, u: float) -> Step:
    after, actions = _due(s, g, p, now, u)
    return after, (Action(ActionKind.CLOSE, g.cause), *actions)


def _pause(s: ConnectionState, g: Signal, _: ReconnectPolicy, __: float, ___: float) -> Step:
    after = evolve(s, phase=Phase.PAUSED, next_retry_at=None)
    return after, (Action(ActionKind.CLOSE, g.cause), Action(ActionKind.PAUSE))


def _resume(s: ConnectionState, g: Signal, p: ReconnectPolicy, now: float, u: float) -> Step:
    # An operator who resumes says that things are well again, so the attempts are counted anew.
    after, actions = _due(evolve(s, attempt=0, exhausted=False, waited=0.0), g, p, now, u)
    return after, (Action(ActionKind.RESUME), *actions)


def _stop(s: ConnectionState, g: Signal, _: ReconnectPolicy, __: float, ___: float) -> Step:
    after = evolve(s, phase=Phase.STOPPED, next_retry_at=None)
    return after, (Action(ActionKind.CLOSE, g.cause),)


TABLE: Mapping[Phase, Mapping[SignalKind, Rule]] = {
    Phase.IDLE: {
        SignalKind.START: _due,
        SignalKind.PAUSE: _pause,
        SignalKind.STOP: _stop,
    },
    Phase.QUEUED: {
        SignalKind.GRANTED: _open,
        SignalKind.PAUSE: _pause,
        SignalKind.STOP: _stop,
    },
    Phase.CONNECTING: {
        SignalKind.OPENED: _opened,
        SignalKind.DATA: _data,
        SignalKind.LOST: _lost,
        SignalKind.PAUSE: _pause,
        SignalKind.STOP: _stop,
    },
    Phase.CONNECTED: {
        SignalKind.STABLE: _stable,
        SignalKind.DATA: _data,
        SignalKind.LOST: _lost,
        SignalKind.RECONNECT: _reopen,
        SignalKind.PAUSE: _pause,
        SignalKind.STOP: _stop,
    },
    Phase.PROVEN: {
        SignalKind.LOST: _lost,
        SignalKind.RECONNECT: _reopen,
        SignalKind.PAUSE: _pause,
        SignalKind.STOP: _stop,
    },
    Phase.WAITING: {
        SignalKind.DUE: _due,
        SignalKind.RECONNECT: _due,
        SignalKind.CLEARED: _cleared,
        SignalKind.PAUSE: _pause,
        SignalKind.STOP: _stop,
    },
    Phase.PAUSED: {
        SignalKind.RESUME: _resume,
        SignalKind.STOP: _stop,
    },
    Phase.FAILED: {},
    Phase.STOPPED: {},
}
"""What each signal does in each phase. A pair that is missing changes nothing.

So every verb may come at any time, and twice: ``reconnect`` wakes a retry that waits and does not
double one that runs, or is queued; ``pause`` stays in force until ``resume``.
"""
