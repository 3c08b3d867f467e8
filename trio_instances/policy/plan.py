"""The plan: what the policies of a fleet mean in numbers, before anything is started.

The outages that are meant are described in `schedule`. Whatever is random is given as its average,
or as a median, over every chance that the policies leave.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, final

from attrs import frozen

from .concerns import Concern, concerns_of_fleet, concerns_of_instances
from .crash_loop import CrashLoop, crash_loop, crash_loop_above
from .mistakes import MistakeList
from .schedule import DAY, Outage, churn, least, longest_wait, most, outage

if TYPE_CHECKING:
    from .._instance.spec import InstanceSpec
    from .._runtime.settings import RuntimeSettings
    from .reconnect import ReconnectPolicy

OUTAGES = (60.0, 3600.0, DAY)
"""Seconds of the outages that are looked at: a minute, an hour, a day."""
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
    child_loop: CrashLoop
    """How soon a child that keeps crashing uses up the instance's intensity."""
    instance_loop: CrashLoop
    """How soon an instance whose child does that uses up the runtime's intensity for it."""


@final
@frozen(kw_only=True)
class FleetPlan:
    """What the policies of all instances together mean, if all lose one provider at once."""

    instances: int
    outages: tuple[OutagePlan, ...]
    """Attempts are those of all; the median is over all; the longest wait is that of any."""
    churn: float
    """Attempts of all in a day in which each connection is dropped as soon as it is proven."""
    attempts_per_second: float | None
    """What the provider allows; None: it is not known."""
    attempts_per_day: float | None
    """What the provider allows; None: it is not known."""

    def allowed(self, seconds: float) -> float:
        """Return how many attempts the provider allows in so much time; a burst is not counted."""
        by_second = math.inf if self.attempts_per_second is None else self.attempts_per_second
        by_day = math.inf if self.attempts_per_day is None else self.attempts_per_day
        return min(by_second * seconds, by_day * math.ceil(seconds / DAY))


@final
@frozen(kw_only=True)
class Plan:
    """What the policies of a fleet mean in numbers. `plan` makes it."""

    instances: tuple[InstancePlan, ...]
    """In the order in which they were given."""
    fleet: FleetPlan
    concerns: tuple[Concern, ...]
    """What is probably not meant: what can never trip, and what overruns a budget."""


def plan(
    specs: Iterable[InstanceSpec],
    settings: RuntimeSettings,
    *,
    attempts_per_second: float | None = None,
    attempts_per_day: float | None = None,
) -> Plan:
    """Say in numbers what the policies of a fleet mean; refuse none, and start nothing.

    Args:
        specs: The instances, which are taken to have one provider.
        settings: Those of the runtime that they are to run in.
        attempts_per_second: Connection attempts that the provider allows to all of them together.
        attempts_per_day: ... in 24 hours.

    Raises:
        InvalidSpec: A budget is not a number above 0.
    """
    wrong = MistakeList("plan")
    wrong.number("attempts_per_second", attempts_per_second, above=0.0, optional=True)
    wrong.number("attempts_per_day", attempts_per_day, above=0.0, optional=True)
    wrong.raise_any()

    specs = tuple(specs)
    fates: dict[ReconnectPolicy, tuple[Outage, ...]] = {}
    counts: dict[ReconnectPolicy, int] = {}
    for spec in specs:
        policy = spec.reconnect
        counts[policy] = counts.get(policy, 0) + 1
        if policy not in fates:
            fates[policy] = tuple(outage(policy, seconds) for seconds in OUTAGES)

    alone = {policy: _together({policy: 1}, fates) for policy in fates}
    instances = tuple(_instance(spec, settings, alone[spec.reconnect]) for spec in specs)
    fleet = FleetPlan(
        instances=len(specs),
        outages=_together(counts, fates),
        churn=sum(each.churn for each in instances),
        attempts_per_second=attempts_per_second,
        attempts_per_day=attempts_per_day,
    )
    concerns = (*concerns_of_instances(instances), *concerns_of_fleet(fleet))
    return Plan(instances=instances, fleet=fleet, concerns=concerns)


def _instance(
    spec: InstanceSpec, settings: RuntimeSettings, outages: tuple[OutagePlan, ...]
) -> InstancePlan:
    child_loop = crash_loop(spec.intensity, spec.child_backoff)
    return InstancePlan(
        instance_id=spec.id,
        outages=outages,
        churn=churn(spec.reconnect) * DAY,
        child_loop=child_loop,
        instance_loop=crash_loop_above(settings.instance_intensity, child_loop),
    )


def _together(
    counts: dict[ReconnectPolicy, int], fates: dict[ReconnectPolicy, tuple[Outage, ...]]
) -> tuple[OutagePlan, ...]:
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
