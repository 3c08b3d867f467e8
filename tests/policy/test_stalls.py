"""When the event loop counts as blocked, and when that is said."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_instances import InvalidSpec
from trio_instances.policy.stalls import Look, Sight, StallPolicy, look

POLICY = StallPolicy(threshold=0.1, warn_after=1.0)


def looks(*times: float, began: float = 0.0, policy: StallPolicy = POLICY) -> list[str]:
    """Return what several looks at the same step lead to."""
    sight: Sight | None = None
    found = []
    for now in times:
        sight, what = look(sight, began, policy, now)
        found.append(str(what))
    return found


def test_a_step_is_sampled_once_it_has_taken_too_long() -> None:
    """Once: its stack is what is wanted, and looking at it costs."""
    assert looks(0.05, 0.1, 0.15, 0.9) == ["nothing", "sample", "nothing", "nothing"]


def test_a_step_that_lasts_is_warned_of_each_time_it_has_doubled() -> None:
    """So a step that never ends fills no disk."""
    times = (0.1, 1.0, 1.5, 2.0, 3.9, 4.0, 20.0, 31.0, 32.0)

    assert looks(*times) == [
        "sample", "warn", "nothing", "warn", "nothing", "warn", "warn", "nothing", "warn",
    ]  # fmt: skip


def test_a_step_that_is_seen_late_is_warned_of_at_once() -> None:
    """The machine may have been busy, so that nobody looked before."""
    assert looks(5.0) == ["warn"]


def test_no_step_is_no_stall() -> None:
    """The loop waits for input for as long as it likes."""
    assert look(Sight(0.0, 2.0), None, POLICY, 100.0) == (None, Look.NOTHING)


def test_the_next_step_is_another_one() -> None:
    """What was said of the one before does not count for it."""
    sight, _ = look(None, 0.0, POLICY, 3.0)

    assert look(sight, 3.0, POLICY, 3.5) == (Sight(3.0, 1.0), Look.SAMPLE)


@given(st.floats(0.001, 10.0), st.floats(0.001, 100.0), st.lists(st.floats(0.0, 1e4)))
def test_warnings_are_rare(threshold: float, warn_after: float, times: list[float]) -> None:
    """Nothing before the threshold; no more warnings than doublings; each later than its time."""
    policy = StallPolicy(threshold=threshold, warn_after=warn_after)
    found = looks(*sorted(times), policy=policy)

    at = [now for now, what in zip(sorted(times), found, strict=True) if what == "warn"]
    assert all(now >= max(threshold, warn_after) for now in at)
    assert all(
        what == "nothing" for now, what in zip(sorted(times), found, strict=True) if now < threshold
    )
    assert all(later > earlier for earlier, later in pairwise(at))
    assert all(
        later >= 2 * earlier for earlier, later in zip(at, at[2:], strict=False)
    )  # two warnings are never nearer than a doubling apart


@pytest.mark.parametrize(
    "field", [{"threshold": 0.0}, {"warn_after": 0.0}, {"window": 0.0}], ids=str
)
def test_a_bad_field_is_refused(field: dict[str, float]) -> None:
    """By name."""
    with pytest.raises(InvalidSpec, match=next(iter(field))):
        StallPolicy(**field)
