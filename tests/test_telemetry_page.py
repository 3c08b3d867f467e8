"""The tables of metrics on the page about telemetry are drawn from what makes the metrics."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

from trio_instances.telemetry.sinks.otel_instruments import INSTRUMENTS
from trio_instances.telemetry.sinks.prometheus_families import FAMILIES
from trio_instances.telemetry.sinks.runtime_families import RUNTIME_FAMILIES

DOCS = Path(__file__).parent.parent / "docs"
DRAWING: dict[str, Any] = runpy.run_path(str(DOCS / "draw_metrics.py"))
PAGE = (DOCS / "telemetry.md").read_text(encoding="utf-8")


def test_the_tables_are_drawn_from_the_families() -> None:
    """What was changed is changed there: run ``python docs/draw_metrics.py``."""
    assert DRAWING["drawn"](PAGE) == PAGE


@pytest.mark.parametrize("table", DRAWING["TABLES"])
def test_every_table_has_its_place(table: str) -> None:
    """None is drawn nowhere."""
    assert PAGE.count(f"<!-- drawn: {table} -->") == 1


@pytest.mark.parametrize(
    "name",
    [
        *(f"trio_instances_{each.name}" for each in FAMILIES),
        *(f"trio_instances_{each.prometheus_name}" for each in RUNTIME_FAMILIES),
        *(f"trio_instances.{each.name}" for each in RUNTIME_FAMILIES),
        *(each.full_name for each in INSTRUMENTS),
    ],
)
def test_the_page_lists_every_metric(name: str) -> None:
    """In a row of its own."""
    assert f"| `{name}` |" in PAGE or f"| `{name}_total` |" in PAGE
