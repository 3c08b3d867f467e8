"""Writes the tables of the page about performance from what was measured.

::

    to=docs/pictures/benchmarks
    python -m benchmarks --json $to/rounds.json --plots $to
    python docs/draw_performance.py

A test says when the page is behind the measurement.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from statistics import median
from typing import Any

DOCS = Path(__file__).parent
PAGE = DOCS / "performance.md"
MEASURED = DOCS / "pictures" / "benchmarks" / "rounds.json"
OURS = "trio_instances"
PLACE = re.compile(r"<!-- drawn: (\w+) -->\n.*?<!-- end -->\n", re.DOTALL)


def drawn(page: str) -> str:
    """Return the text of the page with its tables drawn anew."""
    measured = json.loads(MEASURED.read_text(encoding="utf-8"))
    pictures = {"machine": _machine(measured), "targets": _targets(measured)}
    pictures |= {each["name"]: _workload(each) for each in measured["workloads"]}
    return PLACE.sub(
        lambda place: f"<!-- drawn: {place[1]} -->\n\n{pictures[place[1]]}\n<!-- end -->\n", page
    )


def _machine(measured: dict[str, Any]) -> str:
    machine = measured["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"Measured on {machine['cores']} shared cores, {machine['system']} on "
        f"{machine['machine']}, Python {machine['python']}, {versions}.\n"
    )


def _targets(measured: dict[str, Any]) -> str:
    lines = ["| reached | wanted and found |", "| --- | --- |"]
    for workload in measured["workloads"]:
        for target in workload["targets"]:
            text = target["text"].partition(": ")[2]
            lines.append(f"| {'yes' if target['met'] else '**no**'} | {text} |")
    return "".join(f"{line}\n" for line in lines)


def _workload(workload: dict[str, Any]) -> str:
    figures, samples = workload["figures"], workload["samples"]
    head = "".join(f" {each['name']}, {each['unit']} | ours ÷ it |" for each in figures)
    lines = [f"{workload['title']}:\n", f"| |{head}", "| --- |" + " ---: | ---: |" * len(figures)]
    for name, rounds in samples.items():
        cells = []
        for figure in figures:
            theirs = [each[figure["name"]] for each in rounds if figure["name"] in each]
            ours = [each[figure["name"]] for each in samples.get(OURS, ())]
            cells.append(_spread([each * figure["scale"] for each in theirs]))
            ratios = [our / their for our, their in zip(ours, theirs, strict=False) if their]
            cells.append("" if name == OURS else _spread(ratios))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    picture = f"pictures/benchmarks/benchmark-{workload['name']}.png"
    return "".join(f"{line}\n" for line in lines) + f"\n![{workload['name']}]({picture})\n"


def _spread(values: list[float]) -> str:
    if not values:
        return ""

    low, high = _number(min(values)), _number(max(values))
    return f"{_number(median(values))} ({low}–{high})"  # noqa: RUF001 - a range, for people


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004 - as a table


if __name__ == "__main__":
    PAGE.write_text(drawn(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
