"""Faults by the clock: what goes wrong with the other side, from when, and for how long.

A `Script` says what each attempt meets, whenever it comes. A schedule says what happens at which
time, to whatever is connected or connecting then; one schedule can be that of many fakes, as an
outage is that of all clients of a provider.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from random import Random
from typing import final

from attrs import evolve, field, frozen

from ..policy.failures import Cause, FailureClass, WhoMustAct
from ..policy.mistakes import MistakeList, member_or_given
from .script import as_tuple, check_each
from .written import written, written_fields


class FaultKind(StrEnum):
    """What goes wrong, from the beginning of the fault to its end.

    - ``outage``: every connection is lost, and attempts are refused.
    - ``drop``: every connection is lost; attempts succeed. It has no duration.
    - ``refuse``: attempts are refused; connections stay.
    - ``hang``: attempts hang, and go on after it.
    - ``deaf``: no message comes; probes are answered.
    - ``mute``: probes are not answered, and no message comes.
    - ``crash``: the child that reads crashes. It has no duration.
    - ``expire``: the credentials have expired: every connection is lost, and attempts are refused,
      both as a fatal failure, until the channel is given new ones.
    - ``slow_close``: a closing goes on until it is over.
    """

    OUTAGE = "outage"
    DROP = "drop"
    REFUSE = "refuse"
    HANG = "hang"
    DEAF = "deaf"
    MUTE = "mute"
    CRASH = "crash"
    EXPIRE = "expire"
    SLOW_CLOSE = "slow_close"


MOMENTARY = frozenset({FaultKind.DROP, FaultKind.CRASH})
"""Those that have no duration."""

_REFUSED = Cause(FailureClass.RECOVERABLE, "http_503", lost=True)
_DROPPED = Cause(FailureClass.RECOVERABLE, "close_1006", lost=True)
_EXPIRED = Cause(
    FailureClass.FATAL, "credentials_expired", lost=True, who_must_act=WhoMustAct.CREDENTIALS
)
_CAUSES = {
    FaultKind.OUTAGE: _REFUSED,
    FaultKind.REFUSE: _REFUSED,
    FaultKind.DROP: _DROPPED,
    FaultKind.EXPIRE: _EXPIRED,
    FaultKind.CRASH: Cause(FailureClass.RECOVERABLE, "crash", "as the schedule says"),
}


def _kind(value: FaultKind | str) -> FaultKind:
    return member_or_given(FaultKind, value)


@final
@frozen(repr=False)
class Fault:
    """One thing that goes wrong at a time.

    Raises:
        InvalidSpec: With every mistake.
    """

    kind: FaultKind = field(converter=_kind)
    """What goes wrong."""
    at: float
    """When it begins, in seconds from the beginning of the schedule."""
    lasts: float = 0.0
    """Seconds that it lasts; ``math.inf``: for ever."""
    why: Cause | None = None
    """What is raised where something is; None takes what is usual for its kind."""

    def __attrs_post_init__(self) -> None:
        wrong = MistakeList("Fault")
        wrong.member("kind", self.kind, FaultKind)
        wrong.number("at", self.at, finite=True)
        if self.kind in MOMENTARY:
            wrong.number("lasts", self.lasts, at_most=0.0)
        else:
            wrong.number("lasts", self.lasts)
        wrong.instance("why", self.why, Cause, optional=True)
        wrong.raise_any()

    def __repr__(self) -> str:
        return written_fields(self)

    @property
    def ends(self) -> float:
        """When it is over."""
        return self.at + self.lasts

    @property
    def cause(self) -> Cause:
        """What is raised where something is."""
        return self.why or _CAUSES.get(self.kind, _DROPPED)


def _faults(value: Iterable[Fault]) -> tuple[Fault, ...]:
    return as_tuple(value)


@final
@frozen(repr=False)
class FaultSchedule:
    """Faults by the clock, of one fake or of many. ``repr`` is the expression that makes it.

    ``+`` puts two together.

    Raises:
        InvalidSpec: With every mistake.
    """

    faults: tuple[Fault, ...] = field(default=(), converter=_faults)
    """In any order; they may overlap."""

    def __attrs_post_init__(self) -> None:
        wrong = MistakeList("FaultSchedule")
        check_each(wrong, "faults", self.faults, Fault)
        wrong.raise_any()

    def __repr__(self) -> str:
        return f"FaultSchedule({written(self.faults)})" if self.faults else "FaultSchedule()"

    def __add__(self, other: FaultSchedule) -> FaultSchedule:
        return FaultSchedule(self.faults + other.faults)

    def active(self, now: float, *kinds: FaultKind) -> Sequence[Fault]:
        """Return the faults of these kinds that go on now.

        Args:
            now: Seconds from the beginning of the schedule.
            kinds: Which count.
        """
        return [
            fault for fault in self.faults if fault.kind in kinds and fault.at <= now < fault.ends
        ]

    def over(self, now: float, *kinds: FaultKind) -> float:
        """Return when nothing of these kinds goes on any more, of what goes on now, or `now`."""
        while found := self.active(now, *kinds):
            now = max(fault.ends for fault in found)
        return now

    def next(self, after: float, *kinds: FaultKind) -> Fault | None:
        """Return the next fault of these kinds that begins after a time.

        Args:
            after: Seconds from the beginning of the schedule; what begins then does not count.
            kinds: Which count.
        """
        found = [fault for fault in self.faults if fault.kind in kinds and fault.at > after]
        return min(found, key=lambda fault: fault.at, default=None)

    def shifted(self, seconds: float) -> FaultSchedule:
        """Return the same faults, each so much later."""
        return FaultSchedule(tuple(evolve(fault, at=fault.at + seconds) for fault in self.faults))

    @property
    def ends(self) -> float:
        """When the last fault is over, in seconds from the beginning; 0.0 without faults."""
        return max((fault.ends for fault in self.faults), default=0.0)


NO_FAULTS = FaultSchedule()


def as_schedule(faults: FaultSchedule | Iterable[Fault]) -> FaultSchedule:
    """Return a schedule of what a fake was given."""
    return faults if isinstance(faults, FaultSchedule) else FaultSchedule(faults)


_DRAWN = tuple(kind for kind in FaultKind if kind is not FaultKind.EXPIRE)


def draw_faults(
    random: Random,
    *,
    seconds: float = 3600.0,
    at_most: int = 8,
    kinds: Sequence[FaultKind | str] = _DRAWN,
) -> FaultSchedule:
    """Draw a schedule; the same seed draws the same one.

    Args:
        random: Where the chance comes from.
        seconds: In which they all begin and end.
        at_most: How many there can be; there is always one.
        kinds: Of which kinds; by default all but ``expire``, which no time mends.
    """
    faults = []
    for _ in range(random.randint(1, at_most)):
        kind = _kind(random.choice(kinds))
        at = random.uniform(0.0, seconds)
        # Most are short, and a few are long: a flat draw would have hardly any short one.
        lasts = 0.0 if kind in MOMENTARY else min(random.lognormvariate(3.0, 1.5), seconds - at)
        faults.append(Fault(kind, round(at, 3), round(lasts, 3)))
    return FaultSchedule(sorted(faults, key=lambda fault: fault.at))
