"""The schedule of a world: episodes of trouble, in which several things come close together. Pure.

Bugs live where things meet. So an episode puts what happens at the same moment, or just as far
apart as the library's own delays are.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import final

from attrs import evolve, frozen

from ...policy.failures import Cause, FailureClass, WhoMustAct
from .world import FAULTS, MISHAPS, Happening, What, World

OFFSETS = (0.0, 0.0, 0.0, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Seconds from one thing to the next within an episode."""
LASTS = (0.25, 1.0, 5.0, 10.0, 30.0, 60.0, 600.0, 3600.0)


@final
@frozen(kw_only=True)
class Pace:
    """How much happens in a world; each number is one of those that there may be."""

    episodes: tuple[int, ...] = (1, 3, 5, 8)
    things: tuple[int, ...] = (1, 2, 4, 8)
    """In each episode."""
    offsets: tuple[float, ...] = OFFSETS
    """Seconds from one to the next."""


USUAL = Pace()
DENSE = Pace(
    episodes=(6, 10, 14), things=(4, 8, 12), offsets=(0.0, 0.0, 0.0, 0.0, 0.25, 0.5, 1.0, 2.0)
)
MOMENTARY = frozenset({What.DROP, What.CRASH, What.FAIL, What.FINISH})
_LOSES = frozenset({What.OUTAGE, What.DROP, What.REFUSE})

WEIGHTS = {
    What.OUTAGE: 4,
    What.DROP: 8,
    What.REFUSE: 3,
    What.HANG: 3,
    What.DEAF: 1,
    What.MUTE: 3,
    What.CRASH: 4,
    What.EXPIRE: 2,
    What.SLOW_CLOSE: 3,
    What.FAIL: 10,
    What.FINISH: 2,
    What.STUMBLE: 3,
    What.RECONNECT: 4,
    What.RETRY_NOW: 2,
    What.PAUSE: 3,
    What.RESUME: 3,
    What.DRAIN: 2,
    What.ROTATE: 4,
    What.REVIVE: 2,
    What.CREDENTIALS: 2,
    What.REPORT: 1,
    What.SUCCEED: 1,
    What.START: 2,
    What.STOP: 3,
    What.RESTART: 4,
    What.APPLY: 3,
    What.GIVE_UP: 2,
    What.CANCEL: 1,
}
"""How often what happens, among all that does."""
FOLLOWS = {
    What.PAUSE: What.RESUME,
    What.DRAIN: What.RESUME,
    What.STOP: What.START,
    What.EXPIRE: What.CREDENTIALS,
}
"""What an operator does later, for nearly always somebody cares."""


def draw_schedule(
    random: Random, world: World, seconds: float, pace: Pace = USUAL
) -> tuple[Happening, ...]:
    """Return what happens to a world, in order of time.

    Args:
        random: Chance.
        world: Its fleet.
        seconds: Within which time everything begins.
        pace: How much happens.
    """
    found: list[Happening] = []
    for _ in range(random.choice(pace.episodes)):
        at = _rounded(random.uniform(0.0, 1.0) ** 2 * seconds)
        # The same target again and again, or any.
        focus = random.choice([None, _target(random, world)])
        for _ in range(random.choice(pace.things)):
            found += _happening(random, world, at, focus)
            at += random.choice(pace.offsets)
    if random.random() < 0.3:
        found += _flapping(random, world, seconds)
    for _ in range(random.choice([0, 1, 2])):
        found += _crash_loop(random, world, seconds)
    ordered = sorted(found, key=lambda each: each.at)
    return tuple(_numbered(each, number) for number, each in enumerate(ordered, 1))


def _rounded(seconds: float) -> float:
    return round(seconds * 4) / 4


def _target(random: Random, world: World) -> str:
    everybody = [each.id for each in world.members]
    return random.choice([*everybody, *(each.name for each in world.providers)])


