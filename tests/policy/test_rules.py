"""What a rule may be: every mistake is refused where it is made."""

from __future__ import annotations

from typing import Any

import pytest

from trio_instances import InvalidSpec
from trio_instances.policy.causes import (
    Rule,
    RuleKind,
    Seen,
    on_close,
    on_error,
    on_match,
    on_status,
    on_word,
)
from trio_instances.policy.failures import Cause

CAUSE = Cause("recoverable", "gone")


def never(seen: Seen) -> bool:
    """Match nothing."""
    return False


@pytest.mark.parametrize(
    ("rule", "kind", "key"),
    [
        (on_error("telegram.error.Conflict", CAUSE), "error", "telegram.error.Conflict"),
        (on_error(TimeoutError, CAUSE), "error", "builtins.TimeoutError"),
        (on_close(4004, CAUSE), "close", 4004),
        (on_close(range(4000, 4100), CAUSE), "close", range(4000, 4100)),
        (on_status(429, CAUSE), "status", 429),
        (on_status(range(500, 600), CAUSE), "status", range(500, 600)),
        (on_word("refresh_requested", CAUSE), "word", "refresh_requested"),
        (on_match(never, CAUSE), "predicate", never),
    ],
)
def test_a_rule_has_a_kind_and_a_key(rule: Rule, kind: str, key: object) -> None:
    """What a function makes is a row that can be read: what it looks at, and for what."""
    assert (rule.kind, rule.key, rule.cause, rule.source) == (kind, key, CAUSE, "")


@pytest.mark.parametrize("on", [on_close, on_status])
def test_a_row_says_who_says_so(on: Any) -> None:
    """Pages are drawn from the rows, the sources included."""
    assert on(1012, CAUSE, "a document").source == "a document"


def test_a_type_is_known_by_the_name_that_users_import() -> None:
    """The library's own errors say their public path."""
    assert on_error(InvalidSpec, CAUSE).key == "trio_instances.InvalidSpec"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            {"kind": "code"},
            "kind: must be one of 'error', 'close', 'status', 'word', 'predicate', not 'code'",
        ),
        (
            {"kind": "error", "key": "TimeoutError"},
            "key: must be a type's full name, as 'builtins.OSError', not 'TimeoutError'",
        ),
        (
            {"kind": "error", "key": 4004},
            "key: must be a type's full name, as 'builtins.OSError', not 4004",
        ),
        ({"key": "4004"}, "key: must be a whole number, or a range that has some, not '4004'"),
        ({"key": True}, "key: must be a whole number, or a range that has some, not True"),
        (
            {"kind": "status", "key": range(500, 400)},
            "key: must be a whole number, or a range that has some, not range(500, 400)",
        ),
        ({"kind": "word", "key": ""}, "key: must be a text that is not empty, not ''"),
        (
            {"kind": "predicate", "key": "4004"},
            "key: must be a function from a Seen to True or False, not '4004'",
        ),
        ({"cause": "fatal"}, "cause: must be a Cause, not 'fatal'"),
        ({"source": None}, "source: must be a text, not None"),
    ],
)
def test_a_wrong_field_is_refused(given: dict[str, Any], text: str) -> None:
    """The refusal names the field, the way out, and the value."""
    fields: dict[str, Any] = {"kind": RuleKind.CLOSE, "key": 4004, "cause": CAUSE, **given}
    with pytest.raises(InvalidSpec) as refusal:
        Rule(**fields)

    assert str(refusal.value) == f"Rule: {text}"
