"""Whether a restart intensity can be exceeded, by what crashes as fast as its delays allow."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import final

from attrs import frozen

from .backoff import Backoff
from .intensity import RestartIntensity

_MANY = 1000
"""Restarts up to which the fastest loop is exact; for more it is the least that it can be."""


class Trips(StrEnum):
    """Whether something that crashes whenever it has started exceeds a restart intensity.

    - ``always``: its delays are short enough, even the longest ones.
    - ``mostly``: its delays are short enough on average.
    - ``seldom``: only if chance makes its delays shorter than they are on average.
    - ``never``: its delays are too long, even the shortest ones; it is restarted for ever.
    """

    ALWAYS = "always"
    MOSTLY = "mostly"
    SELDOM = "seldom"
    NEVER = "never"


@final
@frozen
class CrashLoop:
    """How long it takes to use a restart intensity up; one restart more is too many.

    Times are seconds from the first restart to the crash that is one too many.
    """

    intensity: RestartIntensity
    fastest: float
    """With the shortest delays, and crashes at the best moments for this."""
    average: float
    """With average delays, and a crash whenever it has started."""
    slowest: float
    """With the longest delays, and a crash whenever it has started."""

    @property
    def trips(self) -> Trips:
        """Whether that exceeds the intensity."""
        period = self.intensity.period
        if self.slowest <= period:
            return Trips.ALWAYS
        if self.average <= period:
            return Trips.MOSTLY
        if self.fastest <= period:
            return Trips.SELDOM

        return Trips.NEVER


def crash_loop(intensity: RestartIntensity, backoff: Backoff | None) -> CrashLoop:
    """Find out how soon one child alone exceeds an intensity.

    Several children that share it do so sooner.

    Args:
        intensity: How many restarts are allowed within which time.
        backoff: The delays between restarts; None: there are none.
    """
    if backoff is None:
        return CrashLoop(intensity, 0.0, 0.0, 0.0)

    restarts = intensity.max_restarts
    slowest = _in_a_row(backoff, restarts, 1.0)
    average = _in_a_row(backoff, restarts, 0.5)
    return CrashLoop(intensity, _fastest(backoff, restarts), average, slowest)


def crash_loop_above(intensity: RestartIntensity, inner: CrashLoop) -> CrashLoop:
    """Find out how soon an instance exceeds its intensity that crashes whenever a child has.

    Args:
        intensity: How many restarts of the instance are allowed; they come at once.
        inner: How soon a child of it exceeds the instance's own intensity, each time anew.
    """
    times = intensity.max_restarts

    def whole(seconds: float) -> float:
        if times == 0:
            return 0.0
        return times * seconds if seconds <= inner.intensity.period else math.inf

    return CrashLoop(intensity, whole(inner.fastest), whole(inner.average), whole(inner.slowest))


def _in_a_row(backoff: Backoff, restarts: int, u: float) -> float:
    """Return how long so many restarts take whose delays never begin anew."""
    total = 0.0
    for attempt in range(restarts):
        if backoff.step(attempt + 1) == backoff.step(attempt):
            return total + (restarts - attempt) * backoff.delay(attempt, u)
        total += backoff.delay(attempt, u)
    return total


def _fastest(backoff: Backoff, restarts: int) -> float:
    """Return how long so many restarts take at least.

    Who runs long enough before a crash waits less after it. Whether that pays is found by trying
    everything: `least[k]` is the least time after which k restarts in a row have been made.
    """
    if backoff.delay(0, 0.0) == 0.0 and backoff.delay(restarts, 0.0) == 0.0:
        return 0.0

    whole, rest = divmod(restarts, _MANY)
    if whole:
        # Any so many of them in a row take at least what the first so many take.
        return whole * _fastest(backoff, _MANY - 1) + _fastest(backoff, rest)

    least = {0: 0.0}
    for _ in range(restarts):
        after = {k + 1: time + backoff.delay(k, 0.0) for k, time in least.items()}
        # Whether it runs for so long before this restart or not, it is the restart after a crash.
        anew = min(time + backoff.proven_after(k) for k, time in least.items())
        after[1] = min(after.get(1, math.inf), anew + backoff.delay(0, 0.0))
        least = after
    return min(least.values())
