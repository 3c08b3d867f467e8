"""Counting against time: the token bucket and the day, under any times at all."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pytest
from attrs import Factory, define
from hypothesis import example, given
from hypothesis import strategies as st

from trio_instances.policy.rate import DAY, DayWindow, TokenBucket

pauses = st.lists(
    st.one_of(st.sampled_from([0.0, 0.5, 1.0, 60.0, 3600.0]), st.floats(0.0, DAY)), max_size=60
)
"""Seconds between two wishes."""
rates = st.one_of(st.sampled_from([0.2, 1.0, 2.0, 100.0]), st.floats(1 / DAY, 1e4))
begins = st.sampled_from([0.0, 0.3, 1e6])


@define
class Day:
    """A day of so many attempts."""

    limit: int
    window: DayWindow = Factory(DayWindow)

    def next_slot(self, now: float) -> float:
        """Return when there is room."""
        return self.window.next_slot(now, self.limit)

    def left(self, now: float) -> int:
        """Return how many attempts there is room for."""
        return self.window.left(now, self.limit)

    def take(self, now: float) -> None:
        """Count an attempt."""
        self.window.take(now)


def take_all(counter: TokenBucket | Day, begin: float, steps: Iterable[float]) -> list[float]:
    """Take whenever there is room, waiting for it where there is none; return when."""
    now, taken = begin, []
    for pause in steps:
        now = counter.next_slot(now + pause)
        counter.take(now)
        taken.append(now)

    return taken


# --- the token bucket


@given(per_second=rates, burst=st.integers(1, 20), begin=begins, steps=pauses)
@example(per_second=9988.0, burst=1, begin=1e6, steps=[0.0, 0.0, 0.0])
def test_a_bucket_gives_never_more_than_the_burst_and_the_rate(
    per_second: float, burst: int, begin: float, steps: list[float]
) -> None:
    """In every stretch of time: at most the burst, and what came in at the rate."""
    taken = take_all(TokenBucket(per_second, burst), begin, steps)

    for first in range(len(taken)):
        for last in range(first, len(taken)):
            # A clock that has run for long tells times apart by its last digit only.
            seconds = taken[last] - taken[first] + math.ulp(taken[last]) * len(taken)
            assert last - first + 1 <= burst + per_second * seconds * (1 + 1e-9) + 1e-6


@given(per_second=rates, burst=st.integers(1, 20), begin=begins, steps=pauses)
def test_a_bucket_lets_no_token_lapse(
    per_second: float, burst: int, begin: float, steps: list[float]
) -> None:
    """Who comes for tokens without a pause gets them at the full rate."""
    bucket = TokenBucket(per_second, burst)
    taken = take_all(bucket, begin, steps)
    now = taken[-1] if taken else begin
    more = take_all(bucket, now, [0.0] * (burst + 3))

    assert more[-1] - now <= (burst + 3) / per_second * (1 + 1e-9) + 1e-6


@given(per_second=rates, burst=st.integers(1, 20), begin=begins, steps=pauses)
def test_what_a_bucket_says_is_left_can_be_taken(
    per_second: float, burst: int, begin: float, steps: list[float]
) -> None:
    """So many at once, and not one more."""
    bucket = TokenBucket(per_second, burst)
    now = (take_all(bucket, begin, steps) or [begin])[-1] + 0.7
    left = bucket.left(now)

    assert 0 <= left <= burst
    assert (left > 0) is (bucket.next_slot(now) == now)
    for _ in range(left):
        assert bucket.next_slot(now) - now < 1e-6
        bucket.take(now)
    assert bucket.next_slot(now) > now


def test_a_bucket_begins_full_and_fills_up_again() -> None:
    """The burst at once, then one each interval; the burst again after a quiet time."""
    bucket = TokenBucket(2.0, 3)

    assert take_all(bucket, 10.0, [0.0] * 6) == [10.0, 10.0, 10.0, 10.5, 11.0, 11.5]
    assert [bucket.left(11.5 + waited) for waited in (0.0, 0.5, 1.0, 1.5, 99.0)] == [0, 1, 2, 3, 3]


# --- the day


@given(limit=st.integers(1, 5), begin=begins, steps=pauses)
@example(limit=1, begin=59.9, steps=[0.0, 0.0])
def test_no_24_hours_see_more_than_the_limit(limit: int, begin: float, steps: list[float]) -> None:
    """Wherever they begin: that is what a provider counts."""
    taken = take_all(Day(limit), begin, steps)

    for early, late in zip(taken, taken[limit:], strict=False):
        assert late - early >= DAY


@given(limit=st.integers(1, 5), begin=begins, steps=pauses)
def test_the_day_is_stricter_by_a_minute_at_most(
    limit: int, begin: float, steps: list[float]
) -> None:
    """Nobody waits for longer than a minute beyond the 24 hours."""
    window = Day(limit)
    taken = take_all(window, begin, steps)

    if len(taken) >= limit:
        assert window.next_slot(taken[-1]) <= max(taken[-limit] + DAY + 60.0, taken[-1])


@given(limit=st.integers(1, 5), begin=begins, steps=pauses)
def test_what_the_day_says_is_left_can_be_taken(
    limit: int, begin: float, steps: list[float]
) -> None:
    """So many at once, and not one more."""
    window = Day(limit)
    now = (take_all(window, begin, steps) or [begin])[-1] + 0.7
    left = window.left(now)
    for _ in range(left):
        assert window.next_slot(now) == now
        window.take(now)

    assert window.left(now) == 0
    assert window.next_slot(now) > now


def test_a_day_takes_bounded_memory() -> None:
    """However many attempts there are: a number for each minute, and not for each attempt."""
    window = Day(1_000_000)
    for attempt in range(200_000):
        window.take(attempt * 0.9)

    assert window.left(200_000 * 0.9) == pytest.approx(1_000_000 - DAY / 0.9, abs=70)
    assert len(window.window._ends) <= 1441  # noqa: SLF001 - its size is the law


@given(st.lists(st.floats(0.0, DAY), min_size=1, max_size=30), st.integers(1, 30))
def test_a_limit_that_is_lowered_counts_what_was_spent(times: list[float], limit: int) -> None:
    """There is room when so many are older than a day that one more fits, up to the minute."""
    window = DayWindow()
    for at in sorted(times):
        window.take(at)
    now = max(times)
    assert window.left(now, limit) == limit - len(times)

    slot = window.next_slot(now, limit)
    assert (slot == now) is (len(times) < limit)
    if slot > now:
        assert sum(slot - DAY <= at for at in times) < limit
        assert sum(slot - DAY - 60.0 <= at for at in times) >= limit
    assert window.left(slot, limit) > 0
