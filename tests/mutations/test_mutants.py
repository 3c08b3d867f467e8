"""Every small deliberate bug is caught, by the simulator or by a named part of the suite.

Each one is patched into a copy of the package, which runs in a process of its own. So a test that
proves nothing, or a law that cannot be broken, shows here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import frozen

import trio_instances

from .mutants import MUTANTS, Mutant, Tests, Worlds

PACKAGE = Path(trio_instances.__file__).parent
TESTS = Path(__file__).parents[1]
LONGEST = 60.0
"""Seconds that one of them may take; one that hangs is caught, too."""

PLAY = """
import sys
from trio_instances.testing.simulate.generating import generate
from trio_instances.testing.simulate.stage import play
for seed in map(int, sys.argv[1:]):
    for violation in play(generate(seed)).violations:
        sys.exit(str(violation))
"""


@frozen
class Ran:
    """What came of one process."""

    code: int
    said: str


def run(package: Path, caught_by: Worlds | Tests) -> Ran:
    """Run what is to catch a bug, on a copy of the package in a folder."""
    if isinstance(caught_by, Worlds):
        command = ["-c", PLAY, *map(str, caught_by.seeds)]
    else:
        # Without assertions rewritten and without plugins of no use here it starts twice as fast.
        # No folder of the checkout may stand before the copy's.
        options = ["-x", "-q", "-p", "no:cacheprovider", "-o", "pythonpath="]
        command = ["-m", "pytest", *options, caught_by.selected]
    # Neither the folder that it runs in is imported from, nor is what it does measured.
    kept = {key: value for key, value in os.environ.items() if not key.startswith("COV")}
    environment = {**kept, "PYTHONPATH": str(package.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            [sys.executable, "-P", *command],
            cwd=TESTS,
            env=environment,
            capture_output=True,
            text=True,
            timeout=LONGEST,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Ran(1, "it hangs")

    return Ran(done.returncode, done.stdout + done.stderr)


def patched(mutant: Mutant, folder: Path) -> Path:
    """Return a copy of the package with a bug in it."""
    package = folder / "trio_instances"
    shutil.copytree(PACKAGE, package)  # what is compiled stays valid, but for the file that changes
    file = package / mutant.file
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
    return package


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_is_a_bug_that_can_be_planted(mutant: Mutant) -> None:
    """The text that it replaces stands in its file, once: else the list is out of date."""
    text = (PACKAGE / mutant.file).read_text(encoding="utf-8")

    assert text.count(mutant.old) == 1


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_is_caught(mutant: Mutant, tmp_path: Path) -> None:
    """The bug is noticed by what is to notice it, and not because something else is broken."""
    outcome = run(patched(mutant, tmp_path), mutant.caught_by)

    assert outcome.code == 1, outcome.said
    assert "Traceback" not in outcome.said or isinstance(mutant.caught_by, Tests), outcome.said


def test_without_a_bug_the_worlds_keep_every_law() -> None:
    """So what the mutants break is broken by them."""
    seeds = [
        seed
        for each in MUTANTS
        if isinstance(each.caught_by, Worlds)
        for seed in each.caught_by.seeds
    ]
    outcome = run(PACKAGE, Worlds(tuple(sorted(set(seeds)))))

    assert outcome == Ran(0, "")
