"""The order of things: time goes on, and stops come in reverse start order, one after the other."""

from __future__ import annotations

from collections.abc import Mapping

from ....policy.strategies import StopOrder, Strategy
from ....telemetry import (
    ChildDeclined,
    ChildExited,
    ChildRestarting,
    ChildStarted,
    ChildStartFailed,
    ChildStopped,
    ChildStopping,
    InstanceStopped,
    InstanceStopping,
    RuntimeStopped,
    RuntimeStopping,
)
from ....telemetry.schema import EVENTS, ChildEvent, Event
from ..facts import Ending
from ..world import Member, World
from .base import Hear, Law


class TimeGoesOn(Law):
    """No event is told after one with a later time, and none after the end of its runtime."""

    name = "time goes on"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._now = 0.0
        self._stopped = False

    def hears(self) -> Mapping[type, Hear]:
        """Return what to call."""
        return dict.fromkeys(EVENTS.values(), self._told)

    def _told(self, event: Event) -> None:
        if event.at < self._now:
            self.broken(event.at, f"{event.name} comes after an event at {self._now}")
        self._now = event.at
        name = event.name
        if name.startswith("runtime."):
            self._stopped = name == "runtime.stopped"
        elif self._stopped and name != "status.changed":
            self.broken(event.at, f"{name} of {event.instance_id} after the end of the runtime")


class StopOrderOfRuntime(Law):
    """A runtime stops its instances in reverse start order, each when the one before has ended."""

    name = "stop order of a runtime"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._places: dict[str, int] = {}
        self._ending = False
        self._last = 0
        self._stopping: set[str] = set()

    def hears(self) -> Mapping[type, Hear]:
        """Return what to call."""
        if self.world.stop_order is not StopOrder.REVERSE:
            return {}

        return {
            Ending: self._known,
            RuntimeStopping: self._begins,
            InstanceStopping: self._asked,
            InstanceStopped: self._ended,
            RuntimeStopped: self._over,
        }

    def _known(self, fact: Ending) -> None:
        self._places = {each: place for place, each in enumerate(fact.ids)}

    def _begins(self, _: RuntimeStopping) -> None:
        self._ending = True
        self._last = len(self._places)
        self._stopping.clear()  # what an operator has begun to stop is in nobody's way

    def _asked(self, event: InstanceStopping) -> None:
        who = event.instance_id or ""
        if self._ending:
            place = self._places.get(who, -1)
            self.require(not self._stopping, event.at, f"{who} beside {self._stopping}")
            self.require(place < self._last, event.at, f"{who} is out of its turn")
            self._last = place
        self._stopping.add(who)

    def _ended(self, event: InstanceStopped) -> None:
        self._stopping.discard(event.instance_id or "")

    def _over(self, event: RuntimeStopped) -> None:
        self.require(not self._stopping, event.at, f"{self._stopping} were asked to stop only")
        self._ending = False


class StopOrderOfChildren(Law):
    """A child is asked to stop when all that started after it have ended."""

    name = "stop order of children"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._up: dict[tuple[str, int | None], set[str]] = {}
        self._orders = {member.id: start_orders(member) for member in world.members}

    def hears(self) -> Mapping[type, Hear]:
        """Return what to call."""
        ends = (ChildExited, ChildStopped, ChildStartFailed, ChildDeclined)
        return {
            ChildStarted: self._started,
            ChildStopping: self._stopping,
            **dict.fromkeys(ends, self._ended),
        }

    @staticmethod
    def _owner(event: ChildEvent) -> tuple[str, int | None]:
        return event.path.rpartition("/")[0], event.generation

    def _started(self, event: ChildStarted) -> None:
        self._up.setdefault(self._owner(event), set()).add(event.child)

    def _stopping(self, event: ChildStopping) -> None:
        owner = self._owner(event)
        if "/" not in owner[0]:
            return  # instances: an operator stops them in any order

        own, of_connection = self._orders[event.instance_id or ""]
        order = own if event.generation is None else of_connection
        later = set(order[order.index(event.child) + 1 :]) & self._up.get(owner, set())
        self.require(not later, event.at, f"{event.path} is asked to stop before {later}")

    def _ended(self, event: ChildEvent) -> None:
        owner = self._owner(event)
        up = self._up.get(owner, set())
        up.discard(event.child)
        if not up:
            self._up.pop(owner, None)


class Groups(Law):
    """What restarts as a group has ended before the one that failed begins again."""

    name = "groups"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._up: dict[tuple[str, int], set[str]] = {}
        self._due: dict[tuple[str, int, str], set[str]] = {}
        """What must end before a child begins again."""

    def hears(self) -> Mapping[type, Hear]:
        """Return what to call."""
        ends = (ChildExited, ChildStopped)
        return {
            ChildStarted: self._started,
            ChildRestarting: self._restarting,
            **dict.fromkeys(ends, self._ended),
        }

    def _started(self, event: ChildStarted) -> None:
        if event.generation is None:
            return  # an instance's own children are restarted one for one

        who = event.instance_id or ""
        left = self._due.pop((who, event.generation, event.child), None)
        self.require(not left, event.at, f"{event.path} begins again before {left} have ended")
        self._up.setdefault((who, event.generation), set()).add(event.child)

    def _restarting(self, event: ChildRestarting) -> None:
        if event.generation is None:
            return

        member = self.members[event.instance_id or ""]
        _, order = start_orders(member)
        group = {
            Strategy.ONE_FOR_ONE: [],
            Strategy.ONE_FOR_ALL: order,
            Strategy.REST_FOR_ONE: order[order.index(event.child) :],
        }[member.strategy]
        up = self._up.get((member.id, event.generation), set())
        self._due[member.id, event.generation, event.child] = up & set(group)

    def _ended(self, event: ChildEvent) -> None:
        if event.generation is None:
            return

        who = event.instance_id or ""
        self._up.get((who, event.generation), set()).discard(event.child)
        for (owner, generation, _), left in self._due.items():
            if (owner, generation) == (who, event.generation):
                left.discard(event.child)


def start_orders(member: Member) -> tuple[list[str], list[str]]:
    """Return the names of an instance's own children, and of its connection's, in start order."""
    own = [*(worker.name for worker in member.own), "connection"]
    return own, ["reader", *(worker.name for worker in member.workers)]
