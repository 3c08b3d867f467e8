"""What Slack means in Socket Mode, which has words and no close codes of its own."""

from __future__ import annotations

from ..rule_sets import RuleSet
from .rows import CONFIGURATION, CREDENTIALS, OPERATOR, status_rows, word_rows

RATE_LIMITED = 30.0
"""Seconds to wait where Slack says "rate limited" and not for how long, as its Python SDK does."""

_DISCONNECT = word_rows(
    "Slack, Socket Mode: https://docs.slack.dev/apis/events-api/using-socket-mode"
)
_OPEN = (
    "Slack, apps.connections.open: https://docs.slack.dev/reference/methods/apps.connections.open"
)
_API = word_rows(_OPEN)
_API_STATUS = status_rows(_OPEN)

SLACK = RuleSet(
    "slack",
    (
        _DISCONNECT.again("warning", "about to be closed", planned=True, retry_after=0.0),
        _DISCONNECT.again("refresh_requested", "time for another", planned=True, retry_after=0.0),
        _DISCONNECT.again(
            "too_many_websockets",
            "an app may have ten connections",
            who_must_act=OPERATOR,
        ),
        _DISCONNECT.never("link_disabled", CONFIGURATION, "Socket Mode is off for the app"),
        _API.never("not_authed", CREDENTIALS, "no token"),
        _API.never("invalid_auth", CREDENTIALS, "the token is not valid"),
        _API.never("account_inactive", CREDENTIALS, "the token's user or workspace is deleted"),
        _API.never("user_removed_from_team", CREDENTIALS, "the token's user has left"),
        _API.never("team_disabled", OPERATOR, "the workspace is disabled"),
        _API.again("ratelimited", "too many requests", retry_after=RATE_LIMITED),
        _API_STATUS.again(429, "too many requests", retry_after=RATE_LIMITED),
    ),
)
"""Slack's Socket Mode: the reasons in ``disconnect``, and the errors of ``apps.connections.open``.

The address that ``apps.connections.open`` returns is good for one connection: ask for another each
time.
"""
