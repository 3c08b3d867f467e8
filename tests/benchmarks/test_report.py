"""What is shown of results, and what other programs get of them."""

from __future__ import annotations

import io
import json

from rich.console import Console

from benchmarks.harness.report import as_json, number, show
from benchmarks.harness.values import OURS, Contender, Figure, Result, Target, Workload


def _nothing(_: int) -> dict[str, float]:
    return {"start": 1.0}


WORKLOAD = Workload(
    name="work",
    title="{n} things",
    size=1000,
    tiny=1,
    figures=(Figure("start", "µs", 1e6),),
    contenders={OURS: Contender(_nothing), "raw": Contender(_nothing)},
    targets=(Target("start", 0.5, of="raw"), Target("start", 1e-6)),
)
RESULT = Result(
    WORKLOAD,
    1000,
    {OURS: ({"start": 2e-6}, {"start": 4e-6}), "raw": ({"start": 8e-6}, {"start": 8e-6})},
)


def _shown(result: Result) -> str:
    shown = io.StringIO()
    show(result, Console(file=shown, width=150))
    return shown.getvalue()


def test_a_table_has_each_contender_with_its_spread_and_ours_as_a_part_of_it() -> None:
    """In the figure's own unit."""
    text = _shown(RESULT)

    assert "1,000 things" in text
    assert "3 (2–4)" in text
    assert "0.375 (0.25–0.5)" in text


def test_a_target_that_was_missed_is_said_to_be() -> None:
    """In words, with what was wanted."""
    text = _shown(RESULT)

    assert "reached: work, start: 0.375 (0.25–0.5) × raw, wanted ≤ 0.5" in text
    assert "MISSED: work, start: 3 (2–4) µs, wanted ≤ 1" in text


def test_a_contender_without_a_figure_has_a_dash() -> None:
    """It can do a part of the work."""
    assert "–" in _shown(Result(WORKLOAD, 1, {OURS: ({"start": 1.0},), "raw": ({},)}))


def test_json_has_every_round() -> None:
    """So that a median is not all that is left; and it names what it was measured with."""
    told = json.loads(json.dumps(as_json([RESULT])))

    (workload,) = told["workloads"]
    assert workload["samples"]["raw"] == [{"start": 8e-6}, {"start": 8e-6}]
    assert [each["met"] for each in workload["targets"]] == [True, False]
    assert "trio" in told["machine"]["versions"]


def test_numbers_have_three_digits_that_matter() -> None:
    """And no exponent, however large they are."""
    assert [number(each) for each in (0.01234, 12.34, 1234567.0)] == ["0.0123", "12.3", "1,234,567"]
