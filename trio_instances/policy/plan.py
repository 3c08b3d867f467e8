"""The plan: what the policies of a fleet mean in numbers, before anything is started.

The outages that are meant are described in `schedule`. Whatever is random is given as its average,
or as a median, over every chance that the policies leave. That is exact, or nearly so, as long as
each instance attempts when it wants. What a budget makes of it is a bound: see `FleetPlan`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, final

from attrs import evolve, frozen

from .budget import BudgetPolicy
from .concerns import Concern, concerns_of_budget, concerns_of_instances
from .crash_loop import CrashLoop, crash_loop, crash_loop_above
from .rationed import allowed, last_turn
from .schedule import DAY, Outage, churn, least, longest_wait, most, outage

if TYPE_CHECKING:
    from .._instance.budget import ConnectionBudget
    from .._instance.spec import InstanceSpec
    from .._runtime.settings import RuntimeSettings
    from .reconnect import ReconnectPolicy

OUTAGES = (60.0, 3600.0, DAY)
"""Seconds of the outages that are looked at: a minute, an hour, a day."""
_Fates = dict["ReconnectPolicy", tuple[Outage, ...]]
_HALVINGS = 40
"""How often what a median is known to lie in is halved, to find it."""


@final
@frozen(kw_only=True)
class OutagePlan:
    """What happens in outages of up to so many seconds, and after them."""

    seconds: float
    """How long the longest one is."""
    fewest_attempts: float
    """Attempts in the longest one, if every delay is as long as it can be."""
    attempts: float
    """... on average."""
    most_attempts: float
    """... if every delay is as short as it can be; infinite where a delay can be nothing at all."""
    median_wait: float
    """Seconds between the end of an outage, at any moment, and the next attempt: the median.

    It is infinite where the policy has given up in half of the cases.
    """
    longest_wait: float
    """... the longest; infinite where the policy may have given up."""
    given_up: float
    """How many instances have given up by the end of the longest one, on average."""


@final
@frozen(kw_only=True)
class InstancePlan:
    """What the policies of one instance mean."""

    instance_id: str
    outages: tuple[OutagePlan, ...]
    """For a minute, an hour, a day."""
    churn: float
    """Attempts in a day in which each connection is dropped as soon as it is proven."""
    proven_after: float
    """Seconds after which a connection is proven at the soonest."""
    replaced_after: float
    """Seconds after which it is replaced at the latest; infinite where its age does not matter."""
    child_loop: CrashLoop
    """How soon a child that keeps crashing uses up the instance's intensity."""
    instance_loop: CrashLoop
    """How soon an instance whose child does that uses up the runtime's intensity for it."""


@final
@frozen(kw_only=True)
class FleetPlan:
    """What the policies of all instances of one budget mean, if all lose their provider at once.

    Without a budget both tuples of outages are the same.
    """

    key: str | None
    """The budget's key; None for the instances that have no budget."""
    policy: BudgetPolicy | None
    """What the budget allows; None: there is none."""
    instances: int
    wanted: tuple[OutagePlan, ...]
    """What the instances' own policies ask for, as if there were no budget.

    Attempts are those of all; the median is over all; the longest wait is that of any.
    """
    outages: tuple[OutagePlan, ...]
    """What the budget leaves of it.

    The average attempts and the most are upper bounds, and so is the longest wait: the longest
    delay, and the line with everyone in it and no burst left. The median is an estimate on the high
    side: that of the delays, and the line with half of all. The fewest attempts are no bound, as
    waiting in line, and the breaker, make them fewer. An outage is taken to find the day unspent.
    """
    churn: float
    """Attempts of all that are wanted in a day in which each connection is dropped as soon as it is
    proven."""

    def allowed(self, seconds: float) -> float:
        """Return how many attempts the budget allows in any so many seconds, its burst included."""
        return math.inf if self.policy is None else allowed(self.policy, seconds)


@final
@frozen(kw_only=True)
class Plan:
    """What the policies of a fleet mean in numbers. `plan` makes it."""

    instances: tuple[InstancePlan, ...]
    """In the order in which they were given."""
    fleets: tuple[FleetPlan, ...]
    """One for each budget, and one for the instances without; in the order of their first ones."""
    concerns: tuple[Concern, ...]
    """What is probably not meant: what can never trip, and what overruns a budget."""


