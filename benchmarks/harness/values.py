"""What a workload is, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import final

from attrs import frozen

OURS = "trio_instances"
"""The contender that all others are compared with."""

PEERS = ("triotp", "mode")
"""Those that do the same on the same interpreter, and should be far behind."""

AHEAD = 0.2
"""Our cost, at most, as a part of theirs, in whatever they can do."""

Sample = Mapping[str, float]
"""What one run of one contender has cost, by figure. Less is better, always."""


class WorkNotDoneError(AssertionError):
    """A contender has not done the work, so that its figures mean nothing."""


def check(what: str, found: object, expected: object) -> None:
    """Refuse a run in which something else was done than the workload says.

    Args:
        what: What was counted.
        found: What there is.
        expected: What there must be.

    Raises:
        WorkNotDoneError: They differ.
    """
    if found != expected:
        raise WorkNotDoneError(f"{what}: {found!r}, expected {expected!r}")


@final
@frozen
class Figure:
    """Something that a run costs."""

    name: str
    unit: str
    scale: float = 1.0
    """What a value is multiplied with to be shown in that unit."""


def _always() -> bool:
    return True


@final
@frozen
class Contender:
    """Somebody who can do a workload."""

    measure: Callable[[int], Sample]
    """Does it with so many items, checks that it was done, and says what it cost."""
    here: Callable[[], bool] = _always
    """Whether what it needs is installed."""


@final
@frozen
class Target:
    """What is wanted of one figure of ours, or of one contender of ours."""

    figure: str
    at_most: float
    of: str = ""
    """Times the figure of this contender, in the same round; empty for a number of its own."""
    by: str = OURS
    """Whose figure it is."""
    of_figure: str = ""
    """Which figure of the other one it is compared with; empty for the same."""


@final
@frozen
class Workload:
    """Something that can be done by several, so that their costs can be compared."""

    name: str
    """Its module in this package."""
    title: str
    size: int
    """How many items, unless another number is asked for."""
    tiny: int
    """How many are enough to see that it works."""
    figures: tuple[Figure, ...]
    contenders: Mapping[str, Contender]
    targets: tuple[Target, ...] = ()

    def all_targets(self) -> tuple[Target, ...]:
        """Return its own targets, and that every peer that takes part is far behind."""
        far = [
            Target(figure.name, AHEAD, of=peer)
            for peer in PEERS
            if peer in self.contenders and OURS in self.contenders
            for figure in self.figures
        ]
        return (*self.targets, *far)


@final
@frozen
class Result:
    """What came of one workload."""

    workload: Workload
    size: int
    samples: Mapping[str, tuple[Sample, ...]]
    """By contender, a sample for each round."""

    def values(self, contender: str, figure: str) -> list[float]:
        """Return one figure of one contender, by round; empty where it has none."""
        return [each[figure] for each in self.samples.get(contender, ()) if figure in each]
