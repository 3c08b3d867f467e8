"""Whatever goes wrong for an instance was aimed at it; and when that is over, it is well again."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from itertools import accumulate

from ....policy.failures import Cause
from ....policy.status import InstanceStatus
from ....telemetry import (
    ChildExited,
    ChildParked,
    ChildStartFailed,
    HookFailed,
    InstanceConnected,
    InstanceDegraded,
    InstanceDisconnected,
    InstanceFailed,
    ProbeCompleted,
    ReconnectFailed,
    RuntimeStarted,
    RuntimeStopping,
)
from ....telemetry.schema import Event
from ..facts import Looked, number_of
from ..world import Happening, Member, What, World
from .base import EPSILON, Hear, Law

EXPLAINED: Mapping[str, frozenset[What]] = {
    # What does not answer is given less time to be closed.
    "close_timeout": frozenset({What.SLOW_CLOSE, What.MUTE}),
    "connect_timeout": frozenset({What.HANG}),
    "probe_timeout": frozenset({What.MUTE}),
    "returned": frozenset({What.FINISH}),
    "drain_requested": frozenset({What.DRAIN}),
    "pause_requested": frozenset(What),
    "reconnect_requested": frozenset({What.RECONNECT}),
    "rotation_requested": frozenset({What.ROTATE}),
    "stop_requested": frozenset(What),  # by a failure of its own children, too
    "reported": frozenset({What.REPORT}),
}
"""By a reason that the library gives itself: what must have happened to the instance."""
BESIDE = 10.0
"""Seconds for which a connection may have been there before it was told of: its children start."""
LINGERS = 600.0
"""Seconds after which nothing can be explained any more by what is over: a stop, a closing, the
last timeout."""


class Isolation(Law):
    """Each failure of an instance was led to by something that happened to it, or to its provider.

    So whatever befalls an instance, its neighbours see nothing.
    """

    name = "isolation"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._by_number = {each.number: each for each in world.schedule}
        self._of: dict[str, list[Happening]] = {
            member.id: [each for each in world.schedule if touches(world, each, member)]
            for member in world.members
        }
        self._ending = False

    def hears(self) -> Mapping[type, Hear]:
        """Return what to call."""
        return {
            RuntimeStarted: self._begins,
            RuntimeStopping: self._ends,
            InstanceDisconnected: self._failed,
            ReconnectFailed: self._failed,
            InstanceDegraded: self._failed,
            InstanceFailed: self._failed,
            ChildExited: self._failed,
            ChildStartFailed: self._failed,
            ChildParked: self._failed,
            ProbeCompleted: self._failed,
            HookFailed: self._failed,
            InstanceConnected: self._connected,
        }

    def _begins(self, _: RuntimeStarted) -> None:
        self._ending = False

    def _ends(self, _: RuntimeStopping) -> None:
        self._ending = True

    def _failed(self, event: Event) -> None:
        cause: Cause | None = getattr(event, "cause", None)
        if cause is None or getattr(event, "hook", None) == "wall_clock":
            return

        who = event.instance_id
        if who is None or not self._is_explained(who, cause, event.at, _began(event)):
            self.broken(event.at, f"{who}: {event.name} by {cause}, which nothing led to")

    def _is_explained(self, who: str, cause: Cause, now: float, since: float) -> bool:
        number = number_of(cause)
        if number is not None:
            led = self._by_number.get(number)
            return led in self._of[who] and led.at - EPSILON <= now and led.ends >= since

        if cause.planned and math.isfinite(self.members[who].reconnect.max_age):
            return True

        if self._ending and cause.reason == "stop_requested":
            return True

        kinds = EXPLAINED.get(cause.reason, frozenset())
        return any(each.what in kinds and _recent(each, now) for each in self._of[who])

    def _connected(self, event: InstanceConnected) -> None:
        """A connection that nothing slows down takes as long as its own parts take."""
        member = self.members[event.instance_id or ""]
        began = event.at - event.elapsed
        if member.overlaps or math.isfinite(member.reconnect.max_age):
            return  # the old one may still be closed

        if any(_near(each, began, event.at) for each in self._of[member.id]):
            return

        parts = member.takes + sum(worker.starts_in for worker in member.workers)
        if abs(event.elapsed - parts) > EPSILON:
            self.broken(event.at, f"{member.id} connects in {event.elapsed} s, not in {parts} s")


def touches(world: World, happening: Happening, member: Member) -> bool:
    """Tell whether something happens to a member; what is done to the runtime is done to all."""
    if happening.what in (What.CANCEL, What.GIVE_UP, What.APPLY):
        return True

    return world.hits(happening, member)


def _began(event: Event) -> float:
    """Return when the connection that ends, or the attempt that fails, may have begun.

    What was over by then cannot have led to it: a dead connection must not judge a living one.
    """
    if isinstance(event, InstanceDisconnected):
        return event.at - event.uptime - BESIDE
    if isinstance(event, ReconnectFailed):
        return event.at - event.elapsed - EPSILON

    return 0.0


def _recent(happening: Happening, now: float) -> bool:
    return happening.at - EPSILON <= now <= happening.ends + LINGERS


def _near(happening: Happening, began: float, ended: float) -> bool:
    # Before it began: an older connection may still be closing, and what comes next waits for it.
    return happening.at - EPSILON <= ended and began - LINGERS <= happening.ends


class Recovery(Law):
    """An instance that nothing keeps from it is connected within its bound, and well after that."""

    name = "recovery"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._calm = {member.id: _Calm(world, member) for member in world.members}
        self._bounds = {member.id: bound(world, member) for member in world.members}
        self._lost_at: dict[str, float] = {}

    def hears(self) -> Mapping[type, Hear]:
        """Return what to call."""
        return {Looked: self._looked, InstanceDisconnected: self._lost}

    def _lost(self, event: InstanceDisconnected) -> None:
        # By its age, too: then nothing has happened to it, and it is away for a moment.
        self._lost_at[event.instance_id or ""] = event.at

    def _looked(self, fact: Looked) -> None:
        health, who = fact.health, fact.instance_id
        if health.status in _AWAY or health.draining:
            return

        since = max(self._calm[who].since(fact.at), fact.at - health.uptime)
        calm = fact.at - max(since, self._lost_at.get(who, 0.0))
        most = self._bounds[who]
        if calm <= most:
            return

        if not health.connected:
            self.broken(fact.at, f"{who} is {health.status} after {calm:g} s of calm, of {most:g}")
        ill = [each.what for each in health.degraded if each.what in ("reconnect", "probe")]
        if ill and calm > most + proving(self.members[who]):
            self.broken(fact.at, f"{who} is degraded by {ill} after {calm:g} s of calm")


_AWAY = frozenset(
    {InstanceStatus.PAUSED, InstanceStatus.FAILED, InstanceStatus.STOPPED, InstanceStatus.STOPPING}
)


class _Calm:
    """Since when nothing goes wrong for a member, at any time.

    Args:
        world: What is played.
        member: Whose calm it is.
    """

    def __init__(self, world: World, member: Member) -> None:
        # Who shares a budget waits for the others, too.
        mates = [each for each in world.members if each.provider == member.provider]
        budgets = {each.name for each in world.providers if each.budget is not None}
        who = mates if member.provider in budgets else [member]
        hit = [h for h in world.schedule if any(touches(world, h, each) for each in who)]
        self._starts = [each.at for each in hit]
        self._ends = list(accumulate((each.ends for each in hit), max))

    def since(self, now: float) -> float:
        """Return the end of what began last, or ends last; 0.0 before anything happens."""
        index = bisect_right(self._starts, now)
        return self._ends[index - 1] if index else 0.0


def bound(world: World, member: Member) -> float:
    """Return within how many seconds of calm a member is connected, whatever went before."""
    policy = member.reconnect
    hints = [h.cause.retry_after or 0.0 for h in world.schedule if h.cause is not None]
    workers = (*member.own, *member.workers)
    tidying = sum(worker.cleanup + worker.starts_in + 5.0 for worker in workers)
    delays = max(policy.backoff.cap, policy.slow.cap, max(hints, default=0.0) + 5.0)
    backoff = 0.0 if member.child_backoff is None else member.child_backoff.cap
    # It may wait, be in an attempt that fails by its timeout when the calm begins, close that, and
    # wait once more; and its own children may have to come up.
    once = delays + policy.connect_timeout + policy.close_timeout + tidying + backoff
    return 2 * once + _noticing(member) + _queueing(world, member) + 10.0


def _noticing(member: Member) -> float:
    probe = member.probe
    if probe is None:
        return 0.0

    return (probe.failures_to_fail + 1) * (probe.interval * (1 + probe.jitter) + probe.timeout)


def _queueing(world: World, member: Member) -> float:
    budget = next(each.budget for each in world.providers if each.name == member.provider)
    if budget is None:
        return 0.0

    mates = sum(1 for each in world.members if each.provider == member.provider)
    line = 2 * mates / budget.attempts_per_second
    if budget.in_flight is not None:
        line += 2 * mates * (member.takes + 1.0)
    if budget.attempts_per_day is not None:
        line += 86_400.0
    breaker = budget.breaker
    if breaker is not None:
        line += 3 * (breaker.backoff.cap + breaker.patience + breaker.stable_after + 30.0)
    return line


def proving(member: Member) -> float:
    """Return within how many seconds a connection is proven, and its probes forgive it."""
    policy, probe = member.reconnect, member.probe
    proving = max(policy.stable_after, policy.slow.cap, policy.backoff.cap) + 60.0
    if probe is not None:
        proving += (probe.successes_to_recover + 1) * (2 * probe.interval + probe.timeout)
    return proving
