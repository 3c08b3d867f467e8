"""A plan by connection budget: who belongs together, what is a bound, and what is told of it."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from trio_instances import BreakerPolicy, BudgetPolicy, ConnectionBudget, InstanceSpec
from trio_instances.channels import MemoryChannel, MemoryServer
from trio_instances.policy.backoff import Backoff
from trio_instances.policy.budget import Budget
from trio_instances.policy.concerns import Concern, ConcernKind
from trio_instances.policy.connection import step
from trio_instances.policy.rationed import allowed, last_turn
from trio_instances.policy.reconnect import ReconnectPolicy
from trio_instances.policy.schedule import DAY, longest_wait, most
from trio_instances.policy.signals import Phase, Signal, SignalKind

from .lines import REFUSED, at
from .outages import exact_policies, lengths
from .strategies import chances
from .test_plan import FIXED, Spec, planned


def budget(key: str = "discord", **limits: Any) -> ConnectionBudget:
    """Return a budget without a breaker."""
    return ConnectionBudget(key, BudgetPolicy(**{"breaker": None, **limits}))


# --- who belongs together


def test_there_is_one_fleet_for_each_budget_and_one_for_the_others() -> None:
    """In the order of their first instances; two budgets with the same key are two."""
    one, same_key = budget(), budget()
    specs = [Spec(counted_in=each) for each in (one, None, same_key, one, None)]

    fleets = planned(*specs).fleets
    assert [(fleet.key, fleet.instances) for fleet in fleets] == [
        ("discord", 2),
        (None, 2),
        ("discord", 1),
    ]
    assert [fleet.policy for fleet in fleets] == [one.policy, None, one.policy]


def test_an_instance_is_counted_in_its_own_budget_or_else_in_that_of_its_channel() -> None:
    """What the specification says goes first."""
    server = MemoryServer()
    channel, own = MemoryChannel(server), budget("own")
    assert InstanceSpec(id="bot", channel=channel).counted_in is None

    channel.budget = budget("of_channel")
    assert InstanceSpec(id="bot", channel=channel).counted_in is channel.budget
    assert InstanceSpec(id="bot", channel=channel, budget=own).counted_in is own


def test_without_a_budget_nothing_is_limited() -> None:
    """What is wanted is what is planned."""
    (fleet,) = planned(Spec(), Spec()).fleets

    assert fleet.outages == fleet.wanted
    assert math.isinf(fleet.allowed(1.0))


# --- the bounds


def test_what_is_allowed_is_the_burst_and_the_rate_and_at_most_the_day() -> None:
    """A second day may begin within what is longer than one."""
    policy = BudgetPolicy(attempts_per_second=0.5, burst=3, attempts_per_day=1000)

    times = (1.0, 60.0, 3600.0, DAY, 1.5 * DAY)
    assert [allowed(policy, seconds) for seconds in times] == [3.5, 33.0, 1000, 1000, 2000]


@pytest.mark.parametrize(
    ("spent", "seconds"),
    [(980.0, 40.0), (981.0, 40.0 + DAY + 60.0)],
)
def test_the_last_turn_comes_after_the_line_and_a_day_where_that_is_used_up(
    spent: float, seconds: float
) -> None:
    """Twenty instances at one each two seconds; the day has room for all of them or not."""
    policy = BudgetPolicy(attempts_per_second=0.5, attempts_per_day=1000, breaker=None)

    assert last_turn(policy, 20, spent) == seconds


def test_a_breaker_that_can_open_delays_the_last_turn() -> None:
    """By the longest delay before a canary, and the time that it has to last."""
    policy = BudgetPolicy(attempts_per_second=1.0, breaker=BreakerPolicy(minimum=5))

    assert last_turn(policy, 4, 0.0) == 4.0
    assert last_turn(policy, 5, 0.0) == 5.0 + 30.0 + 10.0


def test_a_budget_limits_the_attempts_and_makes_the_waits_longer() -> None:
    """Beside what the instances want, which is what it would be without a budget."""
    one = budget(attempts_per_second=0.1)
    (fleet,) = planned(*[Spec(reconnect=FIXED, counted_in=one)] * 10).fleets
    (free,) = planned(*[Spec(reconnect=FIXED)] * 10).fleets

    assert fleet.wanted == free.outages
    minute, wanted = fleet.outages[0], fleet.wanted[0]
    assert wanted.attempts == pytest.approx(50.0)
    assert (minute.attempts, minute.fewest_attempts, minute.most_attempts) == (7.0, 7.0, 7.0)
    assert minute.median_wait == pytest.approx(wanted.median_wait + 50.0)
    assert minute.longest_wait == wanted.longest_wait + 100.0
    assert fleet.outages[2] != fleet.wanted[2]
    assert fleet.outages[2].attempts == pytest.approx(2940.0, rel=0.01)


def play(
    policy: ReconnectPolicy,
    rules: BudgetPolicy,
    count: int,
    seconds: float,
    chance: Callable[[], float],
) -> tuple[int, list[float]]:
    """Play an outage on machines 2 and 5.

    Returns:
        The attempts in it, and when each instance that has not given up is back.
    """
    line = Budget(rules)
    states = [evolve(at(Phase.PROVEN, policy).state, budgeted=True)] * count
    events: list[tuple[float, int, bool]] = []
    attempts, back = 0, []

    def lose(member: int, now: float) -> None:
        states[member], _ = step(
            states[member], Signal(SignalKind.LOST, cause=REFUSED), policy, now, chance()
        )
        line.failed(member, now, chance())
        due = states[member].next_retry_at
        if due is not None:
            heapq.heappush(events, (due, member, False))

    for member in range(count):
        line.opened(member, 0.0)
    for member in range(count):
        lose(member, 0.0)
    now = 0.0
    while events or line.head is not None:
        slot = math.inf if line.head is None else line.next_slot(now)
        if events and events[0][0] <= slot:
            now, member, lasted = heapq.heappop(events)
            if lasted:
                line.lasted(member, now)
            else:
                states[member], _ = step(states[member], Signal(SignalKind.DUE), policy, now, 0.0)
                line.join(member, now)
            continue

        now = slot
        granted = line.grant(now)
        assert isinstance(granted, int)
        member = granted
        line.release(member)
        states[member], _ = step(states[member], Signal(SignalKind.GRANTED), policy, now, 0.0)
        if now < seconds:
            attempts += 1
            lose(member, now)
        else:
            back.append(now)
            line.opened(member, now)
            stable = 0.0 if rules.breaker is None else rules.breaker.stable_after
            heapq.heappush(events, (now + stable, member, True))
    return attempts, back


breakers = st.builds(
    BreakerPolicy,
    minimum=st.integers(1, 4),
    window=st.sampled_from([1.0, 60.0]),
    backoff=st.sampled_from([Backoff(1.0, cap=8.0), Backoff(0.0), Backoff(4.0, jitter="equal")]),
    stable_after=st.sampled_from([0.0, 10.0]),
    patience=st.sampled_from([1.0, 60.0]),
)
budgets = st.builds(
    BudgetPolicy,
    attempts_per_second=st.sampled_from([0.125, 1.0, 4.0]),
    burst=st.sampled_from([1, 3, 20]),
    attempts_per_day=st.sampled_from([None, 1, 3, 30]),
    breaker=st.none() | breakers,
)


@given(
    policy=exact_policies,
    rules=budgets,
    count=st.integers(1, 6),
    seconds=lengths,
    data=st.data(),
)
def test_no_outage_exceeds_what_is_planned_for_it(
    policy: ReconnectPolicy, rules: BudgetPolicy, count: int, seconds: float, data: st.DataObject
) -> None:
    """Neither in attempts nor in the wait of the last one, whatever chance and the breaker do."""
    seeds = data.draw(st.lists(chances, min_size=1, max_size=7))
    drawn = 0

    def chance() -> float:
        nonlocal drawn
        drawn += 1
        return seeds[drawn % len(seeds)]

    attempts, back = play(policy, rules, count, seconds, chance)
    limit = min(count * most(policy, seconds), allowed(rules, seconds))
    wait = longest_wait(policy, seconds) + last_turn(rules, count, limit)

    assert attempts <= limit
    assert all(each <= seconds + wait + 1e-6 for each in back)
    assert len(back) == count or math.isinf(wait)


# --- what is told


def shared(**limits: Any) -> tuple[Concern, ...]:
    """Return the concerns of ten instances that share one such budget."""
    one = budget(**limits)
    return planned(*[Spec(reconnect=FIXED, counted_in=one)] * 10).concerns


def test_a_budget_that_is_large_enough_is_no_concern() -> None:
    """For the outages and the churn alike."""
    assert shared(attempts_per_second=10.0, attempts_per_day=10**6) == ()


def test_policies_that_want_more_than_the_rate_are_a_concern() -> None:
    """In each outage of which it is true, and where a server drops what is proven."""
    concerns = shared(attempts_per_second=0.02)

    assert {concern.kind for concern in concerns} == {ConcernKind.OVER_BUDGET}
    assert {concern.budget for concern in concerns} == {"discord"}
    assert all(concern.instances == () for concern in concerns)
    assert [concern.text.partition(":")[0] for concern in concerns[:2]] == [
        "an outage of 60 s means 50 attempts on average, and the rate allows 2",
        "an outage of 3,600 s means 180 attempts on average, and the rate allows 73",
    ]
    assert concerns[0].text.endswith("it decides, and not the backoff")
    assert concerns[-1].text.startswith("a server that drops each connection")
    assert concerns[-1].text.endswith("and the budget allows 1,729")


def test_a_day_that_an_outage_or_a_churn_uses_up_is_a_concern() -> None:
    """Said of the shortest such outage, with what it needs to come back."""
    outage, churn = shared(attempts_per_second=10.0, attempts_per_day=1000)

    assert outage.kind is churn.kind is ConcernKind.DAY_USED_UP
    assert outage.text == (
        "an outage of 86,400 s uses the day up: 2,940 attempts, 10 more to come back, "
        "and 1,000 are allowed"
    )
    assert churn.text.endswith("and the budget allows 1,000")
