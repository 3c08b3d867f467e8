"""The counters and states of a snapshot equal what the events have said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from attrs import define, field

from ....policy.status import InstanceStatus
from ....policy.strategies import Strategy
from ....telemetry import (
    ChildDeclined,
    ChildExited,
    ChildParked,
    ChildRestarting,
    ChildRevived,
    ChildStarted,
    ChildStartFailed,
    ChildStopped,
    InstanceConnected,
    InstanceDegraded,
    InstanceDisconnected,
    InstanceHandedOver,
    InstanceProven,
    InstanceRecovered,
    InstanceStopped,
    ReconnectAttempt,
    RuntimeStarted,
    StatusChanged,
)
from ....telemetry.schema import ChildEvent
from ..facts import Asked, Born, Counted, Looked
from ..world import REPORTS, What, World
from .base import Hear, Law


@define
class _Told:
    """What the events have said of one instance."""

    status: InstanceStatus = InstanceStatus.STOPPED
    connected: bool = False
    proven: bool = False
    reconnect_attempts: int = 0
    reconnects: int = 0
    restarts: int = 0
    failures: int | None = 0
    """Failures in a row; None where a restart may have forgotten them or not."""
    reasons: dict[str, float] = field(factory=dict)
    """Since when it is degraded by what."""
    own: set[str] = field(factory=set)
    """Its own children that run."""
    parked: set[str] = field(factory=set)
    """Its own children that are parked."""
    of_connections: dict[int, tuple[set[str], set[str]]] = field(factory=dict)
    """Those that run and those that are parked, by connection."""
    generation: int = 0

    def children(self, generation: int | None) -> tuple[set[str], set[str]]:
        """Return the children that run, and those that are parked."""
        if generation is None:
            return self.own, self.parked

        return self.of_connections.setdefault(generation, (set(), set()))


_NOTHING = _Told()
"""What is said of an instance that nothing was said of; never changed."""


class Counters(Law):
    """A snapshot, made when nothing moves, agrees with the sum of the events."""

    name = "counters"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._told: dict[str, _Told] = {}

    def hears(self) -> Mapping[type, Hear]:
        """Return what to call."""
        return {
            Born: lambda fact: self._told.update({fact.instance_id: _Told()}),
            RuntimeStarted: lambda _: self._told.clear(),
            StatusChanged: self._changed,
            InstanceConnected: self._connected,
            InstanceDisconnected: self._lost,
            InstanceHandedOver: self._handed_over,
            InstanceProven: self._proven,
            InstanceStopped: self._stopped,
            ReconnectAttempt: self._attempts,
            InstanceDegraded: self._degraded,
            InstanceRecovered: self._recovered,
            Asked: self._asked,
            ChildStarted: self._up,
            ChildRestarting: self._restarts,
            ChildParked: self._parked,
            **dict.fromkeys(_DOWN, self._down),
            Looked: self._looked,
            Counted: self._counted,
        }

    def _of(self, event: Any) -> _Told:
        return self._told.setdefault(event.instance_id, _Told())

    def _changed(self, event: StatusChanged) -> None:
        told = self._of(event)
        told.status = event.status
        if event.status is InstanceStatus.STARTING:
            told.reasons.clear()
            if event.previous in _BETWEEN_RUNS and told.failures is not None:
                told.failures = 0  # somebody has asked for it: by itself it comes from elsewhere

    def _asked(self, fact: Asked) -> None:
        told = self._told.get(fact.instance_id)
        if told is None:
            return

        if fact.verb == What.SUCCEED:
            told.failures = 0
        elif fact.verb == What.REPORT:
            uncertain = told.failures is None or told.status in _BETWEEN_RUNS
            told.failures = None if uncertain else (told.failures or 0) + REPORTS

    def _connected(self, event: InstanceConnected) -> None:
        told = self._of(event)
        told.connected, told.proven, told.generation = True, False, event.generation
        told.reconnects += event.generation > 1

    def _lost(self, event: InstanceDisconnected) -> None:
        told = self._of(event)
        told.connected = told.proven = False

    def _handed_over(self, event: InstanceHandedOver) -> None:
        self._of(event).of_connections.pop(event.previous, None)

    def _proven(self, event: InstanceProven) -> None:
        self._of(event).proven = True

    def _stopped(self, event: InstanceStopped) -> None:
        self._of(event).of_connections.clear()

    def _attempts(self, event: ReconnectAttempt) -> None:
        self._of(event).reconnect_attempts += 1

    def _degraded(self, event: InstanceDegraded) -> None:
        self._of(event).reasons[event.what] = event.at

    def _recovered(self, event: InstanceRecovered) -> None:
        self._of(event).reasons.pop(event.what, None)

    # --- children --------------------------------------------------------------------------------

    def _up(self, event: ChildStarted) -> None:
        if _is_within(event):
            running, parked = self._of(event).children(event.generation)
            running.add(event.child)
            parked.discard(event.child)

    def _down(self, event: ChildEvent) -> None:
        if _is_within(event):
            running, parked = self._of(event).children(event.generation)
            running.discard(event.child)
            if not isinstance(event, ChildStartFailed):
                parked.discard(event.child)

    def _restarts(self, event: ChildRestarting) -> None:
        self._of(event).restarts += 1

    def _parked(self, event: ChildParked) -> None:
        if _is_within(event):
            self._of(event).children(event.generation)[1].add(event.child)
        else:
            self._of(event).parked.clear()  # the whole instance has gone down

    # --- what is said ----------------------------------------------------------------------------

    def _looked(self, fact: Looked) -> None:
        health, told = fact.health, self._told.get(fact.instance_id, _NOTHING)
        for name in ("status", "connected", "reconnect_attempts", "reconnects", "restarts"):
            said, summed = getattr(health, name), getattr(told, name)
            if said != summed:
                text = f"{fact.instance_id}: {name} is {said}, the events say {summed}"
                self.broken(fact.at, text)
        proven = told.connected and told.proven
        if health.proven != proven:
            text = f"{fact.instance_id}: proven is {health.proven}, the events say {proven}"
            self.broken(fact.at, text)
        if told.failures not in (None, health.failures_in_a_row):
            said = f"{health.failures_in_a_row} failures in a row"
            self.broken(fact.at, f"{fact.instance_id}: {said}, it was told of {told.failures}")
        reasons = {each.what: each.since for each in health.degraded}
        if reasons != told.reasons:
            text = f"{fact.instance_id}: degraded by {reasons}, the events say {told.reasons}"
            self.broken(fact.at, text)
        if health.connected and health.status is not InstanceStatus.STOPPING:
            self._compare_children(fact, told)

    def _compare_children(self, fact: Looked, told: _Told) -> None:
        health = fact.health
        running = {(c.of_connection, c.name) for c in health.children if c.state == "running"}
        stopping = {(c.of_connection, c.name) for c in health.children if c.state == "stopping"}
        summed = {(False, name) for name in told.own}
        summed |= {(True, name) for name in told.children(health.generation)[0]}
        # In a group an exit is settled when its turn comes; until then the child counts as running.
        settled = self.members[fact.instance_id].strategy is Strategy.ONE_FOR_ONE
        if not summed <= running | stopping or (settled and not running <= summed):
            text = f"{fact.instance_id}: {sorted(running)} run, the events say {sorted(summed)}"
            self.broken(fact.at, text)
        if health.children_running != len(running) or health.children_total != len(health.children):
            self.broken(fact.at, f"{fact.instance_id}: its children are miscounted")

    def _counted(self, fact: Counted) -> None:
        by_status = Counter(self._told.get(each, _NOTHING).status for each in fact.ids)
        said = {status: number for status, number in fact.by_status.items() if number}
        if fact.total != len(fact.ids) or said != dict(by_status):
            self.broken(fact.at, f"{said} of {fact.total}, the events say {dict(by_status)}")


_BETWEEN_RUNS = {InstanceStatus.STOPPED, InstanceStatus.FAILED, InstanceStatus.STOPPING}
"""What is said of an instance before a start that somebody has asked for."""
_DOWN = (ChildExited, ChildStopped, ChildDeclined, ChildStartFailed, ChildRevived)


def _is_within(event: ChildEvent) -> bool:
    """Tell whether a child is within an instance, and not its connection loop, nor the instance."""
    return event.path.count("/") > 1 and not event.path.endswith("/connection")
