"""Probes: each in its time, of the connection that is open; and enough bad ones end it."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import define

from ....policy.health import ProbeVerdict
from ....telemetry import (
    InstanceConnected,
    InstanceDisconnected,
    InstanceHandedOver,
    ProbeCompleted,
    RuntimeStarted,
)
from ..facts import Born, Looked
from ..world import World
from .base import EPSILON, Hear, Law

BATCH = 0.011
"""Seconds by which what is due may be late, as one look serves all that is due by then."""
LATE = 5.0
"""Seconds that a probe may wait for its turn."""


@define
class _Row:
    """What the probes of one connection have said."""

    generation: int
    at: float
    """When the last one ended, or the connection was opened."""
    good: bool | None = None
    streak: int = 0
    recoverable: int = 0
    passed: bool = False


class Probes(Law):
    """A verdict is about the connection that is open, its row is counted, and what fails ends."""

    name = "probes"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._rows: dict[str, _Row] = {}

    def hears(self) -> Mapping[type, Hear]:
        """Return what to call."""
        return {
            Born: self._closed,
            RuntimeStarted: lambda _: self._rows.clear(),
            InstanceConnected: self._connected,
            InstanceDisconnected: self._closed,
            InstanceHandedOver: self._closed,
            ProbeCompleted: self._completed,
            Looked: self._looked,
        }

    def _connected(self, event: InstanceConnected) -> None:
        self._rows[event.instance_id or ""] = _Row(event.generation, event.at)

    def _closed(self, happened: Born | InstanceDisconnected | InstanceHandedOver) -> None:
        self._rows.pop(happened.instance_id or "", None)

    def _completed(self, event: ProbeCompleted) -> None:
        who = event.instance_id or ""
        row, policy = self._rows.get(who), self.members[who].probe
        if row is None or policy is None or row.generation != event.generation:
            self.broken(event.at, f"{who}: a verdict about {event.generation}, {row} is open")
            return

        good = event.cause is None
        if good != (event.verdict is ProbeVerdict.OK):
            self.broken(event.at, f"{who}: {event.verdict} by {event.cause}")
        if event.latency > policy.timeout + BATCH:
            self.broken(event.at, f"{who}: a probe took {event.latency} s of {policy.timeout}")
        if event.latency > policy.timeout - EPSILON and good:
            self.broken(event.at, f"{who}: a probe took all of its time, and passed")
        row.streak = row.streak + 1 if good == row.good else 1
        if event.streak != row.streak:
            self.broken(event.at, f"{who}: a row of {event.streak}, {row.streak} are told")
        bad = event.verdict is ProbeVerdict.RECOVERABLE
        row.recoverable = row.recoverable + 1 if bad else 0
        row.good, row.at, row.passed = good, event.at, row.passed or good

    def _looked(self, fact: Looked) -> None:
        """Nothing moves: whatever a verdict leads to has been done, and no probe is overdue."""
        row, policy = self._rows.get(fact.instance_id), self.members[fact.instance_id].probe
        if row is None or policy is None or not fact.health.connected:
            return

        who = fact.instance_id
        passed = row.passed or policy.startup_failures is None
        limit = policy.failures_to_fail if passed else policy.startup_failures
        if limit is not None and row.recoverable >= limit:
            self.broken(fact.at, f"{who} is connected after {row.recoverable} failed probes")
        overdue = fact.at - row.at - policy.interval * (1 + policy.jitter) - policy.timeout - LATE
        if overdue > 0 and fact.health.generation == row.generation:
            self.broken(fact.at, f"{who}: a probe is {overdue:g} s overdue")
