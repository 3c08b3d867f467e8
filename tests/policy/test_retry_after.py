"""The laws of ``Retry-After``, and of the dates of HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_instances.policy.causes import parse_retry_after
from trio_instances.policy.retry_after import parse_http_date

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


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