def plan(specs: Iterable[InstanceSpec], settings: RuntimeSettings) -> Plan:
    """Say in numbers what the policies of a fleet mean; refuse none, and start nothing.

    Args:
        specs: The instances. Those of one budget are taken to have one provider, and so are those
            without any. Two budgets are two, also if they have the same key.
        settings: Those of the runtime that they are to run in.
    """
    fates: _Fates = {}
    # A large fleet has few kinds, and one takes a tenth of a second.
    kinds: dict[Hashable, InstancePlan] = {}
    instances = []
    groups: dict[ConnectionBudget | None, list[tuple[ReconnectPolicy, InstancePlan]]] = {}
    for spec in specs:
        policy = spec.reconnect
        if policy not in fates:
            fates[policy] = tuple(outage(policy, seconds) for seconds in OUTAGES)
        kind = (policy, spec.intensity, spec.child_backoff)
        if kind not in kinds:
            kinds[kind] = _instance(spec, settings, _together({policy: 1}, fates))
        planned = evolve(kinds[kind], instance_id=spec.id)
        instances.append(planned)
        groups.setdefault(spec.counted_in, []).append((policy, planned))

    fleets = tuple(_fleet(budget, members, fates) for budget, members in groups.items())
    budgeted = (concern for fleet in fleets for concern in concerns_of_budget(fleet))
    concerns = (*concerns_of_instances(instances), *budgeted)
    return Plan(instances=tuple(instances), fleets=fleets, concerns=concerns)


def _fleet(
    budget: ConnectionBudget | None,
    members: Sequence[tuple[ReconnectPolicy, InstancePlan]],
    fates: _Fates,
) -> FleetPlan:
    wanted = _together(Counter(policy for policy, _ in members), fates)
    policy = None if budget is None else budget.policy
    return FleetPlan(
        key=None if budget is None else budget.key,
        policy=policy,
        instances=len(members),
        wanted=wanted,
        outages=tuple(_rationed(each, policy, len(members)) for each in wanted),
        churn=sum(planned.churn for _, planned in members),
    )


def _rationed(wanted: OutagePlan, policy: BudgetPolicy | None, instances: int) -> OutagePlan:
    """Return what a budget leaves of an outage."""
    if policy is None:
        return wanted

    limit = allowed(policy, wanted.seconds)
    average, most_attempts = min(wanted.attempts, limit), min(wanted.most_attempts, limit)
    half = math.ceil(instances / 2)
    return evolve(
        wanted,
        fewest_attempts=min(wanted.fewest_attempts, limit),
        attempts=average,
        most_attempts=most_attempts,
        median_wait=wanted.median_wait + last_turn(policy, half, average),
        longest_wait=wanted.longest_wait + last_turn(policy, instances, most_attempts),
    )


def _instance(
    spec: InstanceSpec, settings: RuntimeSettings, outages: tuple[OutagePlan, ...]
) -> InstancePlan:
    child_loop = crash_loop(spec.intensity, spec.child_backoff)
    return InstancePlan(
        instance_id=spec.id,
        outages=outages,
        churn=churn(spec.reconnect) * DAY,
        proven_after=spec.reconnect.stable_after,
        replaced_after=spec.reconnect.max_age,
        child_loop=child_loop,
        instance_loop=crash_loop_above(settings.instance_intensity, child_loop),
    )


def _together(counts: Mapping[ReconnectPolicy, int], fates: _Fates) -> tuple[OutagePlan, ...]:
    """Sum up the outages of so many instances of each policy."""
    plans = []
    for index, seconds in enumerate(OUTAGES):
        waits = [longest_wait(policy, seconds) for policy in counts]
        group = [(fates[policy][index], count) for policy, count in counts.items()]

        def total(of: Callable[[ReconnectPolicy, float], float], over: float = seconds) -> float:
            return sum(count * of(policy, over) for policy, count in counts.items())

        plans.append(
            OutagePlan(
                seconds=seconds,
                fewest_attempts=total(least),
                attempts=sum(count * each.attempts for each, count in group),
                most_attempts=total(most),
                median_wait=_median_wait(group),
                longest_wait=max(waits, default=0.0),
                given_up=sum(count * each.given_up for each, count in group),
            )
        )
    return tuple(plans)


def _median_wait(group: Sequence[tuple[Outage, int]]) -> float:
    """Return the wait that half of all are beyond."""
    half = sum(count for _, count in group) / 2

    def waiting(seconds: float) -> float:
        return sum(count * each.share_waiting(seconds) for each, count in group)

    shortest, longest = 0.0, max((each.longest_delay for each, _ in group), default=0.0)
    if waiting(longest) > half:
        return math.inf

    for _ in range(_HALVINGS):
        middle = (shortest + longest) / 2
        if waiting(middle) > half:
            shortest = middle
        else:
            longest = middle
    return longest
