"""Machine 4: a breaker. When most instances of one key fail, one goes first and the others wait.

What many fail at is seldom their own fault, and no reason for each of them to find that out. While
the breaker is not closed, one instance at a time attempts in place of all: the *canary*. Nothing
here waits for an event that may never come: a canary that neither fails nor proves is replaced.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from enum import StrEnum
from typing import final

from attrs import evolve, frozen

from .backoff import Backoff, Jitter, check_delays
from .mistakes import MistakeList


@final
@frozen(kw_only=True)
class BreakerPolicy:
    """When a breaker opens, and how it closes again."""

    share: float = 0.5
    """The share of the instances that fail, above 0 and at most 1; of those that can tell, which
    are the connected ones and those that failed within the window."""
    minimum: int = 5
    """... and how many must fail at least: two of three are no fleet."""
    window: float = 60.0
    """Seconds for which a failure counts; two slow attempts of one instance fall within it."""
    backoff: Backoff = Backoff(initial=1.0, factor=2.0, cap=30.0, jitter=Jitter.EQUAL)
    """Delays before each canary. Its cap is how late an outage's end is noticed at most."""
    stable_after: float = 10.0
    """Seconds that a canary's connection must last before the others follow.

    Not until it is proven: after a long outage that takes as long as its last delay, and all others
    would wait with it.
    """
    patience: float = 60.0
    """Seconds after which a canary that has neither failed nor lasted is replaced by another."""

    def __attrs_post_init__(self) -> None:
        wrong = MistakeList("BreakerPolicy")
        wrong.number("share", self.share, above=0.0, at_most=1.0)
        wrong.whole("minimum", self.minimum, at_least=1)
        wrong.number("window", self.window, above=0.0, finite=True)
        check_delays(wrong, "backoff", self.backoff, "BreakerPolicy.stable_after")
        wrong.number("stable_after", self.stable_after, finite=True)
        wrong.number("patience", self.patience, above=0.0, finite=True)
        wrong.raise_any()


class BreakerPhase(StrEnum):
    """Where a breaker is.

    - ``closed``: every instance attempts when it is its turn.
    - ``open``: none does, until the next canary's time has come.
    - ``canary``: one attempts, or has a connection that has not lasted yet; the others wait.
    """

    CLOSED = "closed"
    OPEN = "open"
    CANARY = "canary"


class BreakerSignalKind(StrEnum):
    """What a breaker can learn. All but ``tripped`` are about one instance.

    - ``tripped``: most instances have failed within the window.
    - ``begun``: its attempt begins.
    - ``opened``: it has a connection.
    - ``lasted``: ... which has lasted.
    - ``failed``: its attempt has failed, or its connection was lost.
    - ``left``: it ended its attempt, or its connection, because somebody asked for that.
    """

    TRIPPED = "tripped"
    BEGUN = "begun"
    OPENED = "opened"
    LASTED = "lasted"
    FAILED = "failed"
    LEFT = "left"


Member = Hashable
"""Stands for one instance."""


@final
@frozen
class BreakerState:
    """All that a breaker knows."""

    phase: BreakerPhase = BreakerPhase.CLOSED
    canary: Member | None = None
    """Who goes first."""
    canaries: int = 0
    """How many went first since the breaker opened."""
    next_at: float = 0.0
    """When the next canary may go, while the breaker is not closed."""


@final
@frozen
class BreakerSignal:
    """One thing that a breaker learns."""

    kind: BreakerSignalKind
    member: Member | None = None
    """Of whom."""


Rule = Callable[[BreakerState, BreakerSignal, BreakerPolicy, float, float], BreakerState]


def step(
    state: BreakerState, signal: BreakerSignal, policy: BreakerPolicy, now: float, u: float
) -> BreakerState:
    """Take in what was learned of one instance.

    Args:
        state: What the breaker knows.
        signal: What was learned.
        policy: When it opens, and how it closes.
        now: The time, in seconds of a monotonic clock.
        u: A random number in [0, 1], for the delay before the next canary.
    """
    rule = TABLE[state.phase].get(signal.kind)
    return state if rule is None else rule(state, signal, policy, now, u)


