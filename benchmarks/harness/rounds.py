"""Rounds: each contender once, in a process of its own, one after the other; and again."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from .values import Result, Sample, Workload, WorkNotDoneError

HERE = Path(__file__).parents[2]
"""The checkout that this file is in."""

DEADLINE = 120.0
"""Seconds for one run of one contender."""


def load(name: str) -> Workload:
    """Return the workload of a module in this package.

    Args:
        name: The module's.
    """
    workload = importlib.import_module(f"benchmarks.{name}").WORKLOAD
    assert isinstance(workload, Workload)
    return workload


def run_here(workload: Workload, contender: str, size: int) -> dict[str, float]:
    """Run one contender in this process, and refuse what is no figure of the workload.

    Args:
        workload: What to do.
        contender: Who does it.
        size: With how many items.

    Raises:
        WorkNotDoneError: Not all of it was done.
    """
    sample = dict(workload.contenders[contender].measure(size))
    unknown = sample.keys() - {figure.name for figure in workload.figures}
    if unknown or not sample:
        raise WorkNotDoneError(f"{workload.name} of {contender}: figures {sorted(unknown)}")

    return sample


def run_apart(workload: str, contender: str, size: int, path: Path = HERE) -> Sample:
    """Run one contender in a new process.

    Args:
        workload: What to do; the name of its module.
        contender: Who does it.
        size: With how many items.
        path: The folder that `trio_instances` is imported from.

    Raises:
        WorkNotDoneError: Not all of it was done, or the process has failed otherwise.
    """
    surroundings = {**os.environ, "PYTHONPATH": os.pathsep.join((str(path), str(HERE)))}
    command = [sys.executable, "-P", "-m", "benchmarks.harness.worker"]
    done = subprocess.run(
        [*command, workload, contender, str(size)],
        env=surroundings,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    if done.returncode != 0:
        raise WorkNotDoneError(f"{workload} of {contender} with {size}:\n{done.stderr}")

    sample: Sample = json.loads(done.stdout.splitlines()[-1])
    return sample


def run_rounds(
    workload: Workload,
    runs: Mapping[str, Callable[[], Sample]],
    *,
    size: int,
    rounds: int,
    progress: Callable[[str], object],
) -> Result:
    """Run so many rounds; every second one begins at the other end.

    Args:
        workload: What is done.
        runs: By contender, what one run of it is.
        size: With how many items.
        rounds: How often.
        progress: Is told who is next.
    """
    samples: dict[str, list[Sample]] = {name: [] for name in runs}
    for number in range(rounds):
        order = list(runs) if number % 2 == 0 else list(reversed(runs))
        for name in order:
            progress(f"{workload.name}: {name}, round {number + 1} of {rounds}")
            samples[name].append(runs[name]())
    return Result(workload, size, {name: tuple(each) for name, each in samples.items()})
