"""Draws the tables of metrics on the page about telemetry from the families that make them.

``python docs/draw_metrics.py`` rewrites the page; a test says when that is due.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from trio_instances.telemetry.sinks.otel_instruments import INSTRUMENTS, STATUS
from trio_instances.telemetry.sinks.otel_observer import ATTRIBUTES
from trio_instances.telemetry.sinks.prometheus import PREFIX
from trio_instances.telemetry.sinks.prometheus_families import FAMILIES
from trio_instances.telemetry.sinks.runtime_families import RUNTIME_FAMILIES, RuntimeFamily

PAGE = Path(__file__).parent / "telemetry.md"
SCOPE = "trio_instances."

_PLACE = re.compile(r"<!-- drawn: ([\w ]+) -->\n.*?<!-- end -->\n", re.DOTALL)
Row = tuple[str, str, str, str]


def drawn(page: str) -> str:
    """Return the text of the page with every table drawn anew."""
    return _PLACE.sub(
        lambda place: f"<!-- drawn: {place[1]} -->\n\n{TABLES[place[1]]()}\n<!-- end -->\n", page
    )


def _prometheus() -> str:
    rows: list[Row] = [
        (f"{PREFIX}{each.name}{_total(each.counts)}", _kind(each.counts), each.help, words)
        for each in FAMILIES
        if (words := _names(("instance_id", "channel_type", *each.labels)))
    ]
    rows += [
        (
            f"{PREFIX}{each.prometheus_name}{_total(each.counts)}",
            _kind(each.counts),
            each.help,
            _names(each.labels),
        )
        for each in RUNTIME_FAMILIES
    ]
    return _table(("metric", "kind", "meaning", "labels"), rows)


def _of_events() -> str:
    count = (f"{SCOPE}instance.count", "up/down counter, `{instance}`", "Instances by status.")
    rows = [(*count, _names([STATUS]))]
    rows += [
        (each.full_name, f"{each.kind}, `{each.unit}`", each.help, _names(each.labels))
        for each in INSTRUMENTS
    ]
    return _table(("metric", "kind, unit", "meaning", "attributes of its own"), rows)


def _observed() -> str:
    rows = [
        (
            f"{SCOPE}{each.name}",
            _observed_kind(each) + (f", `{each.unit}`" if each.unit else ""),
            each.help,
            _names([ATTRIBUTES[label] for label in each.labels]),
        )
        for each in RUNTIME_FAMILIES
    ]
    return _table(("metric", "kind, unit", "meaning", "attributes"), rows)


def _total(counts: bool) -> str:  # noqa: FBT001 - it is what the name says
    return "_total" if counts else ""


def _kind(counts: bool) -> str:  # noqa: FBT001 - it is what the name says
    return "counter" if counts else "gauge"


def _observed_kind(family: RuntimeFamily) -> str:
    return "up/down counter" if family.adds_up else _kind(family.counts)


def _names(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _table(head: Row, rows: Sequence[Row]) -> str:
    return "".join(f"{line}\n" for line in _lines(head, rows))


def _lines(head: Row, rows: Sequence[Row]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "| --- " * len(head) + "|"
    for name, kind, meaning, labels in rows:
        yield f"| `{name}` | {kind} | {meaning} | {labels} |"


TABLES: Mapping[str, Callable[[], str]] = {
    "metrics of events": _of_events,
    "metrics observed": _observed,
    "metrics for Prometheus": _prometheus,
}

if __name__ == "__main__":
    PAGE.write_text(drawn(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
