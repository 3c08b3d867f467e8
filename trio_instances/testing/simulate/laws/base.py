"""What a law is: it hears all that happens, in order, and says where it is broken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, final

from attrs import frozen

from ..world import Member, World

Hear = Callable[[Any], None]


@final
@frozen
class Violation:
    """One place where a law is broken."""

    law: str
    at: float
    text: str

    def __str__(self) -> str:
        return f"{self.law}: at {self.at:.6g} s: {self.text}"


class Law:
    """One law. It keeps what it must remember, and never looks at the runtime itself.

    Args:
        world: What is played.
    """

    name: ClassVar[str]

    def __init__(self, world: World) -> None:
        self.world = world
        self.members: dict[str, Member] = {member.id: member for member in world.members}
        self.violations: list[Violation] = []

    def hears(self) -> Mapping[type, Hear]:
        """Return what to call with which kind of event or fact."""
        raise NotImplementedError

    def hear(self, happened: Any) -> None:
        """Take in one event or fact."""
        handler = self.hears().get(type(happened))
        if handler is not None:
            handler(happened)

    def require(self, holds: object, at: float, text: str) -> None:
        """Note a violation, unless it holds. Where a text costs something, test first."""
        if not holds:
            self.broken(at, text)

    def broken(self, at: float, text: str) -> None:
        """Note a violation."""
        if len(self.violations) < MOST:
            self.violations.append(Violation(self.name, at, text))


MOST = 20
"""How many violations of one law are kept."""
EPSILON = 1e-6
"""Seconds by which sums of times may differ."""
