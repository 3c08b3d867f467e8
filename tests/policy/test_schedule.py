"""When attempts come, against outages that are played attempt by attempt on machine 2."""

from __future__ import annotations

import itertools
import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_instances.policy.backoff import Backoff, Jitter
from trio_instances.policy.reconnect import Exhausted, ReconnectPolicy
from trio_instances.policy.schedule import churn, least, legs, longest_wait, most, outage

from .outages import LIMIT, attempts_in, count, exact_policies, lengths
from .strategies import chances

FULL = Jitter.FULL
CONSTANT = ReconnectPolicy(attempts=10**9, backoff=Backoff(1.0, 1.0, 1.0, FULL))
"""Delays between nothing and a second, for ever."""

PLAYED = {
    "defaults": (ReconnectPolicy(), (60.0, 1200.0)),
    "steady soon": (
        ReconnectPolicy(backoff=Backoff(0.1, cap=0.5), slow=Backoff(2.0, cap=2.0, jitter="equal")),
        (20.0, 79.0, 92.0, 200.0),
    ),
    "steady while quick": (ReconnectPolicy(attempts=150, backoff=Backoff(cap=1.0)), (30.0, 76.0)),
    "fixed at last": (ReconnectPolicy(slow=Backoff(10.0, cap=20.0, jitter="none")), (25.0, 90.0)),
    "fixed": (ReconnectPolicy(backoff=Backoff(jitter="none"), slow=Backoff(5.0)), (7.0, 40.0)),
    "gives up": (ReconnectPolicy(exhausted="escalate"), (2.0, 4.0, 30.0)),
    "nothing at first": (ReconnectPolicy(backoff=Backoff(0.0)), (30.0, 100.0)),
}
CASES = [
    pytest.param(policy, seconds, id=f"{name}, {seconds:g} s")
    for name, (policy, all_seconds) in PLAYED.items()
    for seconds in all_seconds
]
RUNS = 800
SIGMAS = 4.5
"""How far chance may carry so many runs. The seed is fixed: what passes once passes for ever."""


@given(exact_policies, lengths)
def test_the_fewest_and_the_most_attempts_are_those_of_the_machine(
    policy: ReconnectPolicy, seconds: float
) -> None:
    """Exactly: with no luck at all, and with all luck."""
    assert min(least(policy, seconds), LIMIT) == count(policy, seconds, 1.0)
    assert min(most(policy, seconds), LIMIT) == count(policy, seconds, 0.0)


@given(exact_policies, lengths)
def test_the_average_lies_between_the_fewest_and_the_most(
    policy: ReconnectPolicy, seconds: float
) -> None:
    """And is exactly that number where there is no chance."""
    average = outage(policy, seconds).attempts

    slack = 1e-3 * (1 + len(list(itertools.islice(legs(policy), 20))))
    assert least(policy, seconds) - slack <= average <= most(policy, seconds) + slack


@pytest.mark.parametrize(("policy", "seconds"), CASES)
def test_the_average_is_that_of_many_outages(policy: ReconnectPolicy, seconds: float) -> None:
    """Of as many as it takes to see a difference of a few hundredths."""
    random = Random(7)
    counts = [
        sum(begin < seconds for begin in attempts_in(policy, seconds, random.random))
        for _ in range(RUNS)
    ]
    mean = sum(counts) / RUNS
    error = math.sqrt(sum((each - mean) ** 2 for each in counts)) / RUNS

    assert outage(policy, seconds).attempts == pytest.approx(mean, abs=SIGMAS * error + 1e-3)


