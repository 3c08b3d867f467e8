"""What Telegram's Bot API means, and the exceptions of python-telegram-bot."""

from __future__ import annotations

from ..rule_sets import RuleSet
from .rows import AUTHOR, CREDENTIALS, OPERATOR, error_rows, status_rows

OTHER_POLLER = 30.0
"""Seconds for which the long poll of a process that has ended may go on to conflict."""

_API = status_rows("Telegram, Bot API: https://core.telegram.org/bots/api#making-requests")
_PTB = error_rows(
    "python-telegram-bot, telegram.error: https://docs.python-telegram-bot.org/en/stable/telegram.error.html"
)

TELEGRAM = RuleSet(
    "telegram",
    (
        # Of a call, such as one to a chat that is gone, and not of the connection.
        _API.again(400, "bad request", who_must_act=AUTHOR),
        _API.never(401, CREDENTIALS, "the token is not valid"),
        _API.again(403, "forbidden in this chat"),
        # The token is a part of the address.
        _API.never(404, CREDENTIALS, "the token is not valid"),
        _API.again(
            409,
            "another poller, or a webhook",
            who_must_act=OPERATOR,
            retry_after=OTHER_POLLER,
        ),
        _API.again(429, "too many requests"),
        _PTB.never("telegram.error.InvalidToken", CREDENTIALS, reason="invalid_token"),
        _PTB.again("telegram.error.Forbidden", reason="forbidden"),
        _PTB.again("telegram.error.BadRequest", who_must_act=AUTHOR, reason="bad_request"),
        _PTB.again(
            "telegram.error.Conflict",
            who_must_act=OPERATOR,
            retry_after=OTHER_POLLER,
            reason="conflict",
        ),
        _PTB.again("telegram.error.RetryAfter", reason="rate_limited"),
        _PTB.again("telegram.error.TimedOut", reason="timeout"),
        _PTB.again("telegram.error.NetworkError", reason="network", lost=True),
    ),
)
"""Telegram's Bot API. Its answers are to calls: 400 and 403 say nothing of the connection."""
