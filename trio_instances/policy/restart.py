"""Machine 1: a child. What an exit leads to, and the states between two incarnations.

Everything that decides about a child is in this file. Three questions, in this order:

1. Should it be restarted? `AFTER_EXIT`, by restart type and kind of exit, as OTP has it.
2. May it be? `RestartWindow.allows`, asked only where the answer matters.
3. What then? `CRASH_OR_DEGRADE`, by failure class, importance and the second answer.

How a restart takes siblings along is in `strategies`. `TRANSITIONS` lists every legal move between
states; ``removed`` has no way out, and is there to say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, assert_never, final

from attrs import frozen

from .failures import Cause, FailureClass
from .strategies import AutoShutdown

if TYPE_CHECKING:
    from .backoff import Backoff
    from .intensity import RestartWindow


class RestartType(StrEnum):
    """When a child is started again, in OTP's words.

    - ``permanent``: whenever it ends by itself.
    - ``transient``: when it fails; a normal return leaves it stopped.
    - ``temporary``: never; it is forgotten when it ends.
    """

    PERMANENT = "permanent"
    TRANSIENT = "transient"
    TEMPORARY = "temporary"


class Exit(StrEnum):
    """How an incarnation ended.

    - ``returned``: its function returned.
    - ``crashed``: its function raised after it was ready.
    - ``start_failed``: it ended before it was ready, in any other way than the two below.
    - ``declined``: it raised `ChildDeclined` before it was ready.
    - ``stopped``: the supervisor had asked it to stop; how it ended does not matter then.
    """

    RETURNED = "returned"
    CRASHED = "crashed"
    START_FAILED = "start_failed"
    DECLINED = "declined"
    STOPPED = "stopped"


class Verdict(StrEnum):
    """What is done about an exit.

    - ``restart``: start it again, with what the strategy takes along.
    - ``stay``: leave it stopped; it is known and can be restarted by hand.
    - ``forget``: remove it.
    - ``park``: leave it down on purpose; its siblings go on.
    - ``escalate``: the supervisor gives up.
    """

    RESTART = "restart"
    STAY = "stay"
    FORGET = "forget"
    PARK = "park"
    ESCALATE = "escalate"


class ChildState(StrEnum):
    """Where a child is.

    - ``starting``: it runs, and is not ready yet.
    - ``running``: it runs, and is ready.
    - ``stopping``: it was asked to stop, and has not ended.
    - ``restarting``: it is between two incarnations.
    - ``stopped``: it is down, and nothing is due.
    - ``parked``: it is down because of a failure, and waits for somebody to revive it.
    - ``removed``: its supervisor has forgotten it.
    """

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    RESTARTING = "restarting"
    STOPPED = "stopped"
    PARKED = "parked"
    REMOVED = "removed"


class Move(StrEnum):
    """What can happen to a child."""

    START = "start"
    READY = "ready"
    STOP = "stop"
    RETRY = "retry"
    REST = "rest"
    PARK = "park"
    REMOVE = "remove"


TRANSITIONS: Mapping[ChildState, Mapping[Move, ChildState]] = {
    ChildState.STARTING: {
        Move.READY: ChildState.RUNNING,
        Move.STOP: ChildState.STOPPING,
        Move.RETRY: ChildState.RESTARTING,
        Move.REST: ChildState.STOPPED,
        Move.PARK: ChildState.PARKED,
        Move.REMOVE: ChildState.REMOVED,
    },
    ChildState.RUNNING: {
        Move.STOP: ChildState.STOPPING,
        Move.RETRY: ChildState.RESTARTING,
        Move.REST: ChildState.STOPPED,
        Move.PARK: ChildState.PARKED,
        Move.REMOVE: ChildState.REMOVED,
    },
    ChildState.STOPPING: {
        Move.REST: ChildState.STOPPED,
        Move.REMOVE: ChildState.REMOVED,
    },
    ChildState.RESTARTING: {
        Move.START: ChildState.STARTING,
        Move.STOP: ChildState.STOPPING,
        Move.REST: ChildState.STOPPED,
        Move.REMOVE: ChildState.REMOVED,
    },
    ChildState.STOPPED: {
        Move.START: ChildState.STARTING,
        Move.PARK: ChildState.PARKED,
        Move.REMOVE: ChildState.REMOVED,
    },
    ChildState.PARKED: {
        Move.START: ChildState.STARTING,
        Move.REST: ChildState.STOPPED,
        Move.REMOVE: ChildState.REMOVED,
    },
    ChildState.REMOVED: {},
}
"""Every legal move. A pair that is missing here is a bug of the caller, and raises `KeyError`."""

AFTER_EXIT: Mapping[RestartType, Mapping[Exit, Verdict]] = {
    RestartType.PERMANENT: {
        Exit.RETURNED: Verdict.RESTART,
        Exit.CRASHED: Verdict.RESTART,
        Exit.START_FAILED: Verdict.RESTART,
        Exit.DECLINED: Verdict.STAY,
        Exit.STOPPED: Verdict.STAY,
    },
    RestartType.TRANSIENT: {
        Exit.RETURNED: Verdict.STAY,
        Exit.CRASHED: Verdict.RESTART,
        Exit.START_FAILED: Verdict.RESTART,
        Exit.DECLINED: Verdict.STAY,
        Exit.STOPPED: Verdict.STAY,
    },
    RestartType.TEMPORARY: {
        Exit.RETURNED: Verdict.FORGET,
        Exit.CRASHED: Verdict.FORGET,
        Exit.START_FAILED: Verdict.FORGET,
        Exit.DECLINED: Verdict.FORGET,
        Exit.STOPPED: Verdict.FORGET,
    },
}
"""Question 1: should it be restarted?"""

CRASH_OR_DEGRADE: Mapping[tuple[FailureClass, bool], tuple[Verdict, Verdict]] = {
    (FailureClass.RECOVERABLE, True): (Verdict.RESTART, Verdict.ESCALATE),
    (FailureClass.RECOVERABLE, False): (Verdict.RESTART, Verdict.PARK),
    (FailureClass.DEGRADED, True): (Verdict.PARK, Verdict.PARK),
    (FailureClass.DEGRADED, False): (Verdict.PARK, Verdict.PARK),
    (FailureClass.FATAL, True): (Verdict.ESCALATE, Verdict.ESCALATE),
    (FailureClass.FATAL, False): (Verdict.PARK, Verdict.PARK),
}
"""Question 3, by class and whether the child is essential: (within intensity, beyond it)."""

RETURNED = Cause(FailureClass.RECOVERABLE, "returned")
"""Why a permanent child that simply returned is restarted."""


@final
@frozen
class Decision:
    """What to do about one exit."""

    verdict: Verdict
    delay: float = 0.0
    """Seconds before the restart, where the verdict is one."""
    exceeded: bool = False
    """Whether the restart intensity was the reason."""


_STAY = Decision(Verdict.STAY)
_FORGET = Decision(Verdict.FORGET)
_RESTART = Decision(Verdict.RESTART)


def decide(
    *,
    restart: RestartType,
    essential: bool,
    exit_kind: Exit,
    cause: Cause,
    window: RestartWindow,
    backoff: Backoff | None,
    attempt: int,
    now: float,
    u: float,
) -> Decision:
    """Decide what an exit leads to, and record the restart in the window if there is one.

    Args:
        restart: The child's restart type.
        essential: Whether the supervisor gives up with the child.
        exit_kind: How the incarnation ended.
        cause: Why, classified; `RETURNED` for a plain return.
        window: The restarts that share the child's intensity.
        backoff: Delays between restarts; None restarts at once.
        attempt: How many restarts were made in a row.
        now: The time of the decision, in seconds of a monotonic clock.
        u: A random number in [0, 1].
    """
    should = AFTER_EXIT[restart][exit_kind]
    if should is Verdict.STAY:
        return _STAY
    if should is Verdict.FORGET:
        return _FORGET

    within, beyond = CRASH_OR_DEGRADE[cause.failure_class, essential]
    if within is not Verdict.RESTART:
        return Decision(within)
    if not window.allows(now):
        return Decision(beyond, exceeded=True)
    if backoff is None:
        return _RESTART

    return Decision(Verdict.RESTART, delay=backoff.delay(attempt, u))


def after_first_start(cause: Cause, *, essential: bool) -> Verdict:
    """Decide what the first start of a child that failed leads to: as if no restart were left.

    Args:
        cause: Why it failed.
        essential: Whether the supervisor gives up with the child.

    Returns:
        ``park``, or ``escalate``: the failure goes to whoever asked for the start.
    """
    return CRASH_OR_DEGRADE[cause.failure_class, essential][1]


def ends_supervisor(
    auto_shutdown: AutoShutdown, *, significant: bool, verdict: Verdict, others_active: bool
) -> bool:
    """Tell whether a child's end by itself ends its supervisor.

    Parking never does: a parked child is to be revived. An end that was asked for never does
    either, so do not ask for one.

    Args:
        auto_shutdown: The supervisor's setting.
        significant: Whether the child is significant.
        verdict: What was decided about its exit.
        others_active: Whether another significant child is starting, running or restarting.
    """
    if not significant or verdict not in (Verdict.STAY, Verdict.FORGET):
        return False

    match auto_shutdown:
        case AutoShutdown.NEVER:
            return False
        case AutoShutdown.ANY_SIGNIFICANT:
            return True
        case AutoShutdown.ALL_SIGNIFICANT:
            return not others_active
        case _:
            assert_never(auto_shutdown)
