"""The row of bars that the demo draws of an outage, and its check of the budget."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_instances._cli.chart import MOMENT, Allowance, beyond, busiest_second, chart

TIMES = st.lists(st.floats(0.0, 20.0), max_size=60).map(sorted)


@pytest.mark.parametrize(("plain", "bars"), [(False, "▄ █▁"), (True, "- #_")])
def test_a_bar_stands_for_each_moment(*, plain: bool, bars: str) -> None:
    """As high as its share of the most; a moment without an attempt has none."""
    times = [10.0] * 5 + [10.0 + 2.5 * MOMENT] * 10 + [10.0 + 3.5 * MOMENT]
    assert chart(times, 10.0, 10.0 + 4 * MOMENT, plain=plain) == bars


def test_what_was_before_or_after_is_not_drawn() -> None:
    """Only the time asked for, and never less than one bar."""
    assert chart([1.0, 99.0], 10.0, 10.0, plain=True) == " "


@given(times=TIMES)
def test_the_busiest_second_is_found(times: list[float]) -> None:
    """No second that begins with an attempt has more; both of its ends belong to it."""
    counts = [sum(begin <= at <= begin + 1.0 for at in times) for begin in times]
    assert busiest_second(times) == max(counts, default=0)


@given(times=TIMES, burst=st.integers(1, 20), rate=st.floats(0.5, 50.0))
def test_nothing_is_beyond_a_budget_that_allows_the_busiest_second(
    times: list[float], burst: int, rate: float
) -> None:
    """And what is beyond it is told by its number."""
    over = beyond(times, Allowance(rate, burst), slack=0.0)
    assert over == max(0, busiest_second(times) - int(burst + rate))
