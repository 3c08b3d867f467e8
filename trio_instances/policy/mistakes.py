"""Collecting every mistake of a specification before one error names them all."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TypeVar, cast

from .._exceptions import InvalidSpec, Mistake

E = TypeVar("E", bound=StrEnum)


def member_or_given(enum: type[E], value: E | str) -> E:
    """Return the member that a word names; any other value as it is, for `MistakeList.member`."""
    if isinstance(value, enum):
        return value

    try:
        return enum(value)
    except ValueError:
        return cast("E", value)


def check_key(field: str, key: object, example: str) -> None:
    """Refuse what is no name, such as the handle of what it names.

    Args:
        field: The argument that it was given as.
        key: What was given.
        example: What a handle has for it, such as ``child.name``.

    Raises:
        TypeError: It is no text.
    """
    if not isinstance(key, str):
        raise TypeError(str(Mistake(field, key, f"must be a text, such as {example}")))


def _as_float(value: object) -> float:
    # NaN stands for what is no number, or one too big for a clock: no bound lets it through.
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan

    try:
        return float(value)
    except OverflowError:
        return math.nan


class MistakeList:
    """The mistakes of one specification, in the order in which its fields were checked.

    Args:
        what: What is being specified, for the error's first line.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._mistakes: list[Mistake] = []

    def add(self, field: str, value: object, expected: str) -> None:
        """Note that a field holds what it must not hold."""
        self._mistakes.append(Mistake(field, value, expected))

    def extend(self, prefix: str, mistakes: tuple[Mistake, ...]) -> None:
        """Take over the mistakes of a part, its field names prefixed."""
        for mistake in mistakes:
            place = ".".join(name for name in (prefix, mistake.place) if name)
            self._mistakes.append(
                Mistake(place, mistake.value, mistake.expected, given=mistake.given)
            )

    @contextmanager
    def part(self, prefix: str = "") -> Iterator[None]:
        """Make a part within a block, and take over its mistakes where it has some."""
        try:
            yield
        except InvalidSpec as exc:
            self.extend(prefix, exc.mistakes)

    def number(
        self,
        field: str,
        value: object,
        *,
        at_least: float = 0.0,
        above: float | None = None,
        at_most: float = math.inf,
        finite: bool = False,
        optional: bool = False,
    ) -> bool:
        """Check that a field is a number within bounds, as NaN never is, and return whether."""
        if optional and value is None:
            return True

        amount = _as_float(value)
        fits = at_least <= amount <= at_most
        if above is not None and amount <= above:
            fits = False
        if finite and math.isinf(amount):
            fits = False
        if fits:
            return True

        bound = f"above {above:g}" if above is not None else f"at least {at_least:g}"
        if at_most != math.inf:
            bound += f" and at most {at_most:g}"
        kind = "a finite number" if finite else "a number"
        none = ", or None" if optional else ""
        self.add(field, value, f"must be {kind} {bound}{none}")
        return False

    def whole(
        self,
        field: str,
        value: object,
        *,
        at_least: int = 0,
        at_most: int | None = None,
        optional: bool = False,
    ) -> None:
        """Check that a field is a whole number within bounds."""
        if optional and value is None:
            return

        if isinstance(value, int) and not isinstance(value, bool):
            most = value if at_most is None else at_most
            if at_least <= value <= most:
                return

        bound = f"at least {at_least}" if at_most is None else f"{at_least} to {at_most}"
        none = ", or None" if optional else ""
        self.add(field, value, f"must be a whole number of {bound}{none}")

    def boolean(self, field: str, value: object) -> None:
        """Check that a field is True or False."""
        if not isinstance(value, bool):
            self.add(field, value, "must be True or False")

    def member(self, field: str, value: object, enum: type[StrEnum]) -> None:
        """Check that a field is one of an enum's words."""
        if not isinstance(value, enum):
            words = ", ".join(repr(str(word)) for word in enum)
            self.add(field, value, f"must be one of {words}")

    def text(self, field: str, value: object, *, empty: bool = False) -> None:
        """Check that a field is a text, and not an empty one unless that is allowed."""
        if not isinstance(value, str) or not (value or empty):
            self.add(
                field, value, "must be a text" if empty else "must be a text that is not empty"
            )

    def name(self, field: str, value: object) -> None:
        """Check that a field can be a part of a path."""
        if not isinstance(value, str) or not value or "/" in value or not value.isprintable():
            self.add(field, value, "must be a text that is not empty, is printable and has no '/'")

    def instance(self, field: str, value: object, kind: type, *, optional: bool = False) -> None:
        """Check that a field is of a type."""
        if optional and value is None:
            return

        if not isinstance(value, kind):
            none = " or None" if optional else ""
            article = "an" if kind.__name__[0] in "AEIO" else "a"
            self.add(field, value, f"must be {article} {kind.__name__}{none}")

    def raise_any(self) -> None:
        """Raise `InvalidSpec` when there was a mistake.

        Raises:
            InvalidSpec: With every mistake noted so far.
        """
        if self._mistakes:
            raise InvalidSpec(self._what, self._mistakes)
