"""Work on a whole fleet, in slices between which everybody else has their turn."""

from __future__ import annotations

import functools
import operator

import trio
from hypothesis import given
from hypothesis import strategies as st

from trio_instances.http.slices import Turns, cut


@given(items=st.lists(st.integers()), size=st.integers(1, 20))
def test_the_slices_make_up_the_whole(items: list[int], size: int) -> None:
    """In order, none of them empty, none too long."""
    slices = [list(each) for each in cut(items, size)]
    assert functools.reduce(operator.iadd, slices, []) == items
    assert all(0 < len(each) <= size for each in slices)


async def test_however_many_ask_one_slice_is_made_in_a_pass() -> None:
    """So that an instance's next step waits for one slice, and not for a hundred."""
    turns, made, most, lately = Turns(), 0, 0, 0

    def make(items: object) -> None:
        nonlocal made, lately
        made += 1
        lately += 1

    async def ask() -> None:
        for some in cut(range(10), 2):
            await turns.make(make, some)

    async def live() -> None:
        nonlocal most, lately
        while made < 500:
            most, lately = max(most, lately), 0
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(live)
        for _ in range(100):
            nursery.start_soon(ask)
    assert most <= 2


async def test_a_slice_that_fails_gives_its_turn_up() -> None:
    """The next one is made."""
    turns = Turns()

    def fail(items: object) -> None:
        raise ValueError

    for _ in range(2):
        try:
            await turns.make(fail, [])
        except ValueError:
            continue
    assert await turns.make(list, [1]) == [1]
