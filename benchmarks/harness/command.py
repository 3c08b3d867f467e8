"""The command line: of all workloads together, and of each alone."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import click
from rich.console import Console

from .against import package_at
from .plots import draw
from .report import as_json, show
from .rounds import HERE, load, run_apart, run_rounds
from .values import OURS, Result, Sample, Workload

Runs = dict[str, Callable[[], Sample]]

ROUNDS = 5
"""Fewer say little about how far they are spread."""


def runs_of(workload: Workload, size: int) -> Runs:
    """Return what one run is, for each contender whose needs are installed.

    Args:
        workload: What to do.
        size: With how many items.
    """
    return {
        name: partial(run_apart, workload.name, name, size)
        for name, contender in workload.contenders.items()
        if contender.here()
    }


def runs_against(workload: Workload, size: int, path: Path, revision: str) -> Runs:
    """Return what one run is, of those contenders that are ours, here and at another revision.

    Args:
        workload: What to do.
        size: With how many items.
        path: Where the other revision's package is.
        revision: How it is called.
    """
    runs: Runs = {}
    for name in workload.contenders:
        if name.startswith(OURS):
            runs[name] = partial(run_apart, workload.name, name, size, HERE)
            runs[f"{name} at {revision}"] = partial(run_apart, workload.name, name, size, path)
    return runs


def measure(
    workloads: Sequence[Workload],
    *,
    size: int | None,
    rounds: int,
    against: str | None,
    console: Console,
    keep: Callable[[list[Result]], object],
) -> None:
    """Measure one workload after the other, and print and keep each as soon as it is known.

    Args:
        workloads: Which.
        size: How many items; None takes each one's own number.
        rounds: How many.
        against: Another revision, or None for raw Trio and the peers.
        console: Where to print.
        keep: Is called with all results so far, whenever there is one more.
    """
    results: list[Result] = []
    with console.status("") as status:
        for workload in workloads:
            items = workload.size if size is None else size
            if against is None:
                told = _rounds(workload, runs_of(workload, items), items, rounds, status.update)
            else:
                with package_at(against) as path:
                    runs = runs_against(workload, items, path, against)
                    told = _rounds(workload, runs, items, rounds, status.update)
            show(told, console)
            results.append(told)
            keep(results)


def _rounds(
    workload: Workload, runs: Runs, size: int, rounds: int, progress: Callable[[str], object]
) -> Result:
    return run_rounds(workload, runs, size=size, rounds=rounds, progress=progress)


def command_for(names: Sequence[str]) -> click.Command:
    """Return the command that measures some of these workloads, all of them by default.

    Args:
        names: Of the workloads' modules.
    """

    @click.command()
    @click.argument("workloads", nargs=-1, type=click.Choice(names))
    @click.option("--rounds", default=ROUNDS, show_default=True, help="How often each is run.")
    @click.option("--size", type=int, help="Items, in place of each workload's own number.")
    @click.option("--against", metavar="REV", help="Compare this checkout with another revision.")
    @click.option("--json", "to", type=click.Path(path_type=Path), help="Write every round here.")
    @click.option("--plots", type=click.Path(path_type=Path), help="Draw a PNG for each here.")
    def command(
        workloads: tuple[str, ...],
        rounds: int,
        size: int | None,
        against: str | None,
        to: Path | None,
        plots: Path | None,
    ) -> None:
        """Measure what it costs, against raw Trio and whatever peers are installed."""
        console = Console(width=None if sys.stdout.isatty() else 150)
        chosen = [load(name) for name in workloads or names]

        def keep(results: list[Result]) -> None:
            if to is not None:
                text = json.dumps(as_json(results), indent=1)
                to.write_text(f"{text}\n", encoding="utf-8")
            if plots is not None:
                draw(results[-1], plots)

        measure(chosen, size=size, rounds=rounds, against=against, console=console, keep=keep)

    return command


def main(workload: Workload) -> None:
    """Measure one workload; what its module does when it is run alone.

    Args:
        workload: The module's own.
    """
    command_for([workload.name])()