def _open(
    _: BreakerState, __: BreakerSignal, p: BreakerPolicy, now: float, u: float
) -> BreakerState:
    return BreakerState(BreakerPhase.OPEN, next_at=now + p.backoff.delay(0, u))


def _send(
    s: BreakerState, g: BreakerSignal, p: BreakerPolicy, now: float, _: float
) -> BreakerState:
    return BreakerState(BreakerPhase.CANARY, g.member, s.canaries + 1, now + p.patience)


def _fail(
    s: BreakerState, g: BreakerSignal, p: BreakerPolicy, now: float, u: float
) -> BreakerState:
    if g.member != s.canary:
        return s

    next_at = now + p.backoff.delay(s.canaries, u)
    return evolve(s, phase=BreakerPhase.OPEN, canary=None, next_at=next_at)


def _replace(
    s: BreakerState, g: BreakerSignal, _: BreakerPolicy, now: float, __: float
) -> BreakerState:
    # Nothing was learned, so nothing is waited for.
    if g.member != s.canary:
        return s

    return evolve(s, phase=BreakerPhase.OPEN, canary=None, next_at=now)


def _close(_: BreakerState, *__: object) -> BreakerState:
    return BreakerState()


TABLE: Mapping[BreakerPhase, Mapping[BreakerSignalKind, Rule]] = {
    BreakerPhase.CLOSED: {
        BreakerSignalKind.TRIPPED: _open,
    },
    BreakerPhase.OPEN: {
        BreakerSignalKind.BEGUN: _send,
        BreakerSignalKind.OPENED: _send,
        BreakerSignalKind.LASTED: _close,
    },
    BreakerPhase.CANARY: {
        BreakerSignalKind.BEGUN: _send,
        BreakerSignalKind.LASTED: _close,
        BreakerSignalKind.FAILED: _fail,
        BreakerSignalKind.LEFT: _replace,
    },
}
"""What each signal does in each phase. A pair that is missing changes nothing.

An attempt that began before the breaker opened, and succeeds, is as good as a canary's; so is one
whose canary was replaced because it took too long.
"""


@final
class FailureWindow:
    """Which instances failed within the last seconds, and how many are connected.

    Each instance is in it once at most, so its size is bounded by their number. Each failure is
    added once and dropped once, so that a decision costs the same however many there are.
    """

    __slots__ = ("_connected", "_failed", "_policy")

    def __init__(self, policy: BreakerPolicy) -> None:
        self._policy = policy
        self._connected: set[Member] = set()
        self._failed: OrderedDict[Member, float] = OrderedDict()

    @property
    def connected(self) -> int:
        """How many instances are connected."""
        return len(self._connected)

    @property
    def failed(self) -> int:
        """How many instances have failed, as of the last question."""
        return len(self._failed)

    def opened(self, member: Member) -> None:
        """One is connected, so it fails no more."""
        self._failed.pop(member, None)
        self._connected.add(member)

    def fails(self, member: Member, now: float) -> bool:
        """One has failed; tell whether most do."""
        self._connected.discard(member)
        self._failed[member] = now
        self._failed.move_to_end(member)
        since = now - self._policy.window
        while next(iter(self._failed.values())) < since:
            self._failed.popitem(last=False)
        known = len(self._failed) + len(self._connected)
        enough = len(self._failed) >= self._policy.minimum
        return enough and len(self._failed) >= self._policy.share * known

    def left(self, member: Member) -> None:
        """One is neither connected nor failing, because somebody asked for that."""
        self._connected.discard(member)
        self._failed.pop(member, None)

    def forget(self) -> None:
        """Forget the failures, as what they had in common is over."""
        self._failed.clear()
