"""Which metrics a health snapshot makes, as a table; needs nothing but snapshots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Final, final

from attrs import define, field, frozen

from ...policy.failures import WhoMustAct
from ...policy.health import HealthSnapshot

Labels = tuple[str, ...]
Samples = dict[Labels, float]
"""The values of the labels, in their order, and the value of each series."""


@final
@frozen(kw_only=True)
class Family:
    """One metric: what it is called, and what a snapshot says to it."""

    name: str
    """Without the prefix, and without the ``_total`` of a counter, which the format adds."""
    help: str
    values: Callable[[HealthSnapshot], Iterable[tuple[Labels, float]]]
    labels: Labels = ()
    """The labels beside those that say which instance it is."""
    counts: bool = False
    """Whether it only grows."""
    merge: Callable[[Iterable[float]], float] = sum
    """How the values of several instances become one."""

    def of_each(self, snapshots: Iterable[HealthSnapshot]) -> Samples:
        """Return a value for each instance."""
        return {
            (snapshot.instance_id, snapshot.channel_type, *labels): value
            for snapshot in snapshots
            for labels, value in self.values(snapshot)
        }

    def of_each_type(self, snapshots: Iterable[HealthSnapshot]) -> Samples:
        """Return a value for each channel type."""
        several: dict[Labels, list[float]] = {}
        for snapshot in snapshots:
            for labels, value in self.values(snapshot):
                several.setdefault((snapshot.channel_type, *labels), []).append(value)
        return {labels: self.merge(values) for labels, values in several.items()}


@final
@define
class Totals:
    """The sums of a counter by channel type, which do not go back when an instance is gone.

    Prometheus takes a counter that goes back for one that began anew, and would see as many events
    as all the instances ever had.
    """

    _at: float = field(default=-1.0, init=False)
    _seen: Samples = field(factory=dict, init=False)
    """The last value of each instance there is."""
    _gone: Samples = field(factory=dict, init=False)
    """The last values of those that are gone, or have begun anew, by channel type."""

    def take(self, family: Family, snapshots: Sequence[HealthSnapshot], at: float) -> Samples:
        """Take in what the instances have counted, and return the sums.

        Args:
            family: What is counted.
            snapshots: All instances there are.
            at: When they were taken. Of two scrapes at once the older may come last: what it does
                not know of is not gone.
        """
        if at >= self._at:
            self._at = at
            now = family.of_each(snapshots)
            lower = {key: value for key, value in self._seen.items() if now.get(key, -1.0) < value}
            self._gone = _by_type(self._gone, lower)
            self._seen = now

        return _by_type(self._gone, self._seen)


def _by_type(base: Samples, more: Samples) -> Samples:
    """Add the values of instances to those of their channel types."""
    sums = dict(base)
    for (_, *labels), value in more.items():
        sums[tuple(labels)] = sums.get(tuple(labels), 0.0) + value
    return sums


def _one(value: float | None) -> list[tuple[Labels, float]]:
    """Return a value without further labels, if there is one."""
    return [] if value is None else [((), float(value))]


def _children(snapshot: HealthSnapshot) -> list[tuple[Labels, float]]:
    states = Counter(str(child.state) for child in snapshot.children)
    return [((state,), float(count)) for state, count in states.items()]


def _who_must_act(snapshot: HealthSnapshot) -> list[tuple[Labels, float]]:
    who = snapshot.who_must_act
    return [] if who is WhoMustAct.NOBODY else [((str(who),), 1.0)]


def _next_retry(snapshot: HealthSnapshot) -> list[tuple[Labels, float]]:
    at = snapshot.next_retry_at
    return _one(None if at is None else max(0.0, at - snapshot.at))


FAMILIES: Final = (
    Family(
        name="instances",
        help="Instances by status.",
        labels=("status",),
        values=lambda s: [((str(s.status),), 1.0)],
    ),
    Family(
        name="connected",
        help="Whether there is a connection.",
        values=lambda s: _one(s.connected),
    ),
    Family(
        name="proven",
        help="Whether the connection has stayed up for long enough to be trusted.",
        values=lambda s: _one(s.proven),
    ),
    Family(
        name="degraded",
        help="Whether there is this reason to call the instance degraded.",
        labels=("reason",),
        values=lambda s: [((reason.what,), 1.0) for reason in s.degraded],
    ),
    Family(
        name="action_needed",
        help="Whether somebody must act, and who.",
        labels=("who",),
        values=_who_must_act,
    ),
    Family(
        name="children",
        help="Children by state.",
        labels=("state",),
        values=_children,
    ),
    Family(
        name="restarts",
        help="Restarts of children, and of instances as a whole.",
        counts=True,
        values=lambda s: _one(s.restarts),
    ),
    Family(
        name="reconnect_attempts",
        help="Attempts to connect after the first one.",
        counts=True,
        values=lambda s: _one(s.reconnect_attempts),
    ),
    Family(
        name="reconnects",
        help="Attempts to reconnect that led to a connection.",
        counts=True,
        values=lambda s: _one(s.reconnects),
    ),
    Family(
        name="handovers",
        help="Connections that took the place of one that was closed only then.",
        counts=True,
        values=lambda s: _one(s.handovers),
    ),
    Family(
        name="attempts_in_a_row",
        help="Attempts to connect since a connection was last proven.",
        merge=max,
        values=lambda s: _one(s.attempt),
    ),
    Family(
        name="next_retry_seconds",
        help="Time until the next attempt to connect.",
        merge=max,
        values=_next_retry,
    ),
    Family(
        name="status_age_seconds",
        help="Time since the status is what it is.",
        merge=max,
        values=lambda s: _one(s.at - s.since),
    ),
    Family(
        name="probe_duration_seconds",
        help="How long the last health check took.",
        merge=max,
        values=lambda s: _one(s.probe.latency),
    ),
    Family(
        name="last_frame_age_seconds",
        help="Time since anything arrived on the connection.",
        merge=max,
        values=lambda s: _one(s.since_frame),
    ),
    Family(
        name="last_event_age_seconds",
        help="Time since an application event arrived.",
        merge=max,
        values=lambda s: _one(s.since_event),
    ),
    Family(
        name="queue_occupancy_ratio",
        help="How full a watched queue is.",
        labels=("queue",),
        merge=max,
        values=lambda s: [((queue.name,), queue.occupancy) for queue in s.queues],
    ),
    Family(
        name="failures_in_a_row",
        help="Failures that the application has reported since its last success.",
        merge=max,
        values=lambda s: _one(s.failures_in_a_row),
    ),
)
