"""The judge: hands all that happens to every law that wants to hear of it."""

from __future__ import annotations

from collections import Counter
from typing import Any, final

from .laws import LAWS
from .laws.base import Hear, Law, Violation
from .world import World


@final
class Judge:
    """All laws over one world.

    Args:
        world: What is played.
    """

    def __init__(self, world: World) -> None:
        self._laws: list[Law] = [law(world) for law in LAWS]
        self._hears: dict[type, list[Hear]] = {}
        for law in self._laws:
            for kind, hear in law.hears().items():
                self._hears.setdefault(kind, []).append(hear)
        self.heard: Counter[type] = Counter()
        """How many of which kind came."""

    def hear(self, happened: Any) -> None:
        """Take in one event or fact."""
        kind = type(happened)
        self.heard[kind] += 1
        for hear in self._hears.get(kind, ()):
            hear(happened)

    @property
    def violations(self) -> list[Violation]:
        """Where laws are broken, the first one first."""
        found = [violation for law in self._laws for violation in law.violations]
        return sorted(found, key=lambda violation: violation.at)
