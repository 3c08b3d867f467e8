"""What is wrong in a configuration file: mistakes, each with its place, and no secret in them."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, final

import attrs

from .._exceptions import InvalidSpec, Mistake

T = TypeVar("T")


def refuse(expected: str, place: str = "") -> InvalidSpec:
    """Return an error with one mistake that repeats no value."""
    return InvalidSpec("", [Mistake(place, None, expected, given=False)])


@final
class Findings:
    """The mistakes found so far, each with its place."""

    def __init__(self) -> None:
        self.mistakes: list[Mistake] = []

    def extend(self, place: str, mistakes: Iterable[Mistake]) -> None:
        """Take over the mistakes of what stands at a place."""
        for mistake in mistakes:
            whole = ".".join(part for part in (place, mistake.place) if part)
            self.mistakes.append(attrs.evolve(mistake, place=whole))

    def add_unknown(self, table: Mapping[str, Any], known: Iterable[str]) -> None:
        """Note the keys of a table that nobody knows. Their values are not repeated."""
        names = sorted(known)
        for key in table:
            if key not in names:
                near = difflib.get_close_matches(key, names, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(names)}"
                self.extend(key, refuse(f"is not known here; {hint}").mistakes)

    def collect(self, place: str, make: Callable[..., T], *args: Any, **fields: Any) -> T | None:
        """Make something; where that raises `InvalidSpec`, take its mistakes over instead."""
        try:
            return make(*args, **fields)
        except InvalidSpec as exc:
            self.extend(place, exc.mistakes)
            return None

    def raise_any(self) -> None:
        """Raise `InvalidSpec` if there was a mistake."""
        if self.mistakes:
            raise InvalidSpec("", self.mistakes)
