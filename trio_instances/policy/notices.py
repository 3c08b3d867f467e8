"""What the init system is told, and when: the sd_notify protocol as decisions.

`step` looks at the facts and says which assignments to send. Whoever sends them sleeps, looks
again, and keeps the new state only if the sending went well.
"""

from __future__ import annotations

import math
from typing import final

from attrs import evolve, frozen

from .mistakes import MistakeList
from .standing import Standing, Start
from .status import InstanceStatus

STATUS = "STATUS="
"""What an assignment of the status begins with; the rest may be any text."""


@final
@frozen(kw_only=True)
class InitPolicy:
    """When the init system is told that the process gets on."""

    overdue_after: float = 30.0
    """Seconds by which a connection machine may be late; then it does not get on.

    It is late by milliseconds at worst where nothing is wrong, so that any number of seconds would
    do; half a minute is for machines that swap, or are suspended.
    """
    overdue_tolerated: int = 0
    """How many instances may be late without stopping the watchdog.

    A late one is a channel, a child or a probe that ignores its cancellation, or a mistake of the
    library. No verb can mend it, only a new process; but that costs all the others their
    connections.
    """
    failed_stops_watchdog: bool = False
    """Whether a required instance that has failed for good stops the watchdog.

    By default it does not: a new process would have the same bad password.
    """
    extension: float = 30.0
    """Seconds that are asked for each time, while it starts or stops and gets on; at least 1."""

    def __attrs_post_init__(self) -> None:
        wrong = MistakeList("InitPolicy")
        wrong.number("overdue_after", self.overdue_after, finite=True)
        wrong.whole("overdue_tolerated", self.overdue_tolerated)
        wrong.boolean("failed_stops_watchdog", self.failed_stops_watchdog)
        wrong.number("extension", self.extension, at_least=1.0, finite=True)
        wrong.raise_any()


@final
@frozen(kw_only=True)
class Facts:
    """What is known at one look."""

    start: Start
    words: str
    """How the fleet stands."""
    overdue: tuple[Standing, ...] = ()
    """The instances that are late."""
    stopping: bool = False
    """Whether the runtime has begun to end."""
    stuck: tuple[str, ...] = ()
    """The paths of children that were cancelled and do not end."""


@final
@frozen
class NoticeState:
    """What the init system was told."""

    ready: bool = False
    stopping: bool = False
    status: str = ""
    watchdog_at: float = -math.inf
    """When the watchdog was fed last."""
    extended_at: float = -math.inf
    """When more time was asked for last."""


def step(
    state: NoticeState, facts: Facts, policy: InitPolicy, watchdog: float | None, now: float
) -> tuple[NoticeState, tuple[str, ...]]:
    """Decide what to say now.

    Args:
        state: What was said.
        facts: What is known.
        policy: What counts as getting on.
        watchdog: Seconds after which the init system gives the process up; None: never.
        now: The time, in seconds of a monotonic clock.

    Returns:
        The state once it is said, and the assignments in order; none where there is nothing new.
    """
    said: list[str] = []
    if facts.stopping and not state.stopping:
        # From now on the time for stopping counts, and none of it was extended.
        state = evolve(state, stopping=True, extended_at=-math.inf)
        said.append("STOPPING=1")
    if facts.start.done and not (state.ready or state.stopping):
        state = evolve(state, ready=True)
        said.append("READY=1")
    status = status_text(facts)
    if status != state.status:
        state = evolve(state, status=status)
        said.append(STATUS + status)
    if gets_on(facts, policy):
        if watchdog is not None and now - state.watchdog_at >= watchdog / 2:
            state = evolve(state, watchdog_at=now)
            said.append("WATCHDOG=1")
        if _needs_time(state, facts) and now - state.extended_at >= policy.extension / 3:
            state = evolve(state, extended_at=now)
            said.append(f"EXTEND_TIMEOUT_USEC={round(policy.extension * 1e6)}")
    return state, tuple(said)


def gets_on(facts: Facts, policy: InitPolicy) -> bool:
    """Tell whether the runtime makes progress.

    While it runs: the connection machines go on when they must. While it stops: no child that was
    cancelled is stuck; one that uses the time that its ``shutdown`` gives it gets on.
    """
    if facts.stopping:
        return not facts.stuck
    if len(facts.overdue) > policy.overdue_tolerated:
        return False

    failed = any(each.status is InstanceStatus.FAILED for each in facts.start.missing)
    return not (policy.failed_stops_watchdog and failed)


def _needs_time(state: NoticeState, facts: Facts) -> bool:
    """Tell whether it starts or stops. A start that no waiting can end gets no more time."""
    return facts.stopping or (not state.ready and facts.start.possible)


def status_text(facts: Facts) -> str:
    """Return the line that people read."""
    line = f"stopping: {facts.words}" if facts.stopping else facts.words
    if facts.stuck:
        line += f"; stuck: {', '.join(facts.stuck)}"
    if facts.overdue:
        line += f"; not getting on: {', '.join(each.instance_id for each in facts.overdue)}"
    return line
