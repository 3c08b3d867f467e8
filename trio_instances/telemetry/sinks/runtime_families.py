"""Which metrics a runtime makes beside those of its instances, as a table for both systems.

A name has dots, as OpenTelemetry wants it. Prometheus' name is made from it by the rules by which
OpenTelemetry itself translates: underscores, the unit in full, and ``_total`` for what only grows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol, final

from attrs import frozen

from ...policy.breaker import BreakerPhase
from ...policy.health import BudgetHealth
from ...policy.stalls import LoopHealth
from .feed import SinkStatistics

Sample = tuple[tuple[str, ...], float]
"""The values of the labels, in their order, and the value of the series."""

_SUFFIXES: Mapping[str, str] = {"s": "_seconds", "1": "_ratio", "{attempt}/s": "_per_second"}
"""What Prometheus' names say of a unit; a number of things has none."""


class HasParts(Protocol):
    """A runtime, as far as these metrics need it."""

    def list_budget_health(self) -> Sequence[BudgetHealth]:
        """Return how each connection budget stands."""

    def sink_statistics(self) -> Sequence[SinkStatistics]:
        """Return how each sink fares."""

    def loop_health(self) -> LoopHealth:
        """Return how the event loop fares."""


@final
@frozen
class Parts:
    """What one look at a runtime shows, beside its instances."""

    budgets: Mapping[str, BudgetHealth]
    """By key; of two with one key, the second one's has a number."""
    sinks: Mapping[str, SinkStatistics]
    """By the name of the type, likewise."""
    loop: LoopHealth | None

    @classmethod
    def of(cls, runtime: HasParts) -> Parts:
        """Look at a runtime, without an await."""
        budgets, sinks = runtime.list_budget_health(), runtime.sink_statistics()
        return cls(
            dict(zip(_told_apart(budget.key for budget in budgets), budgets, strict=True)),
            dict(zip(_told_apart(sink.sink for sink in sinks), sinks, strict=True)),
            runtime.loop_health(),
        )


NO_PARTS: Final = Parts({}, {}, None)


def _told_apart(names: Iterable[str]) -> list[str]:
    seen: Counter[str] = Counter()
    apart = []
    for name in names:
        seen[name] += 1
        apart.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return apart


@final
@frozen(kw_only=True)
class RuntimeFamily:
    """One metric: what it is called, and what a look at a runtime says to it."""

    name: str
    unit: str
    """As UCUM writes it."""
    help: str
    values: Callable[[Parts], Iterable[Sample]]
    labels: tuple[str, ...] = ()
    counts: bool = False
    """Whether it only grows."""
    adds_up: bool = False
    """Whether it goes up and down, and the values of several processes make one by their sum."""

    @property
    def prometheus_name(self) -> str:
        """The name for Prometheus, without the ``_total``, which the format adds."""
        return self.name.replace(".", "_") + _SUFFIXES.get(self.unit, "")


def _of_budgets(value: Callable[[BudgetHealth], float | None]) -> Callable[[Parts], list[Sample]]:
    return lambda parts: [
        ((key,), float(number))
        for key, budget in parts.budgets.items()
        if (number := value(budget)) is not None
    ]


def _breakers(parts: Parts) -> list[Sample]:
    return [
        ((key, str(phase)), float(budget.breaker is phase))
        for key, budget in parts.budgets.items()
        if budget.breaker is not None
        for phase in BreakerPhase
    ]


def _of_loop(value: Callable[[LoopHealth], float | None]) -> Callable[[Parts], list[Sample]]:
    def samples(parts: Parts) -> list[Sample]:
        number = None if parts.loop is None else value(parts.loop)
        return [] if number is None else [((), float(number))]

    return samples


def _shares(parts: Parts) -> list[Sample]:
    if parts.loop is None or parts.loop.shares is None:
        return []

    return [((name,), share) for name, share in parts.loop.shares.by_instance.items()]


def _of_sinks(
    *values: tuple[tuple[str, ...], Callable[[SinkStatistics], float]],
) -> Callable[[Parts], list[Sample]]:
    return lambda parts: [
        ((name, *labels), float(value(sink)))
        for name, sink in parts.sinks.items()
        for labels, value in values
    ]


