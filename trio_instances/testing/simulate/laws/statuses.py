"""The status: only legal changes, each from what was said before."""

from __future__ import annotations

from collections.abc import Mapping

from ....policy.status import InstanceStatus
from ....telemetry import RuntimeStarted, StatusChanged
from ..facts import Born, Looked
from ..world import World
from .base import EPSILON, Hear, Law

_S = InstanceStatus
_DOWN = {_S.STARTING, _S.PAUSED, _S.FAILED, _S.STOPPING}

LEGAL: Mapping[InstanceStatus, frozenset[InstanceStatus]] = {
    _S.STOPPED: frozenset({_S.STARTING}),
    _S.STARTING: frozenset(
        {_S.CONNECTING, _S.DEGRADED, _S.PAUSED, _S.FAILED, _S.STOPPING, _S.STOPPED}
    ),
    _S.CONNECTING: frozenset({_S.CONNECTED, _S.RECONNECTING, _S.DEGRADED, *_DOWN}),
    _S.CONNECTED: frozenset({_S.RECONNECTING, _S.DEGRADED, *_DOWN}),
    _S.RECONNECTING: frozenset({_S.CONNECTED, _S.DEGRADED, *_DOWN}),
    _S.DEGRADED: frozenset({_S.CONNECTING, _S.CONNECTED, _S.RECONNECTING, *_DOWN}),
    _S.PAUSED: frozenset({_S.RECONNECTING, _S.DEGRADED, _S.STARTING, _S.FAILED, _S.STOPPING}),
    _S.FAILED: frozenset({_S.STARTING, _S.STOPPING}),
    _S.STOPPING: frozenset({_S.STARTING, _S.FAILED, _S.STOPPED}),
}
"""What may be said after what; written down here once more, and not derived from the library."""


class LegalStatuses(Law):
    """A status follows one that it may follow, and the event names the one before and its time."""

    name = "legal statuses"

    def hears(self) -> Mapping[type, Hear]:
        """Return what to call."""
        return {
            RuntimeStarted: lambda _: self._known.clear(),  # what has failed has stayed so
            Born: self._born,
            StatusChanged: self._changed,
            Looked: self._looked,
        }

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._known: dict[str, tuple[InstanceStatus, float | None]] = {}

    def _born(self, born: Born) -> None:
        known, _ = self._known.get(born.instance_id, (_S.STOPPED, None))
        self.require(known is _S.STOPPED, born.at, f"{born.instance_id} begins while {known}")
        self._known[born.instance_id] = _S.STOPPED, None

    def _changed(self, event: StatusChanged) -> None:
        who = event.instance_id or ""
        known, since = self._known.get(who, (_S.STOPPED, None))
        if event.previous is not known:
            self.broken(event.at, f"{who} was {known}, the event says {event.previous}")
        if event.status not in LEGAL[event.previous]:
            self.broken(event.at, f"{who}: {event.previous} to {event.status}")
        if since is not None and abs(event.at - since - event.elapsed) > EPSILON:
            self.broken(event.at, f"{who} was {known} since {since}, not for {event.elapsed} s")
        self._known[who] = event.status, event.at

    def _looked(self, looked: Looked) -> None:
        known, _ = self._known.get(looked.instance_id, (_S.STOPPED, None))
        if looked.health.status is not known:
            text = f"{looked.instance_id} is {looked.health.status}, its events say {known}"
            self.broken(looked.at, text)
