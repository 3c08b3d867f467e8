"""A row of bars: how many attempts were made in each moment of an outage, and how many may be."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import final

from attrs import frozen

MOMENT = 0.2
"""Seconds that one bar stands for."""

_BARS = "▁▂▃▄▅▆▇█"
_PLAIN_BARS = "_.,-=+*#"
"""For terminals whose encoding has no blocks."""


@final
@frozen
class Allowance:
    """What a budget allows, in words of its own."""

    a_second: float
    burst: int

    def within(self, seconds: float) -> float:
        """Return how many attempts it allows within some time."""
        return self.burst + self.a_second * seconds


def chart(times: Sequence[float], since: float, until: float, *, plain: bool) -> str:
    """Return a bar for each moment between two times; a space where nothing was attempted.

    Args:
        times: When the attempts were made, in order.
        since: Where the first bar begins.
        until: Where the last one ends.
        plain: Whether only ASCII may be used.
    """
    moments = [0] * max(1, round((until - since) / MOMENT))
    for at in times:
        index = int((at - since) / MOMENT)
        if 0 <= index < len(moments):
            moments[index] += 1
    most, bars = max(moments), _PLAIN_BARS if plain else _BARS
    return "".join(bars[(len(bars) - 1) * count // most] if count else " " for count in moments)


def busiest_second(times: Sequence[float]) -> int:
    """Return how many attempts there were in the second that had the most.

    Args:
        times: When they were made, in order.
    """
    return max((bisect_right(times, at + 1.0) - i for i, at in enumerate(times)), default=0)


def beyond(times: Sequence[float], allowance: Allowance, slack: float) -> int:
    """Return by how many attempts the busiest second exceeds what is allowed; 0 is as it should be.

    Args:
        times: When they were begun, in order. They were granted a moment before.
        allowance: What the budget allows.
        slack: Seconds by which a busy machine may begin one later than it was granted.
    """
    return max(0, busiest_second(times) - int(allowance.within(1.0 + slack)))
