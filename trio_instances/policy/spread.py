"""How a sum of independent delays is spread, when chance moves each one evenly within bounds.

A sum of uniform variables has a density that is zero outside an interval, so it has a Fourier
series on that interval, and the coefficients of a sum are the products of those of its parts. That
gives the chances that are asked for here exactly but for what is cut off, which is far below 0.001
of a delay, at a cost that hardly grows with the number of parts. The textbook sum over all subsets
of the parts would be exact as well, and is hopeless for more than twenty of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import final

from attrs import field, frozen

_TERMS = 2000
_NEGLIGIBLE = 1e-9
_REACH = 10.0
"""Standard deviations beyond which such a sum never is: the chance is below 0.0000002."""


@final
@frozen
class Delay:
    """A delay that is anywhere between two bounds, in seconds."""

    low: float
    high: float

    @property
    def mean(self) -> float:
        """What it is on average."""
        return (self.low + self.high) / 2

    @property
    def width(self) -> float:
        """How far apart its bounds are."""
        return self.high - self.low

    @property
    def variance(self) -> float:
        """How far it is from its average: the square, on average."""
        return self.width**2 / 12

    def chance_over(self, seconds: float) -> float:
        """Return the chance that it is longer."""
        if seconds < self.low:
            return 1.0
        if seconds >= self.high:
            return 0.0
        return (self.high - seconds) / self.width

    def beyond(self, seconds: float) -> Delay:
        """Return what it is, given that it is longer, which it must be able to be."""
        return Delay(max(self.low, seconds), self.high)


@final
@frozen
class Sum:
    """The sum of some delays."""

    mean: float = 0.0
    variance: float = 0.0
    widths: Mapping[float, int] = field(factory=dict)
    """How many of the delays have which width; those of width 0 are left out."""

    def plus(self, delay: Delay, times: int = 1) -> Sum:
        """Return this sum with some more delays."""
        widths = dict(self.widths)
        if delay.width:
            widths[delay.width] = widths.get(delay.width, 0) + times
        return Sum(self.mean + times * delay.mean, self.variance + times * delay.variance, widths)

    @property
    def reach(self) -> float:
        """How far from its mean it can be, for all that matters."""
        half = sum(width * count for width, count in self.widths.items()) / 2
        return min(half, _REACH * math.sqrt(self.variance))

    def chance_before(self, seconds: float) -> float:
        """Return the chance that it is less than so many seconds."""
        reach, distance = self.reach, seconds - self.mean
        if distance > reach:
            return 1.0
        if distance <= -reach:
            return 0.0

        period = 2 * reach
        waves = sum(
            weight / k * math.sin(2 * math.pi * k * distance / period)
            for k, weight in self._weights(period, decay=1)
        )
        return min(max(0.5 + distance / period + waves / math.pi, 0.0), 1.0)

    def left_of(self, seconds: float) -> float:
        """Return how many of so many seconds it leaves on average; none where it is longer."""
        reach, distance = self.reach, seconds - self.mean
        if distance >= reach:
            return distance
        if distance <= -reach:
            return 0.0

        period = 2 * reach
        waves = sum(
            weight / k**2 * (math.cos(math.pi * k) - math.cos(2 * math.pi * k * distance / period))
            for k, weight in self._weights(period, decay=2)
        )
        left = (distance + reach) ** 2 / (2 * period) + waves * period / (2 * math.pi**2)
        return max(left, 0.0)

    def _weights(self, period: float, *, decay: int) -> Iterator[tuple[int, float]]:
        """Yield the coefficients that matter, of the waves of a length that divides a period."""
        if sum(self.widths.values()) == 1:
            return  # one delay is evenly spread, and that is a wave of no kind

        for k in range(1, _TERMS):
            weight = most = 1.0
            for width, count in self.widths.items():
                angle = math.pi * k * width / period
                weight *= math.pow(math.sin(angle) / angle, count)
                most *= math.pow(min(1.0, 1 / angle), count)
            yield k, weight
            if most < _NEGLIGIBLE * k**decay:
                return
