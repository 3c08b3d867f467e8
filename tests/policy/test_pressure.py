"""How full is too full: thresholds and hysteresis."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_instances._exceptions import InvalidSpec
from trio_instances.policy.pressure import PressureLevel, PressurePolicy

NORMAL, WARN, DEGRADED, SHED = LEVELS = list(PressureLevel)
POLICY = PressurePolicy()


@st.composite
def policies(draw: st.DrawFn) -> PressurePolicy:
    """Draw thresholds in order, some of them equal, and a hysteresis below the lowest."""
    share = st.one_of(st.floats(0.05, 1.0), st.sampled_from([0.5, 0.7, 1.0]))
    warn, degraded, shed = sorted(draw(st.lists(share, min_size=3, max_size=3)))
    hysteresis = warn * draw(st.floats(0.0, 0.99))
    return PressurePolicy(warn=warn, degraded=degraded, shed=shed, hysteresis=hysteresis)


occupancies = st.one_of(st.floats(0.0, 1.0), st.sampled_from([0.65, 0.7, 0.8, 0.85, 0.9, 0.95]))
levels = st.sampled_from(LEVELS)


def begins_at(policy: PressurePolicy, level: PressureLevel) -> float:
    """Return the occupancy at which a level begins."""
    return {NORMAL: 0.0, WARN: policy.warn, DEGRADED: policy.degraded, SHED: policy.shed}[level]


@pytest.mark.parametrize(
    ("occupancy", "level"),
    [
        (0.0, NORMAL),
        (math.nextafter(0.70, 0), NORMAL),
        (0.70, WARN),
        (math.nextafter(0.85, 0), WARN),
        (0.85, DEGRADED),
        (math.nextafter(0.95, 0), DEGRADED),
        (0.95, SHED),
        (1.0, SHED),
    ],
)
def test_the_levels_begin_exactly_at_their_thresholds(
    occupancy: float, level: PressureLevel
) -> None:
    """By default 0.70, 0.85 and 0.95 of the capacity; a threshold belongs to its level."""
    assert POLICY.level(NORMAL, occupancy) is level


@pytest.mark.parametrize(
    ("before", "occupancy", "level"),
    [
        (WARN, 0.66, WARN),
        (WARN, 0.64, NORMAL),
        (DEGRADED, 0.81, DEGRADED),
        (DEGRADED, 0.79, WARN),
        (SHED, 0.91, SHED),
        (SHED, 0.89, DEGRADED),
        (SHED, 0.79, WARN),
        (SHED, 0.64, NORMAL),
        (SHED, 0.0, NORMAL),
    ],
)
def test_a_level_is_left_only_well_below_its_threshold(
    before: PressureLevel, occupancy: float, level: PressureLevel
) -> None:
    """By default 0.05 below, and several levels at once where the queue has emptied at once."""
    assert POLICY.level(before, occupancy) is level


@given(policies(), levels, occupancies)
def test_a_level_is_entered_at_once(
    policy: PressurePolicy, before: PressureLevel, occupancy: float
) -> None:
    """The level is never below what the occupancy alone would give."""
    after = policy.level(before, occupancy)

    for level in LEVELS[LEVELS.index(after) + 1 :]:
        assert occupancy < begins_at(policy, level)


@given(policies(), levels, occupancies)
def test_no_level_is_left_before_the_hysteresis_is_passed(
    policy: PressurePolicy, before: PressureLevel, occupancy: float
) -> None:
    """A lower level needs an occupancy below the threshold of every level left, minus the rest."""
    after = policy.level(before, occupancy)

    for level in LEVELS[LEVELS.index(after) + 1 : LEVELS.index(before) + 1]:
        assert occupancy < begins_at(policy, level) - policy.hysteresis + 1e-12


@given(policies(), levels, occupancies)
def test_no_level_is_kept_once_the_hysteresis_is_passed(
    policy: PressurePolicy, before: PressureLevel, occupancy: float
) -> None:
    """The level is not above what the occupancy, with the hysteresis added, would give."""
    after = policy.level(before, occupancy)

    assert occupancy >= begins_at(policy, after) - policy.hysteresis - 1e-12


@given(policies(), levels, occupancies)
def test_a_steady_occupancy_never_flaps(
    policy: PressurePolicy, before: PressureLevel, occupancy: float
) -> None:
    """A second look at the same queue says what the first one said."""
    after = policy.level(before, occupancy)

    assert policy.level(after, occupancy) is after


@given(levels, st.lists(st.floats(0.70, 0.74), max_size=10), st.floats(0.70, 0.74))
def test_a_queue_around_a_threshold_does_not_flap(
    before: PressureLevel, around: list[float], first: float
) -> None:
    """Within the hysteresis a level once taken is kept."""
    level = POLICY.level(before, first)

    for occupancy in around:
        assert POLICY.level(level, occupancy - 0.04) is level


@given(policies(), levels, occupancies, occupancies)
def test_a_fuller_queue_is_no_lower_level(
    policy: PressurePolicy, before: PressureLevel, one: float, other: float
) -> None:
    """From the same level, more is never less."""
    low, high = (policy.level(before, occupancy) for occupancy in sorted((one, other)))

    assert LEVELS.index(low) <= LEVELS.index(high)


def test_the_defaults_are_those_that_are_published() -> None:
    """0.70, 0.85 and 0.95 of the capacity, left 0.05 below, looked at every second."""
    assert PressurePolicy() == PressurePolicy(
        warn=0.70, degraded=0.85, shed=0.95, hysteresis=0.05, interval=1.0
    )


@pytest.mark.parametrize(
    "thresholds", [(0.9, 0.8, 0.95), (0.7, 0.96, 0.95), (0.95, 0.85, 0.7), (0.96, 0.85, 0.95)]
)
def test_thresholds_out_of_order_are_refused(thresholds: tuple[float, float, float]) -> None:
    """The three are named together, because none of them is wrong alone."""
    warn, degraded, shed = thresholds
    with pytest.raises(InvalidSpec) as caught:
        PressurePolicy(warn=warn, degraded=degraded, shed=shed)

    assert str(caught.value) == (
        "PressurePolicy: warn, degraded, shed: must not decrease from one to the next, "
        f"not {thresholds!r}"
    )


@pytest.mark.parametrize("hysteresis", [0.7, 0.71, 1.0])
def test_a_hysteresis_that_no_queue_can_pass_is_refused(hysteresis: float) -> None:
    """An empty queue must be able to leave every level."""
    with pytest.raises(InvalidSpec, match=r"hysteresis: must be below warn \(0.7\)"):
        PressurePolicy(hysteresis=hysteresis)


def test_every_mistake_is_listed() -> None:
    """One error names every field that is no share, or no time."""
    with pytest.raises(InvalidSpec) as caught:
        PressurePolicy(warn=0.0, degraded=1.1, shed=math.nan, hysteresis=-0.1, interval=math.inf)

    assert str(caught.value).splitlines() == [
        "PressurePolicy has 5 mistakes:",
        "  - warn: must be a number above 0 and at most 1, not 0.0",
        "  - degraded: must be a number above 0 and at most 1, not 1.1",
        "  - shed: must be a number above 0 and at most 1, not nan",
        "  - hysteresis: must be a number at least 0 and at most 1, not -0.1",
        "  - interval: must be a finite number above 0, not inf",
    ]


def test_mistakes_of_order_are_listed_together() -> None:
    """Thresholds out of order do not hide a hysteresis that is too large."""
    with pytest.raises(InvalidSpec) as caught:
        PressurePolicy(warn=0.5, degraded=0.4, hysteresis=0.6)

    assert [mistake.place for mistake in caught.value.mistakes] == [
        "warn, degraded, shed",
        "hysteresis",
    ]
