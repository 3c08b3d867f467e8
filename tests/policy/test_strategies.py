"""Which siblings a restart takes along."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trio_instances.policy.strategies import Strategy, affected

orders = st.lists(st.integers(), min_size=1, max_size=8, unique=True)


@given(orders, st.data())
def test_one_for_one_takes_nobody_along(order: list[int], data: st.DataObject) -> None:
    """The failed child alone."""
    failed = data.draw(st.sampled_from(order))

    assert list(affected(Strategy.ONE_FOR_ONE, order, failed)) == [failed]


@given(orders, st.data())
def test_one_for_all_takes_everybody_along(order: list[int], data: st.DataObject) -> None:
    """All children, in start order, whichever failed."""
    failed = data.draw(st.sampled_from(order))

    assert list(affected(Strategy.ONE_FOR_ALL, order, failed)) == order


@given(orders, st.data())
def test_rest_for_one_takes_along_who_was_started_later(
    order: list[int], data: st.DataObject
) -> None:
    """The failed child and all after it; none before it."""
    failed = data.draw(st.sampled_from(order))
    taken = list(affected(Strategy.REST_FOR_ONE, order, failed))

    assert taken[0] == failed
    assert order[: -len(taken)] + taken == order


@given(st.sampled_from(Strategy), orders, st.data())
def test_the_order_is_only_read(strategy: Strategy, order: list[int], data: st.DataObject) -> None:
    """A decision changes nothing."""
    before = list(order)
    affected(strategy, order, data.draw(st.sampled_from(order)))

    assert order == before
