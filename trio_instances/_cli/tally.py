"""What the demo's story should give, and what the telemetry says that it gave."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import final

import trio
from attrs import frozen

from ..policy.failures import PROBE_TIMEOUT, WhoMustAct
from ..policy.requested import STOP_REQUESTED
from ..telemetry import Event, child_events, events
from .fleet import OPTIONAL, WORKER


class What(StrEnum):
    """What is counted."""

    STARTED = "instances started"
    CONNECTED = "... connected"
    REFUSED = "... refused for bad credentials and parked"
    CRASHED = "children crashed"
    RESTARTED = "... restarted"
    LOST = "connections lost with the gateway"
    IN_VAIN = "... whose instances tried in vain while it was dead"
    SILENT = "connections lost to unanswered pings"
    REMADE = "lost connections made again"
    PARKED = "optional children parked"
    DEGRADED = "... whose instance was degraded"
    RECOVERED = "... and well again when it was revived"
    CLOSED = "connections closed at the stop"
    STOPPED = "instances stopped"
    STUCK = "children stuck"
    BROKEN = "hooks failed"


def _lost_by_itself(event: Event) -> bool:
    silent = (PROBE_TIMEOUT, STOP_REQUESTED.reason)
    return isinstance(event, events.InstanceDisconnected) and event.cause.reason not in silent


def _refused(event: Event) -> bool:
    credentials = WhoMustAct.CREDENTIALS
    return isinstance(event, events.InstanceFailed) and event.cause.who_must_act is credentials


def _disconnected(reason: str) -> Callable[[Event], bool]:
    return lambda e: isinstance(e, events.InstanceDisconnected) and e.cause.reason == reason


COUNTED: Mapping[What, Callable[[Event], bool]] = {
    What.STARTED: lambda e: isinstance(e, events.InstanceStarted),
    What.CONNECTED: lambda e: isinstance(e, events.InstanceConnected) and e.generation == 1,
    What.REFUSED: _refused,
    What.CRASHED: lambda e: isinstance(e, child_events.ChildExited) and e.child == WORKER,
    What.RESTARTED: lambda e: (
        isinstance(e, child_events.ChildStarted) and e.child == WORKER and e.incarnation > 1
    ),
    What.LOST: _lost_by_itself,
    What.IN_VAIN: lambda e: isinstance(e, events.ReconnectFailed) and e.generation > 1,
    What.SILENT: _disconnected(PROBE_TIMEOUT),
    What.REMADE: lambda e: isinstance(e, events.InstanceConnected) and e.generation > 1,
    What.PARKED: lambda e: isinstance(e, child_events.ChildParked) and e.child == OPTIONAL,
    What.DEGRADED: lambda e: isinstance(e, events.InstanceDegraded) and OPTIONAL in e.what,
    What.RECOVERED: lambda e: isinstance(e, events.InstanceRecovered) and OPTIONAL in e.what,
    What.CLOSED: _disconnected(STOP_REQUESTED.reason),
    What.STOPPED: lambda e: isinstance(e, events.InstanceStopped),
    What.STUCK: lambda e: isinstance(e, child_events.ChildStuck),
    What.BROKEN: lambda e: isinstance(e, events.HookFailed),
}
"""Which events count as what."""

BY_INSTANCE = frozenset({What.IN_VAIN})
"""What counts once for each instance, because how often it happens is chance."""


@final
@frozen
class Row:
    """One line of the reckoning at the end."""

    what: str
    expected: int
    actual: int

    @property
    def right(self) -> bool:
        """Whether it is as it should be."""
        return self.expected == self.actual


@final
class Tally:
    """Counts events as they happen. `take` is a listener for the runtime's bus."""

    def __init__(self) -> None:
        self._seen: dict[What, list[str]] = {what: [] for what in What}
        self._changed = trio.Event()
        self.outages: list[float] = []
        """How many seconds each lost connection was missing."""
        self.attempts: list[float] = []
        """When each attempt to connect was begun."""

    def take(self, event: Event) -> None:
        """Count an event."""
        for what, counts in COUNTED.items():
            if counts(event):
                self._seen[what].append(event.instance_id or "")
        if isinstance(event, events.InstanceConnected) and event.outage is not None:
            self.outages.append(event.outage)
        if isinstance(event, events.InstanceConnecting):
            self.attempts.append(event.at)
        self._changed.set()
        self._changed = trio.Event()

    def count(self, what: What) -> int:
        """Return how often something has happened."""
        seen = self._seen[what]
        return len(set(seen)) if what in BY_INSTANCE else len(seen)

    async def reach(self, what: What, count: int) -> None:
        """Wait until something has happened so often."""
        while self.count(what) < count:
            await self._changed.wait()

    def rows(self, start_order: Sequence[str]) -> Sequence[Row]:
        """Return what the whole story should have given, beside what it gave.

        Args:
            start_order: The ids of all instances in start order, the refused one included.
        """
        others = len(start_order) - 1
        expected = {
            What.STARTED: others + 1,
            What.CONNECTED: others,
            What.REFUSED: 1,
            What.CRASHED: 1,
            What.RESTARTED: 1,
            What.LOST: others,
            What.IN_VAIN: others,
            What.SILENT: 1,
            What.REMADE: others + 1,
            What.PARKED: 1,
            What.DEGRADED: 1,
            What.RECOVERED: 1,
            What.STUCK: 0,
            What.BROKEN: 0,
            What.CLOSED: others,
            What.STOPPED: others,
        }
        rows = [Row(what, number, self.count(what)) for what, number in expected.items()]
        return [*rows, Row("... in reverse start order", others, self._placed(start_order))]

    def _placed(self, start_order: Sequence[str]) -> int:
        """Return how many instances stopped when it was their turn."""
        refused = self._seen[What.REFUSED]
        wanted = [each for each in reversed(start_order) if each not in refused]
        stopped = self._seen[What.STOPPED]
        return sum(one == other for one, other in zip(stopped, wanted, strict=False))
