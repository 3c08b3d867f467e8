"""Rule sets: rules that decide together what a failure means, and how sets compose.

``MINE | DISCORD | DEFAULTS`` asks each set in turn, and the first that has a rule for what was seen
decides. Within one set, the rules with a function are asked first, in order; then the one for
exactly this number, word or type; then the ranges, in order. Of an exception's type and its bases
the nearest one that the set knows decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, final

from attrs import evolve, field, frozen

from .failures import (
    MAX_DETAIL,
    Cause,
    FailureClass,
    WhoMustAct,
    flatten,
    merge_causes,
    stated_cause,
    text_of,
)
from .mistakes import MistakeList
from .rules import Predicate, Rule, RuleKind, Seen, full_name

Keys = Callable[[], Iterable[str | int]]
"""Gives what was seen, the nearest first: a number, a word, or the names of an exception's types.

Those names, like the `Seen` that only predicates look at, are made when they are asked for: that
costs more than finding a rule.
"""
See = Callable[[], Seen]

UNEXPECTED = Cause(FailureClass.RECOVERABLE, "unexpected", who_must_act=WhoMustAct.AUTHOR)
"""An exception or a word without a rule: a bug, retried within the bounded budget, and named."""
_SEEN = (RuleKind.ERROR, RuleKind.CLOSE, RuleKind.STATUS, RuleKind.WORD)
_OTHER_CLOSE = Cause(FailureClass.RECOVERABLE, "close_{}")
_OTHER_STATUS = Cause(FailureClass.RECOVERABLE, "http_{}")


def _as_tuple(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    # What cannot be gone through is left for the check, which can say so.
    return tuple(rules) if isinstance(rules, Iterable) else rules


@final
@frozen(eq=False)
class _Part:
    """What one set has to say of one kind of failure, made ready for look-ups."""

    predicates: Sequence[tuple[Predicate, Cause]]
    exact: Mapping[str | int, Cause]
    ranges: Sequence[tuple[range, Cause]]

    def find(self, keys: Keys, see: See) -> Cause | None:
        if self.predicates:
            seen = see()
            for predicate, cause in self.predicates:
                if _matches(predicate, seen):
                    return cause

        for key in keys():
            cause_of_key = self.exact.get(key)
            if cause_of_key is not None:
                return cause_of_key

            for numbers, cause in self.ranges:
                if key in numbers:
                    return cause

        return None


def _part(rules: Iterable[Rule], kind: RuleKind) -> _Part:
    predicates, exact, ranges = [], {}, []
    for rule in rules:
        match rule.key:
            case range() as numbers if rule.kind is kind:
                ranges.append((numbers, rule.cause))
            case str() | int() as key if rule.kind is kind:
                exact[key] = rule.cause
            case predicate if callable(predicate):
                predicates.append((predicate, rule.cause))
    return _Part(predicates, exact, ranges)


@final
@frozen
class RuleSet:
    """Rules that decide together, and perhaps a set that is asked after them.

    What no rule is for is recoverable: within a bounded budget a needless retry costs less than an
    instance parked by a code that nobody knows.

    Args:
        name: A word for it.
        rules: In the order in which those of one kind are asked.
        then: The set to ask where this one has no rule; ``a | b`` puts one there.

    Raises:
        InvalidSpec: With every mistake; two rules for the same thing are one.
    """

    name: str
    rules: tuple[Rule, ...] = field(converter=_as_tuple)
    then: RuleSet | None = None
    _parts: Mapping[RuleKind, tuple[_Part, ...]] = field(init=False, repr=False, eq=False)
    """For each kind, what this set and those after it have to say, without those that are silent.

    A failure is classified far more often than a set is made.
    """
    _looks_closer: bool = field(init=False, repr=False, eq=False)
    """Whether functions look at each exception itself, and not only at its type."""

    def __attrs_post_init__(self) -> None:
        self._check()
        parts = {}
        for kind in _SEEN:
            mine = _part(self.rules, kind)
            speaks = mine.predicates or mine.exact or mine.ranges
            rest = self.then._parts[kind] if self.then is not None else ()  # noqa: SLF001 - of the same class
            parts[kind] = (mine, *rest) if speaks else rest
        object.__setattr__(self, "_parts", parts)
        closer = any(part.predicates for part in parts[RuleKind.ERROR])
        object.__setattr__(self, "_looks_closer", closer)

    def _check(self) -> None:
        wrong = MistakeList("RuleSet")
        wrong.text("name", self.name)
        if not isinstance(self.rules, tuple):
            wrong.add("rules", self.rules, "must be rules")
            wrong.raise_any()

        known = set()
        for place, rule in enumerate(self.rules):
            if not isinstance(rule, Rule):
                wrong.add(f"rules[{place}]", rule, "must be a Rule")
            elif rule.kind is RuleKind.PREDICATE:
                continue
            elif (rule.kind, rule.key) in known:
                wrong.add(f"rules[{place}]", rule.key, "must not be for what another one is for")
            else:
                known.add((rule.kind, rule.key))
        wrong.instance("then", self.then, RuleSet, optional=True)
        wrong.raise_any()

    def __or__(self, other: object) -> RuleSet:
        """Return a set that asks this one, and where it has no rule the other one."""
        if not isinstance(other, RuleSet):
            return NotImplemented

        return evolve(self, then=other if self.then is None else self.then | other)

    def cause_of_error(self, exc: BaseException) -> Cause:
        """Return the cause that an exception means.

        An exception that carries a `Cause` in its attribute ``cause`` has stated it itself. One
        that carries seconds in its attribute ``retry_after``, as those of many client libraries do,
        has asked for that wait. Of an exception group the worst leaf decides, and hints are kept.

        Args:
            exc: What was raised.

        Returns:
            The cause, with the error's text and type filled in. Never raises.
        """
        if not isinstance(exc, BaseExceptionGroup):
            return self._cause_of_leaf(exc)

        return merge_causes([self._cause_of_leaf(leaf) for leaf in flatten(exc)])

    def cause_of_close(self, code: int, text: str = "") -> Cause:
        """Return the cause that a close code means.

        Args:
            code: The close code. Any number gives a cause, also one that RFC 6455 does not allow.
            text: The reason that came with it; becomes the detail, cut to 500 characters.

        Returns:
            The cause, which always says that the connection is lost; ``close_<code>``, recoverable,
            where no rule is for it. Never raises.
        """
        row = self._find(RuleKind.CLOSE, lambda: (code,), partial(Seen, close=code, text=text))
        return evolve(_filled(row or _OTHER_CLOSE, code, text, None), lost=True)

    def cause_of_status(
        self, status: int, *, detail: str = "", retry_after: float | None = None
    ) -> Cause:
        """Return the cause that an HTTP status means which came instead of a connection.

        Args:
            status: The HTTP status. Any number gives a cause.
            detail: What to tell people, cut to 500 characters.
            retry_after: Seconds that the server asked to wait, as `parse_retry_after` returns them;
                kept unless the cause is fatal.

        Returns:
            The cause; ``http_<status>``, recoverable, where no rule is for it.

        Raises:
            InvalidSpec: `retry_after` is below 0 or not finite.
        """
        row = self._find(
            RuleKind.STATUS, lambda: (status,), lambda: Seen(status=status, text=detail)
        )
        return _filled(row or _OTHER_STATUS, status, detail, retry_after)

    def cause_of_word(
        self, word: str, text: str = "", *, retry_after: float | None = None
    ) -> Cause:
        """Return the cause that a platform's own word means.

        Args:
            word: What it said: the reason in Slack's ``disconnect``, an error of its Web API.
            text: What it said with it; becomes the detail, cut to 500 characters.
            retry_after: Seconds that it asked to wait; kept unless the cause is fatal.

        Returns:
            The cause; ``unexpected``, recoverable, with the word in its detail, where no rule is
            for it.

        Raises:
            InvalidSpec: `retry_after` is below 0 or not finite.
        """
        row = self._find(RuleKind.WORD, lambda: (word,), partial(Seen, word=word, text=text))
        if row is None:
            return _filled(UNEXPECTED, word, f"{word}: {text}" if text else word, retry_after)

        return _filled(row, word, text, retry_after)

    def _cause_of_leaf(self, exc: BaseException) -> Cause:
        stated = stated_cause(exc)
        if stated is not None:
            return stated

        kind, text, asked = type(exc), text_of(exc), _asked_wait(exc)
        if not self._looks_closer:
            parts = self._parts[RuleKind.ERROR]
            return _cause_of_error(parts, kind, text, asked)  # type: ignore[arg-type]  # a type can be hashed

        row = self._find(RuleKind.ERROR, partial(_names, kind.__mro__), partial(Seen, exc))
        return _of_error(row, kind, text, asked)

    def _find(self, kind: RuleKind, keys: Keys, see: See) -> Cause | None:
        return _first(self._parts[kind], keys, see)


def _first(parts: Iterable[_Part], keys: Keys, see: See) -> Cause | None:
    for part in parts:
        found = part.find(keys, see)
        if found is not None:
            return found

    return None


@lru_cache(maxsize=512)
def _cause_of_error(
    parts: tuple[_Part, ...], kind: type[BaseException], text: str, asked: float | None
) -> Cause:
    # Kept, as what fails mostly fails again in the same way: that saves a quarter of a restart, and
    # all whom an outage hits share one cause.
    row = _first(parts, partial(_names, kind.__mro__), Seen)
    return _of_error(row, kind, text, asked)


def _of_error(
    row: Cause | None, kind: type[BaseException], text: str, asked: float | None
) -> Cause:
    row = row or UNEXPECTED
    return evolve(
        row,
        detail=text or row.detail,
        error_type=kind.__qualname__,
        retry_after=_wait(row, asked),
    )


@lru_cache(maxsize=256)
def _names(types: tuple[type, ...]) -> tuple[str, ...]:
    return tuple(map(full_name, types))


def _matches(predicate: Predicate, seen: Seen) -> bool:
    try:
        return bool(predicate(seen))
    except Exception:
        return False


def _filled(row: Cause, key: str | int, text: str, asked: float | None) -> Cause:
    return evolve(
        row,
        reason=row.reason.replace("{}", str(key)),
        detail=text[:MAX_DETAIL] or row.detail,
        retry_after=_wait(row, asked),
    )


def _wait(row: Cause, asked: float | None) -> float | None:
    # What is never tried again has no use for a time.
    if asked is None or row.failure_class is FailureClass.FATAL:
        return row.retry_after

    return asked


def _asked_wait(exc: BaseException) -> float | None:
    try:
        asked: Any = getattr(exc, "retry_after", None)
        if asked is None:
            return None

        # Some libraries give a timedelta.
        seconds = float(asked.total_seconds() if hasattr(asked, "total_seconds") else asked)
    except Exception:
        # Somebody else's attribute of the same name: it asks for nothing.
        return None

    return seconds if 0.0 <= seconds < math.inf else None