RUNTIME_FAMILIES: Final = (
    RuntimeFamily(
        name="budget.limit",
        unit="{attempt}/s",
        help="Connection attempts that a budget allows in the long run.",
        labels=("budget",),
        values=_of_budgets(lambda b: b.attempts_per_second),
    ),
    RuntimeFamily(
        name="budget.attempts",
        unit="{attempt}",
        help="Attempts that a budget has granted.",
        labels=("budget",),
        counts=True,
        values=_of_budgets(lambda b: b.granted),
    ),
    RuntimeFamily(
        name="budget.waited",
        unit="s",
        help="Time for which these had waited, all together.",
        labels=("budget",),
        counts=True,
        values=_of_budgets(lambda b: b.waited),
    ),
    RuntimeFamily(
        name="budget.waiting",
        unit="{instance}",
        help="Instances that wait for their turn.",
        labels=("budget",),
        adds_up=True,
        values=_of_budgets(lambda b: b.waiting),
    ),
    RuntimeFamily(
        name="budget.in_flight",
        unit="{attempt}",
        help="Attempts under way.",
        labels=("budget",),
        adds_up=True,
        values=_of_budgets(lambda b: b.in_flight),
    ),
    RuntimeFamily(
        name="budget.left_today",
        unit="{attempt}",
        help="Attempts left of the last 24 hours, where these are limited.",
        labels=("budget",),
        values=_of_budgets(lambda b: b.left_today),
    ),
    RuntimeFamily(
        name="budget.breaker",
        unit="",
        help="Whether the breaker of a budget is in this phase.",
        labels=("budget", "phase"),
        values=_breakers,
    ),
    RuntimeFamily(
        name="budget.breaker.openings",
        unit="{opening}",
        help="How often the breaker of a budget has opened.",
        labels=("budget",),
        counts=True,
        values=_of_budgets(lambda b: None if b.breaker is None else b.openings),
    ),
    RuntimeFamily(
        name="loop.stalls",
        unit="{stall}",
        help="Steps of tasks that blocked the event loop for too long, where somebody watches.",
        counts=True,
        values=_of_loop(lambda loop: loop.stalls),
    ),
    RuntimeFamily(
        name="loop.stalled",
        unit="s",
        help="Time for which they blocked it, all together.",
        counts=True,
        values=_of_loop(lambda loop: loop.stalled),
    ),
    RuntimeFamily(
        name="loop.busy",
        unit="1",
        help="The part of the event loop's time that was used lately.",
        values=_of_loop(lambda loop: None if loop.shares is None else loop.shares.busy),
    ),
    RuntimeFamily(
        name="loop.share",
        unit="1",
        help="The part of the event loop's time that an instance used lately.",
        labels=("instance_id",),
        values=_shares,
    ),
    RuntimeFamily(
        name="machine.sleeps",
        unit="{sleep}",
        help="How often the machine has slept.",
        counts=True,
        values=_of_loop(lambda loop: loop.sleeps),
    ),
    RuntimeFamily(
        name="machine.slept",
        unit="s",
        help="Time for which it slept, all together.",
        counts=True,
        values=_of_loop(lambda loop: loop.slept),
    ),
    RuntimeFamily(
        name="sink.events",
        unit="{event}",
        help="Events by what became of them.",
        labels=("sink", "outcome"),
        counts=True,
        values=_of_sinks((("written",), lambda s: s.written), (("lost",), lambda s: s.lost)),
    ),
    RuntimeFamily(
        name="sink.buffered",
        unit="{event}",
        help="Events that wait for a sink.",
        labels=("sink",),
        adds_up=True,
        values=_of_sinks(((), lambda s: s.buffered)),
    ),
    RuntimeFamily(
        name="sink.failures",
        unit="{failure}",
        help="How often a sink raised or was cut off.",
        labels=("sink", "how"),
        counts=True,
        values=_of_sinks((("raised",), lambda s: s.failures), (("cut_off",), lambda s: s.blocked)),
    ),
    RuntimeFamily(
        name="sink.failing",
        unit="",
        help="Whether a sink takes no events at present.",
        labels=("sink",),
        values=_of_sinks(((), lambda s: s.failing)),
    ),
)


def families(*, by_instance: bool) -> list[RuntimeFamily]:
    """Return the metrics, without those of each instance where these are too many."""
    return [each for each in RUNTIME_FAMILIES if by_instance or "instance_id" not in each.labels]
