"""What the library's own rules say: of close codes, of HTTP statuses, and of exceptions."""

from __future__ import annotations

import socket
import ssl

import pytest
from attrs import evolve

from trio_instances import InvalidSpec, Mistake, classify_failure
from trio_instances.policy.causes import (
    DEFAULTS,
    ERRORS,
    HTTP,
    RFC_6455,
    RuleSet,
    on_close,
    on_error,
)
from trio_instances.policy.causes.rfc6455 import TRY_AGAIN_LATER
from trio_instances.policy.failures import Cause, FailureClass, WhoMustAct

RECOVERABLE = FailureClass.RECOVERABLE
FATAL = FailureClass.FATAL
NOBODY = WhoMustAct.NOBODY
OPERATOR = WhoMustAct.OPERATOR
CREDENTIALS = WhoMustAct.CREDENTIALS
CONFIGURATION = WhoMustAct.CONFIGURATION
AUTHOR = WhoMustAct.AUTHOR

CLOSES = {
    1000: (RECOVERABLE, NOBODY),
    1001: (RECOVERABLE, NOBODY),
    1002: (FATAL, AUTHOR),
    1003: (FATAL, AUTHOR),
    1005: (RECOVERABLE, NOBODY),
    1006: (RECOVERABLE, NOBODY),
    1007: (FATAL, AUTHOR),
    1008: (FATAL, OPERATOR),
    1009: (FATAL, AUTHOR),
    1010: (FATAL, CONFIGURATION),
    1011: (RECOVERABLE, NOBODY),
    1012: (RECOVERABLE, NOBODY),
    1013: (RECOVERABLE, NOBODY),
    1014: (RECOVERABLE, NOBODY),
    1015: (FATAL, CONFIGURATION),
    3000: (FATAL, CREDENTIALS),
    3003: (FATAL, CREDENTIALS),
    3008: (RECOVERABLE, NOBODY),
}
STATUSES: dict[int | range, tuple[FailureClass, WhoMustAct]] = {
    301: (FATAL, CONFIGURATION),
    308: (FATAL, CONFIGURATION),
    400: (FATAL, CONFIGURATION),
    401: (FATAL, CREDENTIALS),
    403: (FATAL, CREDENTIALS),
    404: (FATAL, CONFIGURATION),
    407: (FATAL, CREDENTIALS),
    408: (RECOVERABLE, NOBODY),
    410: (FATAL, CONFIGURATION),
    425: (RECOVERABLE, NOBODY),
    426: (FATAL, CONFIGURATION),
    429: (RECOVERABLE, NOBODY),
    500: (RECOVERABLE, NOBODY),
    502: (RECOVERABLE, NOBODY),
    503: (RECOVERABLE, NOBODY),
    504: (RECOVERABLE, NOBODY),
    range(520, 525): (RECOVERABLE, NOBODY),
    range(400, 500): (FATAL, CONFIGURATION),
    range(500, 600): (RECOVERABLE, NOBODY),
    range(1000): (RECOVERABLE, CONFIGURATION),
}
BY_HUNDRED = {
    200: (RECOVERABLE, CONFIGURATION),
    302: (RECOVERABLE, CONFIGURATION),
    418: (FATAL, CONFIGURATION),
    499: (FATAL, CONFIGURATION),
    501: (RECOVERABLE, NOBODY),
    522: (RECOVERABLE, NOBODY),
    599: (RECOVERABLE, NOBODY),
    600: (RECOVERABLE, CONFIGURATION),
}
"""Statuses without a row of their own."""

REAL = (
    TimeoutError,
    ConnectionRefusedError,
    ConnectionResetError,
    ConnectionError,
    EOFError,
    OSError,
    socket.gaierror,
    ssl.SSLCertVerificationError,
    ssl.SSLError,
)
REAL_RULES = {f"{kind.__module__}.{kind.__qualname__}": kind for kind in REAL}
ROWS: dict[str, Cause] = {str(rule.key): rule.cause for rule in ERRORS.rules}
ELSEWHERE = sorted(ROWS.keys() - REAL_RULES.keys())
"""Rows of types that these tests do not import: a class of the same name stands for each."""


def named(row: str) -> type[Exception]:
    """Return an exception type that has the full name of a row."""
    module, name = row.rsplit(".", 1)
    return type(name, (Exception,), {"__module__": module})


# --- Close codes


def test_every_close_code_is_stated_here() -> None:
    """A row cannot come or go without this list."""
    assert [rule.key for rule in RFC_6455.rules] == list(CLOSES)


@pytest.mark.parametrize(("code", "expected"), CLOSES.items())
def test_a_close_code_has_its_class_and_who_must_act(
    code: int, expected: tuple[FailureClass, WhoMustAct]
) -> None:
    """The table says of each code how bad it is and who can mend it."""
    cause = DEFAULTS.cause_of_close(code)

    assert (cause.failure_class, cause.who_must_act) == expected
    assert cause.reason == f"close_{code}"


