"""How a fleet stands: whether its start is done, whether it gets on, whether all of it is down.

Each instance is judged by a few facts about it, which are cheap to have, so that thousands of
instances can be looked at every second.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import final

from attrs import evolve, frozen

from .failures import Cause, WhoMustAct
from .reconnect import ReconnectPolicy
from .signals import ConnectionState, Phase
from .status import InstanceStatus, StatusState

_S = InstanceStatus
_LEFT_OUT = frozenset({_S.FAILED, _S.PAUSED, _S.STOPPING, _S.STOPPED})
_LISTED = 3


@final
@frozen
class Standing:
    """How one instance stands at one moment: much less than its health, and much cheaper."""

    instance_id: str
    """Its id."""
    status: InstanceStatus
    """What is said of it."""
    connected: bool
    """Whether it has a connection."""
    steady: bool
    """Whether that connection has lasted as long as one must to be proven, data or not."""
    proven: bool
    """Whether that connection is proven."""
    due_by: float
    """When its connection machine must have gone on, at the latest, in seconds of
    `trio.current_time`; infinite where it waits for nothing that has a time."""
    cause: Cause | None
    """Its last failure of any kind."""
    to_mend: Cause | None = None
    """What somebody must act on, and who; see the function of this name."""


def to_mend(state: StatusState, connection: ConnectionState, failure: Cause | None) -> Cause | None:
    """Return the cause that somebody must act on; None where nobody must.

    A cause speaks only while it explains how the instance is: that it has failed, or one of the
    reasons why it is degraded. What once ended a connection says nothing about the next one.

    Args:
        state: What is said of the instance, and why.
        connection: What its connection machine knows.
        failure: Why it has failed, if it has.
    """
    explaining: list[Cause | None] = []
    closing = gives_up(state, connection)
    if state.status is _S.FAILED or closing:
        explaining.append(failure)
    elif state.status is _S.DEGRADED:
        explaining += [reason.why for reason in state.reasons]
    for cause in explaining:
        if cause is not None and cause.who_must_act is not WhoMustAct.NOBODY:
            return cause
    if (connection.needs_attention or closing) and connection.cause is not None:
        return evolve(connection.cause, who_must_act=WhoMustAct.OPERATOR)

    return None


def gives_up(state: StatusState, connection: ConnectionState) -> bool:
    """Tell whether no attempt will come, though the instance is not parked: it still closes."""
    return connection.phase is Phase.FAILED and state.link is _S.RECONNECTING


def due_by(
    state: ConnectionState, policy: ReconnectPolicy, deadlines: Iterable[float] = ()
) -> float:
    """Return when a connection machine must have gone on, at the latest.

    What waits for its turn in a connection budget has no such time.

    Args:
        state: What the machine knows.
        policy: How connections are made.
        deadlines: Until when the generations of which something is left must have opened, or
            closed; infinite for one that is open.
    """
    times = [math.inf, *deadlines]
    if state.phase is Phase.WAITING and state.next_retry_at is not None:
        # The connection that was lost may take all its time to close before the next one is due.
        times.append(state.next_retry_at + policy.close_timeout)
    return min(times)


def overdue(
    standings: Sequence[Standing], now: float, after: float, resumed_at: float = -math.inf
) -> tuple[Standing, ...]:
    """Return the instances whose machines should have gone on more than `after` seconds ago.

    Args:
        standings: All instances.
        now: The time, in seconds of a monotonic clock.
        after: Seconds by which a machine may be late.
        resumed_at: When the whole process went on after it was held up, last. What was due
            meanwhile counts as due then.
    """
    return tuple(each for each in standings if now - max(each.due_by, resumed_at) > after)


# --- the start -----------------------------------------------------------------------------------


@final
@frozen
class Start:
    """Whether the start of a fleet is done, and what it still needs."""

    done: bool
    """Whether all that is required is proven."""
    possible: bool
    """Whether waiting can bring it about; otherwise somebody must act."""
    missing: tuple[Standing, ...]
    """The required instances that are not proven, in start order."""
    unknown: tuple[str, ...] = ()
    """The required ids that no instance has."""


def judge_start(standings: Sequence[Standing], required: Collection[str] | None = None) -> Start:
    """Judge whether the start of a fleet is done.

    Where ids are required by name, each must be proven; one that has failed for good keeps the
    start from being done until somebody has acted. Where none is named, all are required, but for
    those that no waiting can prove: those that have failed for good, and those that an operator has
    paused or stopped. So one bad password does not keep the others from their work, as long as
    there is at least one other.

    Args:
        standings: All instances, in start order.
        required: The ids of the required ones; None for all.
    """
    if required is None:
        missing = tuple(each for each in standings if not each.proven)
        wanted = [each for each in standings if each.proven or each.status not in _LEFT_OUT]
        done = bool(wanted) and all(each.proven for each in wanted)
        paused = any(each.status is _S.PAUSED for each in standings)
        return Start(done, bool(wanted) or paused, missing)

    names = frozenset(required)
    unknown = tuple(sorted(names - {each.instance_id for each in standings}))
    missing = tuple(s for s in standings if s.instance_id in names and not s.proven)
    hopeless = any(each.status is _S.FAILED for each in missing)
    return Start(not missing and not unknown, not hopeless and not unknown, missing, unknown)


# --- down ----------------------------------------------------------------------------------------


def all_down(standings: Sequence[Standing]) -> bool:
    """Tell whether no instance has a connection, of those that no operator has paused.

    Where there is none of those, nothing is down: somebody wants it so.
    """
    wanted = [each for each in standings if each.status is not _S.PAUSED]
    return bool(wanted) and not any(each.connected for each in wanted)


def down_since(since: float, standings: Sequence[Standing], now: float) -> float:
    """Return since when there has been no steady connection.

    A connection counts once it is steady. Otherwise a server that accepts and then closes, again
    and again, would make a fleet look up for ever.

    Args:
        since: What it returned last; in the beginning, when the instances were started.
        standings: All instances.
        now: The time, in seconds of a monotonic clock.
    """
    wanted = [each for each in standings if each.status is not _S.PAUSED]
    return now if not wanted or any(each.steady for each in wanted) else since


# --- in words ------------------------------------------------------------------------------------


def in_words(standings: Sequence[Standing]) -> str:
    """Return how a fleet stands as one line: how many have which status, and who must act.

    Texts from the other side of a connection may be in it, as they are.
    """
    total = len(standings)
    by_status = Counter(each.status for each in standings)
    counts = ", ".join(f"{by_status[word]} {word}" for word in _S if by_status[word])
    line = f"{total} instance{'' if total == 1 else 's'}" + (f": {counts}" if counts else "")
    wanted = [
        f"{each.instance_id} by {each.to_mend.who_must_act} ({each.to_mend.reason})"
        for each in standings
        if each.to_mend is not None
    ]
    if not wanted:
        return line

    more = f" and {len(wanted) - _LISTED} more" if len(wanted) > _LISTED else ""
    return f"{line}; to be mended: {', '.join(wanted[:_LISTED])}{more}"
