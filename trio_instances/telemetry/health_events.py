"""Events about health: what probes say, who is silent, how full the queues are."""

from __future__ import annotations

from attrs import frozen

from ..policy.failures import Cause
from ..policy.health import LivenessSignal, ProbeTrigger, ProbeVerdict
from ..policy.pressure import PressureLevel
from .schema import Event, catalogued


@catalogued("probe.completed")
@frozen(kw_only=True)
class ProbeCompleted(Event):
    """One health check of one connection has a verdict."""

    generation: int
    """Which connection was probed."""
    verdict: ProbeVerdict
    """What it says."""
    latency: float
    """How long it took."""
    streak: int
    """How many verdicts of its kind, good or bad, came in a row, this one included."""
    cause: Cause | None
    """Why it is not good."""
    trigger: ProbeTrigger = ProbeTrigger.INTERVAL
    """Why it was made."""
    waited: float = 0.0
    """How long it waited for its turn before that."""


@catalogued("liveness.silent")
@frozen(kw_only=True)
class LivenessSilent(Event):
    """A signal is silent for longer than its threshold, and a probe has not changed that.

    Nothing follows from it: what the probe said is told by its own event.
    """

    generation: int
    """Which connection it is."""
    signal: LivenessSignal
    """What is silent."""
    elapsed: float
    """Seconds since it was given; since the connection was opened, if it never was."""


@catalogued("liveness.heard")
@frozen(kw_only=True)
class LivenessHeard(Event):
    """A signal that was told to be silent is given again."""

    generation: int
    """Which connection it is."""
    signal: LivenessSignal
    """What is not silent any more."""
    elapsed: float
    """How long it was silent."""


@catalogued("pressure.changed")
@frozen(kw_only=True)
class PressureChanged(Event):
    """The fullest queue of an instance has crossed a threshold."""

    level: PressureLevel
    """The level from now on."""
    previous: PressureLevel
    """The level until now."""
    queue: str
    """The fullest queue's name."""
    occupancy: float
    """How full it is, 0 to 1."""
