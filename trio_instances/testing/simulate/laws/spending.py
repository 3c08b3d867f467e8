"""What is limited: restarts by an intensity, attempts by a budget, objects by their number."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from attrs import frozen

from ....policy.budget import BudgetPolicy
from ....policy.failures import FailureClass
from ....policy.intensity import RestartIntensity
from ....policy.status import InstanceStatus
from ....telemetry import ChildRestarting, RuntimeStarted, StatusChanged, SupervisorEscalated
from ..facts import Asked, Entered, Left, Opened, Weighed
from ..world import World
from .base import EPSILON, Hear, Law

DAY = 86_400.0


class Intensity(Law):
    """Never more restarts within a period than are allowed, and never given up with fewer.

    And only what is recoverable is restarted at all.
    """

    name = "intensity"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._times: dict[_Owner, list[float]] = {}

    def hears(self) -> Mapping[type, Hear]:
        """Return what to call."""
        return {
            ChildRestarting: self._restarting,
            SupervisorEscalated: self._escalated,
            StatusChanged: self._changed,
            Asked: self._asked,
            RuntimeStarted: lambda _: self._times.clear(),
        }

    def _limit(self, owner: _Owner) -> RestartIntensity:
        if owner.level == 1:
            return self.world.instance_intensity

        return self.members[owner.instance_id].intensity

    def _restarting(self, event: ChildRestarting) -> None:
        if event.cause.failure_class is not FailureClass.RECOVERABLE:
            self.broken(event.at, f"{event.path} is restarted after {event.cause}")
        owner = _owner(event.instance_id, event.path, event.generation)
        limit = self._limit(owner)
        times = self._times.setdefault(owner, [])
        times.append(event.at)
        within = [at for at in times if event.at - at <= limit.period]
        times[:] = within
        if len(within) > limit.max_restarts:
            text = f"{event.path}: {len(within)} restarts within {limit.period} s"
            self.broken(event.at, f"{text}, {limit.max_restarts} are allowed")

    def _escalated(self, event: SupervisorEscalated) -> None:
        if not event.exceeded:
            return

        owner = _owner(event.instance_id, event.child, event.generation)
        limit = self._limit(owner)
        within = [at for at in self._times.get(owner, []) if event.at - at <= limit.period]
        if len(within) < limit.max_restarts:
            text = f"{event.path} gives up after {len(within)} restarts within {limit.period} s"
            self.broken(event.at, f"{text}, {limit.max_restarts} are allowed")

    def _changed(self, event: StatusChanged) -> None:
        if event.status is InstanceStatus.STARTING:  # its supervisors are new ones
            anew = event.previous is InstanceStatus.STOPPED
            for owner in list(self._times):
                if owner.instance_id == event.instance_id and (owner.level > 1 or anew):
                    del self._times[owner]

    def _asked(self, fact: Asked) -> None:
        # An operator puts things right, and then it counts anew. `apply` may do so to any.
        for owner in list(self._times):
            of_it = fact.instance_id in ("", owner.instance_id)
            if of_it and owner.level == 1 and fact.verb in ("restart", "apply", "credentials"):
                del self._times[owner]


@frozen
class _Owner:
    """Who counts restarts: a runtime for each instance, an instance, or one connection of it."""

    instance_id: str
    level: int
    generation: int | None


def _owner(instance_id: str | None, path: str, generation: int | None) -> _Owner:
    return _Owner(instance_id or "", path.count("/"), generation)


class Budgets(Law):
    """What a provider sees of attempts keeps to its budget: the rate, the day, those in flight."""

    name = "budgets"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._policies: dict[str, BudgetPolicy] = {
            each.name: each.budget for each in world.providers if each.budget is not None
        }
        self._leads: dict[str, tuple[int, float]] = {}
        self._days: dict[str, deque[float]] = {}
        self._flying: dict[str, set[tuple[int, int]]] = {}

    def hears(self) -> Mapping[type, Hear]:
        """Return what to call."""
        return {
            Entered: self._entered,
            Opened: self._ended,
            Left: self._ended,
            RuntimeStarted: self._anew,
        }

    def _anew(self, _: RuntimeStarted) -> None:
        # Each runtime of a world has budgets of its own.
        self._leads.clear()
        self._days.clear()
        self._flying.clear()

    def _entered(self, fact: Entered) -> None:
        provider = self.members[fact.instance_id].provider
        policy = self._policies.get(provider)
        if fact.what != "connect" or policy is None:
            return

        self._check_rate(provider, policy, fact.at)
        self._check_day(provider, policy, fact.at)
        flying = self._flying.setdefault(provider, set())
        flying.add((fact.channel, fact.number))
        if policy.in_flight is not None and len(flying) > policy.in_flight:
            self.broken(fact.at, f"{provider}: {len(flying)} in flight of {policy.in_flight}")

    def _check_rate(self, provider: str, policy: BudgetPolicy, now: float) -> None:
        # From the i-th attempt to the j-th there are j - i + 1, and the budget allows the burst,
        # and the rate times the seconds between them. Only the i with the greatest lead counts.
        count, lead = self._leads.get(provider, (0, float("-inf")))
        earned = policy.attempts_per_second * now
        lead = max(lead, earned - count)
        ahead = count + 1 - policy.burst - earned + lead
        if ahead > EPSILON:
            self.broken(now, f"{provider}: {ahead:g} attempts ahead of its rate")
        self._leads[provider] = count + 1, lead

    def _check_day(self, provider: str, policy: BudgetPolicy, now: float) -> None:
        if policy.attempts_per_day is None:
            return

        times = self._days.setdefault(provider, deque())
        times.append(now)
        while now - times[0] >= DAY:
            times.popleft()
        if len(times) > policy.attempts_per_day:
            self.broken(
                now, f"{provider}: {len(times)} attempts of {policy.attempts_per_day} a day"
            )

    def _ended(self, fact: Opened | Left) -> None:
        if isinstance(fact, Opened) or fact.what == "connect":
            flying = self._flying.get(self.members[fact.instance_id].provider)
            if flying is not None:
                flying.discard((fact.channel, fact.number))


class FlatMemory(Law):
    """The objects that the same instances are made of do not become more while they live."""

    name = "flat memory"

    SLACK = 1.2
    """How much more there may be than at first."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._first: dict[tuple[str, ...], int] = {}

    def hears(self) -> Mapping[type, Hear]:
        """Return what to call."""
        return {Weighed: self._weighed, RuntimeStarted: lambda _: self._first.clear()}

    def _weighed(self, fact: Weighed) -> None:
        first = self._first.setdefault(fact.ids, fact.objects)
        if fact.objects > first * self.SLACK + 5:
            self.broken(fact.at, f"{fact.objects} objects of {fact.ids}, {first} at first")
