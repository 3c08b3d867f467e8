"""When the attempts of a reconnect policy come: in an outage, and when the outage is over.

The outage that is meant begins when a proven connection is lost, for a recoverable cause without a
hint, and each attempt in it fails as soon as it is made. So attempt n begins after n delays.
Attempts that take their time to fail are fewer, and those that are never made at once are what a
budget is for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import final

from attrs import frozen

from .reconnect import Exhausted, ReconnectPolicy
from .spread import Delay, Sum

DAY = 86400.0
"""Seconds of a day."""
_SETTLED = 40.0
"""Delays after which the rate of attempts does not depend on when the first one was.

What is left of that is a wave that shrinks by more than half with each delay.
"""


@final
@frozen
class Leg:
    """Some attempts in a row with the same delay before each."""

    delay: Delay
    count: float
    """How many; infinite for the last leg of a policy that never gives up."""
    proven_after: float
    """Seconds after which a connection that one of them made is proven."""


def legs(policy: ReconnectPolicy) -> Iterator[Leg]:
    """Yield the attempts that follow the loss of a proven connection, as `policy` has them."""
    attempt = 0
    while True:
        quick = policy.quick(attempt)
        if not quick and policy.exhausted is Exhausted.ESCALATE:
            return

        left = policy.attempts - attempt if quick else math.inf
        step = policy.step(attempt, quick=quick)
        # The first step that is not longer than the one before it is the cap, or all are alike.
        steady = policy.step(attempt + 1, quick=quick) == step
        count = left if steady else 1
        bounds = (policy.delay(attempt, u, quick=quick) for u in (0.0, 1.0))
        yield Leg(Delay(*bounds), count, max(policy.stable_after, step))
        if count == math.inf:
            return
        attempt += int(count)


def least(policy: ReconnectPolicy, seconds: float) -> float:
    """Return how many attempts an outage of so many seconds has, if every delay is the longest."""
    return _count(((leg.delay.high, leg.count) for leg in legs(policy)), seconds)


def most(policy: ReconnectPolicy, seconds: float) -> float:
    """Return how many attempts it has, if every delay is the shortest; they may be infinite."""
    return _count(((leg.delay.low, leg.count) for leg in legs(policy)), seconds)


def _count(runs: Iterator[tuple[float, float]], seconds: float) -> float:
    """Count those of some runs of attempts that begin before an outage is over."""
    total, at = 0.0, 0.0
    for delay, count in runs:
        fit = math.ceil((seconds - at) / delay) - 1 if delay else math.inf
        if fit < count:
            return total + fit

        total += count
        if math.isinf(total):
            return total
        at += delay * count
    return total


def longest_wait(policy: ReconnectPolicy, seconds: float) -> float:
    """Return the longest that the end of such an outage can be before the next attempt begins.

    Args:
        policy: How connections are made again.
        seconds: How long the outage is at most; it may end at any moment before.

    Returns:
        Seconds; infinite if the policy may have given up by then.
    """
    longest, at = 0.0, 0.0
    for leg in legs(policy):
        if at >= seconds:
            return longest
        longest = max(longest, leg.delay.high)
        if math.isinf(leg.count):
            return longest
        at += leg.delay.low * leg.count
    return math.inf if at < seconds else longest


def churn(policy: ReconnectPolicy) -> float:
    """Return the highest rate of attempts that a server can bring about for ever, per second.

    It does so by accepting some attempt in a row, always the same, and dropping the connection as
    soon as it is proven, so that the delays begin anew. The rate is that of average delays.
    """
    best, made, at = 0.0, 0.0, 0.0
    for leg in legs(policy):
        mean = leg.delay.mean
        # Within a leg each attempt more changes the rate in the same direction as the one before.
        best = max(best, _rate(made + 1, at + mean + leg.proven_after))
        if math.isinf(leg.count):
            return max(best, _rate(1, mean))

        made, at = made + leg.count, at + leg.count * mean
        best = max(best, _rate(made, at + leg.proven_after))
    return best


def _rate(attempts: float, seconds: float) -> float:
    return attempts / seconds if seconds else math.inf


@final
@frozen
class Outage:
    """What becomes of one policy in outages of up to so many seconds, by all chances together."""

    seconds: float
    attempts: float
    """How many attempts the longest of these outages has on average."""
    given_up: float
    """The chance that the policy has given up by the end of the longest one."""
    _whole: tuple[tuple[Delay, float], ...]
    """Delays that are over before the end, each with how often there is one like it."""
    _cut: tuple[tuple[Sum, Delay], ...]
    """Delays that may be under way at the end, each with when it begins."""
    _tail: tuple[float, Delay] | None
    """For how long before the end all delays are like this one, if there are so many."""
    _idle: float
    """Seconds of the longest outage that come after the policy has given up, on average."""

    @property
    def longest_delay(self) -> float:
        """The longest delay that can be under way at its end."""
        delays = [delay for delay, _ in self._whole] + [delay for _, delay in self._cut]
        if self._tail is not None:
            delays.append(self._tail[1])
        return max((delay.high for delay in delays), default=0.0)

    def share_waiting(self, seconds: float) -> float:
        """Return the share of outages after which the next attempt is more than so far off.

        The outages end at any moment up to the longest, each as likely as any other.
        """
        total = self._idle
        for delay, count in self._whole:
            total += count * delay.chance_over(seconds) * _left_after(delay, seconds)
        for begin, delay in self._cut:
            chance = delay.chance_over(seconds)
            if chance:
                end = begin.plus(delay.beyond(seconds))
                stay = begin.left_of(self.seconds) - end.left_of(self.seconds + seconds)
                total += chance * stay
        if self._tail is not None:
            total += _steady_waiting(*self._tail, seconds)
        return total / self.seconds


def _left_after(delay: Delay, seconds: float) -> float:
    """Return how much of a delay is left after so many seconds, where it is longer than that."""
    return delay.beyond(seconds).mean - seconds


def _steady_waiting(time: float, delay: Delay, seconds: float) -> float:
    """Return for how much of a long time of equal delays the next attempt is so far off.

    The renewal theorem with its constant: a delay has begun at the beginning of that time.
    """
    chance = delay.chance_over(seconds)
    if not chance:
        return 0.0

    rest = delay.beyond(seconds)
    first = chance * (rest.mean - seconds)
    second = chance * ((rest.mean - seconds) ** 2 + rest.variance)
    square = delay.mean**2 + delay.variance
    mean = delay.mean
    return first * (time / mean + square / (2 * mean**2)) - second / (2 * mean)


def outage(policy: ReconnectPolicy, seconds: float) -> Outage:
    """Find out what becomes of a policy in outages of up to so many seconds."""
    walk = _Walk(seconds)
    for leg in legs(policy):
        if not walk.take(leg):
            return walk.result(given_up=0.0)

    return walk.result(given_up=walk.at.chance_before(seconds))


class _Walk:
    """From delay to delay through an outage, as far as it can reach."""

    def __init__(self, seconds: float) -> None:
        self.at = Sum()
        """When the next delay begins."""
        self._seconds = seconds
        self._attempts = 0.0
        self._whole: dict[Delay, float] = {}
        self._cut: list[tuple[Sum, Delay]] = []
        self._tail: tuple[float, Delay] | None = None

    def take(self, leg: Leg) -> bool:
        """Go through the delays of a leg; tell whether the outage can be longer than that."""
        delay, left = leg.delay, leg.count
        if delay.high == 0.0:
            chance = self.at.chance_before(self._seconds)
            self._attempts += left * chance if chance else 0.0
            return math.isfinite(left)
        if self._is_steady(delay, left):
            time, mean = self._seconds - self.at.mean, delay.mean
            self._attempts += time / mean + (delay.variance / mean**2 - 1) / 2
            self._tail = (time, delay)
            return False

        whole = self._surely_over(delay, left)
        if whole:
            self._attempts += whole
            self._whole[delay] = self._whole.get(delay, 0) + whole
            self.at = self.at.plus(delay, whole)
            left -= whole
        while left and self._seconds > self.at.mean - self.at.reach:
            self._cut.append((self.at, delay))
            self.at = self.at.plus(delay)
            self._attempts += self.at.chance_before(self._seconds)
            left -= 1
        return not left

    def _is_steady(self, delay: Delay, count: float) -> bool:
        """Tell whether so many of these delays come before the end that chance has evened out."""
        if not delay.width:
            return False  # without chance nothing evens out

        first, time = self.at.mean + self.at.reach, self._seconds - self.at.mean
        enough = 2 * time / delay.mean + 100
        return first + _SETTLED * delay.high <= self._seconds and count >= enough

    def _surely_over(self, delay: Delay, count: float) -> int:
        """Return how many of these delays are over before the end, whatever chance does."""
        low, high = 0, int(min(count, self._seconds / delay.mean + 1))
        while low < high:
            middle = (low + high + 1) // 2
            end = self.at.plus(delay, middle)
            if end.mean + end.reach < self._seconds:
                low = middle
            else:
                high = middle - 1
        return low

    def result(self, *, given_up: float) -> Outage:
        """Return what was found out."""
        return Outage(
            seconds=self._seconds,
            attempts=self._attempts,
            given_up=given_up,
            whole=tuple(self._whole.items()),
            cut=tuple(self._cut),
            tail=self._tail,
            idle=self.at.left_of(self._seconds) if given_up else 0.0,
        )
