"""How a connection is made again: the policy that the connection machine goes by."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import final

from attrs import field, frozen

from .backoff import Backoff, Jitter, check_delays
from .failures import PROBE_TIMEOUT, Cause
from .mistakes import MistakeList, member_or_given


class Exhausted(StrEnum):
    """What follows when the quick attempts are used up.

    - ``degrade``: the instance is degraded, and slow attempts go on for ever.
    - ``escalate``: the connection is given up, and its instance with it.
    """

    DEGRADE = "degrade"
    ESCALATE = "escalate"


_SOONER = 0.1


def _exhausted(value: Exhausted | str) -> Exhausted:
    return member_or_given(Exhausted, value)


@final
@frozen
class ReconnectPolicy:
    """How a connection is made again.

    The quick attempts are for a hiccup, and over within 8 s. The slow ones go on for ever, because
    an outage of the other side must not end an instance for good; they are too slow to be a burden
    to it.
    """

    attempts: int = 5
    """Quick attempts in a row."""
    backoff: Backoff = Backoff()
    """Delays between them; the delay before attempt n + 1 is its step n."""
    slow: Backoff = Backoff(initial=60.0, factor=2.0, cap=300.0, jitter=Jitter.EQUAL)
    """Delays after them."""
    exhausted: Exhausted = field(default=Exhausted.DEGRADE, converter=_exhausted)
    """What follows when they are used up."""
    stable_after: float = 60.0
    """Seconds, or the last delay before jitter if longer, after which a connection is proven."""
    needs_data: bool = False
    """Whether a connection must also have delivered an application event to be proven."""
    connect_timeout: float = 30.0
    """Seconds that an attempt may take, its children's start included."""
    close_timeout: float = 10.0
    """Seconds that closing a connection may take."""
    deaf_close_timeout: float = 1.0
    """... at most, where its probe had no answer in time.

    A close waits for an answer as well, and the next attempt waits for the close. WebSocket clients
    drop such a connection at once; a second lets a close frame leave, and a channel save something.
    """
    hint_floor: float = 1.0
    """Seconds that pass at least before an attempt for which the other side has named a time, and
    before a connection that was just opened is replaced on request.

    It may say "now", and say so again and again.
    """
    hint_ceiling: float = 259_200.0
    """Seconds that such a time is waited for at most.

    A header must not park an instance for a year. Three days are the longest ban that a platform
    documents, Binance's; who comes back to it sooner makes it longer.
    """
    attention_after: float = 7200.0
    """Seconds without a connection after which an instance is said to need attention, however few
    attempts there were; from the field notes of gateways that were down for days unseen."""
    max_age: float = math.inf
    """Seconds after which an open connection is replaced, up to a tenth sooner by chance.

    It is for platforms that end every connection at a certain age: a planned replacement, with the
    session handed on, is better than a loss, and chance keeps a fleet from doing it all at once.
    """

    def __attrs_post_init__(self) -> None:
        wrong = MistakeList("ReconnectPolicy")
        wrong.whole("attempts", self.attempts, at_least=1)
        for name in ("backoff", "slow"):
            check_delays(wrong, name, getattr(self, name), "ReconnectPolicy.stable_after")
        wrong.member("exhausted", self.exhausted, Exhausted)
        wrong.number("stable_after", self.stable_after, finite=True)
        wrong.boolean("needs_data", self.needs_data)
        wrong.number("connect_timeout", self.connect_timeout, above=0.0)
        wrong.number("close_timeout", self.close_timeout, above=0.0, finite=True)
        wrong.number("deaf_close_timeout", self.deaf_close_timeout, above=0.0, finite=True)
        wrong.number("hint_floor", self.hint_floor, finite=True)
        wrong.number("hint_ceiling", self.hint_ceiling)
        wrong.number("attention_after", self.attention_after)
        wrong.number("max_age", self.max_age, above=0.0)
        wrong.raise_any()
        if self.hint_ceiling < self.hint_floor:
            floor = f"must be at least hint_floor ({self.hint_floor:g})"
            wrong.add("hint_ceiling", self.hint_ceiling, floor)
        wrong.raise_any()

    def quick(self, attempt: int) -> bool:
        """Tell whether the attempt after number `attempt` is still a quick one."""
        return attempt < self.attempts

    def delay(self, attempt: int, u: float, *, quick: bool) -> float:
        """Return the seconds between attempt number `attempt` and the next one."""
        backoff, retry = self._row(attempt, quick=quick)
        return backoff.delay(retry, u)

    def delay_after_hint(self, attempt: int, hint: float, u: float, *, quick: bool) -> float:
        """Return the seconds until the next attempt where the other side asked for some.

        Quick attempts come when it asked for them, and chance spreads those that were told the same
        number. A slow one never comes sooner for it: the hints have been in vain so far. None waits
        for longer than `hint_ceiling` because of it.

        Args:
            attempt: The attempt that failed.
            hint: Seconds that were asked for.
            u: A random number in [0, 1].
            quick: Whether the next attempt is a quick one.
        """
        hint = min(hint, self.hint_ceiling)
        if quick:
            return max(hint, self.hint_floor) + self.backoff.delay(0, u)

        return max(hint, self.delay(attempt, u, quick=False))

    def refused(self, cause: Cause | None) -> float | None:
        """Return for how long the other side has asked to wait, where that is too long."""
        asked = None if cause is None else cause.retry_after
        return asked if asked is not None and asked > self.hint_ceiling else None

    def closing(self, cause: Cause | None) -> float:
        """Return the seconds that closing a connection may take.

        Args:
            cause: Why it has ended; None where that is not known.
        """
        if cause is not None and cause.reason == PROBE_TIMEOUT:
            return min(self.close_timeout, self.deaf_close_timeout)

        return self.close_timeout

    def ending(self, shutdowns: float) -> float:
        """Return the seconds after which nothing of a connection may be left, once it ends.

        Args:
            shutdowns: Seconds that its children may take to stop, all together.
        """
        return self.close_timeout + shutdowns

    def lifetime(self, u: float) -> float:
        """Return the seconds after which an open connection is replaced.

        Args:
            u: A random number in [0, 1].
        """
        return self.max_age * (1.0 - _SOONER * u)

    def step(self, attempt: int, *, quick: bool) -> float:
        """Return the seconds of `delay` before jitter."""
        backoff, retry = self._row(attempt, quick=quick)
        return backoff.step(retry)

    def _row(self, attempt: int, *, quick: bool) -> tuple[Backoff, int]:
        return (self.backoff, attempt) if quick else (self.slow, max(attempt - self.attempts, 0))
