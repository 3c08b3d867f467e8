"""The hunt: world after world, until so many hours are simulated; what breaks a law is shrunk."""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Callable
from itertools import count
from typing import final

from attrs import define, evolve, field

from .generating import generate
from .laws.base import Violation
from .shrinking import shrink
from .stage import Outcome, play, weight
from .world import World

SHRINKING = 120.0
"""Seconds of the clock on the wall after which a schedule is not made any shorter."""


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
    interrupted: bool = False
    """Whether Ctrl-C has ended it."""

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
    found: Callable[[World, Violation], None] = lambda *_: None,
    most_violations: int = 3,
) -> Tally:
    """Play worlds until so many hours are simulated, or a few of them break laws.

    Ctrl-C ends it, and what came until then is returned.

    Args:
        hours: Of a runtime being up.
        seed: Of the first world; the next one has the next seed.
        told: Is called after each world.
        found: Is called with each violation, before the schedule is shrunk, which can take long.
        most_violations: After how many worlds that break laws it ends.
    """
    tally = Tally()
    try:
        for each in count(seed):
            outcome = judged(generate(each))
            tally.add(outcome)
            if outcome.violations:
                found(outcome.world, outcome.violations[0])
                _shrink(outcome, tally)
            told(tally)
            if tally.hours >= hours or len(tally.violations) >= most_violations:
                break
    except KeyboardInterrupt:
        tally.interrupted = True

    return tally


def judged(world: World) -> Outcome:
    """Play a world, and count what it leaves behind among its violations.

    What there is when it begins is out of sight of Python's garbage collector from then on, so that
    what a world leaves behind is seen.
    """
    gc.collect()
    gc.freeze()
    outcome = play(world)
    objects = weight()
    if not objects:
        return outcome

    left = Violation("flat memory", world.seconds, f"{objects} objects are left of the world")
    return evolve(outcome, violations=(*outcome.violations, left))


def _shrink(outcome: Outcome, tally: Tally) -> None:
    """Add a violation to the tally, with the smallest world that is found for it, as it is found.

    So it is there as well where Ctrl-C ends the search.
    """
    violation, until = outcome.violations[0], time.monotonic() + SHRINKING
    tally.violations.append((outcome.world, violation))

    def breaks(candidate: World) -> bool:
        if time.monotonic() > until:
            return False

        broken = any(each.law == violation.law for each in judged(candidate).violations)
        if broken:
            tally.violations[-1] = (candidate, violation)
        return broken

    tally.violations[-1] = (shrink(outcome.world, breaks), violation)