def test_try_again_later_asks_for_a_longer_wait() -> None:
    """1013 is the one code with a hint of its own."""
    hints = {rule.key: rule.cause.retry_after for rule in RFC_6455.rules if rule.cause.retry_after}

    assert hints == {1013: TRY_AGAIN_LATER}


def test_the_servers_that_leave_on_purpose() -> None:
    """Going away, and a restart; a normal closure says nothing of why."""
    assert {rule.key for rule in RFC_6455.rules if rule.cause.planned} == {1001, 1012}


# --- HTTP statuses


def test_every_status_is_stated_here() -> None:
    """A row cannot come or go without this list."""
    assert [rule.key for rule in HTTP.rules] == list(STATUSES)


@pytest.mark.parametrize(
    ("status", "expected"),
    [(key, row) for key, row in STATUSES.items() if isinstance(key, int)] + [*BY_HUNDRED.items()],
)
def test_a_status_has_its_class_and_who_must_act(
    status: int, expected: tuple[FailureClass, WhoMustAct]
) -> None:
    """The table decides, and where it has no row, the status's hundred."""
    cause = DEFAULTS.cause_of_status(status)

    assert (cause.failure_class, cause.who_must_act) == expected
    assert cause.reason == f"http_{status}"
    assert not cause.lost


# --- Exceptions


@pytest.mark.parametrize("row", sorted(REAL_RULES))
def test_every_row_of_the_standard_library_is_found_by_its_real_exception(row: str) -> None:
    """The name in the table is the one that the type really has."""
    cause = classify_failure(REAL_RULES[row]("text"))

    expected = evolve(ROWS[row], detail=cause.detail, error_type=REAL_RULES[row].__name__)
    assert cause == expected
    assert "text" in cause.detail


@pytest.mark.parametrize("row", ELSEWHERE)
def test_every_other_row_is_found_by_its_full_name(row: str) -> None:
    """A type needs not be imported to be known."""
    cause = classify_failure(named(row)("text"))

    assert cause == evolve(ROWS[row], detail="text", error_type=row.rsplit(".", 1)[1])


def test_the_library_s_own_refusal_is_found_by_its_public_name() -> None:
    """A channel that makes a wrong specification will make it again: its author must mend it."""
    cause = classify_failure(InvalidSpec("ChildSpec 'a'", [Mistake("shutdown", -1, "must be 0")]))

    assert (cause.reason, cause.who_must_act) == ("invalid_spec", AUTHOR)


def test_the_exceptions_that_a_retry_cannot_mend() -> None:
    """Few are fatal, and each of them says who must act."""
    fatal = {row: cause for row, cause in ROWS.items() if cause.failure_class is FATAL}

    assert fatal.keys() == {"ssl.SSLCertVerificationError", "trio_instances.InvalidSpec"}
    assert all(cause.who_must_act is not NOBODY for cause in fatal.values())


def test_the_exceptions_that_mean_a_lost_connection() -> None:
    """What broke is the connection itself, so a worker restarted on it would fail again."""
    assert {row for row, cause in ROWS.items() if cause.lost} == {
        "builtins.ConnectionRefusedError",
        "builtins.ConnectionResetError",
        "builtins.ConnectionError",
        "builtins.EOFError",
        "trio.BrokenResourceError",
        "trio.ClosedResourceError",
        "trio.EndOfChannel",
        "ssl.SSLError",
    }


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (BrokenPipeError(), "connection_error"),
        (ConnectionAbortedError(), "connection_error"),
        (PermissionError(), "os_error"),
        (ssl.SSLEOFError(), "tls"),
        (socket.gaierror(-2, "unknown name"), "dns"),
        (socket.herror(), "os_error"),
        (ZeroDivisionError(), "unexpected"),
    ],
)
def test_a_subclass_is_what_its_nearest_known_ancestor_is(error: Exception, reason: str) -> None:
    """Also where a farther one is known too."""
    assert classify_failure(error).reason == reason


def test_other_rules_than_the_library_s_may_be_given() -> None:
    """They are then the only ones."""
    rules = RuleSet("own", [on_error(OSError, Cause(FATAL, "disk"))])

    assert classify_failure(OSError(), rules).reason == "disk"
    assert classify_failure(EOFError(), rules).reason == "unexpected"


@pytest.mark.parametrize("code", [1000, 1008, 4004])
def test_a_platform_goes_before_the_defaults(code: int) -> None:
    """A platform's row replaces ours, and still loses the connection."""
    row = Cause(FATAL, "authentication", who_must_act=CREDENTIALS)
    cause = (RuleSet("own", [on_close(code, row)]) | DEFAULTS).cause_of_close(code, "bad token")

    assert cause == evolve(row, detail="bad token", lost=True)
