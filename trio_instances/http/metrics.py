"""``/metrics``: the fleet in Prometheus' text format, read from the snapshots when it is asked for.

Nothing is counted on the way: what only grows is counted by the instances themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, final

from ..policy.health import HealthSnapshot
from ..policy.pressure import PressureLevel
from ..policy.status import InstanceStatus
from .answers import Parts, asked
from .slices import Slices

if TYPE_CHECKING:
    from starlette.requests import Request

    from .._runtime.runtime import Runtime

_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_LINES = 2000

Collector = Callable[[Sequence[HealthSnapshot]], Iterator[str]]
"""Makes the lines of a scrape from one snapshot of each instance."""


@final
class Metrics:
    """The answer to a scrape.

    Args:
        runtime: Where the instances are.
        slices: Shared with all others who look at the whole fleet.
        collect: What makes the lines.
    """

    def __init__(self, runtime: Runtime, slices: Slices, collect: Collector) -> None:
        self._runtime = runtime
        self._slices = slices
        self._collect = collect

    async def metrics(self, request: Request) -> Parts:
        """Give them."""
        asked(request, ())
        instances = self._runtime.list_instances()

        async def parts() -> AsyncGenerator[bytes, None]:
            snapshots = await self._slices.together(
                instances, lambda some: [each.health() for each in some]
            )
            lines = list(self._collect(snapshots))
            async for part in self._slices.of(lines, lambda some: "".join(some), _LINES):
                yield part.encode()

        return Parts(parts, _TYPE)


def collect(snapshots: Sequence[HealthSnapshot]) -> Iterator[str]:
    """Yield the lines about a fleet."""
    yield from _counts("instances", "Instances by status.", "status", InstanceStatus, snapshots)
    yield from _counts("pressure", "Instances by pressure.", "pressure", PressureLevel, snapshots)
    for name, text, value in _GAUGES:
        yield from _each(name, "gauge", text, value, snapshots)
    for name, text, value in _COUNTERS:
        yield from _each(name, "counter", text, value, snapshots)


Value = Callable[[HealthSnapshot], float]

_GAUGES: tuple[tuple[str, str, Value], ...] = (
    ("connected", "Whether an instance has a connection.", lambda s: s.connected),
    ("proven", "Whether its connection has lasted.", lambda s: s.proven),
    ("attempt", "Connection attempts in a row.", lambda s: s.attempt),
    ("children_parked", "Children that are left down.", lambda s: s.children_parked),
    ("probe_latency_seconds", "How long the last probe took.", lambda s: s.probe.latency or 0.0),
)
_COUNTERS: tuple[tuple[str, str, Value], ...] = (
    ("restarts_total", "Restarts of anything within an instance.", lambda s: s.restarts),
    ("reconnect_attempts_total", "Attempts to reconnect.", lambda s: s.reconnect_attempts),
    ("reconnects_total", "Attempts that led to a connection.", lambda s: s.reconnects),
)


def _counts(
    name: str,
    text: str,
    field: str,
    words: type[InstanceStatus | PressureLevel],
    snapshots: Sequence[HealthSnapshot],
) -> Iterator[str]:
    counts = Counter(getattr(snapshot, field) for snapshot in snapshots)
    yield from _head(name, "gauge", text)
    for word in words:
        yield f'trio_instances_{name}{{{field}="{word}"}} {counts[word]}\n'


def _each(
    name: str, kind: str, text: str, value: Value, snapshots: Sequence[HealthSnapshot]
) -> Iterator[str]:
    yield from _head(name, kind, text)
    for snapshot in snapshots:
        labels = (
            f'instance_id="{_escaped(snapshot.instance_id)}",'
            f'channel_type="{_escaped(snapshot.channel_type)}"'
        )
        yield f"trio_instances_{name}{{{labels}}} {float(value(snapshot)):g}\n"


def _head(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP trio_instances_{name} {text}\n# TYPE trio_instances_{name} {kind}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
