"""How long to wait: bounds, growth, jitter, and what is refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trio_instances._exceptions import InvalidSpec
from trio_instances.policy.backoff import Backoff, Jitter

from .strategies import backoffs, chances

attempts = st.one_of(st.integers(0, 20), st.integers(0, 10**6))
amounts = st.floats(0.0, 1.7e308)
wild = st.builds(
    lambda ends, **others: Backoff(initial=min(ends), cap=max(ends), **others),
    st.tuples(amounts, amounts),
    factor=st.floats(1.0, 1e308),
    jitter=st.sampled_from(Jitter),
)
"""Delays out of anything that is accepted, also where the powers leave the range of a float."""


@given(st.one_of(backoffs(), wild), attempts, chances)
@example(Backoff(initial=1e-300, cap=1e10), 2000, 1.0)
@example(Backoff(initial=1, factor=2, cap=1e308), 10**6, 1.0)
@example(Backoff(initial=1.5e-323, cap=1.5e-323, jitter=Jitter.EQUAL), 0, 1.0)
def test_a_delay_is_within_its_cap(backoff: Backoff, attempt: int, u: float) -> None:
    """No attempt and no chance makes a delay negative, or longer than its step, or than the cap."""
    assert 0.0 <= backoff.delay(attempt, u) <= backoff.step(attempt) <= backoff.cap


@given(st.one_of(backoffs(), wild), attempts, st.integers(0, 100))
def test_a_step_never_shrinks(backoff: Backoff, attempt: int, more: int) -> None:
    """A later retry waits no less, before jitter."""
    assert backoff.step(attempt) <= backoff.step(attempt + more) * (1 + 1e-12)


@given(backoffs(), st.integers(0, 12))
def test_a_step_is_the_power_of_the_factor_up_to_the_cap(backoff: Backoff, attempt: int) -> None:
    """``min(cap, initial * factor ** n)``, computed here by multiplying."""
    step = backoff.initial
    for _ in range(attempt):
        step = min(step * backoff.factor, 1e300)

    assert backoff.step(attempt) == pytest.approx(min(backoff.cap, step))


def test_the_defaults_are_a_quarter_of_a_second_doubling_to_five() -> None:
    """The numbers of the design, in order."""
    assert [Backoff().step(n) for n in range(7)] == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    assert Backoff().jitter is Jitter.FULL
    assert Backoff().stable_after == 60.0


@given(backoffs(), attempts, chances)
def test_proving_takes_at_least_the_step(backoff: Backoff, attempt: int, u: float) -> None:
    """Something that fails as seldom as its delays are long does not look healthy."""
    proven = backoff.proven_after(attempt)

    assert proven >= max(backoff.delay(attempt, u), backoff.stable_after)
    assert proven in (backoff.step(attempt), backoff.stable_after)


@pytest.mark.parametrize(
    ("jitter", "delays"),
    [
        (Jitter.FULL, [0.0, 1.0, 4.0]),
        (Jitter.EQUAL, [2.0, 2.5, 4.0]),
        (Jitter.NONE, [4.0, 4.0, 4.0]),
        ("full", [0.0, 1.0, 4.0]),
        ("equal", [2.0, 2.5, 4.0]),
        ("none", [4.0, 4.0, 4.0]),
    ],
)
def test_each_kind_of_jitter_shortens_as_it_says(jitter: str, delays: list[float]) -> None:
    """Chances 0, 1/4 and 1 of a step of 4 seconds, by member and by word."""
    backoff = Backoff(initial=4.0, jitter=Jitter(jitter))

    assert [backoff.delay(0, u) for u in (0.0, 0.25, 1.0)] == delays


@given(backoffs(), attempts, chances, chances)
def test_more_chance_is_no_shorter(backoff: Backoff, attempt: int, u: float, v: float) -> None:
    """A delay grows with the number drawn, so that it spreads as that number does."""
    low, high = sorted((u, v))

    assert backoff.delay(attempt, low) <= backoff.delay(attempt, high)


def test_a_word_is_as_good_as_a_member() -> None:
    """Code and configuration files say the same."""
    assert Backoff(jitter="equal") == Backoff(jitter=Jitter.EQUAL)


@pytest.mark.parametrize("field", ["initial", "cap", "factor"])
@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf, "1", None, True, 10**400, 1j])
def test_a_number_that_is_none_is_refused(field: str, value: object) -> None:
    """Negative, endless, no number, too big for a float: none of them is a delay."""
    with pytest.raises(InvalidSpec) as caught:
        Backoff(**{field: value})  # type: ignore[arg-type]  # that is the point

    assert [mistake.place for mistake in caught.value.mistakes] == [field]


def test_a_cap_below_the_first_delay_is_refused() -> None:
    """The first delay would never be what was asked for, as where `initial` alone is given."""
    with pytest.raises(InvalidSpec, match=r"cap: must be at least initial, which is 60, not 5.0"):
        Backoff(initial=60)


def test_stable_after_may_be_endless() -> None:
    """Delays may be told never to start anew."""
    assert Backoff(stable_after=math.inf).proven_after(0) == math.inf


def test_every_mistake_is_listed() -> None:
    """One error names all fields, with what was given and what is accepted."""
    with pytest.raises(InvalidSpec) as caught:
        Backoff(initial=-1, factor=0.5, cap=math.inf, jitter="some", stable_after=math.nan)

    assert str(caught.value).splitlines() == [
        "Backoff has 5 mistakes:",
        "  - initial: must be a finite number at least 0, not -1",
        "  - factor: must be a finite number at least 1, not 0.5",
        "  - cap: must be a finite number at least 0, not inf",
        "  - jitter: must be one of 'full', 'equal', 'none', not 'some'",
        "  - stable_after: must be a number at least 0, not nan",
    ]
