"""A schedule that breaks a law becomes the shortest one that still does: delta debugging. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from .world import World

T = TypeVar("T")

MOST_TRIES = 400
"""Worlds that are played at most to shrink one."""


def shrink(world: World, breaks: Callable[[World], bool], tries: int = MOST_TRIES) -> World:
    """Return the world with as little in it as still breaks the law.

    First what happens is taken away, then the members that nothing needs, then time.

    Args:
        world: What breaks it.
        breaks: Plays a world, and tells whether it still does.
        tries: How often that may be asked.
    """
    left = tries

    def still(candidate: World) -> bool:
        nonlocal left
        left -= 1
        return left >= 0 and breaks(candidate)

    schedule = minimal(world.schedule, lambda kept: still(world.with_schedule(kept)))
    world = world.with_schedule(schedule)
    members = minimal(world.members, lambda kept: bool(kept) and still(world.with_members(kept)))
    world = world.with_members(members)
    for part in (0.1, 0.25, 0.5):
        shorter = world.lasting(_last(world) + part * (world.seconds - _last(world)))
        if still(shorter):
            return shorter

    return world


def minimal(items: Sequence[T], holds: Callable[[tuple[T, ...]], bool]) -> tuple[T, ...]:
    """Return a part of the items for which it holds, and of which none can be left out.

    Ever smaller pieces are left out, as long as it holds without them.
    """
    kept, size = tuple(items), max(len(items) // 2, 1)
    while kept:
        smaller = _without_one_piece(kept, size, holds)
        if smaller is not None:
            kept = smaller
        elif size == 1:
            break
        size = min(size, max(len(kept) // 2, 1)) if smaller is not None else size // 2

    return kept


def _without_one_piece(
    kept: tuple[T, ...], size: int, holds: Callable[[tuple[T, ...]], bool]
) -> tuple[T, ...] | None:
    for begin in range(0, len(kept), size):
        candidate = kept[:begin] + kept[begin + size :]
        if holds(candidate):
            return candidate

    return None


def _last(world: World) -> float:
    return max((happening.ends for happening in world.schedule), default=0.0)
