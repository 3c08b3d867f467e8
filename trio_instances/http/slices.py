"""Work on a whole fleet, cut into slices between which everybody else has their turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar, final

import trio

T = TypeVar("T")
R = TypeVar("R")

SLICE = 50
"""Instances whose snapshots are made at once; that takes some 3 ms."""


def cut(items: Sequence[T], size: int = SLICE) -> Iterator[Sequence[T]]:
    """Yield slices that make up all items."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


@final
class Turns:
    """Makes something of one slice in each pass of Trio's scheduler.

    All requests share one, so that however many there are, only one slice comes between one step of
    an instance and the next.
    """

    def __init__(self) -> None:
        self._turn = trio.Lock()

    async def make(self, make: Callable[[Sequence[T]], R], items: Sequence[T]) -> R:
        """Return what is made of a slice, when it is its turn."""
        # Held for no longer: whoever takes the result may be slow to send it.
        async with self._turn:
            return make(items)
