"""The event catalogue: everything that the library can say has happened, grouped by emitter.

Each event is a frozen value. ``name`` is its stable wire name, ``at`` a time of
`trio.current_time`, and durations are in seconds. Refer to the classes through their package
(``telemetry.ChildStarted``): some share their name with the exception that tells a caller the same.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from ..policy.failures import Cause
from ..policy.health import ProbeVerdict
from ..policy.pressure import PressureLevel
from . import sink_events, status_events  # noqa: F401 - these are in the catalogue as well
from .schema import EVENTS, ChildEvent, Event, catalogued

# --- the runtime ---------------------------------------------------------------------------------


@catalogued("runtime.started")
@frozen(kw_only=True)
class RuntimeStarted(Event):
    """A runtime takes instances from now on."""


@catalogued("runtime.stopping")
@frozen(kw_only=True)
class RuntimeStopping(Event):
    """A runtime has begun to stop its instances, in reverse start order."""

    instances: int
    """How many there are to stop."""


@catalogued("runtime.stopped")
@frozen(kw_only=True)
class RuntimeStopped(Event):
    """The last instance of a runtime has ended."""

    elapsed: float
    """How long the stop took."""


# --- an instance ---------------------------------------------------------------------------------


@catalogued("instance.started")
@frozen(kw_only=True)
class InstanceStarted(Event):
    """An instance's own children are ready, and its connection is about to be made."""

    children: tuple[str, ...]
    """The names of those children, in start order."""
    elapsed: float | None = None
    """How long the start took; None in what was written before this was told."""


@catalogued("instance.connecting")
@frozen(kw_only=True)
class InstanceConnecting(Event):
    """A connection attempt has begun."""

    generation: int
    """Which connection of this instance it is to be, counted from 1."""
    attempt: int
    """Which attempt in a row it is, counted from 1 and reset when a connection is proven."""


@catalogued("instance.connected")
@frozen(kw_only=True)
class InstanceConnected(Event):
    """A connection is open, and its children are ready."""

    generation: int
    """Which connection it is."""
    attempt: int
    """Which attempt in a row made it."""
    elapsed: float
    """How long the attempt took."""
    children: tuple[str, ...]
    """The names of the connection's children, in start order."""
    outage: float | None
    """Seconds since the connection before it was lost; None for the first one."""


@catalogued("instance.proven")
@frozen(kw_only=True)
class InstanceProven(Event):
    """A connection has stayed up long enough for the backoff to start anew."""

    generation: int
    """Which connection it is."""
    uptime: float
    """How long it has been open."""


@catalogued("instance.disconnected")
@frozen(kw_only=True)
class InstanceDisconnected(Event):
    """An open connection has ended."""

    generation: int
    """Which connection it was."""
    cause: Cause
    """Why."""
    uptime: float
    """How long it was open."""


@catalogued("instance.degraded")
@frozen(kw_only=True)
class InstanceDegraded(Event):
    """An instance has one more reason to be called degraded."""

    what: str
    """What is degraded: ``reconnect``, ``probe``, ``failures``, ``pressure`` or ``child:NAME``."""
    cause: Cause
    """Why."""


@catalogued("instance.recovered")
@frozen(kw_only=True)
class InstanceRecovered(Event):
    """A reason to be called degraded has gone."""

    what: str
    """What is well again."""
    elapsed: float
    """How long it was not."""


@catalogued("instance.paused")
@frozen(kw_only=True)
class InstancePaused(Event):
    """An operator keeps the instance disconnected."""


@catalogued("instance.resumed")
@frozen(kw_only=True)
class InstanceResumed(Event):
    """An operator lets the instance connect again."""


@catalogued("instance.failed")
@frozen(kw_only=True)
class InstanceFailed(Event):
    """An instance is parked; somebody must act before it runs again."""

    cause: Cause
    """Why, and who must act."""


@catalogued("instance.stopping")
@frozen(kw_only=True)
class InstanceStopping(Event):
    """An instance was asked to stop."""


@catalogued("instance.stopped")
@frozen(kw_only=True)
class InstanceStopped(Event):
    """An instance and everything in it has ended."""

    uptime: float
    """How long it had been started."""
    elapsed: float | None = None
    """How long the stop took; None in what was written before this was told."""


# --- a child -------------------------------------------------------------------------------------


@catalogued("child.started")
@frozen(kw_only=True)
class ChildStarted(ChildEvent):
    """An incarnation is ready."""

    elapsed: float
    """How long it took to become ready."""


