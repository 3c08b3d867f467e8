"""How long to wait before the next try: exponential, capped, with full jitter inside the cap."""

from __future__ import annotations

from enum import StrEnum
from typing import final

from attrs import field, frozen

from .mistakes import MistakeList, member_or_given


class Jitter(StrEnum):
    """How chance shortens a delay.

    - ``full``: anything between nothing and the delay; spreads a fleet best.
    - ``equal``: half of the delay, and anything up to the other half.
    - ``none``: exactly the delay.
    """

    FULL = "full"
    EQUAL = "equal"
    NONE = "none"


_STABLE_AFTER = 60.0


def _jitter(value: Jitter | str) -> Jitter:
    return member_or_given(Jitter, value)


@final
@frozen
class Backoff:
    """``delay(n) = jitter(min(cap, initial * factor ** n))``, n counted from 0.

    Jitter is applied inside the cap, so that no delay ever exceeds it. The defaults are those of a
    reconnect: 0.25 s doubling to 5 s.

    Raises:
        InvalidSpec: With every mistake.
    """

    initial: float = 0.25
    """Delay before the first retry, in seconds, before jitter."""
    factor: float = 2.0
    """What each further retry multiplies it by."""
    cap: float = 5.0
    """Seconds that no delay exceeds."""
    jitter: Jitter = field(default=Jitter.FULL, converter=_jitter)
    """How chance shortens a delay; full, after AWS's study of retries under contention."""
    stable_after: float = _STABLE_AFTER
    """Seconds (or the last step, if longer) that a child must run for its delays to start anew.

    It is for children alone. What else takes delays has a ``stable_after`` of its own, and refuses
    one here.
    """

    def __attrs_post_init__(self) -> None:
        wrong = MistakeList("Backoff")
        right = wrong.number("initial", self.initial, finite=True)
        wrong.number("factor", self.factor, at_least=1.0, finite=True)
        if wrong.number("cap", self.cap, finite=True) and right and self.cap < self.initial:
            wrong.add("cap", self.cap, f"must be at least initial, which is {self.initial:g}")
        wrong.member("jitter", self.jitter, Jitter)
        wrong.number("stable_after", self.stable_after)
        wrong.raise_any()

    def step(self, attempt: int) -> float:
        """Return the delay of a retry before jitter, in seconds.

        Args:
            attempt: How many retries came before this one.
        """
        if self.initial == 0.0:
            return 0.0

        try:
            # As a float: the power of an int has as many digits as it takes, and no bound.
            return min(self.cap, self.initial * float(self.factor) ** attempt)
        except OverflowError:
            return self.cap

    def delay(self, attempt: int, u: float) -> float:
        """Return the delay of a retry, in seconds.

        Args:
            attempt: How many retries came before this one.
            u: A random number in [0, 1].
        """
        step = self.step(attempt)
        if self.jitter is Jitter.FULL:
            return step * u
        if self.jitter is Jitter.EQUAL:
            return step * (0.5 + u / 2)

        return step

    def proven_after(self, attempt: int) -> float:
        """Return how many seconds of running make the next delay start anew.

        Never less than the step just waited for: otherwise something that fails every few minutes
        under a cap of minutes would always look healthy.

        Args:
            attempt: How many retries were made in a row.
        """
        return max(self.stable_after, self.step(attempt))


def check_delays(wrong: MistakeList, field: str, backoff: object, instead: str) -> None:
    """Check that a field is a `Backoff` of which the delays are all that is asked for.

    Args:
        wrong: Where the mistakes are noted.
        field: The field's name.
        backoff: What it holds.
        instead: What to set in place of the backoff's own `stable_after`.
    """
    wrong.instance(field, backoff, Backoff)
    if isinstance(backoff, Backoff) and backoff.stable_after != _STABLE_AFTER:
        wrong.add(
            f"{field}.stable_after", backoff.stable_after, f"must be left out (set {instead})"
        )
