"""Showing results: as tables on a terminal, and as JSON."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from .statistics import Outcome, Spread, judge, ratios, spread_of
from .values import OURS, Figure, Result

LIBRARIES = ("trio", "trio-websocket", "triotp", "mode-streaming")


def number(value: float) -> str:
    """Return a number with three digits that matter, without an exponent."""
    if abs(value) >= 100:  # noqa: PLR2004 - from there on the point has no use
        return f"{value:,.0f}"

    return f"{value:.3g}"


def _spread(spread: Spread | None, scale: float = 1.0) -> str:
    if spread is None:
        return "–"

    low, high = number(spread.low * scale), number(spread.high * scale)
    return f"{number(spread.median * scale)} ({low}–{high})"


def table_of(result: Result) -> Table:
    """Return a row for each contender: its figures, and ours as a part of them.

    Args:
        result: Of one workload.
    """
    workload = result.workload
    table = Table(title=f"{workload.title.format(n=f'{result.size:,}')}", title_justify="left")
    table.add_column(workload.name)
    for figure in workload.figures:
        table.add_column(f"{figure.name}, {figure.unit}", justify="right")
        table.add_column("ours ÷ it", justify="right")
    for name in result.samples:
        table.add_row(name, *_cells(result, name, workload.figures))
    return table


def _cells(result: Result, name: str, figures: Sequence[Figure]) -> list[str]:
    cells = []
    for figure in figures:
        theirs = result.values(name, figure.name)
        share = spread_of(ratios(result.values(OURS, figure.name), theirs))
        cells += [_spread(spread_of(theirs), figure.scale), "" if name == OURS else _spread(share)]
    return cells


def sentence(result: Result, outcome: Outcome) -> str:
    """Return what is said of one target.

    Args:
        result: Of its workload.
        outcome: What became of it.
    """
    target, reached = outcome.target, outcome.reached
    word = "reached" if outcome.met else "MISSED"
    who = "" if target.by == OURS else f" of {target.by}"
    if target.of:
        other = f"{target.of_figure} of {target.of}" if target.of_figure else target.of
        rest = f"{_spread(reached)} × {other}, wanted ≤ {number(target.at_most)}"
    else:
        (figure,) = (each for each in result.workload.figures if each.name == target.figure)
        wanted = number(target.at_most * figure.scale)
        rest = f"{_spread(reached, figure.scale)} {figure.unit}, wanted ≤ {wanted}"
    return f"{word}: {result.workload.name}, {target.figure}{who}: {rest}"


def show(result: Result, console: Console) -> None:
    """Print a result, and what became of its targets.

    Args:
        result: Of one workload.
        console: Where to.
    """
    console.print(table_of(result))
    for outcome in judge(result):
        console.print(f"  {sentence(result, outcome)}", style="" if outcome.met else "bold")
    console.print()


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    versions = {}
    for name in LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "versions": versions,
    }


def as_json(results: Sequence[Result]) -> dict[str, Any]:
    """Return everything that was measured, each round of it, as plain values.

    Args:
        results: Of all workloads.
    """
    return {
        "machine": machine(),
        "workloads": [
            {
                "name": result.workload.name,
                "title": result.workload.title.format(n=f"{result.size:,}"),
                "size": result.size,
                "figures": [
                    {"name": each.name, "unit": each.unit, "scale": each.scale}
                    for each in result.workload.figures
                ],
                "samples": {
                    name: [dict(each) for each in samples]
                    for name, samples in result.samples.items()
                },
                "targets": [
                    {"text": sentence(result, outcome), "met": outcome.met}
                    for outcome in judge(result)
                ],
            }
            for result in results
        ],
    }
