"""What an HTTP status means that came instead of a connection."""

from __future__ import annotations

from ..rule_sets import RuleSet
from .rows import CONFIGURATION, CREDENTIALS, status_rows

_HTTP = status_rows("IANA, HTTP status codes: https://www.iana.org/assignments/http-status-codes")
_PROXY = status_rows(
    "Cloudflare, 5xx errors: https://developers.cloudflare.com/support/troubleshooting/"
    "http-status-codes/cloudflare-5xx-errors/"
)

HTTP = RuleSet(
    "http",
    (
        # Redirects are not followed.
        _HTTP.never(301, CONFIGURATION, "moved for good"),
        _HTTP.never(308, CONFIGURATION, "moved for good"),
        _HTTP.never(400, CONFIGURATION, "bad request"),
        _HTTP.never(401, CREDENTIALS, "unauthorized"),
        _HTTP.never(403, CREDENTIALS, "forbidden"),
        _HTTP.never(404, CONFIGURATION, "not found"),
        _HTTP.never(407, CREDENTIALS, "a proxy on the way asks who we are"),
        _HTTP.again(408, "request timeout"),
        _HTTP.never(410, CONFIGURATION, "gone"),
        _HTTP.again(425, "too early"),
        _HTTP.never(426, CONFIGURATION, "upgrade required"),
        _HTTP.again(429, "too many requests"),
        _HTTP.again(500, "internal server error"),
        _HTTP.again(502, "bad gateway"),
        _HTTP.again(503, "service unavailable"),
        _HTTP.again(504, "gateway timeout"),
        _PROXY.again(range(520, 525), "a proxy got no answer from the server behind it"),
        # The request will be the same the next time.
        _HTTP.never(range(400, 500), CONFIGURATION, "the server refuses the request"),
        _HTTP.again(range(500, 600), "the server is in trouble"),
        # A page of a captive portal, a redirect to a login: something in between has answered.
        _HTTP.again(range(1000), "no WebSocket server answered", who_must_act=CONFIGURATION),
    ),
)
"""Causes by HTTP status: the well-known ones, and then the rest by their hundred."""
