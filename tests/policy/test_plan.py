"""The plan as a whole: whose numbers they are, and what is said to be probably not meant."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest
from attrs import frozen

from trio_instances import ConnectionBudget, RuntimeSettings
from trio_instances.policy.backoff import Backoff
from trio_instances.policy.concerns import ConcernKind
from trio_instances.policy.crash_loop import Trips
from trio_instances.policy.intensity import RestartIntensity
from trio_instances.policy.plan import OUTAGES, Plan, plan
from trio_instances.policy.reconnect import ReconnectPolicy
from trio_instances.policy.schedule import DAY

from .outages import count


@frozen(kw_only=True)
class Spec:
    """What a plan reads of a specification."""

    id: str = "bot"
    reconnect: ReconnectPolicy = ReconnectPolicy()
    intensity: RestartIntensity = RestartIntensity(5, 30.0)
    child_backoff: Backoff | None = None
    counted_in: ConnectionBudget | None = None


def planned(*specs: Any) -> Plan:
    """Return the plan of some specifications."""
    return plan(specs, RuntimeSettings())


FIXED = ReconnectPolicy(
    backoff=Backoff(1.0, jitter="none"), slow=Backoff(60.0, cap=300.0, jitter="none")
)


def test_a_fleet_that_does_not_exist_needs_nothing() -> None:
    """No instances, no fleets, no concerns."""
    nothing = planned()

    assert (nothing.instances, nothing.fleets, nothing.concerns) == ((), (), ())


def test_the_outages_last_a_minute_an_hour_and_a_day() -> None:
    """For each instance in the order given, and for the fleet."""
    both = planned(Spec(id="b"), Spec(id="a", reconnect=FIXED))

    assert [each.instance_id for each in both.instances] == ["b", "a"]
    for outages in (both.fleets[0].outages, *[each.outages for each in both.instances]):
        assert tuple(outage.seconds for outage in outages) == OUTAGES == (60.0, 3600.0, DAY)


def test_the_numbers_are_those_of_the_machine() -> None:
    """Without chance: the attempts are counted, and the wait is at most the delay under way."""
    (alone,) = planned(Spec(reconnect=FIXED)).instances

    for outage in alone.outages[:2]:
        attempts = count(FIXED, outage.seconds, 0.5)
        assert outage.fewest_attempts == outage.most_attempts == attempts
        assert outage.attempts == pytest.approx(attempts)
    assert [outage.longest_wait for outage in alone.outages] == [60.0, 300.0, 300.0]
    # They come after 1, 3, 7, 12 and 17 s, and then not before 77 s.
    assert alone.outages[0].median_wait == pytest.approx(30.0, abs=1e-6)


def test_the_fleet_adds_the_attempts_up_and_has_one_median() -> None:
    """Of instances with different policies, weighed by how many there are."""
    many = planned(*[Spec()] * 3, Spec(reconnect=FIXED))
    common, other = many.instances[0].outages, many.instances[3].outages

    for fleet, one, two in zip(many.fleets[0].outages, common, other, strict=True):
        assert fleet.attempts == pytest.approx(3 * one.attempts + two.attempts)
        assert fleet.fewest_attempts == 3 * one.fewest_attempts + two.fewest_attempts
        assert fleet.most_attempts == 3 * one.most_attempts + two.most_attempts
        assert fleet.longest_wait == max(one.longest_wait, two.longest_wait)
        low, high = sorted([one.median_wait, two.median_wait])
        assert low <= fleet.median_wait <= high
    assert many.fleets[0].churn == sum(each.churn for each in many.instances)


def test_a_fleet_of_which_more_than_half_give_up_never_half_recovers() -> None:
    """The median is infinite, and so is the longest wait as soon as one may give up."""
    resigned = Spec(reconnect=ReconnectPolicy(exhausted="escalate"))
    few, many = planned(Spec(), Spec(), resigned), planned(Spec(), resigned, resigned)

    hour = few.fleets[0].outages[1]
    assert math.isfinite(hour.median_wait)
    assert math.isinf(hour.longest_wait)
    assert hour.given_up == pytest.approx(1.0)
    assert math.isinf(many.fleets[0].outages[1].median_wait)


def test_the_defaults_give_no_reason_for_concern() -> None:
    """Whoever changes nothing is warned of nothing."""
    assert planned(*[Spec()] * 100).concerns == ()


def test_a_child_that_is_never_given_up_is_a_concern() -> None:
    """With the numbers; and once for all instances of which it is true."""
    patient = Backoff(1.0, cap=30.0, jitter="none")
    (concern,) = planned(
        Spec(id="a", child_backoff=patient), Spec(id="b"), Spec(id="c", child_backoff=patient)
    ).concerns

    assert concern.kind is ConcernKind.CHILD_NEVER_GIVEN_UP
    assert concern.instances == ("a", "c")
    assert concern.text == (
        "a child that keeps crashing is restarted for ever: 5 restarts within 30 s are allowed, "
        "and so many take 31 s at least"
    )


def test_a_child_that_is_given_up_by_luck_only_is_a_concern() -> None:
    """Full jitter has no shortest delay, so that what it really comes to is the average."""
    (concern,) = planned(Spec(child_backoff=Backoff(4.0, cap=60.0))).concerns

    assert concern.kind is ConcernKind.CHILD_NEVER_GIVEN_UP
    assert "is given up by luck only" in concern.text
    assert "take 60 s on average" in concern.text


def test_an_instance_that_is_never_parked_is_a_concern() -> None:
    """Its child is given up in time, but the instance that crashes with it is not."""
    spec = Spec(child_backoff=Backoff(0.5, cap=30.0, jitter="none"))
    whole = planned(spec)

    (concern,) = whole.concerns
    assert whole.instances[0].child_loop.trips is Trips.ALWAYS
    assert concern.kind is ConcernKind.INSTANCE_NEVER_PARKED
    assert "6 restarts within 30 s are allowed, and so many take 93 s at least" in concern.text


@pytest.mark.parametrize(("max_age", "said"), [(30.0, True), (60.0, True), (60.5, False)])
def test_a_connection_that_is_never_proven_is_a_concern(max_age: float, *, said: bool) -> None:
    """It is replaced first, so the attempts go on counting, up to the slow ones."""
    spec = Spec(reconnect=ReconnectPolicy(max_age=max_age, stable_after=60.0))
    concerns = planned(spec, Spec(id="other")).concerns

    assert [(c.kind, c.instances) for c in concerns] == [
        (ConcernKind.NEVER_PROVEN, ("bot",)),
    ] * said
    if said:
        assert f"replaced after {max_age:g} s, and proven after 60 s" in concerns[0].text


def test_a_large_fleet_of_one_kind_is_planned_as_fast_as_a_small_one() -> None:
    """A process plans when it starts, and must not need minutes for it."""
    began = time.process_time()
    planned(*(Spec(id=f"bot-{number}") for number in range(5000)))

    assert time.process_time() - began < 10


def test_attempts_without_any_delay_are_a_concern() -> None:
    """They are infinite, and no budget is needed to see that."""
    spec = Spec(reconnect=ReconnectPolicy(slow=Backoff(0.0)))
    hasty = planned(spec)

    assert [concern.kind for concern in hasty.concerns] == [ConcernKind.NO_DELAY]
    assert math.isinf(hasty.fleets[0].outages[0].attempts)
