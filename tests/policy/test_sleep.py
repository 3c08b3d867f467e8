"""Whether the machine slept, by two clocks."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_instances.policy.sleep import LOOK_EVERY, SLEPT, slept

spans = st.floats(0.0, 1e6)


@given(spans, st.floats(SLEPT, 1e8))
def test_a_wall_clock_far_ahead_means_that_the_machine_slept(awake: float, asleep: float) -> None:
    """For as long as it is ahead; give or take what the numbers round to."""
    assert slept(awake + asleep + 1e-6, awake) == pytest.approx(asleep, abs=1e-5)


@given(spans, st.floats(0.0, 1e8))
def test_a_wall_clock_that_was_set_back_means_nothing(awake: float, back: float) -> None:
    """Nor does one that stands still."""
    assert slept(awake - back, awake) == 0.0


@given(st.floats(-0.1, 0.1), st.floats(0.0, 3600.0))
def test_a_clock_that_is_slewed_never_looks_like_a_sleep(rate: float, late: float) -> None:
    """A tenth faster or slower, between looks that come in time."""
    assert slept(LOOK_EVERY * (1 + rate), LOOK_EVERY) == 0.0
    # ... nor a busy or stopped process, whose looks are late by both clocks.
    assert slept(LOOK_EVERY + late, LOOK_EVERY + late) == 0.0


def test_the_threshold_is_a_sleep() -> None:
    """Ten seconds are one, and a step of fewer is none."""
    assert slept(LOOK_EVERY + 10.0, LOOK_EVERY) == 10.0
    assert slept(LOOK_EVERY + 9.9, LOOK_EVERY) == 0.0


@pytest.mark.parametrize("wall", [math.nan, -math.inf])
def test_a_time_that_is_none_means_nothing(wall: float) -> None:
    """Whatever the clock says, an answer comes."""
    assert slept(wall, 5.0) == 0.0
