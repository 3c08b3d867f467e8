"""What several rounds say together: medians, ratios, and how far they are spread. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import final

from attrs import frozen

from .values import Result, Target


@final
@frozen
class Spread:
    """A median, and between what it lies."""

    median: float
    low: float
    high: float


def spread_of(values: Sequence[float]) -> Spread | None:
    """Return the median of the rounds, and the least and the greatest; None where there are none.

    Args:
        values: One of each round.
    """
    if not values:
        return None

    return Spread(median(values), min(values), max(values))


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Return ours as a part of theirs, round by round.

    A machine that is slow for a while is slow for both, so this is steadier than either of them.

    Args:
        ours: One of each round.
        theirs: One of each round; a round in which they cost nothing tells nothing.
    """
    return [our / their for our, their in zip(ours, theirs, strict=False) if their]


def percentile(values: Sequence[float], part: float) -> float:
    """Return the value below which a part of them lies: the nearest rank.

    Args:
        values: At least one, in any order.
        part: In (0, 1].
    """
    ordered = sorted(values)
    rank = -int(-part * len(ordered) // 1)
    return ordered[max(rank, 1) - 1]


@final
@frozen
class Outcome:
    """Whether a target was reached."""

    target: Target
    reached: Spread

    @property
    def met(self) -> bool:
        """Whether the median keeps to it."""
        return self.reached.median <= self.target.at_most


def judge(result: Result) -> list[Outcome]:
    """Return what became of each target whose contenders took part.

    Args:
        result: Of the workload that has the targets.
    """
    outcomes = []
    for target in result.workload.all_targets():
        values = result.values(target.by, target.figure)
        if target.of:
            other = target.of_figure or target.figure
            values = ratios(values, result.values(target.of, other))
        reached = spread_of(values)
        if reached is not None:
            outcomes.append(Outcome(target, reached))
    return outcomes
