"""What must be done so that the instances that are wanted are those that there are."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol, final

from attrs import frozen


class Wanted(Protocol):
    """What is needed here of a specification: `==` tells whether two mean the same."""

    @property
    def id(self) -> str:
        """Unique among those that are wanted, and among those that there are."""

    @property
    def channel(self) -> object:
        """An object that serves one instance at a time."""


@final
@frozen(kw_only=True)
class Changes:
    """Ids in the order in which they are to be dealt with: first `stop`, then the others."""

    stop: tuple[str, ...]
    """To be stopped, newest first: those of `restart` that are `lent`, and all that must go."""
    lent: frozenset[str]
    """Whose channel object is wanted for another instance, so that it must be free by then."""
    restart: tuple[str, ...]
    start: tuple[str, ...]
    unchanged: tuple[str, ...]


def changes(
    present: Sequence[Wanted], wanted: Sequence[Wanted], *, down: Collection[str] = ()
) -> Changes:
    """Decide what is stopped, restarted, started, and left alone.

    The order of those that are present does not matter to those that stay: to be listed at another
    place is no difference.

    Args:
        present: What there is, in start order.
        wanted: What there is to be, in the order in which it is to be started.
        down: The ids of those present that do not run, though nothing is wrong with them.
    """
    old = {spec.id: spec for spec in present}
    for_whom = {id(spec.channel): spec.id for spec in wanted}
    lent = frozenset(
        spec.id for spec in present if for_whom.get(id(spec.channel), spec.id) != spec.id
    )
    differs = {
        spec.id
        for spec in wanted
        if spec.id in old and (spec != old[spec.id] or spec.id in lent or spec.id in down)
    }
    wanted_ids = [spec.id for spec in wanted]
    gone = old.keys() - wanted_ids
    return Changes(
        stop=tuple(each for each in reversed(old) if each in gone or each in differs & lent),
        lent=lent & differs,
        restart=tuple(each for each in wanted_ids if each in differs),
        start=tuple(each for each in wanted_ids if each not in old),
        unchanged=tuple(each for each in wanted_ids if each in old and each not in differs),
    )
