"""A plan on the terminal: a table for each kind of instance, one for each budget, and warnings."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from attrs import evolve
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from .wording import concern_in_words, listed

if TYPE_CHECKING:
    from rich.console import Console

    from ..policy.crash_loop import CrashLoop
    from ..policy.plan import FleetPlan, InstancePlan, OutagePlan, Plan

_NAMES = {60.0: "1 minute", 3600.0: "1 hour", 86400.0: "1 day"}
_UNITS = ((3600.0, "h"), (60.0, "min"), (1.0, "s"))
_ROUNDED = 100.0
"""Numbers of attempts from which a fraction of one says nothing."""


def print_plan(plan: Plan, console: Console) -> None:
    """Print a plan; instances whose numbers are the same share a table."""
    for ids, instance in _alike(plan.instances):
        _print_lines(console, [listed(ids)], style="bold")
        console.print(_table(instance.outages))
        _print_lines(console, _of_instance(instance))
    for fleet in plan.fleets:
        if fleet.instances > 1 or fleet.key is not None:
            _print_lines(console, [_title(fleet, len(plan.instances))], style="bold")
            console.print(_table(fleet.outages, fleet))
            _print_lines(console, [_churn(fleet.churn)])
    for concern in plan.concerns:
        _print_lines(console, [f"warning: {concern_in_words(concern)}"], style="yellow")


def _alike(plans: Iterable[InstancePlan]) -> Iterable[tuple[list[str], InstancePlan]]:
    groups: dict[InstancePlan, list[str]] = {}
    for plan in plans:
        groups.setdefault(evolve(plan, instance_id=""), []).append(plan.instance_id)
    return [(ids, plan) for plan, ids in groups.items()]


def _print_lines(console: Console, lines: Iterable[str], style: str = "") -> None:
    for line in lines:
        console.print(Text(line, style), soft_wrap=True)


def _title(fleet: FleetPlan, total: int) -> str:
    whose = "" if fleet.key is None else f" of budget {fleet.key!r}"
    if fleet.key is None and fleet.instances < total:
        whose = " without a budget"
    every = "all " if fleet.instances == total > 1 else ""
    return f"{every}{fleet.instances} instance{'s' if fleet.instances > 1 else ''}{whose} together"


def _table(outages: Iterable[OutagePlan], fleet: FleetPlan | None = None) -> Table:
    budgeted = fleet is not None and fleet.policy is not None
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("outage")
    headings = ["attempts", "fewest", "most", *(["allowed"] if budgeted else [])]
    for heading in (*headings, "half back in", "all back in"):
        table.add_column(heading, justify="right", no_wrap=True)
    outages = tuple(outages)
    for wanted, outage in zip(outages if fleet is None else fleet.wanted, outages, strict=True):
        numbers = [wanted.attempts, wanted.fewest_attempts, wanted.most_attempts]
        if fleet is not None and budgeted:
            numbers.append(fleet.allowed(outage.seconds))
        waits = (outage.median_wait, outage.longest_wait)
        name = _NAMES.get(outage.seconds, f"{outage.seconds:g} s")
        table.add_row(name, *map(_number, numbers), *map(_duration, waits))
    return table


def _of_instance(plan: InstancePlan) -> Iterable[str]:
    yield _churn(plan.churn)
    yield f"a child that keeps crashing {_loop(plan.child_loop)}"
    if math.isfinite(plan.instance_loop.fastest):
        yield f"an instance of such a child {_loop(plan.instance_loop)}"
    yield ""


def _churn(attempts: float) -> str:
    return f"if every connection is dropped once it is proven: {_number(attempts)} attempts a day"


def _loop(loop: CrashLoop) -> str:
    limit, period = loop.intensity.max_restarts, loop.intensity.period
    fastest, average, slowest = map(_duration, (loop.fastest, loop.average, loop.slowest))
    took = fastest if fastest == slowest else f"{fastest} to {slowest}, {average} on average"
    return f"{loop.trips} exceeds {limit} restarts in {period:g} s (they take {took})"


def _number(value: float) -> str:
    if math.isinf(value):
        return "no limit"

    return f"{value:,.0f}" if value.is_integer() or value >= _ROUNDED else f"{value:,.1f}"


def _duration(seconds: float) -> str:
    if math.isinf(seconds):
        return "never"

    unit, name = next(row for row in _UNITS if seconds >= 2 * row[0] or row[0] == 1.0)
    return f"{seconds / unit:.3g} {name}"
