"""Which OpenTelemetry metrics the events make, as a table; needs nothing but events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, final

from attrs import frozen

from ...policy.breaker import BreakerPhase
from ..budget_events import BreakerCanary, BreakerClosed, BreakerOpened, ReconnectGranted
from ..child_events import ChildRestarting
from ..events import (
    HookFailed,
    InstanceConnected,
    InstanceHandedOver,
    InstanceStopped,
    ReconnectAttempt,
    ReconnectFailed,
    SupervisorEscalated,
)
from ..health_events import ProbeCompleted
from ..loop_events import LoopStalled
from ..runtime_events import RuntimeSlept
from ..sink_events import SinkRecovered

if TYPE_CHECKING:
    from ...policy.failures import Cause
    from ..schema import Event

Attributes = dict[str, str | int]

SCOPE = "trio_instances"
VERSION = version("trio-instances")
INSTANCE_ID = f"{SCOPE}.instance.id"
CHANNEL_TYPE = f"{SCOPE}.channel.type"
STATUS = f"{SCOPE}.status"
VERDICT = f"{SCOPE}.probe.verdict"
FAILURE_CLASS = f"{SCOPE}.failure.class"
BUDGET = f"{SCOPE}.budget.key"
PHASE = f"{SCOPE}.breaker.phase"
SINK = f"{SCOPE}.sink.name"
ERROR_TYPE = "error.type"

QUICK = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Upper bounds in seconds, as the conventions have them for the durations of requests."""
SLOW = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
"""Upper bounds in seconds, up to an outage of an hour."""


class Kind(StrEnum):
    """How a metric is kept.

    - ``counter``: what it is told is added up.
    - ``histogram``: it keeps how often it was told how much.
    """

    COUNTER = "counter"
    HISTOGRAM = "histogram"


@final
@frozen(kw_only=True)
class Instrument:
    """One metric: what it is called, and what an event says to it."""

    name: str
    """Without the namespace."""
    unit: str
    help: str
    kind: Kind = Kind.COUNTER
    of: Mapping[type[Event], Callable[[Any], float | None]]
    """What each event that it is about tells it; None is nothing."""
    attributes: Callable[[Any], Attributes] = lambda _: {}
    """Those of an event beside whose it is."""
    labels: tuple[str, ...] = ()
    """The names of all that these can be."""
    bounds: Sequence[float] | None = None

    @property
    def full_name(self) -> str:
        """The name that is seen outside."""
        return f"{SCOPE}.{self.name}"


def failure(cause: Cause | None) -> Attributes:
    """Return what a cause says of an event; nothing, where nothing has failed."""
    if cause is None:
        return {}

    return {ERROR_TYPE: cause.reason, FAILURE_CLASS: str(cause.failure_class)}


def _failure(event: Any) -> Attributes:
    return failure(getattr(event, "cause", None))


def _judged(event: ProbeCompleted) -> Attributes:
    return {VERDICT: str(event.verdict), **failure(event.cause)}


def _budget(event: ReconnectGranted) -> Attributes:
    return {BUDGET: event.key}


_PHASES: Mapping[type[Event], BreakerPhase] = {
    BreakerOpened: BreakerPhase.OPEN,
    BreakerCanary: BreakerPhase.CANARY,
    BreakerClosed: BreakerPhase.CLOSED,
}


def _breaker(event: BreakerOpened | BreakerCanary | BreakerClosed) -> Attributes:
    return {BUDGET: event.key, PHASE: str(_PHASES[type(event)])}


def _one(_: Event) -> float:
    return 1


_FAILURE_LABELS = (ERROR_TYPE, FAILURE_CLASS)

