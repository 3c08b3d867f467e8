"""The fleet: what the members of a world are, as specifications for one runtime."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from typing import final

from attrs import evolve

from ..._instance.budget import ConnectionBudget
from ..._instance.spec import InstanceSpec
from .channel import Tell, WatchedChannel
from .world import World

_KEYS = count(1)


@final
class Fleet:
    """The specifications of all members, each with a channel of its own.

    Args:
        world: What is played.
        tell: Takes in what the channels see.
    """

    def __init__(self, world: World, tell: Tell) -> None:
        self._world = world
        self._tell = tell
        self._members = {member.id: member for member in world.members}
        self._budgets = {
            each.name: ConnectionBudget(each.name, each.budget)
            for each in world.providers
            if each.budget is not None
        }
        self.specs = {member.id: self._spec(member.id) for member in world.members}

    def _spec(self, who: str) -> InstanceSpec:
        member = self._members[who]
        return InstanceSpec(
            id=who,
            channel=WatchedChannel(self._world, member, next(_KEYS), self._tell),
            reconnect=member.reconnect,
            budget=self._budgets.get(member.provider),
            probe=member.probe,
            strategy=member.strategy,
            intensity=member.intensity,
            child_backoff=member.child_backoff,
        )

    def change(self, who: str, number: int, *, channel: bool) -> None:
        """Make a member's specification another one.

        Args:
            who: Its id.
            number: What makes the new one differ.
            channel: Whether it gets another channel, too.
        """
        spec = self._spec(who) if channel else self.specs[who]
        self.specs[who] = evolve(spec, name=f"{who} since {number}")

    def wanted(self, ids: Iterable[str]) -> list[InstanceSpec]:
        """Return the specifications of some members."""
        return [self.specs[who] for who in ids]
