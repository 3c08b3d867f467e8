"""Rules: what is seen of a failure, and the cause that it means.

Exception types are known by their full names, so that a rule for a library's error needs not import
the library. What rules decide together is told in `rule_sets`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import final

from attrs import field, frozen

from .failures import Cause
from .mistakes import MistakeList, member_or_given


class RuleKind(StrEnum):
    """What a rule looks at.

    - ``error``: the type of an exception, by its qualified name.
    - ``close``: the code that a WebSocket was closed with.
    - ``status``: the HTTP status that came instead of a connection.
    - ``word``: a word that a platform says in a message of its own, such as the reason in Slack's
      ``disconnect``.
    - ``predicate``: whatever a function of the user's looks at.
    """

    ERROR = "error"
    CLOSE = "close"
    STATUS = "status"
    WORD = "word"
    PREDICATE = "predicate"


@final
@frozen
class Seen:
    """What was seen of a failure; one of the first four is not None."""

    error: BaseException | None = None
    """What was raised; of a group, each leaf is seen for itself."""
    close: int | None = None
    """The close code."""
    status: int | None = None
    """The HTTP status."""
    word: str | None = None
    """The platform's word."""
    text: str = ""
    """What was said with the close code, the status or the word."""


Predicate = Callable[[Seen], object]
"""Whether a rule is for what was seen. It is called for each failure, and must not block.

One that raises does not match. What it did not expect is seldom its own: an error without a code
makes ``lambda seen: seen.error.code == 7`` raise, and is not meant by it.
"""

Key = str | int | range | Predicate


def _kind(value: RuleKind | str) -> RuleKind:
    return member_or_given(RuleKind, value)


@final
@frozen
class Rule:
    """One row: what it looks at, and the cause that this means.

    The functions `on_error`, `on_close`, `on_status`, `on_word` and `on_match` make one.

    Raises:
        InvalidSpec: With every mistake.
    """

    kind: RuleKind = field(converter=_kind)
    """What it looks at."""
    key: Key
    """A qualified type name, a number or a range of numbers, a word, or a function."""
    cause: Cause
    """What it means.

    Its `detail` is for failures that come without a text. In a rule for a close code, a status or a
    word, ``{}`` in its `reason` stands for that.
    """
    source: str = ""
    """Who says so, for people: a document, with its address."""

    def __attrs_post_init__(self) -> None:
        wrong = MistakeList("Rule")
        wrong.member("kind", self.kind, RuleKind)
        match self.kind:
            case RuleKind.ERROR if not isinstance(self.key, str) or "." not in self.key:
                wrong.add("key", self.key, "must be a type's full name, as 'builtins.OSError'")
            case RuleKind.CLOSE | RuleKind.STATUS if not _has_numbers(self.key):
                wrong.add("key", self.key, "must be a whole number, or a range that has some")
            case RuleKind.WORD:
                wrong.text("key", self.key)
            case RuleKind.PREDICATE if not callable(self.key):
                wrong.add("key", self.key, "must be a function from a Seen to True or False")
        wrong.instance("cause", self.cause, Cause)
        wrong.text("source", self.source, empty=True)
        wrong.raise_any()


def _has_numbers(key: object) -> bool:
    if isinstance(key, range):
        return len(key) > 0

    return isinstance(key, int) and not isinstance(key, bool)


def full_name(error: type) -> str:
    """Return the name that a type has in rules: its module and its qualified name."""
    return f"{error.__module__}.{error.__qualname__}"


def on_error(error: str | type[BaseException], cause: Cause, source: str = "") -> Rule:
    """Return a rule for an exception type and what derives from it.

    Args:
        error: The type, or its full name, as in ``"telegram.error.Conflict"``.
        cause: What it means.
        source: Who says so.

    Raises:
        InvalidSpec: With every mistake.
    """
    name = full_name(error) if isinstance(error, type) else error
    return Rule(RuleKind.ERROR, name, cause, source)


def on_close(code: int | range, cause: Cause, source: str = "") -> Rule:
    """Return a rule for a close code, or a range of them.

    Args:
        code: The code, or a range such as ``range(4000, 4100)``.
        cause: What it means; that the connection is lost needs not be said.
        source: Who says so.

    Raises:
        InvalidSpec: With every mistake.
    """
    return Rule(RuleKind.CLOSE, code, cause, source)


def on_status(status: int | range, cause: Cause, source: str = "") -> Rule:
    """Return a rule for an HTTP status, or a range of them.

    Args:
        status: The status, or a range such as ``range(500, 600)``.
        cause: What it means.
        source: Who says so.

    Raises:
        InvalidSpec: With every mistake.
    """
    return Rule(RuleKind.STATUS, status, cause, source)


def on_word(word: str, cause: Cause, source: str = "") -> Rule:
    """Return a rule for a word that a platform says in a message of its own.

    Args:
        word: The word, as in ``"refresh_requested"``.
        cause: What it means.
        source: Who says so.

    Raises:
        InvalidSpec: With every mistake.
    """
    return Rule(RuleKind.WORD, word, cause, source)


def on_match(predicate: Predicate, cause: Cause, source: str = "") -> Rule:
    """Return a rule for whatever a function says it is for; its set asks it before other kinds.

    Args:
        predicate: Is called with what was seen of each failure that no set before knows. It must
            not block; one that raises does not match.
        cause: What it means.
        source: Who says so.

    Raises:
        InvalidSpec: With every mistake.
    """
    return Rule(RuleKind.PREDICATE, predicate, cause, source)
