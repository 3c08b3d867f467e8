"""Worlds are values: drawn from a seed, written as text, read again."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trio_instances.testing.simulate.facts import number_of
from trio_instances.testing.simulate.generating import generate
from trio_instances.testing.simulate.world import FAULTS, MISHAPS, What, from_json, to_json

from .streams import GONE, PLAIN, world

SEEDS = st.integers(0, 10**9)


@given(seed=SEEDS)
@settings(max_examples=50)
def test_a_world_can_be_written_and_read_again(seed: int) -> None:
    """What a violation prints is all that it takes to see it again."""
    drawn = generate(seed)

    assert from_json(to_json(drawn)) == drawn


@given(seed=SEEDS)
@settings(max_examples=50)
def test_a_seed_decides_everything(seed: int) -> None:
    """The same seed gives the same world, in whichever process."""
    assert generate(seed) == generate(seed)


@given(seed=SEEDS)
@settings(max_examples=50)
def test_what_happens_comes_in_order_and_to_somebody(seed: int) -> None:
    """Numbers and times go up; whoever it happens to is there; all of it is over before the end."""
    drawn = generate(seed)
    targets = {"", *(each.id for each in drawn.members), *(each.name for each in drawn.providers)}

    assert [each.number for each in drawn.schedule] == list(range(1, len(drawn.schedule) + 1))
    assert [each.at for each in drawn.schedule] == sorted(each.at for each in drawn.schedule)
    assert {each.target for each in drawn.schedule} <= targets
    assert all(each.at < drawn.seconds for each in drawn.schedule)


@given(seed=SEEDS)
@settings(max_examples=50)
def test_every_cause_bears_the_number_of_what_leads_to_it(seed: int) -> None:
    """So that each failure that is told of can be traced back."""
    for each in generate(seed).schedule:
        if each.cause is not None:
            assert number_of(each.cause) == each.number


def test_everything_that_can_happen_does() -> None:
    """No word of the vocabulary is left out by chance."""
    found = {each.what for seed in range(200) for each in generate(seed).schedule}

    assert found == set(What)
    assert not FAULTS & MISHAPS


@pytest.mark.parametrize("text", ["[]", '{"seed": 1}', '{"seed": 1, "seconds": 2, "x": 3}', "{"])
def test_what_is_no_world_is_refused(text: str) -> None:
    """A text that is wrong is refused as a `ValueError` that says where."""
    with pytest.raises(ValueError, match=r"object|required|extra|JSON|Expecting"):
        from_json(text)


def test_a_cause_of_the_library_has_no_number() -> None:
    """Only what was planned can be traced back."""
    assert number_of(None) is None
    assert number_of(GONE) == 1
    assert number_of(type(GONE)("recoverable", "http_503")) is None
    assert number_of(type(GONE)("recoverable", "a#b")) is None


def test_a_world_with_fewer_members_has_nothing_that_happens_to_the_others() -> None:
    """What is left out is left out everywhere."""
    assert world(PLAIN).with_members(()).schedule == ()
