"""What runs: one incarnation at a time, one connection at a time; nothing outlives its owner."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from ....telemetry import (
    ChildDeclined,
    ChildExited,
    ChildParked,
    ChildRestarting,
    ChildStarted,
    ChildStartFailed,
    ChildStopped,
    RuntimeStopped,
)
from ....telemetry.schema import ChildEvent
from ..facts import Entered, Left, Over, Raised, Stale
from ..world import World
from .base import Hear, Law


class OneAtATime(Law):
    """No child runs twice at once, no connection overlaps another, no probe another probe.

    A channel that overlaps has two connections at most. Whatever runs on a connection has ended
    when the connection is left.
    """

    name = "one at a time"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._connections: dict[int, set[int]] = {}
        self._running: Counter[tuple[int, int, str]] = Counter()

    def hears(self) -> Mapping[type, Hear]:
        """Return what to call."""
        return {Entered: self._entered, Left: self._left, Over: self._over}

    def _entered(self, fact: Entered) -> None:
        who = f"{fact.what} {fact.number} of {fact.instance_id}"
        connections = self._connections.setdefault(fact.channel, set())
        if fact.what == "connect":
            connections.add(fact.number)
            most = 2 if self.members[fact.instance_id].overlaps else 1
            self.require(len(connections) <= most, fact.at, f"{who} beside {connections}")
            return

        key = fact.channel, fact.number, fact.what
        self._running[key] += 1
        if self._running[key] > 1:
            self.broken(fact.at, f"{who} runs {self._running[key]} times")
        if fact.number and fact.number not in connections:
            self.broken(fact.at, f"{who} runs without its connection")

    def _left(self, fact: Left) -> None:
        if fact.what != "connect":
            self._running[fact.channel, fact.number, fact.what] -= 1
            return

        self._connections[fact.channel].discard(fact.number)
        for (channel, number, what), runs in self._running.items():
            if runs and (channel, number) == (fact.channel, fact.number):
                self.broken(fact.at, f"{what} outlives connection {number} of {fact.instance_id}")
        for key in [key for key in self._running if key[:2] == (fact.channel, fact.number)]:
            del self._running[key]

    def _over(self, fact: Over) -> None:
        running = [key for key, runs in self._running.items() if runs]
        open_ = {channel: numbers for channel, numbers in self._connections.items() if numbers}
        self.require(not running and not open_, fact.at, f"left behind: {running} {open_}")


class Incarnations(Law):
    """A child is told to start, and to end, in turn; what was started is ended."""

    name = "incarnations"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._up: dict[tuple[str, int | None], int] = {}
        self._last: dict[tuple[str, int | None], int] = {}

    def hears(self) -> Mapping[type, Hear]:
        """Return what to call."""
        ends = (ChildExited, ChildStopped)
        never_up = (ChildStartFailed, ChildDeclined)
        return {
            ChildStarted: self._started,
            **dict.fromkeys(ends, self._ended),
            **dict.fromkeys(never_up, self._failed),
            ChildRestarting: self._down,
            ChildParked: self._down,
            RuntimeStopped: self._over,
        }

    def _started(self, event: ChildStarted) -> None:
        key = event.path, event.generation
        if key in self._up:
            self.broken(event.at, f"{event.path} starts twice: {event.incarnation}")
        if event.incarnation != 1 and event.incarnation <= self._last.get(key, 0):
            self.broken(event.at, f"{event.path}: incarnation {event.incarnation} comes again")
        self._up[key] = self._last[key] = event.incarnation

    def _ended(self, event: ChildExited | ChildStopped) -> None:
        key = event.path, event.generation
        up = self._up.pop(key, None)
        known = event.incarnation if up is None and isinstance(event, ChildStopped) else up
        if known != event.incarnation:  # one that is not ready yet is stopped, too
            self.broken(event.at, f"{event.path}: {event.incarnation} ends, {up} was up")

    def _failed(self, event: ChildEvent) -> None:
        if (event.path, event.generation) in self._up:
            self.broken(event.at, f"{event.path} fails to start, and runs")

    def _down(self, event: ChildEvent) -> None:
        if (event.path, event.generation) in self._up:
            self.broken(event.at, f"{event.path} is told to be {event.name}, and runs")

    def _over(self, event: RuntimeStopped) -> None:
        self.require(not self._up, event.at, f"started and never ended: {self._up}")
        self._last.clear()


class NothingStale(Law):
    """Nothing of an incarnation is found in a later one."""

    name = "nothing stale"

    def hears(self) -> Mapping[type, Hear]:
        """Return what to call."""
        return {Stale: lambda fact: self.broken(fact.at, f"{fact.instance_id}: {fact.what}")}


class NothingRaised(Law):
    """Nothing is raised but what is documented, and nothing hangs."""

    name = "nothing raised"

    def hears(self) -> Mapping[type, Hear]:
        """Return what to call."""
        return {Raised: lambda fact: self.broken(fact.at, fact.text)}
