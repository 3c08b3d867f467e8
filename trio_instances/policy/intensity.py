"""How many restarts are too many, counted as OTP counts them."""

from __future__ import annotations

from collections import deque
from typing import final

from attrs import frozen

from .failures import Cause
from .mistakes import MistakeList


@final
@frozen
class RestartIntensity:
    """At most ``max_restarts`` restarts within ``period`` seconds; one more escalates.

    The defaults are OTP's. ``max_restarts=0`` allows none at all.
    """

    max_restarts: int = 1
    """How many restarts are allowed within the period."""
    period: float = 5.0
    """Length of the sliding window, in seconds, both ends included."""

    def __attrs_post_init__(self) -> None:
        wrong = MistakeList("RestartIntensity")
        wrong.whole("max_restarts", self.max_restarts)
        wrong.number("period", self.period, above=0.0, finite=True)
        wrong.raise_any()


KEPT_REASONS = 5
"""How many reasons a window keeps: enough to see a pattern, and bounded for any intensity."""


@final
class RestartWindow:
    """The restarts that one intensity has seen.

    Only the times within the period are kept, at most ``max_restarts`` of them. Each is added once
    and dropped once, so that a decision costs the same however many there are.

    Args:
        intensity: What is allowed.
    """

    __slots__ = ("_limit", "_period", "_reasons", "_times", "intensity")

    def __init__(self, intensity: RestartIntensity) -> None:
        self.intensity: RestartIntensity = intensity
        self._limit = intensity.max_restarts
        self._period = intensity.period
        # Made when needed: an empty deque weighs as much as a fifth of an idle child, and most
        # windows stay empty.
        self._times: deque[float] | None = None
        self._reasons: deque[tuple[float, str, Cause]] | None = None

    def allows(self, now: float) -> bool:
        """Record a restart at `now` if it is allowed, and tell whether it is.

        A refused restart is not made, so it leaves no trace.

        Args:
            now: When the decision is made, in seconds of a monotonic clock.
        """
        if self._times is None:
            self._times = deque()
        times = self._times
        while times and now - times[0] > self._period:
            times.popleft()
        if len(times) >= self._limit:
            return False

        times.append(now)
        return True

    def note(self, now: float, child: str, cause: Cause) -> None:
        """Keep the reason of a restart that was allowed, for who asks why it came to too many."""
        if self._reasons is None:
            self._reasons = deque(maxlen=KEPT_REASONS)
        self._reasons.append((now, child, cause))

    def recent(self, now: float) -> tuple[tuple[str, Cause], ...]:
        """Return the child and the cause of the last restarts that count, at most 5, oldest first.

        Args:
            now: The end of the window, in seconds of the same clock.
        """
        return tuple(
            (child, cause) for at, child, cause in self._reasons or () if now - at <= self._period
        )

    def forget(self) -> None:
        """Forget every restart, as after an operator has put things right."""
        self._times = None
        self._reasons = None
