"""Machine 5: a connection budget. Who of many instances may attempt, and when.

An attempt that is due joins a line. The head of the line goes when all of these allow it: the rate,
the day, the attempts in flight, and the breaker. Nobody overtakes: who failed just now joins at the
end, and is in the line once. The machine holds no instance but its *members*, which can be anything
that stands for one.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import final

from attrs import frozen

from .breaker import (
    BreakerPhase,
    BreakerPolicy,
    BreakerSignal,
    BreakerSignalKind,
    BreakerState,
    FailureWindow,
    Member,
)
from .breaker import step as step_breaker
from .mistakes import MistakeList
from .rate import DAY, DayWindow, TokenBucket


@final
@frozen(kw_only=True)
class BudgetPolicy:
    """What one key (a credential, a provider) may be asked for by all instances together.

    The defaults are cautious; a provider's documentation has the right numbers.
    """

    attempts_per_second: float = 1.0
    """Connection attempts per second in the long run; below 1 for one every few seconds."""
    burst: int = 1
    """... and how many may come at once after a quiet time."""
    attempts_per_day: int | None = None
    """Attempts within any 24 hours; None: no such limit."""
    in_flight: int | None = None
    """Attempts under way at a time, until each has a connection or has ended; None: no limit."""
    breaker: BreakerPolicy | None = BreakerPolicy()
    """When most of the instances fail, one goes first and the others wait; None: never."""

    def __attrs_post_init__(self) -> None:
        wrong = MistakeList("BudgetPolicy")
        # What is rarer than once a day is no rate; so that every slot is a finite time.
        wrong.number("attempts_per_second", self.attempts_per_second, at_least=1 / DAY, finite=True)
        wrong.whole("burst", self.burst, at_least=1, at_most=MAX_BURST)
        wrong.whole("attempts_per_day", self.attempts_per_day, at_least=1, optional=True)
        wrong.whole("in_flight", self.in_flight, at_least=1, optional=True)
        wrong.instance("breaker", self.breaker, BreakerPolicy, optional=True)
        wrong.raise_any()


MAX_BURST = 1_000_000
"""More attempts than any process makes at once; a bound, so that times stay finite."""


@final
class Budget:
    """What has been spent, who waits, and who attempts.

    Args:
        policy: What may be spent.
        day: What an earlier budget has spent, to go on with; None: nothing.
    """

    __slots__ = (
        "_attempting", "_breaker", "_line", "_places", "_policy", "_rate", "_window",
        "day", "granted", "openings", "waited",
    )  # fmt: skip

    def __init__(self, policy: BudgetPolicy, day: DayWindow | None = None) -> None:
        self._policy = policy
        self._rate = TokenBucket(policy.attempts_per_second, policy.burst)
        self.day: DayWindow = DayWindow() if day is None else day
        """What was spent of the day; counted also where that is not limited, as it may be later."""
        self._attempting: set[Member] = set()
        # Not a plain dict, whose first key is the slower to find the more came before it.
        self._line: OrderedDict[Member, float] = OrderedDict()
        """When each of those that wait joined."""
        self._places: dict[Member, int] | None = None
        self.granted: int = 0
        """How many attempts have been granted so far."""
        self.waited: float = 0.0
        """For how many seconds these had waited, all together."""
        self.openings: int = 0
        """How often the breaker has opened."""
        self._breaker = BreakerState()
        self._window = None if policy.breaker is None else FailureWindow(policy.breaker)

    # --- questions -------------------------------------------------------------------------------

    @property
    def head(self) -> Member | None:
        """Whose turn is next; None where nobody waits."""
        return next(iter(self._line), None)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._line)

    @property
    def in_flight(self) -> int:
        """How many attempts are under way."""
        return len(self._attempting)

    @property
    def breaker(self) -> BreakerState:
        """What the breaker knows; closed, where there is none."""
        return self._breaker

    @property
    def failing(self) -> tuple[int, int]:
        """How many failed lately, and how many are connected; none, where there is no breaker."""
        return (0, 0) if self._window is None else (self._window.failed, self._window.connected)

    def since(self, member: Member) -> float | None:
        """Return since when a member waits; None where it does not."""
        return self._line.get(member)

    def place(self, member: Member) -> int | None:
        """Return a member's place in the line, counted from 1; None where it does not wait.

        The first question after a change of the line costs as much as the line is long, and the
        others nothing: who asks for one asks for all.
        """
        if self._places is None:
            self._places = {each: place for place, each in enumerate(self._line, 1)}
        return self._places.get(member)

    def left(self, now: float) -> int:
        """Return how many attempts could begin now, by the rate."""
        return self._rate.left(now)

    def left_today(self, now: float) -> int | None:
        """Return how many are left of the last 24 hours; None where they are not limited."""
        limit = self._policy.attempts_per_day
        return None if limit is None else max(0, self.day.left(now, limit))

    def next_slot(self, now: float) -> float:
        """Return when the head of the line may go: now, or later.

        Infinity, where that depends on an attempt that must end first.
        """
        limit = self._policy.in_flight
        if limit is not None and len(self._attempting) >= limit:
            return math.inf

        slot = self._rate.next_slot(now)
        if self._policy.attempts_per_day is not None:
            slot = max(slot, self.day.next_slot(now, self._policy.attempts_per_day))
        if self._breaker.phase is not BreakerPhase.CLOSED:
            slot = max(slot, self._breaker.next_at)
        return slot

    # --- the line --------------------------------------------------------------------------------

    def join(self, member: Member, now: float) -> bool:
        """Let a member wait; one that waits already keeps its place. Tell whether it is new."""
        if member in self._line:
            return False

        self._line[member] = now
        self._places = None
        return True

    def leave(self, member: Member) -> None:
        """Take a member out of the line, if it is there."""
        if member in self._line:
            del self._line[member]
            self._places = None

    def grant(self, now: float) -> Member:
        """Let the head of the line go. Only at its `next_slot`."""
        member, since = self._line.popitem(last=False)
        self._places = None
        self.granted += 1
        self.waited += now - since
        self._rate.take(now)
        self.day.take(now)
        self._attempting.add(member)
        self._hear(BreakerSignalKind.BEGUN, member, now)
        return member

    def release(self, member: Member) -> None:
        """An attempt is no longer in flight; may be repeated."""
        self._attempting.discard(member)

    # --- what came of it -------------------------------------------------------------------------

    def opened(self, member: Member, now: float) -> None:
        """A member has a connection."""
        if self._window is not None:
            self._window.opened(member)
            self._hear(BreakerSignalKind.OPENED, member, now)

    def failed(self, member: Member, now: float, u: float) -> None:
        """A member's attempt has failed, or its connection was lost.

        Args:
            member: Whose.
            now: The time.
            u: A random number in [0, 1].
        """
        if self._window is None:
            return

        self._hear(BreakerSignalKind.FAILED, member, now, u)
        if self._window.fails(member, now):
            self._hear(BreakerSignalKind.TRIPPED, None, now, u)

    def lasted(self, member: Member, now: float) -> None:
        """A canary's connection has lasted."""
        if self._window is not None:
            self._window.forget()
            self._hear(BreakerSignalKind.LASTED, member, now)

    def stopped(self, member: Member, now: float) -> None:
        """A member's attempt, or its connection, is ended because somebody asked for that."""
        if self._window is not None:
            self._window.left(member)
            self._hear(BreakerSignalKind.LEFT, member, now)

    def _hear(
        self, kind: BreakerSignalKind, member: Member | None, now: float, u: float = 0.0
    ) -> None:
        policy = self._policy.breaker
        if policy is not None:
            before = self._breaker.phase
            self._breaker = step_breaker(self._breaker, BreakerSignal(kind, member), policy, now, u)
            if before is BreakerPhase.CLOSED is not self._breaker.phase:
                self.openings += 1
