"""What breaks a law is made small: nothing in it can be left out any more."""

from __future__ import annotations

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from trio_instances.testing.simulate.shrinking import minimal, shrink
from trio_instances.testing.simulate.world import Happening, What, World

from .streams import PLAIN, world

NUMBERS = st.lists(st.integers(0, 30), unique=True, max_size=25)


@given(items=NUMBERS, data=st.data())
def test_exactly_what_is_needed_is_left(items: list[int], data: st.DataObject) -> None:
    """Where some items together break the law, those are left, in their order."""
    needed = set(data.draw(st.lists(st.sampled_from(items), unique=True)) if items else [])

    assert minimal(items, lambda kept: needed <= set(kept)) == tuple(
        item for item in items if item in needed
    )


@given(items=NUMBERS)
def test_nothing_more_can_be_left_out(items: list[int]) -> None:
    """Whatever the law is, here that the sum is odd: without any single item it is kept."""

    def breaks(kept: tuple[int, ...]) -> bool:
        return sum(kept) % 2 == 1

    if breaks(tuple(items)):
        kept = minimal(items, breaks)

        assert breaks(kept)
        assert not any(breaks(kept[:index] + kept[index + 1 :]) for index in range(len(kept)))


def _world() -> World:
    schedule = tuple(
        Happening(number=number, at=10.0 * number, what=What.DROP, target="bot")
        for number in range(1, 9)
    )
    return world(PLAIN, evolve(PLAIN, id="other"), schedule=schedule)


def _breaks(played: World) -> bool:
    members = {member.id for member in played.members}
    numbers = {each.number for each in played.schedule}
    return {3, 6} <= numbers and "bot" in members and played.seconds >= 2000.0


def test_a_world_is_shrunk_in_all_that_it_has() -> None:
    """What happens, who is there, and how long it goes on."""
    small = shrink(_world(), _breaks)

    assert [each.number for each in small.schedule] == [3, 6]
    assert [member.id for member in small.members] == ["bot"]
    assert 2000.0 <= small.seconds < 10_000.0


def test_shrinking_comes_to_an_end() -> None:
    """It plays so many worlds and no more, and what it returns breaks the law."""
    played: list[World] = []

    def breaks(candidate: World) -> bool:
        played.append(candidate)
        return _breaks(candidate)

    small = shrink(_world(), breaks, tries=5)

    assert len(played) == 5
    assert _breaks(small)
