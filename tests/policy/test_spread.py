"""Sums of delays, against the textbook's sum over all subsets, and against each other."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_instances.policy.spread import Delay, Sum

bounds = st.integers(0, 64).map(lambda eighths: eighths / 8)
delays = st.tuples(bounds, bounds).map(lambda pair: Delay(min(pair), max(pair)))
some_delays = st.lists(delays, min_size=1, max_size=5)


def total(parts: list[Delay]) -> Sum:
    """Return the sum of some delays."""
    added = Sum()
    for part in parts:
        added = added.plus(part)
    return added


def power_over_subsets(parts: list[Delay], seconds: float, power: int) -> float:
    """Return an integral of the sum's density by inclusion and exclusion, in exact arithmetic.

    Args:
        parts: The delays.
        seconds: Where to end.
        power: How often to integrate: once gives the chance, twice what is left on average.
    """
    low = sum(Fraction(part.low) for part in parts)
    widths = [Fraction(part.width) for part in parts if part.width]
    degree = len(widths) + power - 1
    exact = Fraction(0)
    for chosen in itertools.product((0, 1), repeat=len(widths)):
        rest = Fraction(seconds) - low - sum(itertools.compress(widths, chosen))
        if rest > 0:
            exact += (-1) ** sum(chosen) * rest**degree
    return float(exact / math.factorial(degree) / math.prod(widths))


@given(some_delays, st.floats(0.0, 45.0))
def test_the_chance_is_that_of_the_textbook(parts: list[Delay], seconds: float) -> None:
    """Within 0.001, for any delays."""
    exact = power_over_subsets(parts, seconds, 1)

    assert total(parts).chance_before(seconds) == pytest.approx(exact, abs=1e-3)


@given(some_delays, st.floats(0.0, 45.0))
def test_what_is_left_is_what_the_textbook_says(parts: list[Delay], seconds: float) -> None:
    """Within 0.001 of a second, for delays of seconds."""
    exact = power_over_subsets(parts, seconds, 2)

    assert total(parts).left_of(seconds) == pytest.approx(exact, abs=1e-3)


@pytest.mark.parametrize("times", [1, 2, 30, 4000])
def test_equal_delays_are_added_at_once(times: int) -> None:
    """As if one after the other."""
    once = Sum().plus(Delay(1.0, 3.0), times)
    far = 2.0 * times + 0.1

    assert once.mean == 2.0 * times
    assert once.reach <= times
    assert total([Delay(1.0, 3.0)] * times).chance_before(far) == once.chance_before(far)


def test_a_long_sum_is_spread_as_the_central_limit_has_it() -> None:
    """Half of it lies before the mean, and 0.8413 before one standard deviation more."""
    many = Sum().plus(Delay(0.0, 1.0), 4000)
    deviation = math.sqrt(many.variance)

    assert many.chance_before(many.mean) == pytest.approx(0.5)
    assert many.chance_before(many.mean + deviation) == pytest.approx(0.8413, abs=1e-3)
    assert many.left_of(many.mean) == pytest.approx(deviation / math.sqrt(2 * math.pi), rel=1e-3)


def test_a_delay_that_hardly_counts_changes_nothing() -> None:
    """Beside one that is a million times as long, where the series ends before it is done."""
    both = total([Delay(0.0, 1e-6), Delay(0.0, 1.0)])

    for tenth in range(11):
        assert both.chance_before(tenth / 10) == pytest.approx(tenth / 10, abs=1e-3)
        assert both.left_of(tenth / 10) == pytest.approx((tenth / 10) ** 2 / 2, abs=1e-3)


def test_delays_without_chance_are_what_they_are() -> None:
    """Before them nothing, after them everything; and what comes exactly then comes not before."""
    fixed = total([Delay(1.0, 1.0), Delay(2.0, 2.0)])

    assert [fixed.chance_before(seconds) for seconds in (2.9, 3.0, 3.1)] == [0.0, 0.0, 1.0]
    assert fixed.left_of(5.0) == 2.0


@given(delays, st.floats(0.0, 9.0))
def test_a_delay_is_longer_than_what_it_is_longer_than(delay: Delay, seconds: float) -> None:
    """The chance agrees with that of the sum of one delay, and the rest begins there."""
    alone = Sum().plus(delay)
    assert delay.chance_over(seconds) == pytest.approx(
        1.0 - alone.chance_before(math.nextafter(seconds, math.inf))
    )
    if delay.chance_over(seconds):
        rest = delay.beyond(seconds)
        assert max(seconds, delay.low) == rest.low <= rest.high == delay.high
