"""What in a plan is probably not meant, each with its numbers; nothing of it is refused."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, final

from attrs import frozen

from .crash_loop import CrashLoop, Trips
from .rationed import by_day, by_rate
from .schedule import DAY

if TYPE_CHECKING:
    from .budget import BudgetPolicy
    from .plan import FleetPlan, InstancePlan


_HARDLY = frozenset({Trips.SELDOM, Trips.NEVER})


class ConcernKind(StrEnum):
    """What a concern is about.

    - ``child_never_given_up``: a restart intensity that a crashing child can hardly exceed.
    - ``instance_never_parked``: the same one level up: an instance is restarted for ever.
    - ``never_proven``: connections that are replaced before they can be proven.
    - ``no_delay``: attempts that follow each other without any delay, without end.
    - ``over_budget``: more attempts than the rate of a budget allows.
    - ``day_used_up``: attempts after which none of a budget's day is left for coming back.
    """

    CHILD_NEVER_GIVEN_UP = "child_never_given_up"
    INSTANCE_NEVER_PARKED = "instance_never_parked"
    NEVER_PROVEN = "never_proven"
    NO_DELAY = "no_delay"
    OVER_BUDGET = "over_budget"
    DAY_USED_UP = "day_used_up"


@final
@frozen
class Concern:
    """One thing that is probably not meant."""

    kind: ConcernKind
    text: str
    """What it is, with the numbers; one line for people."""
    instances: tuple[str, ...] = ()
    """The ids of the instances that it is about; empty where it is about a budget."""
    budget: str | None = None
    """The key of the budget that it is about."""


def concerns_of_instances(plans: Iterable[InstancePlan]) -> Iterator[Concern]:
    """Yield what is to be said of instances, each thing once for all that it is true of."""
    about: dict[tuple[ConcernKind, str], list[str]] = {}
    for plan in plans:
        for found in _of_instance(plan):
            about.setdefault(found, []).append(plan.instance_id)
    for (kind, text), ids in about.items():
        yield Concern(kind, text, tuple(ids))


def _of_instance(plan: InstancePlan) -> Iterator[tuple[ConcernKind, str]]:
    child, instance = plan.child_loop, plan.instance_loop
    if child.trips in _HARDLY:
        text = f"a child that keeps crashing {_restarted_for_ever(child)}"
        yield ConcernKind.CHILD_NEVER_GIVEN_UP, text
    elif instance.trips in _HARDLY:
        text = f"an instance whose child keeps crashing {_restarted_for_ever(instance)}"
        yield ConcernKind.INSTANCE_NEVER_PARKED, text
    if plan.replaced_after <= plan.proven_after:
        text = (
            f"a connection is never proven: it is replaced after {plan.replaced_after:g} s, and "
            f"proven after {plan.proven_after:g} s; so the attempts are never counted anew"
        )
        yield ConcernKind.NEVER_PROVEN, text
    if any(math.isinf(outage.attempts) for outage in plan.outages):
        yield ConcernKind.NO_DELAY, "in an outage attempts follow each other without any delay"


def _restarted_for_ever(loop: CrashLoop) -> str:
    limit, period = loop.intensity.max_restarts, loop.intensity.period
    spent = f"{limit} restarts within {period:g} s are allowed"
    if loop.trips is Trips.NEVER:
        return f"is restarted for ever: {spent}, and so many take {loop.fastest:,.4g} s at least"

    return f"is given up by luck only: {spent}, and so many take {loop.average:,.4g} s on average"


def concerns_of_budget(fleet: FleetPlan) -> Iterator[Concern]:
    """Yield what is to be said of the instances of one budget, by what they want on average."""
    policy = fleet.policy
    if policy is None:
        return

    for wanted in fleet.wanted:
        limit = by_rate(policy, wanted.seconds)
        if wanted.attempts > limit:
            text = (
                f"an outage of {wanted.seconds:,.0f} s means {wanted.attempts:,.0f} attempts on "
                f"average, and the rate allows {limit:,.0f}: it decides, and not the backoff"
            )
            yield Concern(ConcernKind.OVER_BUDGET, text, budget=fleet.key)
    for wanted in fleet.wanted:
        limit = by_day(policy, wanted.seconds)
        attempts = min(wanted.attempts, by_rate(policy, wanted.seconds))
        if attempts + fleet.instances > limit:
            text = (
                f"an outage of {wanted.seconds:,.0f} s uses the day up: {attempts:,.0f} attempts, "
                f"{fleet.instances:,} more to come back, and {limit:,.0f} are allowed"
            )
            yield Concern(ConcernKind.DAY_USED_UP, text, budget=fleet.key)
            break  # a longer one does so as well
    yield from _of_churn(fleet, policy)


def _of_churn(fleet: FleetPlan, policy: BudgetPolicy) -> Iterator[Concern]:
    limit = fleet.allowed(DAY)
    if fleet.churn > limit:
        text = (
            "a server that drops each connection as soon as it is proven causes "
            f"{fleet.churn:,.0f} attempts a day, and the budget allows {limit:,.0f}"
        )
        by_rate_alone = limit < by_day(policy, DAY)
        kind = ConcernKind.OVER_BUDGET if by_rate_alone else ConcernKind.DAY_USED_UP
        yield Concern(kind, text, budget=fleet.key)