@catalogued("child.start_failed")
@frozen(kw_only=True)
class ChildStartFailed(ChildEvent):
    """An incarnation ended before it was ready."""

    cause: Cause
    """Why."""


@catalogued("child.declined")
@frozen(kw_only=True)
class ChildDeclined(ChildEvent):
    """An incarnation said before it was ready that it has nothing to do."""


@catalogued("child.exited")
@frozen(kw_only=True)
class ChildExited(ChildEvent):
    """A ready incarnation ended by itself."""

    cause: Cause | None
    """Why it failed; None where it returned."""
    uptime: float
    """How long it had been ready."""


@catalogued("child.restarting")
@frozen(kw_only=True)
class ChildRestarting(ChildEvent):
    """A child will be started again; the incarnation is the one that ended."""

    cause: Cause
    """Why: the restart's reason and class."""
    delay: float
    """Seconds until then."""
    restarts: int
    """How often it was restarted, this time included."""


@catalogued("child.parked")
@frozen(kw_only=True)
class ChildParked(ChildEvent):
    """A failed child is left down on purpose; its siblings go on."""

    cause: Cause
    """Why."""


@catalogued("child.revived")
@frozen(kw_only=True)
class ChildRevived(ChildEvent):
    """A parked child is started again by hand; the incarnation is the one that was parked."""


@catalogued("child.stopping")
@frozen(kw_only=True)
class ChildStopping(ChildEvent):
    """A child was asked to stop by its supervisor."""


@catalogued("child.stopped")
@frozen(kw_only=True)
class ChildStopped(ChildEvent):
    """A child that was asked to stop has ended."""

    elapsed: float
    """How long that took."""
    forced: bool
    """Whether its soft stop ran out of time, so that it was cancelled."""
    cause: Cause | None
    """What its cleanup raised, if it did."""


@catalogued("child.stuck")
@frozen(kw_only=True)
class ChildStuck(ChildEvent):
    """A cancelled child has not ended. A task cannot be killed, so the stop goes on waiting."""

    elapsed: float
    """Seconds since it was asked to stop."""
    stack: tuple[str, ...]
    """Where its task is, outermost first."""


# --- a supervisor --------------------------------------------------------------------------------


@catalogued("supervisor.escalated")
@frozen(kw_only=True)
class SupervisorEscalated(Event):
    """A supervisor gave up and fails to its parent."""

    path: str
    """Where the supervisor is in the tree."""
    generation: int | None = None
    """Which connection it keeps the children of; None where it keeps others."""
    child: str
    """The path of the child whose exit was one too many."""
    cause: Cause
    """Why that child failed."""
    restarts: int
    """How many restarts the intensity allows."""
    period: float
    """... within how many seconds."""
    exceeded: bool
    """Whether the intensity was the reason; otherwise the failure was fatal."""


@catalogued("hook.failed")
@frozen(kw_only=True)
class HookFailed(Event):
    """A function that the user supplied to be told or asked something has failed itself."""

    hook: str
    """Which: ``classify``, ``listener``, ``sink`` and the like."""
    path: str
    """Where in the tree, or which one."""
    cause: Cause
    """What it raised."""


# --- a connection --------------------------------------------------------------------------------


@catalogued("reconnect.scheduled")
@frozen(kw_only=True)
class ReconnectScheduled(Event):
    """The next connection attempt has a time."""

    attempt: int
    """Which attempt in a row it will be."""
    delay: float
    """Seconds until then."""
    quick: bool
    """Whether it is one of the quick attempts; otherwise they are exhausted."""
    cause: Cause
    """Why it is needed."""


@catalogued("reconnect.attempt")
@frozen(kw_only=True)
class ReconnectAttempt(Event):
    """An attempt that is not the first in a row has begun."""

    attempt: int
    """Which attempt in a row it is."""
    generation: int
    """Which connection it is to be."""


@catalogued("reconnect.failed")
@frozen(kw_only=True)
class ReconnectFailed(Event):
    """A connection attempt has failed; the first one too."""

    attempt: int
    """Which attempt in a row it was."""
    generation: int
    """Which connection it was to be."""
    cause: Cause
    """Why."""
    elapsed: float
    """How long it took to fail."""


@catalogued("reconnect.exhausted")
@frozen(kw_only=True)
class ReconnectExhausted(Event):
    """The quick attempts are used up; slow ones go on."""

    attempts: int
    """How many were made."""
    cause: Cause
    """Why the last one failed."""


# --- health --------------------------------------------------------------------------------------


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


def catalogue() -> Mapping[str, type[Event]]:
    """Return every event class by its wire name."""
    return dict(EVENTS)
