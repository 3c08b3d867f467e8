"""The event catalogue: everything that the library can say has happened, grouped by emitter.

Those of children, of connection budgets, of health, of the event loop, of the runtime as a whole,
of sinks and of the status are in modules of their own.

Each event is a frozen value. ``name`` is its stable wire name, ``at`` a time of
`trio.current_time`, and durations are in seconds. Refer to the classes through their package
(``telemetry.ChildStarted``): some share their name with the exception that tells a caller the same.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from ..policy.failures import Cause
from . import (  # noqa: F401 - they are in the catalogue
    budget_events,
    child_events,
    health_events,
    loop_events,
    runtime_events,
    sink_events,
    status_events,
)
from .schema import EVENTS, Event, catalogued

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
    """Seconds since the connection before it was lost; None where none was: for the first one, and
    after a handover."""


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


@catalogued("instance.needs_attention")
@frozen(kw_only=True)
class InstanceNeedsAttention(Event):
    """There has been no connection for long, however many attempts there were."""

    elapsed: float
    """For how long; where the quick attempts are used up, none that was proven."""
    cause: Cause
    """Why the last attempt failed."""


@catalogued("instance.handed_over")
@frozen(kw_only=True)
class InstanceHandedOver(Event):
    """A new connection is open, and takes the place of one that is closed only now."""

    generation: int
    """Which connection there is from now on."""
    previous: int
    """Which one it replaces."""
    uptime: float
    """How long that one was open."""


@catalogued("instance.asked")
@frozen(kw_only=True)
class InstanceAsked(Event):
    """An operator has asked something of an instance."""

    verb: str
    """What: ``reconnect``, ``retry_now``, ``pause``, ``resume`` or ``drain``."""
    changed: bool
    """Whether that has changed anything; if not, it was so already, or is not possible now."""


@catalogued("instance.draining")
@frozen(kw_only=True)
class InstanceDraining(Event):
    """An instance sends what is left, and pauses then."""

    timeout: float
    """Seconds that it has for it."""


@catalogued("instance.credentials_updated")
@frozen(kw_only=True)
class InstanceCredentialsUpdated(Event):
    """An instance was given new credentials, which its next connection uses."""


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
    stack: tuple[str, ...] = ()
    """Where it was raised, outermost first; empty where that is in no code of yours."""


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
    refused: float | None = None
    """What the other side has asked for, where that is more than the policy's ``hint_ceiling``, so
    that it is not waited for."""


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
    stack: tuple[str, ...] = ()
    """Where it was raised, outermost first; empty where that is in no code of yours."""


@catalogued("reconnect.exhausted")
@frozen(kw_only=True)
class ReconnectExhausted(Event):
    """The quick attempts are used up; slow ones go on."""

    attempts: int
    """How many were made."""
    cause: Cause
    """Why the last one failed."""


def catalogue() -> Mapping[str, type[Event]]:
    """Return every event class by its wire name."""
    return dict(EVENTS)
