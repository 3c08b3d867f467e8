"""When to come again: the ``Retry-After`` header of HTTP, and the dates of HTTP."""

from __future__ import annotations

import re
from calendar import timegm
from email.utils import parsedate_to_datetime


def parse_retry_after(value: str, now: float) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks to wait.

    Args:
        value: The header's value: seconds as whole digits, or an HTTP date.
        now: The time that a date is relative to, in POSIX seconds. The server's own ``Date`` header
            is the best one, because two clocks need not agree.

    Returns:
        Seconds, 0.0 for a date that is over; None for a value that is neither, as an empty one,
        which stands for no header. Never raises.
    """
    text = value.strip()
    # Ten digits are three centuries; the bound keeps numbers that no float can hold away.
    if re.fullmatch(r"[0-9]{1,10}", text):
        return float(text)

    date = parse_http_date(text)
    return None if date is None else max(date - now, 0.0)


def parse_http_date(value: str) -> float | None:
    """Return the time that an HTTP date names, in POSIX seconds; None for what is no date.

    A date without a zone is one of UTC, as HTTP has no others. Never raises.
    """
    try:
        return float(timegm(parsedate_to_datetime(value).utctimetuple()))
    except (ValueError, TypeError, IndexError, OverflowError):  # its ways to refuse odd texts
        return None
