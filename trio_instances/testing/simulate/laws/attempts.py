"""Connections: numbered one by one, retried in their time, proven by time, never judged late."""

from __future__ import annotations

import math
from collections.abc import Mapping

from attrs import define

from ....policy.backoff import Backoff, Jitter
from ....policy.failures import FailureClass
from ....policy.reconnect import Exhausted
from ....policy.status import InstanceStatus
from ....telemetry import (
    BreakerClosed,
    InstanceConnected,
    InstanceConnecting,
    InstanceDisconnected,
    InstanceFailed,
    InstanceHandedOver,
    InstancePaused,
    InstanceProven,
    InstanceResumed,
    ReconnectAttempt,
    ReconnectExhausted,
    ReconnectFailed,
    ReconnectScheduled,
    StatusChanged,
)
from ..facts import Asked, Born
from ..world import Member, World
from .base import EPSILON, Hear, Law


@define
class _Line:
    """What the events of one instance say of its connections."""

    generation: int = 0
    attempt: int = 0
    """Attempts in a row."""
    connected: int | None = None
    """The generation that is open."""
    connected_at: float = 0.0
    connecting: int | None = None
    proven: bool = False
    failed: bool = False
    """Whether it must not connect until it begins anew."""
    paused: bool = False
    renewable: bool = False
    """Whether an operator has asked for something that may restart it."""
    fresh: bool = False
    """Whether it may count from 1 again, as it began since."""


_REPLACED = frozenset({"reconnect_requested", "rotation_requested"})
"""Why a connection ends that is replaced on request."""


class Attempts(Law):
    """Generations count up; attempts count up until a connection is proven, and never sooner.

    One that replaces an open connection on request is the only one that does not count.

    What is open is closed once; only what is open is lost, and only what has lasted is proven. What
    is fatal is not retried.
    """

    name = "attempts"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._lines: dict[str, _Line] = {}

    def hears(self) -> Mapping[type, Hear]:
        """Return what to call."""
        return {
            Born: self._born,
            Asked: self._asked,
            StatusChanged: self._changed,
            InstanceConnecting: self._connecting,
            ReconnectAttempt: self._again,
            InstanceConnected: self._connected,
            InstanceHandedOver: self._handed_over,
            InstanceProven: self._proven,
            InstanceDisconnected: self._lost,
            ReconnectFailed: self._in_vain,
            InstanceFailed: self._failed,
            InstancePaused: self._paused,
            InstanceResumed: self._resumed,
        }

    def _born(self, fact: Born) -> None:
        # What was asked before may still be under way, and befall this one.
        asked = self.line(fact.instance_id).renewable
        self._lines[fact.instance_id] = _Line(renewable=asked)

    def line(self, instance_id: str | None) -> _Line:
        """Return what is known of an instance."""
        return self._lines.setdefault(instance_id or "", _Line())

    def _asked(self, fact: Asked) -> None:
        if fact.verb in ("restart", "credentials", "apply"):
            for who in [fact.instance_id] if fact.instance_id else list(self._lines):
                self.line(who).renewable = True

    def _changed(self, event: StatusChanged) -> None:
        line = self.line(event.instance_id)
        if event.status is InstanceStatus.STARTING:
            line.failed, line.fresh = False, line.renewable
        if event.status in (InstanceStatus.STARTING, InstanceStatus.STOPPED):
            line.connecting = line.connected = None

    def _connecting(self, event: InstanceConnecting) -> None:
        line, who = self.line(event.instance_id), event.instance_id
        number = event.generation
        if number != line.generation + 1:
            self.broken(event.at, f"{who}: generation {number} comes after {line.generation}")
        if line.connected is not None:
            self.broken(event.at, f"{who} connects while {line.connected} is open")
        if line.failed:
            self.broken(event.at, f"{who} has failed, and connects")
        member = self.members[who or ""]
        # In a handover what was an attempt beside can become the attempt, which nobody tells.
        expected = {line.attempt + 1, 1} if line.fresh else {line.attempt + 1}
        if event.attempt not in expected and not member.overlaps:
            self.broken(event.at, f"{who}: attempt {event.attempt} comes after {line.attempt}")
        line.fresh = False
        line.attempt, line.generation, line.connecting = event.attempt, number, number

    def _again(self, event: ReconnectAttempt) -> None:
        line = self.line(event.instance_id)
        if event.generation == line.generation:
            return  # it was told of as a connecting one just now

        ok = self.members[event.instance_id or ""].overlaps
        self.require(ok, event.at, f"{event.instance_id} attempts beside its connection")
        line.generation = event.generation

    def _connected(self, event: InstanceConnected) -> None:
        line, who = self.line(event.instance_id), event.instance_id
        overlaps = self.members[who or ""].overlaps
        if event.generation != line.connecting and not overlaps:
            self.broken(event.at, f"{who}: {event.generation} opens, {line.connecting} was due")
        if line.connected is not None:
            self.broken(event.at, f"{who}: {event.generation} opens beside {line.connected}")
        if event.attempt != line.attempt and not overlaps:
            self.broken(event.at, f"{who}: attempt {line.attempt} opens as {event.attempt}")
        line.connected, line.connected_at = event.generation, event.at
        line.connecting, line.proven = None, False
        line.attempt = event.attempt

    def _handed_over(self, event: InstanceHandedOver) -> None:
        line = self.line(event.instance_id)
        if event.previous != line.connected:
            text = f"{event.instance_id} hands {event.previous} over, {line.connected} is open"
            self.broken(event.at, text)
        line.connected = None  # the successor is told of next

    def _proven(self, event: InstanceProven) -> None:
        line, who = self.line(event.instance_id), event.instance_id
        if event.generation != line.connected or line.proven:
            self.broken(event.at, f"{who}: {event.generation} is proven, {line.connected} is open")
        least = self.members[who or ""].reconnect.stable_after
        held = event.at - line.connected_at
        if held < least - EPSILON:
            self.broken(event.at, f"{who} is proven after {held} s of {least}")
        line.proven, line.attempt = True, 0

    def _lost(self, event: InstanceDisconnected) -> None:
        line = self.line(event.instance_id)
        if event.generation != line.connected:
            text = f"{event.instance_id}: {event.generation} is lost, {line.connected} is open"
            self.broken(event.at, text)
        line.connected = None
        line.failed = event.cause.failure_class is FailureClass.FATAL
        if event.cause.reason in _REPLACED:  # its successor has its number
            line.attempt = max(line.attempt - 1, 0)

    def _in_vain(self, event: ReconnectFailed) -> None:
        line = self.line(event.instance_id)
        if event.generation == line.connecting:  # and not beside a connection, which goes on
            line.failed = event.cause.failure_class is FailureClass.FATAL

    def _failed(self, event: InstanceFailed) -> None:
        line = self.line(event.instance_id)
        line.failed, line.connecting = True, None

    def _paused(self, event: InstancePaused) -> None:
        self.line(event.instance_id).paused = True

    def _resumed(self, event: InstanceResumed) -> None:
        line = self.line(event.instance_id)
        if line.paused:  # and not only being drained
            line.paused, line.attempt = False, 0