@pytest.mark.parametrize(("policy", "seconds"), CASES)
def test_the_waits_are_those_after_many_outages(policy: ReconnectPolicy, seconds: float) -> None:
    """Each of which ends at any moment: as many wait longer than so long as the plan says."""
    random = Random(8)
    waits = []
    for _ in range(RUNS):
        end = random.uniform(0.0, seconds)
        *_, after = attempts_in(policy, end, random.random)
        waits.append(after - end)
    waits.sort()
    planned = outage(policy, seconds)

    for tenth in range(1, 10):
        wait = waits[RUNS * tenth // 10]
        if math.isinf(wait):
            continue
        beyond = sum(each > wait for each in waits) / RUNS
        error = math.sqrt(0.25 / RUNS)
        assert planned.share_waiting(wait) == pytest.approx(beyond, abs=SIGMAS * error)


@given(exact_policies, lengths, st.floats(0.0, 100.0))
def test_of_all_outages_a_share_waits_and_less_wait_longer(
    policy: ReconnectPolicy, seconds: float, wait: float
) -> None:
    """It is a share; and nobody waits longer than the longest wait."""
    planned = outage(policy, seconds)
    here, later = planned.share_waiting(wait), planned.share_waiting(wait + 1.0)

    assert -1e-3 <= later <= here + 1e-3 <= 1.0 + 2e-3
    longest = longest_wait(policy, seconds)
    if math.isfinite(longest):
        assert planned.share_waiting(longest) == pytest.approx(0.0, abs=1e-3)


@given(exact_policies, lengths, st.data())
def test_no_wait_is_longer_than_the_longest(
    policy: ReconnectPolicy, seconds: float, data: st.DataObject
) -> None:
    """Whatever chance does, and whenever the outage ends before its latest end."""
    end = seconds * data.draw(st.floats(0.0, 1.0, exclude_max=True))
    begins = list(attempts_in(policy, end, lambda: data.draw(chances)))
    if begins[-1] >= end:
        assert begins[-1] - end <= longest_wait(policy, seconds)


@given(exact_policies, lengths)
def test_the_longest_wait_comes_about(policy: ReconnectPolicy, seconds: float) -> None:
    """By luck up to some attempt, none after it, and an outage that ends right there."""
    lucky = [0.0, *attempts_in(policy, seconds, lambda: 0.0)]
    gaps = []
    for index, begin in enumerate(lucky[:50]):
        if begin >= seconds:
            break
        luck = itertools.chain([0.0] * index, itertools.repeat(1.0))
        *_, after = itertools.islice(
            attempts_in(policy, math.inf, lambda luck=luck: next(luck)),  # type: ignore[misc]  # mypy infers no lambda with a default
            index + 1,
        )
        gaps.append(after - begin)

    assert longest_wait(policy, seconds) == max(gaps)


def test_delays_between_nothing_and_one_are_as_many_as_the_textbook_says() -> None:
    """The renewal function of the uniform distribution: e - 1, then e² - e - 1."""
    assert outage(CONSTANT, 1.0).attempts == pytest.approx(math.e - 1, abs=1e-3)
    assert outage(CONSTANT, 2.0).attempts == pytest.approx(math.e**2 - math.e - 1, abs=1e-3)
    assert outage(CONSTANT, 1000.0).attempts == pytest.approx(2000 - 1 / 3, abs=1e-3)


def test_the_two_ways_to_count_agree_where_they_meet() -> None:
    """Delay by delay just before the attempts are steady, and by their rate just after it."""
    for jitter in (Jitter.FULL, Jitter.EQUAL):
        policy = ReconnectPolicy(attempts=10**9, backoff=Backoff(1.0, 1.0, 1.0, jitter))
        before, after = outage(policy, 39.999), outage(policy, 40.0)
        rate = 1 / (0.5 if jitter is Jitter.FULL else 0.75)

        assert after.attempts - before.attempts == pytest.approx(0.001 * rate, abs=1e-3)
        for wait in (0.0, 0.1, 0.4, 0.9):
            assert after.share_waiting(wait) == pytest.approx(before.share_waiting(wait), abs=1e-4)


def test_a_policy_that_gives_up_has_given_up_after_its_attempts() -> None:
    """Surely in a long outage, perhaps in a short one; the others wait for ever then."""
    policy = ReconnectPolicy(exhausted=Exhausted.ESCALATE)

    assert outage(policy, 0.001).given_up == pytest.approx(0.0, abs=1e-3)
    assert 0.1 < outage(policy, 4.0).given_up < 0.9
    assert outage(policy, 60.0).given_up == 1.0
    assert outage(policy, 60.0).attempts == 5.0
    assert longest_wait(policy, 60.0) == math.inf
    assert outage(ReconnectPolicy(), 60.0).given_up == 0.0


def cycle_rate(policy: ReconnectPolicy, accepted: int) -> float:
    """Return the rate of attempts of a server that always accepts the so-many-th in a row.

    The delays are average ones, and the connection is dropped when the machine calls it proven.
    """
    times = list(itertools.islice(attempts_in(policy, math.inf, lambda: 0.5), accepted))
    last = [0.0, *times][accepted - 1 :]
    waited = last[1] - last[0]
    step = {Jitter.FULL: 2.0, Jitter.EQUAL: 4 / 3, Jitter.NONE: 1.0}
    jitter = (policy.backoff if accepted <= policy.attempts else policy.slow).jitter
    cycle = times[-1] + max(policy.stable_after, waited * step[jitter])
    return accepted / cycle if cycle else math.inf


@given(exact_policies)
def test_the_churn_is_the_highest_rate_that_a_server_can_cause(policy: ReconnectPolicy) -> None:
    """Whichever attempt it accepts, or none for so long that only the last delay counts."""
    escalates = policy.exhausted is Exhausted.ESCALATE
    accepted = range(1, policy.attempts + 1 if escalates else 100)
    rates = [cycle_rate(policy, number) for number in accepted]
    if not escalates:
        *_, before, last = itertools.islice(attempts_in(policy, math.inf, lambda: 0.5), 100)
        rates.append(1 / (last - before) if last > before else math.inf)

    assert churn(policy) == pytest.approx(max(rates))
