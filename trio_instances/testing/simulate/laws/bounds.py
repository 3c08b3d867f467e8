"""What has a budget ends within it: attempts, closings, stops."""

from __future__ import annotations

from collections.abc import Mapping

from ....telemetry import ChildStopping, HookFailed, InstanceDisconnected, InstanceStopped
from ..facts import Cut, Entered, Left, Looked, Opened, Over
from ..world import Member, World
from .base import EPSILON, Hear, Law


class BoundedStops(Law):
    """A stop takes no longer than the budgets of what is in it, and what its cleanup asks for."""

    name = "bounded stops"

    def hears(self) -> Mapping[type, Hear]:
        """Return what to call."""
        return {InstanceStopped: self._stopped}

    def _stopped(self, event: InstanceStopped) -> None:
        member = self.members[event.instance_id or ""]
        # The connection, its successor, and one that is being closed already.
        bound = 3 * (tidying(member) + member.reconnect.close_timeout)
        elapsed = event.elapsed or 0.0
        text = f"{member.id} took {elapsed:g} s of {bound:g}"
        self.require(elapsed <= bound + EPSILON, event.at, text)


class BoundedConnections(Law):
    """An attempt opens or ends in its time; a connection that is lost is closed in its time."""

    name = "bounded connections"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._attempts: dict[tuple[int, int], float] = {}
        self._lost: dict[str, float] = {}

    def hears(self) -> Mapping[type, Hear]:
        """Return what to call."""
        return {
            Entered: self._entered,
            Opened: self._opened,
            Left: self._left,
            InstanceDisconnected: self._disconnected,
        }

    def _entered(self, fact: Entered) -> None:
        if fact.what == "connect":
            self._attempts[fact.channel, fact.number] = fact.at

    def _opened(self, fact: Opened | Left) -> None:
        began = self._attempts.pop((fact.channel, fact.number), fact.at)
        took, limit = fact.at - began, self.members[fact.instance_id].reconnect.connect_timeout
        if took > limit + EPSILON:
            self.broken(fact.at, f"{fact.instance_id} attempts for {took:g} s of {limit:g}")

    def _disconnected(self, event: InstanceDisconnected) -> None:
        who = event.instance_id or ""
        if not self.members[who].overlaps:  # of two that are open nobody knows which one it was
            self._lost[who] = event.at

    def _left(self, fact: Left) -> None:
        if fact.what != "connect":
            return

        self._opened(fact)
        member = self.members[fact.instance_id]
        took = fact.at - self._lost.pop(member.id, fact.at)
        limit = member.reconnect.close_timeout + tidying(member)
        if took > limit + EPSILON:
            self.broken(fact.at, f"{member.id} closes for {took:g} s of {limit:g}")


class ToldClosings(Law):
    """A closing that is cut when its time is over is told of, at once."""

    name = "told closings"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._untold: dict[str, float] = {}
        self._asked: dict[str, float] = {}

    def hears(self) -> Mapping[type, Hear]:
        """Return what to call."""
        return {
            ChildStopping: self._stopping,
            Cut: self._cut,
            HookFailed: self._told,
            Looked: self._later,
            InstanceStopped: self._later,
            Over: self._over,
        }

    def _stopping(self, event: ChildStopping) -> None:
        # The loop is a child of its own only beside other ones of the instance.
        if event.child in ("connection", event.instance_id):
            self._asked[event.instance_id or ""] = event.at

    def _cut(self, fact: Cut) -> None:
        policy, who = self.members[fact.instance_id].reconnect, fact.instance_id
        limits = (policy.close_timeout, policy.deaf_close_timeout)
        in_time = all(abs(fact.after - limit) > EPSILON for limit in limits)
        if not in_time and self._asked.get(who) != fact.at:  # else it is a stop that cuts it
            self._untold[who] = fact.at

    def _told(self, event: HookFailed) -> None:
        if event.hook == "close":
            self._untold.pop(event.instance_id or "", None)

    def _later(self, happened: Looked | InstanceStopped) -> None:
        self._require(happened.instance_id or "", happened.at)

    def _over(self, fact: Over) -> None:
        for who in list(self._untold):
            self._require(who, fact.at)

    def _require(self, who: str, at: float) -> None:
        cut = self._untold.pop(who, None)
        if cut is not None:
            self.broken(at, f"{who} was cut while it closed at {cut:g} s, which nothing has told")


def tidying(member: Member) -> float:
    """Return how long the children of an instance may take to end."""
    return sum(worker.cleanup + 5.0 for worker in (*member.own, *member.workers))
