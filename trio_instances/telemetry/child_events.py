"""What happens to a child of a supervisor; a part of the catalogue."""

from __future__ import annotations

from attrs import frozen

from ..policy.failures import Cause
from .schema import ChildEvent, catalogued


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
    stack: tuple[str, ...] = ()
    """Where it was raised, outermost first; empty where that is in no code of yours."""


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
    stack: tuple[str, ...] = ()
    """Where it was raised, outermost first; empty where that is in no code of yours."""


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
    stack: tuple[str, ...] = ()
    """Where it was raised, outermost first; empty where that is in no code of yours."""


@catalogued("child.stuck")
@frozen(kw_only=True)
class ChildStuck(ChildEvent):
    """A cancelled child has not ended. A task cannot be killed, so the stop goes on waiting."""

    elapsed: float
    """Seconds since it was asked to stop."""
    stack: tuple[str, ...]
    """Where its task is, outermost first."""
