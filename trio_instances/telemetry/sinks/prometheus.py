"""Metrics for Prometheus, made from health snapshots when it asks for them.

It needs the extra ``prometheus``, and is imported by its own name::

    from trio_instances.telemetry.sinks.prometheus import PrometheusCollector

It is no sink: it hears no event, and between two scrapes it costs nothing. What happens between two
scrapes shows in the counters, which the snapshots have.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Protocol, final

import trio
from attrs import frozen

from ...policy.health import HealthSnapshot
from ...policy.mistakes import MistakeList
from .extras import not_installed
from .in_run import in_run
from .prometheus_families import FAMILIES, Family, Totals
from .runtime_families import NO_PARTS, HasParts, Parts, families

try:
    from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
    from prometheus_client.registry import Collector, CollectorRegistry
except ModuleNotFoundError as missing:
    raise not_installed("PrometheusCollector", "prometheus", missing) from None

__all__ = ["PrometheusCollector"]

PREFIX = "trio_instances_"
AT_ONCE = 100
"""Snapshots that are made between two checkpoints: a few milliseconds' worth."""


class HasHealth(Protocol):
    """An instance, as far as metrics need it."""

    def health(self) -> HealthSnapshot:
        """Return everything there is to know about it now."""


class HasInstances(HasParts, Protocol):
    """A runtime, as far as metrics need it."""

    def list_instances(self) -> Sequence[HasHealth]:
        """Return all instances."""


@frozen
class _Taken:
    """What one scrape shows."""

    at: float
    health: list[HealthSnapshot]
    parts: Parts


@final
class PrometheusCollector(Collector):
    """What a runtime is like at the moment of a scrape: instances, budgets, event loop, sinks.

    Either register it with a registry of ``prometheus_client``, whose server asks from a thread of
    its own, or serve what `scrape` returns. Both make the snapshots in the Trio thread, a hundred
    at a time, with turns for everybody else in between.

    Every name begins with ``trio_instances_``, and every series of an instance has the labels
    ``channel_type`` and ``instance_id``; docs/telemetry.md lists them. Without ``instance_id`` they
    are summed up by channel type, or the highest is taken where a sum has no meaning, and counters
    do not go back when an instance is gone.

    Args:
        runtime: Whose instances they are.
        by_instance: Whether each series bears an instance's id. Without it there are as many as
            there are channel types, however many instances there are.

    Raises:
        InvalidSpec: `by_instance` is neither True nor False.
        RuntimeError: It is made outside of Trio.
    """

    content_type = CONTENT_TYPE_LATEST
    """What an HTTP server says of the text that `scrape` returns."""

    def __init__(self, runtime: HasInstances, *, by_instance: bool = True) -> None:
        wrong = MistakeList("PrometheusCollector")
        wrong.boolean("by_instance", by_instance)
        wrong.raise_any()
        self.by_instance = by_instance
        self._runtime = runtime
        self._token = trio.lowlevel.current_trio_token()
        self._totals = {family.name: Totals() for family in FAMILIES if family.counts}
        # Scrapes come from any number of threads.
        self._lock = threading.Lock()

    def describe(self) -> Iterator[Metric]:
        """Yield every metric without a value, so that a registry can tell names used twice."""
        yield from self._families(_Taken(-1.0, [], NO_PARTS))

    def collect(self) -> Iterator[Metric]:
        """Yield every metric; for a registry, in any thread.

        In Trio's own thread all snapshots are made at once, at some 50 µs each, so prefer `scrape`
        there. When the run of Trio is over, there is nothing to yield.
        """
        try:
            taken = self._take()
        except (trio.RunFinishedError, trio.Cancelled):  # the latter while the run ends
            return

        yield from self._families(taken)

    async def scrape(self) -> bytes:
        """Return every metric as text, for an HTTP server of one's own in Trio.

        Snapshots are made in turns with every other task, and the text in a worker thread.
        Cancelling it changes nothing.
        """
        taken = await self._take_in_turns()
        return await trio.to_thread.run_sync(self._text, taken)

    # --- taking snapshots ------------------------------------------------------------------------

    def _take(self) -> _Taken:
        if not in_run(self._token):
            return trio.from_thread.run(self._take_in_turns, trio_token=self._token)

        health = [instance.health() for instance in self._runtime.list_instances()]
        return _Taken(trio.current_time(), health, Parts.of(self._runtime))

    async def _take_in_turns(self) -> _Taken:
        at = trio.current_time()
        instances = self._runtime.list_instances()
        health: list[HealthSnapshot] = []
        for start in range(0, len(instances), AT_ONCE):
            health += [instance.health() for instance in instances[start : start + AT_ONCE]]
            await trio.lowlevel.checkpoint()
        return _Taken(at, health, Parts.of(self._runtime))

    # --- making metrics --------------------------------------------------------------------------

    def _text(self, taken: _Taken) -> bytes:
        registry = CollectorRegistry()
        registry.register(_Made(list(self._families(taken))))
        return generate_latest(registry)

    def _families(self, taken: _Taken) -> Iterator[Metric]:
        with self._lock:
            made = [self._of_instances(family, taken) for family in FAMILIES]
        yield from made
        yield from self._of_runtime(taken.parts)

    def _of_instances(self, family: Family, taken: _Taken) -> Metric:
        who = ("instance_id", "channel_type") if self.by_instance else ("channel_type",)
        labels = [*who, *family.labels]
        kind = CounterMetricFamily if family.counts else GaugeMetricFamily
        metric = kind(PREFIX + family.name, family.help, labels=labels)
        if self.by_instance:
            samples = family.of_each(taken.health)
        elif family.counts:
            samples = self._totals[family.name].take(family, taken.health, taken.at)
        else:
            samples = family.of_each_type(taken.health)
        for values, value in samples.items():
            metric.add_metric(values, value)
        return metric

    def _of_runtime(self, parts: Parts) -> Iterator[Metric]:
        for family in families(by_instance=self.by_instance):
            kind = CounterMetricFamily if family.counts else GaugeMetricFamily
            metric = kind(PREFIX + family.prometheus_name, family.help, labels=family.labels)
            for values, value in family.values(parts):
                metric.add_metric(values, value)
            yield metric


@final
class _Made(Collector):
    """Metrics that are there already."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Sequence[Metric]:
        """Return them."""
        return self._metrics
