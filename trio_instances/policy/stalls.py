"""When the event loop counts as blocked, when to say so, and what there is to say of it."""

from __future__ import annotations

from enum import StrEnum
from typing import final

from attrs import frozen

from .mistakes import MistakeList


@final
@frozen(kw_only=True)
class StallPolicy:
    """When a step of a task has blocked the event loop for too long."""

    threshold: float = 0.1
    """Seconds that one step of a task may take; at least 0.001.

    What people feel as a delay begins there, and what an honest step takes is a hundredth of it.
    """
    warn_after: float = 1.0
    """Seconds from which a step is reported while it lasts, and then each time it has doubled.

    A stall that ends is told by an event; this is for the one that does not.
    """
    window: float = 10.0
    """Seconds over which the shares of loop time are counted; at least 0.1."""

    def __attrs_post_init__(self) -> None:
        wrong = MistakeList("StallPolicy")
        wrong.number("threshold", self.threshold, at_least=0.001, finite=True)
        wrong.number("warn_after", self.warn_after, at_least=0.001)
        wrong.number("window", self.window, at_least=0.1, finite=True)
        wrong.raise_any()


@final
@frozen
class LoopShares:
    """Where the time of an event loop went: parts of it, 0 to 1, all together at most 1."""

    seconds: float
    """How long the time was that they are parts of."""
    by_instance: dict[str, float]
    """By instance id, the part that its tasks used, the largest first."""
    other: float
    """The part that was used by tasks of no instance."""

    @property
    def busy(self) -> float:
        """The part that was used at all; near 1.0 the loop is too slow for what it has to do."""
        return self.other + sum(self.by_instance.values())


@final
@frozen(kw_only=True)
class LoopHealth:
    """How the event loop fares, which all instances share, and the machine that it runs on."""

    sleeps: int
    """How often the machine has slept since the runtime was opened."""
    slept: float
    """For how many seconds, all together."""
    stalls: int | None
    """Steps that blocked the loop for too long, since the watch began; None where nobody watches,
    see `watch_stalls`."""
    stalled: float | None
    """For how many seconds, all together."""
    shares: LoopShares | None
    """Where the loop's time went lately."""


@final
@frozen
class Sight:
    """A step that was seen to take too long."""

    began: float
    """When it began; no two steps begin at the same time."""
    warn_at: float
    """How many seconds it will have lasted when the next warning is due."""


class Look(StrEnum):
    """What to do after a look.

    - ``nothing``: there is nothing new.
    - ``sample``: note where it is.
    - ``warn``: note where it is, and say so at once.
    """

    NOTHING = "nothing"
    SAMPLE = "sample"
    WARN = "warn"


def look(
    sight: Sight | None, began: float | None, policy: StallPolicy, now: float
) -> tuple[Sight | None, Look]:
    """Look at the step that is under way.

    Args:
        sight: What the last look returned.
        began: When the step began; None when there is none.
        policy: What is too long.
        now: The time, of the same clock.

    Returns:
        What to hand to the next look, and what to do.
    """
    if began is None or now - began < policy.threshold:
        return None, Look.NOTHING

    lasted = now - began
    fresh = sight is None or sight.began != began
    warn_at = policy.warn_after if sight is None or fresh else sight.warn_at
    if lasted < warn_at:
        return Sight(began, warn_at), Look.SAMPLE if fresh else Look.NOTHING

    while warn_at <= lasted:
        warn_at *= 2
    return Sight(began, warn_at), Look.WARN
