"""What Twitch's EventSub means."""

from __future__ import annotations

from ..rule_sets import RuleSet
from .rows import AUTHOR, close_rows, word_rows

_DOCS = "https://dev.twitch.tv/docs/eventsub/websocket-reference"
_CLOSE = close_rows(f"Twitch, close message: {_DOCS}#close-message")
_MESSAGE = word_rows(f"Twitch, reconnect message: {_DOCS}#reconnect-message")

TWITCH = RuleSet(
    "twitch",
    (
        _CLOSE.again(4000, "internal server error"),
        _CLOSE.never(4001, AUTHOR, "the client sent something other than a pong"),
        _CLOSE.again(4002, "no pong came in time"),
        # It would be closed again, until something subscribes.
        _CLOSE.never(4003, AUTHOR, "nothing was subscribed in time"),
        _CLOSE.again(4004, "the time to reconnect is over"),
        _CLOSE.again(4005, "network timeout"),
        _CLOSE.again(4006, "network error"),
        _CLOSE.again(4007, "invalid reconnect address"),
        _MESSAGE.again(
            "session_reconnect",
            "connect to the given address within 30 s",
            planned=True,
            resumable=True,
            retry_after=0.0,
        ),
    ),
)
"""Twitch's EventSub. Twitch says what its codes mean, and not which to come back after."""
