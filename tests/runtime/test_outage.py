"""A provider dies for ten minutes under a whole fleet: the benchmark's story, with its promises."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from trio.testing import MockClock

from trio_instances import BudgetPolicy

OUTAGE = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "outage.py"))
FLEET = 1000
"""The benchmark's default is ten times as many, which takes too long for a test."""


def most_ahead(times: list[float], policy: BudgetPolicy) -> float:
    """Return by how many attempts the busiest stretch of time exceeds the budget; 0 for none.

    From the i-th attempt to the j-th there are j - i + 1, and the budget allows the burst and the
    rate times the seconds between them. The worst i for each j is the one with the greatest lead.
    """
    worst = lead = 0.0
    for count, at in enumerate(times):
        earned = policy.attempts_per_second * at
        lead = max(lead, earned - count) if count else earned - count
        worst = max(worst, count + 1 - policy.burst - earned + lead)

    return worst


async def test_a_fleet_comes_back_at_the_rate_of_its_budget(autojump_clock: MockClock) -> None:
    """Never above it; everyone; and 95 of 100 within a minute of when the budget allows it."""
    policy = BudgetPolicy(attempts_per_second=50.0, burst=10)
    story: Any = await OUTAGE["play"](FLEET, policy)
    late = story.late(policy)

    for times in (story.at_start, story.in_outage, story.in_return):
        assert most_ahead(times, policy) < 1e-6
    assert len(story.connected) == FLEET
    assert late[int(FLEET * 0.95)] <= 60.0
    # The breaker spares the provider: a canary each half a minute, and not 50 attempts a second.
    assert len(story.in_outage) < 50


async def test_without_a_breaker_a_fleet_keeps_to_the_rate_as_well(
    autojump_clock: MockClock,
) -> None:
    """A budget that is used to the full all the time: each attempt fails, and all of them retry."""
    policy = BudgetPolicy(attempts_per_second=5.0, burst=10, breaker=None)
    story: Any = await OUTAGE["play"](300, policy)

    assert most_ahead(story.in_outage, policy) < 1e-6
    assert most_ahead(story.in_return, policy) < 1e-6
    assert len(story.connected) == 300
