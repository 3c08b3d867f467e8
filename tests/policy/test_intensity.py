"""How many restarts are too many: the sliding window."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_instances._exceptions import InvalidSpec
from trio_instances.policy.intensity import RestartIntensity, RestartWindow

from .strategies import intensities

steps = st.lists(
    st.one_of(st.just(0.0), st.sampled_from([0.25, 0.5, 1.0, 5.0, 5.25]), st.floats(0.0, 8.0)),
    max_size=40,
)
"""Seconds from each crash to the next; many at once, many exactly a period apart."""


def crashes(gaps: list[float]) -> list[float]:
    """Return the times of crashes with these gaps between them."""
    times, now = [], 0.0
    for gap in gaps:
        now += gap
        times.append(now)

    return times


@given(intensities, steps)
def test_the_window_is_a_count_of_all_earlier_restarts(
    intensity: RestartIntensity, gaps: list[float]
) -> None:
    """A restart is allowed if, with it, no more than ``max_restarts`` lie within the period."""
    window = RestartWindow(intensity)
    made: list[float] = []
    for now in crashes(gaps):
        recent = [then for then in made if now - then <= intensity.period]
        allowed = len(recent) + 1 <= intensity.max_restarts

        assert window.allows(now) is allowed
        made += [now] if allowed else []


@given(intensities, steps)
def test_no_period_ever_holds_more_restarts_than_allowed(
    intensity: RestartIntensity, gaps: list[float]
) -> None:
    """Wherever a window of one period is laid, both ends included, it holds at most the limit."""
    window = RestartWindow(intensity)
    made = [now for now in crashes(gaps) if window.allows(now)]

    for start in made:
        held = [now for now in made if now >= start and now - start <= intensity.period]
        assert len(held) <= intensity.max_restarts


def test_a_restart_exactly_one_period_ago_still_counts() -> None:
    """Both ends belong to the window; a moment later the old one is out of it."""
    window = RestartWindow(RestartIntensity(max_restarts=1, period=5.0))

    assert [window.allows(now) for now in (0.0, 5.0, 5.0000001, 10.0)] == [True, False, True, False]


def test_several_at_one_instant_are_counted_each() -> None:
    """Crashes that share a time are crashes all the same."""
    window = RestartWindow(RestartIntensity(max_restarts=3, period=1.0))

    assert [window.allows(7.0) for _ in range(5)] == [True, True, True, False, False]


@given(steps)
def test_a_limit_of_zero_allows_none(gaps: list[float]) -> None:
    """However far apart, the first crash is one too many."""
    window = RestartWindow(RestartIntensity(max_restarts=0))

    assert not any(window.allows(now) for now in crashes(gaps))


def test_a_refused_restart_leaves_no_trace() -> None:
    """What was not made does not keep the next one from being made."""
    window = RestartWindow(RestartIntensity(max_restarts=1, period=5.0))
    assert window.allows(0.0)
    assert not window.allows(4.0)

    assert window.allows(6.0)


def test_forgetting_begins_anew() -> None:
    """After somebody has put things right the whole budget is there again."""
    window = RestartWindow(RestartIntensity(max_restarts=1))
    assert window.allows(0.0)

    window.forget()

    assert window.allows(0.0)
    assert not window.allows(0.0)


def test_a_huge_limit_is_a_limit() -> None:
    """A number that no machine can count to is accepted where others are, and never reached."""
    window = RestartWindow(RestartIntensity(max_restarts=10**30, period=1.0))

    assert all(window.allows(0.0) for _ in range(1000))


def test_the_window_tells_what_it_was_made_for() -> None:
    """An escalation names the limit that was exceeded."""
    intensity = RestartIntensity(max_restarts=2, period=3.0)

    assert RestartWindow(intensity).intensity is intensity


def test_the_defaults_are_those_of_otp() -> None:
    """One restart in five seconds."""
    assert RestartIntensity() == RestartIntensity(max_restarts=1, period=5.0)


def test_every_mistake_is_listed() -> None:
    """One error names both fields."""
    with pytest.raises(InvalidSpec) as caught:
        RestartIntensity(max_restarts=-1, period=0)

    assert str(caught.value).splitlines() == [
        "RestartIntensity has 2 mistakes:",
        "  - max_restarts: must be a whole number of at least 0, not -1",
        "  - period: must be a finite number above 0, not 0",
    ]


@pytest.mark.parametrize("limit", [1.0, True, "1", None])
def test_a_limit_that_is_no_whole_number_is_refused(limit: object) -> None:
    """Restarts are counted, so half of one or a word is a mistake."""
    with pytest.raises(InvalidSpec, match="max_restarts: must be a whole number"):
        RestartIntensity(max_restarts=limit)  # type: ignore[arg-type]  # that is the point
