"""The laws of HTTP statuses in place of a connection."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_instances.policy.failures import Cause, FailureClass, WhoMustAct
from trio_instances.policy.http_statuses import (
    HTTP_STATUS_CAUSES,
    cause_of_status,
    parse_http_date,
    parse_retry_after,
)

RECOVERABLE = FailureClass.RECOVERABLE
FATAL = FailureClass.FATAL
NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)

ROWS = {
    301: (FATAL, WhoMustAct.CONFIGURATION),
    308: (FATAL, WhoMustAct.CONFIGURATION),
    400: (FATAL, WhoMustAct.CONFIGURATION),
    401: (FATAL, WhoMustAct.CREDENTIALS),
    403: (FATAL, WhoMustAct.CREDENTIALS),
    404: (FATAL, WhoMustAct.CONFIGURATION),
    407: (FATAL, WhoMustAct.CREDENTIALS),
    408: (RECOVERABLE, WhoMustAct.NOBODY),
    410: (FATAL, WhoMustAct.CONFIGURATION),
    425: (RECOVERABLE, WhoMustAct.NOBODY),
    426: (FATAL, WhoMustAct.CONFIGURATION),
    429: (RECOVERABLE, WhoMustAct.NOBODY),
    500: (RECOVERABLE, WhoMustAct.NOBODY),
    502: (RECOVERABLE, WhoMustAct.NOBODY),
    503: (RECOVERABLE, WhoMustAct.NOBODY),
    504: (RECOVERABLE, WhoMustAct.NOBODY),
    520: (RECOVERABLE, WhoMustAct.NOBODY),
    521: (RECOVERABLE, WhoMustAct.NOBODY),
    522: (RECOVERABLE, WhoMustAct.NOBODY),
    523: (RECOVERABLE, WhoMustAct.NOBODY),
    524: (RECOVERABLE, WhoMustAct.NOBODY),
}
BY_HUNDRED = {
    200: (RECOVERABLE, WhoMustAct.CONFIGURATION),
    302: (RECOVERABLE, WhoMustAct.CONFIGURATION),
    418: (FATAL, WhoMustAct.CONFIGURATION),
    499: (FATAL, WhoMustAct.CONFIGURATION),
    501: (RECOVERABLE, WhoMustAct.NOBODY),
    599: (RECOVERABLE, WhoMustAct.NOBODY),
    600: (RECOVERABLE, WhoMustAct.CONFIGURATION),
}


def test_every_row_is_stated_here() -> None:
    """A row cannot come or go without this list."""
    assert set(HTTP_STATUS_CAUSES) == set(ROWS)


@pytest.mark.parametrize(("status", "expected"), (ROWS | BY_HUNDRED).items())
def test_a_status_has_its_class_and_who_must_act(
    status: int, expected: tuple[FailureClass, WhoMustAct]
) -> None:
    """The table decides, and where it has no row, the status's hundred."""
    cause = cause_of_status(status)

    assert (cause.failure_class, cause.who_must_act) == expected
    assert cause.reason == f"http_{status}"


@given(st.integers(), st.none() | st.floats(0, 1e6))
def test_every_status_gives_a_cause(status: int, retry_after: float | None) -> None:
    """No status raises, and only a cause that is retried keeps the hint when to."""
    cause = cause_of_status(status, retry_after=retry_after)

    recoverable = cause.failure_class is RECOVERABLE
    assert cause.retry_after == (retry_after if recoverable else None)


def test_the_platform_goes_before_http() -> None:
    """A platform's row replaces ours, and the server's hint fills it."""
    row = Cause(RECOVERABLE, "address_banned", who_must_act=WhoMustAct.OPERATOR)

    cause = cause_of_status(418, retry_after=120.0, platform={418: row})

    assert (cause.reason, cause.retry_after) == ("address_banned", 120.0)


def test_the_hint_of_a_platform_row_stays_when_the_server_gives_none() -> None:
    """A row may know how long is right."""
    row = Cause(RECOVERABLE, "slow_down", retry_after=30.0)

    assert cause_of_status(429, platform={429: row}).retry_after == 30.0


def test_the_detail_is_kept() -> None:
    """What happened is told to people."""
    assert cause_of_status(503, detail="maintenance").detail == "maintenance"


@given(st.integers(0, 10**10 - 1))
def test_retry_after_in_seconds(seconds: int) -> None:
    """Whole digits are seconds."""
    assert parse_retry_after(f" {seconds} ", NOW.timestamp()) == float(seconds)


@given(st.integers(1, 10**8))
def test_retry_after_as_a_date_is_relative_to_now(seconds: int) -> None:
    """A date in the future gives the seconds until then."""
    value = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)

    assert parse_retry_after(value, NOW.timestamp()) == float(seconds)


@given(st.integers(0, 10**8))
def test_retry_after_with_a_date_that_is_over_is_now(seconds: int) -> None:
    """A date in the past asks for no wait, never for a negative one."""
    value = format_datetime(NOW - timedelta(seconds=seconds), usegmt=True)

    assert parse_retry_after(value, NOW.timestamp()) == 0.0


@pytest.mark.parametrize(
    "value",
    [
        "Sun, 01 Mar 2026 12:01:00 GMT",
        "Sunday, 01-Mar-26 12:01:00 GMT",
        "Sun Mar  1 12:01:00 2026",
        "Sun, 01 Mar 2026 13:01:00 +0100",
    ],
)
def test_each_form_of_an_http_date_is_read(value: str) -> None:
    """HTTP has three forms of a date; and a zone that is not GMT is understood as well."""
    assert parse_retry_after(value, NOW.timestamp()) == 60.0


@pytest.mark.parametrize(
    "value",
    [
        "",
        "soon",
        "-5",
        "1.5",
        "1e3",
        "inf",
        "nan",
        "٣",
        "9" * 5000,
        "Sun, 99 Foo 2026",
        "Sun, 99 Mar 2026 12:00:00 GMT",
    ],
)
def test_a_malformed_retry_after_is_no_hint(value: str) -> None:
    """What is neither seconds nor a date is left out, not guessed."""
    assert parse_retry_after(value, NOW.timestamp()) is None


@given(st.text())
def test_any_text_gives_a_wait_that_is_not_negative_or_none(value: str) -> None:
    """The header is the server's to write, so nothing in it may raise."""
    seconds = parse_retry_after(value, NOW.timestamp())

    assert seconds is None or seconds >= 0.0


@given(st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31)))  # noqa: DTZ001 - hypothesis wants them naive
def test_an_http_date_is_read_back(date: datetime) -> None:
    """Reading what HTTP writes gives the same second."""
    whole = date.replace(microsecond=0, tzinfo=UTC)

    assert parse_http_date(format_datetime(whole, usegmt=True)) == whole.timestamp()
