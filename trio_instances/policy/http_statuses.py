"""What an HTTP status means that came instead of a connection, and how long to wait after it."""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from types import MappingProxyType

from attrs import evolve

from .close_codes import NO_CAUSES
from .failures import Cause, FailureClass, WhoMustAct

_NOBODY = WhoMustAct.NOBODY
_CONFIGURATION = WhoMustAct.CONFIGURATION
_CREDENTIALS = WhoMustAct.CREDENTIALS
_REFUSED = range(400, 500)
_SERVER_TROUBLE = range(500, 600)


def _again(status: int, who_must_act: WhoMustAct = _NOBODY) -> Cause:
    return Cause(FailureClass.RECOVERABLE, f"http_{status}", who_must_act=who_must_act)


def _never(status: int, who_must_act: WhoMustAct) -> Cause:
    return Cause(FailureClass.FATAL, f"http_{status}", who_must_act=who_must_act)


HTTP_STATUS_CAUSES: Mapping[int, Cause] = MappingProxyType(
    {
        301: _never(301, _CONFIGURATION),  # moved for good: redirects are not followed
        308: _never(308, _CONFIGURATION),
        400: _never(400, _CONFIGURATION),
        401: _never(401, _CREDENTIALS),
        403: _never(403, _CREDENTIALS),
        404: _never(404, _CONFIGURATION),
        407: _never(407, _CREDENTIALS),  # a proxy on the way asks who we are
        408: _again(408),
        410: _never(410, _CONFIGURATION),
        425: _again(425),
        426: _never(426, _CONFIGURATION),
        429: _again(429),
        500: _again(500),
        502: _again(502),
        503: _again(503),
        504: _again(504),
        520: _again(520),  # 520 to 524: a proxy could not get an answer from the server behind it
        521: _again(521),
        522: _again(522),
        523: _again(523),
        524: _again(524),
    }
)
"""Causes by status. Statuses without a row go by their hundred: see `cause_of_status`."""


def cause_of_status(
    status: int,
    *,
    detail: str = "",
    retry_after: float | None = None,
    platform: Mapping[int, Cause] = NO_CAUSES,
) -> Cause:
    """Return the cause that a refused handshake means.

    Without a row, a status of the 400s is fatal, because the request will be the same the next
    time; every other one is recoverable: those of the 500s are the server's trouble, and the rest
    (a page from a captive portal, a redirect to a login) comes from something in between.

    Args:
        status: The HTTP status. Any number gives a cause.
        detail: What to tell people.
        retry_after: Seconds that the server asked to wait, as `parse_retry_after` returns them; it
            is kept for recoverable causes only.
        platform: Rows of the platform, which go before those of HTTP.

    Returns:
        The cause.

    Raises:
        InvalidSpec: `retry_after` is below 0 or not finite.
    """
    row = platform.get(status) or HTTP_STATUS_CAUSES.get(status) or _by_hundred(status)
    hint = None if row.failure_class is FailureClass.FATAL else retry_after
    return evolve(
        row,
        detail=detail or row.detail,
        retry_after=row.retry_after if hint is None else hint,
    )


def _by_hundred(status: int) -> Cause:
    if status in _REFUSED:
        return _never(status, _CONFIGURATION)

    return _again(status, _NOBODY if status in _SERVER_TROUBLE else _CONFIGURATION)


def parse_retry_after(value: str, now: float) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks to wait.

    Args:
        value: The header's value: seconds as whole digits, or an HTTP date.
        now: The time that a date is relative to, in POSIX seconds. The server's own ``Date`` header
            is the best one, because two clocks need not agree.

    Returns:
        Seconds, 0.0 for a date that is over; None for a value that is neither. Never raises.
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
