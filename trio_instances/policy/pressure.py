"""How full is too full: levels of queue occupancy, with hysteresis on the way down."""

from __future__ import annotations

from enum import StrEnum
from typing import final

from attrs import frozen

from .mistakes import MistakeList


class PressureLevel(StrEnum):
    """How full an instance's fullest queue is.

    - ``normal``: nothing to do.
    - ``warn``: somebody should know.
    - ``degraded``: throttle, and defer what can wait.
    - ``shed``: refuse what is not critical.
    """

    NORMAL = "normal"
    WARN = "warn"
    DEGRADED = "degraded"
    SHED = "shed"


@final
@frozen
class PressurePolicy:
    """Occupancies, as shares of a queue's capacity, at which each level begins.

    The defaults leave time to act before a queue is full. A level is left only when the occupancy
    has fallen `hysteresis` below the threshold at which it began, so that a queue at a threshold
    does not flap.
    """

    warn: float = 0.70
    """Occupancy from which the level is ``warn``."""
    degraded: float = 0.85
    """Occupancy from which the level is ``degraded``."""
    shed: float = 0.95
    """Occupancy from which the level is ``shed``."""
    hysteresis: float = 0.05
    """How far below its threshold the occupancy must fall for a level to be left."""
    interval: float = 1.0
    """Seconds between two looks at the watched queues."""

    def __attrs_post_init__(self) -> None:
        wrong = MistakeList("PressurePolicy")
        for name in ("warn", "degraded", "shed"):
            wrong.number(name, getattr(self, name), above=0.0, at_most=1.0)
        wrong.number("hysteresis", self.hysteresis, at_most=1.0)
        wrong.number("interval", self.interval, above=0.0, finite=True)
        wrong.raise_any()
        if not self.warn <= self.degraded <= self.shed:
            wrong.add(
                "warn, degraded, shed",
                (self.warn, self.degraded, self.shed),
                "must not decrease from one to the next",
            )
        if self.hysteresis >= self.warn:
            wrong.add("hysteresis", self.hysteresis, f"must be below warn ({self.warn:g})")
        wrong.raise_any()

    def level(self, previous: PressureLevel, occupancy: float) -> PressureLevel:
        """Return the level of an occupancy, given the level before it.

        Args:
            previous: The level until now.
            occupancy: How full the fullest queue is, 0 to 1.
        """
        rising = self._at(occupancy)
        if _RANK[rising] >= _RANK[previous]:
            return rising

        falling = self._at(occupancy + self.hysteresis)
        return falling if _RANK[falling] < _RANK[previous] else previous

    def _at(self, occupancy: float) -> PressureLevel:
        if occupancy >= self.shed:
            return PressureLevel.SHED
        if occupancy >= self.degraded:
            return PressureLevel.DEGRADED
        if occupancy >= self.warn:
            return PressureLevel.WARN

        return PressureLevel.NORMAL


_RANK = {level: rank for rank, level in enumerate(PressureLevel)}
