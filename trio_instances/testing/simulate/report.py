"""What came of a hunt, in figures, and how to see a violation again."""

from __future__ import annotations

from collections.abc import Iterator

from .hunting import Tally
from .laws.base import Violation
from .stage import Outcome
from .world import FAULTS, MISHAPS, What, World, to_json

_BAD = frozenset(str(what) for what in FAULTS | MISHAPS)


def report(tally: Tally, seconds: float) -> str:
    """Return what came of a hunt, as text.

    Args:
        tally: What came of it.
        seconds: How long it took, by the clock on the wall.
    """
    return "\n".join(_lines(tally, seconds))


def _lines(tally: Tally, seconds: float) -> Iterator[str]:
    faults = sum(count for what, count in tally.happened.items() if what in _BAD)
    cancelled = tally.happened[What.CANCEL]
    asked = tally.happened.total() - faults - cancelled
    yield f"worlds            {tally.worlds:>12,}"
    yield f"runtime hours     {tally.hours:>12,.0f}   a runtime was up"
    yield f"instance hours    {tally.instance_hours:>12,.0f}   an instance was there"
    yield f"faults            {faults:>12,}   of providers, connections and children"
    yield f"operators' calls  {asked:>12,}"
    yield f"cancellations     {cancelled:>12,}   of a whole runtime"
    yield f"events            {tally.events:>12,}   checked, each of them"
    yield f"violations        {len(tally.violations):>12,}"
    yield f"seconds           {seconds:>12,.1f}"
    if tally.interrupted:
        yield "interrupted: it is what came until then"
    for world, violation in tally.violations:
        yield ""
        yield from _violation(world, violation)


def _violation(world: World, violation: Violation) -> Iterator[str]:
    yield f"seed {world.seed} breaks a law: {violation}"
    yield "its schedule, shrunk; put it in a file, or after --replay:"
    yield to_json(world)


def replayed(outcome: Outcome) -> str:
    """Return what came of one world, as text."""
    found = [str(violation) for violation in outcome.violations]
    return "\n".join([f"{outcome.events} events, {len(found)} violations", *found])
