"""Health: what a row of probes means, and the snapshot that answers every question about it."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import final

from attrs import evolve, frozen

from .breaker import BreakerPhase
from .failures import Cause, FailureClass, WhoMustAct
from .in_words import health_line
from .mistakes import MistakeList
from .pressure import PressureLevel
from .restart import ChildState
from .status import DegradedReason, InstanceStatus


class ProbeVerdict(StrEnum):
    """What one probe says.

    - ``ok``: it returned within its budget.
    - ``degraded``, ``recoverable``, ``fatal``: it raised, or ran out of time; the failure's class.
    """

    OK = "ok"
    DEGRADED = "degraded"
    RECOVERABLE = "recoverable"
    FATAL = "fatal"


class LivenessSignal(StrEnum):
    """A sign of life that a connection gives of itself, without being asked.

    - ``transport``: anything at all arrived.
    - ``data``: an application event arrived.
    """

    TRANSPORT = "transport"
    DATA = "data"


class ProbeTrigger(StrEnum):
    """Why a probe was made.

    - ``interval``: its time had come.
    - ``transport``, ``data``: that signal had been silent for its threshold.
    - ``slept``: the machine had slept.
    """

    INTERVAL = "interval"
    TRANSPORT = "transport"
    DATA = "data"
    SLEPT = "slept"


@final
@frozen
class ProbePolicy:
    """When a connection is probed, and how many verdicts count.

    The thresholds are those of Kubernetes, the times those of gateway clients. Silence is off by
    default: the probe that comes every interval asks already, and how long a healthy channel may be
    silent nobody knows but its user. A silence that has passed its threshold leads to a probe at
    once, and to nothing else: only what the probe says counts.
    """

    interval: float = 30.0
    """Seconds between two probes."""
    jitter: float = 0.1
    """The share of the interval by which chance moves each one, both ways."""
    timeout: float = 5.0
    """Seconds that a probe may take."""
    failures_to_fail: int = 3
    """Recoverable failures in a row that end the connection; bad verdicts that degrade it."""
    successes_to_recover: int = 2
    """Successes in a row that end a degradation."""
    startup_failures: int | None = None
    """What counts instead of `failures_to_fail` until a probe of the connection has passed.

    With a number here silence does not count until then either. None: a new connection is judged as
    an old one.
    """
    transport_silence: float | None = None
    """Seconds without anything arriving after which a probe is made at once; None: never."""
    data_silence: float | None = None
    """Seconds without an application event after which a probe is made at once; None: never."""

    def __attrs_post_init__(self) -> None:
        wrong = MistakeList("ProbePolicy")
        wrong.number("interval", self.interval, above=0.0, finite=True)
        wrong.number("jitter", self.jitter, at_most=1.0)
        wrong.number("timeout", self.timeout, above=0.0, finite=True)
        wrong.whole("failures_to_fail", self.failures_to_fail, at_least=1)
        wrong.whole("successes_to_recover", self.successes_to_recover, at_least=1)
        if self.startup_failures is not None:
            wrong.whole("startup_failures", self.startup_failures, at_least=1)
        for name in ("transport_silence", "data_silence"):
            wrong.number(name, getattr(self, name), above=0.0, finite=True, optional=True)
        wrong.raise_any()

    @property
    def minds_silence(self) -> bool:
        """Whether any silence leads to a probe."""
        return self.transport_silence is not None or self.data_silence is not None

    def wait(self, u: float, *, first: bool = False) -> float:
        """Return the seconds until the next probe.

        The first one comes anywhere in the interval, so that a fleet that connected at once does
        not probe at once.

        Args:
            u: A random number in [0, 1].
            first: Whether it is the connection's first one.
        """
        if first:
            return self.interval * u

        return self.interval * (1 + self.jitter * (2 * u - 1))

    def next_regular(self, due_at: float, began_at: float, ended_at: float, u: float) -> float:
        """Return when the probe after a regular one is due: an interval after its end.

        A late one keeps its place, which is where it would have been in time, or whole intervals
        from there: the next comes half an interval earlier or later for it, at most. Otherwise
        those that were late together would stay together, and grow into one crowd.

        Args:
            due_at: When it was due.
            began_at: When it began.
            ended_at: When it ended.
            u: A random number in [0, 1].
        """
        late = max(0.0, began_at - due_at)
        return ended_at - math.remainder(late, self.interval) + self.wait(u)

    def failures(self, *, passed: bool) -> int:
        """Return how many failures in a row are too many.

        Args:
            passed: Whether a probe of the connection has passed.
        """
        if passed or self.startup_failures is None:
            return self.failures_to_fail

        return self.startup_failures

    def threshold(self, signal: LivenessSignal, *, passed: bool) -> float | None:
        """Return for how many seconds a signal may be silent; None where it does not count.

        Args:
            signal: Which.
            passed: Whether a probe of the connection has passed.
        """
        if self.startup_failures is not None and not passed:
            return None

        return self.transport_silence if signal is LivenessSignal.TRANSPORT else self.data_silence


class ProbeAction(StrEnum):
    """What a verdict leads to.

    - ``none``: nothing changes.
    - ``degrade``: the connection is kept, and its instance is degraded.
    - ``recover``: the degradation is over.
    - ``fail``: the connection is lost.
    """

    NONE = "none"
    DEGRADE = "degrade"
    RECOVER = "recover"
    FAIL = "fail"


@final
@frozen
class ProbeState:
    """What the probes of one connection have said so far."""

    verdict: ProbeVerdict | None = None
    """The last verdict; None before the first one."""
    latency: float | None = None
    """How long the last probe took, in seconds, without what it waited for its turn."""
    waited: float = 0.0
    """How long the last probe waited for its turn, in seconds."""
    streak: int = 0
    """How many good, or bad, verdicts came in a row."""
    recoverable: int = 0
    """How many recoverable failures came in a row, with nothing else between them."""
    degraded: bool = False
    """Whether the probes have degraded the instance."""
    cause: Cause | None = None
    """Why the last verdict was not good."""
    at: float | None = None
    """When the last probe ended."""
    passed: bool = False
    """Whether any probe of the connection has passed."""


def step(
    state: ProbeState,
    policy: ProbePolicy,
    cause: Cause | None,
    latency: float,
    now: float,
    *,
    waited: float = 0.0,
) -> tuple[ProbeState, ProbeAction]:
    """Take in the outcome of one probe.

    A row of recoverable failures ends the connection. A row of bad verdicts of both kinds degrades
    it: it answers, if badly, so a new connection would hardly be better.

    Args:
        state: What the probes said so far.
        policy: How many verdicts count.
        cause: Why the probe failed; None where it passed.
        latency: How long it took, in seconds.
        now: When it ended.
        waited: How long it waited for its turn, in seconds.

    Returns:
        The new state, and what it leads to.
    """
    if cause is None:
        streak = state.streak + 1 if state.verdict is ProbeVerdict.OK else 1
        recovers = state.degraded and streak >= policy.successes_to_recover
        after = ProbeState(
            verdict=ProbeVerdict.OK,
            latency=latency,
            waited=waited,
            streak=streak,
            degraded=state.degraded and not recovers,
            at=now,
            passed=True,
        )
        return after, ProbeAction.RECOVER if recovers else ProbeAction.NONE

    verdict = ProbeVerdict(cause.failure_class)
    streak = 1 if state.verdict in {None, ProbeVerdict.OK} else state.streak + 1
    recoverable = state.recoverable + 1 if verdict is ProbeVerdict.RECOVERABLE else 0
    failures = policy.failures(passed=state.passed)
    after = evolve(
        state,
        verdict=verdict,
        latency=latency,
        waited=waited,
        streak=streak,
        recoverable=recoverable,
        cause=cause,
        at=now,
    )
    if verdict is ProbeVerdict.FATAL or recoverable >= failures:
        return after, ProbeAction.FAIL
    if streak < failures or state.degraded:
        return after, ProbeAction.NONE

    return evolve(after, degraded=True), ProbeAction.DEGRADE


@final
@frozen
class ChildHealth:
    """One child, as a snapshot tells of it."""

    name: str
    state: ChildState
    incarnation: int
    """How many runs it has had."""
    since: float
    """Since when it is in this state, in seconds of `trio.current_time`."""
    essential: bool
    of_connection: bool
    """Whether it lives as long as the connection; otherwise, as the instance."""
    last_cause: Cause | None = None
    """Why it failed last, if it did."""


@final
@frozen
class QueueHealth:
    """One watched queue."""

    name: str
    used: int
    capacity: float
    occupancy: float
    """How full it is, 0 to 1."""


@final
@frozen(kw_only=True)
class BudgetHealth:
    """A connection budget, as the snapshot of one of its instances tells of it."""

    key: str
    attempts_per_second: float
    """What its policy allows in the long run."""
    granted: int
    """Attempts that it has granted so far."""
    waited: float = 0.0
    """For how many seconds these had waited for their turn, all together."""
    left: int
    """Attempts that the rate allows at once."""
    left_today: int | None
    """Attempts left of the last 24 hours; None where they are not limited."""
    in_flight: int
    """Attempts under way."""
    next_slot_at: float | None
    """When the next attempt may begin; None where another one must end first."""
    waiting: int
    """How many instances wait for their turn."""
    place: int | None
    """This instance's place among them, counted from 1; None while it does not wait."""
    breaker: BreakerPhase | None
    """Where the breaker is; None where there is none."""
    openings: int = 0
    """How often the breaker has opened."""


