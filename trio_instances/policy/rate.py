"""Counting attempts against time: a steady rate with bursts, and the attempts of any 24 hours.

Both answer the same two questions: when is there room for one more, and what is left now. Whoever
sleeps until the time they gave finds room then: that time and the room are one comparison, so that
no rounding error comes between them.
"""

from __future__ import annotations

import math
from collections import deque
from itertools import accumulate
from typing import final

DAY = 86_400.0
"""Seconds of the longest window that a provider counts in."""
MINUTE = 60.0
"""Seconds whose attempts are counted as one, so that a day takes 1,440 numbers at most."""


@final
class TokenBucket:
    """A rate, and a few attempts at once after a quiet time. It begins full.

    All that is kept is the time at which the bucket is full again. That time moves by one interval
    with each token taken, so nothing adds up that could drift.

    Args:
        per_second: Tokens that come in a second.
        burst: Tokens that there can be at once.
    """

    __slots__ = ("_burst", "_full_at", "_interval", "_slack")

    def __init__(self, per_second: float, burst: int) -> None:
        self._interval = 1.0 / per_second
        self._burst = burst
        self._slack = (burst - 1) * self._interval
        self._full_at = -math.inf

    def next_slot(self, now: float) -> float:
        """Return when there is a token: now, or later."""
        return max(now, self._full_at - self._slack)

    def left(self, now: float) -> int:
        """Return how many tokens there are."""
        if self.next_slot(now) > now:
            return 0

        missing = max(self._full_at - now, 0.0) / self._interval
        return max(1, self._burst - math.ceil(missing - 1e-9))

    def take(self, now: float) -> None:
        """Take a token that is there."""
        self._full_at = max(self._full_at, now) + self._interval


@final
class DayWindow:
    """The attempts of the last 24 hours, for whoever has a limit for them.

    Attempts of one minute are forgotten together, when the last of them could be a day old. So it
    may be up to a minute stricter than asked, and never laxer.
    """

    __slots__ = ("_count", "_ends")

    def __init__(self) -> None:
        self._count = 0
        self._ends: deque[tuple[float, int]] = deque()
        """For each minute with attempts its end, and how many there were; oldest first."""

    def next_slot(self, now: float, limit: int) -> float:
        """Return when there is room: now, or later.

        Args:
            now: The time.
            limit: How many attempts are allowed.
        """
        over = -self.left(now, limit)
        if over < 0:
            return now

        # More than one minute must be forgotten where the limit was a higher one before.
        forgotten = accumulate(count for _, count in self._ends)
        ends = zip(self._ends, forgotten, strict=True)
        return next(end for (end, _), gone in ends if gone > over) + DAY

    def left(self, now: float, limit: int) -> int:
        """Return how many attempts there is room for; below 0 where the limit was higher before."""
        ends = self._ends
        while ends and ends[0][0] + DAY <= now:
            self._count -= ends.popleft()[1]
        return limit - self._count

    def take(self, now: float) -> None:
        """Count an attempt."""
        end = (now // MINUTE + 1) * MINUTE
        count = self._ends.pop()[1] if self._ends and self._ends[-1][0] == end else 0
        self._ends.append((end, count + 1))
        self._count += 1