class Retries(Law):
    """A retry comes when it was said to come, unless somebody asks for it; its delay is bounded."""

    name = "retries"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._not_before: dict[str, float] = {}
        self._asked_at: dict[str, float] = {}
        self._exhausted: set[str] = set()

    def hears(self) -> Mapping[type, Hear]:
        """Return what to call."""
        return {
            Born: lambda fact: self._forget(fact.instance_id),
            Asked: self._asked,
            BreakerClosed: lambda _: self._not_before.clear(),
            ReconnectScheduled: self._scheduled,
            ReconnectExhausted: self._exhausts,
            InstanceConnecting: self._connecting,
            InstanceProven: lambda event: self._exhausted.discard(event.instance_id or ""),
            StatusChanged: self._changed,
        }

    def _forget(self, who: str) -> None:
        self._not_before.pop(who, None)
        self._exhausted.discard(who)

    def _asked(self, fact: Asked) -> None:
        for who in [fact.instance_id] if fact.instance_id else list(self.members):
            self._forget(who)
            self._asked_at[who] = fact.at

    def _changed(self, event: StatusChanged) -> None:
        if event.status is InstanceStatus.STARTING:
            self._forget(event.instance_id or "")

    def _scheduled(self, event: ReconnectScheduled) -> None:
        who = event.instance_id or ""
        member = self.members[who]
        self._not_before[who] = event.at + event.delay
        least, most = delays(member, event)
        if not least - EPSILON <= event.delay <= most + EPSILON:
            text = f"{who} waits {event.delay} s before attempt {event.attempt}: {least} to {most}"
            self.broken(event.at, text)
        gives_up = member.reconnect.exhausted is Exhausted.ESCALATE
        if (event.quick or gives_up) and event.attempt > member.reconnect.attempts:
            limit = member.reconnect.attempts
            self.broken(event.at, f"{who}: quick attempt {event.attempt} of {limit}")

    def _exhausts(self, event: ReconnectExhausted) -> None:
        who = event.instance_id or ""
        self.require(who not in self._exhausted, event.at, f"{who} is exhausted again")
        self._exhausted.add(who)

    def _connecting(self, event: InstanceConnecting) -> None:
        who = event.instance_id or ""
        due = self._not_before.pop(who, -math.inf)
        # What is asked is done a moment later, when another retry may have been announced.
        asked = self._asked_at.get(who) == event.at
        self.require(asked or event.at >= due - EPSILON, event.at, f"{who} was to wait until {due}")


def delays(member: Member, event: ReconnectScheduled) -> tuple[float, float]:
    """Return the shortest and the longest delay that a policy allows.

    Written down here once more, and not taken from the library.
    """
    policy = member.reconnect
    made = event.attempt - 1
    if event.quick:
        least, most = _span(policy.backoff, made)
    else:
        least, most = _span(policy.slow, max(made - policy.attempts, 0))
    # Who asks for a connection to be made anew as soon as there is one waits as for "now".
    hint = 0.0 if event.cause.reason == "reconnect_requested" else event.cause.retry_after
    if hint is None:
        return least, most
    if not event.quick:
        return max(hint, least), max(hint, most)

    least, most = _span(policy.backoff, 0)
    floor = max(hint, policy.hint_floor)
    return floor + least, floor + most


def _span(backoff: Backoff, made: int) -> tuple[float, float]:
    most = backoff.initial
    for _ in range(min(made, 100)):
        most = min(most * backoff.factor, backoff.cap)
    most = min(most, backoff.cap)
    least = {Jitter.FULL: 0.0, Jitter.EQUAL: most / 2, Jitter.NONE: most}[backoff.jitter]
    return least, most