@final
@frozen(kw_only=True)
class HealthSnapshot:
    """Everything there is to know about one instance at one moment.

    Times are seconds of `trio.current_time`, durations are seconds. As a text it is one line for
    people, with what matters most.
    """

    instance_id: str
    name: str
    channel_type: str
    at: float
    """When the snapshot was made."""
    status: InstanceStatus
    since: float
    """Since when it has this status."""
    connected: bool
    proven: bool
    generation: int
    """How many connections it has begun."""
    uptime: float
    """Seconds since it was started."""
    cause: Cause | None = None
    """Why it is not connected, or why it last was not."""
    last_error: str | None = None
    """The last failure's text."""
    last_error_class: FailureClass | None = None
    who_must_act: WhoMustAct = WhoMustAct.NOBODY
    """Who can mend what it has failed by, or is degraded by; nobody for what is over."""
    needs_attention: bool = False
    """Whether it has failed for good, or has been away for so long that somebody should look."""
    draining: bool = False
    """Whether an operator lets it send what is left before a pause."""
    handover: bool = False
    """Whether a successor of its connection is being made beside it."""
    rotate_at: float | None = None
    """When its connection is to be replaced, if that is planned."""
    attempt: int = 0
    """Connection attempts in a row since a connection was last proven."""
    next_retry_at: float | None = None
    """When the next attempt is due, if one is."""
    reconnect_attempts: int = 0
    """How many attempts to reconnect there were since the instance was started."""
    reconnects: int = 0
    """How many of them led to a connection."""
    handovers: int = 0
    """How many of these took the place of a connection that was closed only then."""
    restarts: int = 0
    """How often anything within the instance was restarted, and the instance itself."""
    last_restart_reason: str | None = None
    last_restart_class: FailureClass | None = None
    children: tuple[ChildHealth, ...] = ()
    children_total: int = 0
    children_running: int = 0
    children_parked: int = 0
    probe: ProbeState = ProbeState()
    since_frame: float | None = None
    """Seconds since anything arrived, on this connection or an earlier one; None before."""
    since_event: float | None = None
    """Seconds since an application event arrived, likewise; None before."""
    silent: tuple[LivenessSignal, ...] = ()
    """Signals of the connection that are silent for longer than their threshold, though asked."""
    pressure: PressureLevel = PressureLevel.NORMAL
    queues: tuple[QueueHealth, ...] = ()
    failures_in_a_row: int = 0
    """Failures that the application has reported since its last success."""
    degraded: tuple[DegradedReason, ...] = ()
    budget: BudgetHealth | None = None
    """What its connection attempts are counted in, with others'; None where nothing is."""

    def __str__(self) -> str:
        return health_line(self)
