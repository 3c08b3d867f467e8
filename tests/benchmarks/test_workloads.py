"""Every workload does its work, and none counts work that was not done."""

from __future__ import annotations

import pytest

from benchmarks.__main__ import WORKLOADS
from benchmarks.crew import Crasher, Crew
from benchmarks.harness.rounds import load, run_apart, run_here, run_rounds
from benchmarks.harness.values import Contender, Figure, Workload, WorkNotDoneError, check

SLOW = {"probes", "sockets", "growth"}
"""They wait for real seconds, or start and stop a thousand times."""

CASES = [
    (name, contender)
    for name in WORKLOADS
    if name not in SLOW
    for contender, who in load(name).contenders.items()
    if who.here() and contender not in ("OTP", "OTP, a burst of 1,000", "suture")
]


@pytest.mark.parametrize(("name", "contender"), CASES)
def test_a_workload_can_be_done_at_a_small_size(name: str, contender: str) -> None:
    """By each contender that is installed; every figure it gives is above 0."""
    workload = load(name)
    sample = run_apart(name, contender, workload.tiny)

    assert sample
    assert all(cost > 0 for cost in sample.values())


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_workload_is_what_its_module_is_called(name: str) -> None:
    """Its targets are about figures that it has, and contenders that it knows."""
    workload = load(name)
    figures = {figure.name for figure in workload.figures}

    assert workload.name == name
    for target in workload.all_targets():
        assert {target.figure, target.of_figure or target.figure} <= figures
        assert target.of in {"", *workload.contenders}
        assert target.by in workload.contenders


async def test_children_that_are_not_ready_fail_the_run() -> None:
    """One of two is not enough."""
    crew = Crew(2)
    crew.count()
    with pytest.raises(WorkNotDoneError, match="children ready: 1, expected 2"):
        crew.check_ready()


async def test_a_stop_in_another_order_fails_the_run() -> None:
    """All have ended, but not the last one first."""
    crew = Crew(2)
    crew.ended = [0, 1]
    crew.check_ended()
    with pytest.raises(WorkNotDoneError, match="the order"):
        crew.check_order()


async def test_a_restart_that_did_not_happen_fails_the_run() -> None:
    """Also where the child runs."""
    crasher = Crasher(3)
    crasher.runs = 3
    with pytest.raises(WorkNotDoneError, match="restarts: 2, expected 3"):
        crasher.check_restarts()


def test_a_contender_that_fails_fails_the_round() -> None:
    """With its name, and what it printed."""
    with pytest.raises(WorkNotDoneError, match="start of nobody with 1"):
        run_apart("start", "nobody", 1)


def _workload(sample: dict[str, float]) -> Workload:
    return Workload("work", "", 1, 1, (Figure("cost", "s"),), {"us": Contender(lambda _: sample)})


@pytest.mark.parametrize("sample", [{}, {"other": 1.0}])
def test_a_sample_without_the_figures_is_no_sample(sample: dict[str, float]) -> None:
    """None at all, or one that the workload does not have."""
    with pytest.raises(WorkNotDoneError):
        run_here(_workload(sample), "us", 1)


def test_every_second_round_begins_at_the_other_end() -> None:
    """So that nobody is always first."""
    order: list[str] = []

    def run(name: str) -> dict[str, float]:
        order.append(name)
        return {"cost": float(len(order))}

    runs = {"a": lambda: run("a"), "b": lambda: run("b")}
    result = run_rounds(_workload({}), runs, size=1, rounds=2, progress=lambda _: None)

    assert order == ["a", "b", "b", "a"]
    assert result.values("b", "cost") == [2.0, 3.0]


def test_a_check_that_holds_says_nothing() -> None:
    """Only a difference is refused."""
    check("things", 1, 1)
    with pytest.raises(WorkNotDoneError, match="things: 1, expected 2"):
        check("things", 1, 2)
