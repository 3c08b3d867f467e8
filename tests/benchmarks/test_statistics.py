"""What several rounds say together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.harness.statistics import judge, percentile, ratios, spread_of
from benchmarks.harness.values import OURS, Contender, Figure, Result, Target, Workload

COSTS = st.lists(st.floats(min_value=1e-9, max_value=1e9), min_size=1, max_size=20)


def _nothing(_: int) -> dict[str, float]:
    return {"cost": 1.0}


def _result(ours: list[float], theirs: list[float], *targets: Target, peer: str) -> Result:
    workload = Workload(
        name="work",
        title="{n} things",
        size=1,
        tiny=1,
        figures=(Figure("cost", "s"),),
        contenders={OURS: Contender(_nothing), peer: Contender(_nothing)},
        targets=targets,
    )
    samples = {
        OURS: tuple({"cost": each} for each in ours),
        peer: tuple({"cost": each} for each in theirs),
    }
    return Result(workload, 1, samples)


@given(COSTS)
def test_a_spread_lies_around_its_median(values: list[float]) -> None:
    """And is made of values that were measured, at its ends."""
    spread = spread_of(values)

    assert spread is not None
    assert spread.low <= spread.median <= spread.high
    assert {spread.low, spread.high} <= set(values)


def test_no_rounds_have_no_spread() -> None:
    """A contender that took no part has no figure, not a figure of 0."""
    assert spread_of([]) is None


def test_a_ratio_is_taken_within_its_round() -> None:
    """A round in which the machine was ten times slower tells the same."""
    assert ratios([1.0, 10.0], [2.0, 20.0]) == [0.5, 0.5]


def test_a_round_that_cost_nothing_tells_nothing() -> None:
    """It is left out; nothing is divided by 0."""
    assert ratios([1.0, 1.0], [0.0, 4.0]) == [0.25]


@given(COSTS)
def test_a_percentile_is_a_value_that_was_measured(values: list[float]) -> None:
    """Of all of them it is the greatest, of next to none the least."""
    assert percentile(values, 1.0) == max(values)
    assert percentile(values, 1e-9) == min(values)
    assert percentile(values, 0.5) in values


def test_the_99th_percentile_of_a_hundred_is_the_99th() -> None:
    """By the nearest rank."""
    assert percentile([float(n) for n in range(100, 0, -1)], 0.99) == 99.0


def test_a_target_is_judged_by_the_median_of_its_ratios() -> None:
    """One bad round of three breaks no target."""
    target = Target("cost", 0.5, of="raw")
    (outcome,) = judge(_result([1.0, 1.0, 9.0], [2.0, 2.0, 2.0], target, peer="raw"))

    assert outcome.met
    assert outcome.reached.high == 4.5


def test_a_target_may_be_a_number_of_its_own() -> None:
    """Then it is compared with nobody."""
    (outcome,) = judge(_result([3.0], [1.0], Target("cost", 2.0), peer="raw"))

    assert not outcome.met
    assert outcome.reached.median == 3.0


def test_every_peer_that_takes_part_is_to_be_far_behind() -> None:
    """Without any target of the workload's own."""
    (outcome,) = judge(_result([1.0], [4.0], peer="mode"))

    assert not outcome.met
    assert outcome.target.of == "mode"


def test_a_target_without_its_contender_is_not_judged() -> None:
    """It is no failure that a peer is not installed."""
    assert judge(_result([1.0], [], Target("cost", 0.5, of="raw"), peer="raw")) == []
