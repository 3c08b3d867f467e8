"""The hunt: world after world, until so many hours are simulated; what breaks a law is shrunk."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable
from itertools import count
from typing import final

from attrs import define, field

from .generating import generate
from .laws.base import Violation
from .shrinking import shrink
from .stage import Outcome, play, weight
from .world import World


@final
@define
class Tally:
    """What came of a hunt."""

    worlds: int = 0
    hours: float = 0.0
    """Hours for which a runtime was up, summed up."""
    instance_hours: float = 0.0
    """Hours for which an instance was listed by its runtime, summed up."""
    happened: Counter[str] = field(factory=Counter)
    """How often what happened."""
    events: int = 0
    """Events that the library told."""
    violations: list[tuple[World, Violation]] = field(factory=list)
    """The first violation of each world that has one, with the world, shrunk."""

    def add(self, outcome: Outcome) -> None:
        """Add what came of one world."""
        self.worlds += 1
        self.hours += outcome.world.seconds / 3600.0
        self.instance_hours += outcome.instance_hours
        self.happened.update(str(each.what) for each in outcome.world.schedule)
        self.events += outcome.events


def hunt(
    hours: float,
    seed: int,
    *,
    told: Callable[[Tally], None] = lambda _: None,
    most_violations: int = 3,
) -> Tally:
    """Play worlds until so many hours are simulated, or a few of them break laws.

    What there is when it begins is out of sight of Python's garbage collector from then on, so that
    what a world leaves behind is seen.

    Args:
        hours: Of a runtime being up.
        seed: Of the first world; the next one has the next seed.
        told: Is called after each world.
        most_violations: After how many worlds that break laws it ends.
    """
    gc.collect()
    gc.freeze()
    tally = Tally()
    for each in count(seed):
        outcome = play(generate(each))
        tally.add(outcome)
        found = [*outcome.violations, *_left_behind(outcome.world)]
        if found:
            tally.violations.append((_shrunk(outcome.world, found[0]), found[0]))
        told(tally)
        if tally.hours >= hours or len(tally.violations) >= most_violations:
            break

    return tally


def _left_behind(world: World) -> list[Violation]:
    objects = weight()
    if not objects:
        return []

    return [Violation("flat memory", world.seconds, f"{objects} objects are left of the world")]


def _shrunk(world: World, violation: Violation) -> World:
    def breaks(candidate: World) -> bool:
        return any(each.law == violation.law for each in play(candidate).violations)

    return shrink(world, breaks)