INSTRUMENTS: Final = (
    Instrument(
        name="restarts",
        unit="{restart}",
        help="Restarts of children, and of instances as a whole.",
        of={ChildRestarting: _one},
        attributes=_failure,
        labels=_FAILURE_LABELS,
    ),
    Instrument(
        name="escalations",
        unit="{escalation}",
        help="Supervisors that gave up.",
        of={SupervisorEscalated: _one},
        attributes=_failure,
        labels=_FAILURE_LABELS,
    ),
    Instrument(
        name="reconnect.attempts",
        unit="{attempt}",
        help="Attempts to connect after the first one.",
        of={ReconnectAttempt: _one},
    ),
    Instrument(
        name="reconnects",
        unit="{reconnect}",
        help="Attempts to reconnect that led to a connection.",
        of={InstanceConnected: lambda e: 1 if e.generation > 1 else None},
    ),
    Instrument(
        name="handovers",
        unit="{handover}",
        help="Connections that took the place of one that was closed only then.",
        of={InstanceHandedOver: _one},
    ),
    Instrument(
        name="probes",
        unit="{probe}",
        help="Health checks by verdict.",
        of={ProbeCompleted: _one},
        attributes=_judged,
        labels=(VERDICT, *_FAILURE_LABELS),
    ),
    Instrument(
        name="probe.duration",
        unit="s",
        help="How long a health check took.",
        kind=Kind.HISTOGRAM,
        of={ProbeCompleted: lambda e: e.latency},
        attributes=_judged,
        labels=(VERDICT, *_FAILURE_LABELS),
        bounds=QUICK,
    ),
    Instrument(
        name="connect.duration",
        unit="s",
        help="How long an attempt to connect took.",
        kind=Kind.HISTOGRAM,
        of={InstanceConnected: lambda e: e.elapsed, ReconnectFailed: lambda e: e.elapsed},
        attributes=_failure,
        labels=_FAILURE_LABELS,
        bounds=QUICK,
    ),
    Instrument(
        name="recovery.duration",
        unit="s",
        help="How long there was no connection.",
        kind=Kind.HISTOGRAM,
        of={InstanceConnected: lambda e: e.outage},
        bounds=SLOW,
    ),
    Instrument(
        name="stop.duration",
        unit="s",
        help="How long the stop of an instance took.",
        kind=Kind.HISTOGRAM,
        of={InstanceStopped: lambda e: e.elapsed},
        bounds=SLOW,
    ),
    Instrument(
        name="budget.wait.duration",
        unit="s",
        help="How long an attempt that had to wait for its connection budget did so.",
        kind=Kind.HISTOGRAM,
        of={ReconnectGranted: lambda e: e.waited},
        attributes=_budget,
        labels=(BUDGET,),
        bounds=SLOW,
    ),
    Instrument(
        name="breaker.changes",
        unit="{change}",
        help="Changes of a budget's breaker, by the phase that it came to.",
        of=dict.fromkeys(_PHASES, _one),
        attributes=_breaker,
        labels=(BUDGET, PHASE),
    ),
    Instrument(
        name="loop.stall.duration",
        unit="s",
        help="How long a step of a task blocked the event loop, where somebody watches.",
        kind=Kind.HISTOGRAM,
        of={LoopStalled: lambda e: e.elapsed},
        bounds=SLOW,
    ),
    Instrument(
        name="machine.sleep.duration",
        unit="s",
        help="How long the machine slept.",
        kind=Kind.HISTOGRAM,
        of={RuntimeSlept: lambda e: e.elapsed},
        bounds=SLOW,
    ),
    Instrument(
        name="hook.failures",
        unit="{failure}",
        help="Functions and sinks of the user's that failed themselves.",
        of={HookFailed: _one},
        attributes=lambda e: {f"{SCOPE}.hook": e.hook, **failure(e.cause)},
        labels=(f"{SCOPE}.hook", *_FAILURE_LABELS),
    ),
    Instrument(
        name="sink.outage.duration",
        unit="s",
        help="How long a sink took no events.",
        kind=Kind.HISTOGRAM,
        of={SinkRecovered: lambda e: e.elapsed},
        attributes=lambda e: {SINK: e.sink},
        labels=(SINK,),
        bounds=SLOW,
    ),
)


def by_event() -> dict[type[Event], list[Instrument]]:
    """Return by each class of events the metrics that are made from it."""
    found: dict[type[Event], list[Instrument]] = {}
    for instrument in INSTRUMENTS:
        for kind in instrument.of:
            found.setdefault(kind, []).append(instrument)
    return found


def samples(
    event: Event, instruments: Sequence[Instrument]
) -> Iterator[tuple[Instrument, float, Attributes]]:
    """Yield what an event says to its metrics, with what it says beside whose it is."""
    for instrument in instruments:
        value = instrument.of[type(event)](event)
        if value is not None:
            yield instrument, value, instrument.attributes(event)