def _happening(random: Random, world: World, at: float, focus: str | None) -> Iterator[Happening]:
    (what,) = random.choices(list(WEIGHTS), list(WEIGHTS.values()))
    target = focus or _target(random, world)
    members = [each for each in world.members if target in (each.id, each.provider)]
    if not members:
        return

    member = random.choice(members)
    children = [each.name for each in (*member.own, *member.workers)]
    if what not in FAULTS:
        target = member.id
    if what in MISHAPS | {What.REVIVE} and not children:
        return

    yield Happening(
        number=0,
        at=at,
        what=what,
        target=_whom(random, what, target),
        child=random.choice(children) if what in MISHAPS | {What.REVIVE} else "",
        lasts=_lasting(random, what),
        cause=_cause(random, what),
        ids=_wanted(random, world) if what is What.APPLY else (),
    )
    follow = FOLLOWS.get(what)
    if follow is not None and random.random() < 0.8:
        later = at + random.choice(OFFSETS + LASTS)
        yield Happening(number=0, at=later, what=follow, target=member.id)


def _flapping(random: Random, world: World, seconds: float) -> Iterator[Happening]:
    """Lose the connections of one target every few seconds, for a while."""
    at, target = _rounded(random.uniform(0.0, seconds)), _target(random, world)
    every = random.choice([0.5, 2.0, 10.0, 45.0])
    for _ in range(random.choice([5, 20])):
        yield Happening(
            number=0, at=at, what=What.DROP, target=target, cause=_cause(random, What.DROP)
        )
        at += every


def _crash_loop(random: Random, world: World, seconds: float) -> Iterator[Happening]:
    """Let one child fail, and then again and again, or fail to start until that is over."""
    member = random.choice(world.members)
    children = [each.name for each in (*member.own, *member.workers)]
    if not children:
        return

    at, child = _rounded(random.uniform(0.0, seconds)), random.choice(children)
    if random.random() < 0.5:
        yield _mishap(What.STUMBLE, at, member.id, child, random.choice(LASTS))
    every = random.choice([0.25, 1.0, 4.0, 10.0])
    for _ in range(random.choice([1, 4, 8])):
        yield _mishap(What.FAIL, at, member.id, child)
        at += every


def _mishap(what: What, at: float, who: str, child: str, lasts: float = 0.0) -> Happening:
    cause = Cause(FailureClass.RECOVERABLE, what)
    return Happening(number=0, at=at, what=what, target=who, child=child, lasts=lasts, cause=cause)


def _whom(random: Random, what: What, target: str) -> str:
    if what in (What.GIVE_UP, What.CANCEL):
        return ""
    if what is What.APPLY:
        return random.choice(["", target])

    return target


def _lasting(random: Random, what: What) -> float:
    if what is What.APPLY:
        return random.choice([0.0, 1.0])

    lasting = what in FAULTS | {What.STUMBLE} and what not in MOMENTARY
    return random.choice(LASTS) if lasting else 0.0


def _wanted(random: Random, world: World) -> tuple[str, ...]:
    left_out = random.choice([0.0, 0.1, 0.5])
    return tuple(each.id for each in world.members if random.random() >= left_out)


def _cause(random: Random, what: What) -> Cause | None:
    if what is What.EXPIRE:
        return Cause(FailureClass.FATAL, what, lost=True, who_must_act=WhoMustAct.CREDENTIALS)
    if what in _LOSES:
        return Cause(
            random.choice([FailureClass.RECOVERABLE] * 8 + list(FailureClass)),
            what,
            lost=True,
            retry_after=random.choice([None] * 6 + [0.0, 5.0, 120.0]),
            resumable=random.random() < 0.3,
            planned=random.random() < 0.2,
        )
    if what in (What.CRASH, What.FAIL, What.STUMBLE):
        kind = random.choice([FailureClass.RECOVERABLE] * 6 + list(FailureClass))
        return Cause(kind, what, lost=what is What.FAIL and random.random() < 0.2)

    return None


def _numbered(happening: Happening, number: int) -> Happening:
    cause = happening.cause
    if cause is not None:
        cause = evolve(cause, reason=f"{cause.reason}#{number}")
    return evolve(happening, number=number, cause=cause)
