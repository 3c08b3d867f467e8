"""Causes as data: what each code, status, word and exception means, and how to say so oneself.

- `rows`: the short form that the tables are written in
- `rfc6455`, `http`, `errors`: what holds everywhere; `defaults`: these three together
- `discord`, `slack`, `twitch`, `mattermost`, `binance`, `telegram`, `pusher`: what a platform means

Rules and sets of one's own are made with `RuleSet` and the functions `on_error`, `on_close`,
`on_status`, `on_word` and `on_match`::

    MINE = RuleSet("mine", [on_close(4100, Cause("recoverable", "moved", planned=True))])
    WebSocketChannel(url, causes=MINE | DISCORD)

Who asks over HTTP reads with `parse_retry_after` for how long the server wants to be left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import attrs as _attrs

from ..retry_after import parse_retry_after
from ..rule_sets import RuleSet
from ..rules import Rule, RuleKind, Seen, on_close, on_error, on_match, on_status, on_word
from .binance import BINANCE
from .defaults import DEFAULTS
from .discord import DISCORD, DISCORD_VOICE
from .errors import ERRORS
from .http import HTTP
from .mattermost import MATTERMOST
from .pusher import PUSHER
from .rfc6455 import RFC_6455
from .slack import SLACK
from .telegram import TELEGRAM
from .twitch import TWITCH

__all__ = [
    "BINANCE",
    "DEFAULTS",
    "DISCORD",
    "DISCORD_VOICE",
    "ERRORS",
    "HTTP",
    "MATTERMOST",
    "PLATFORMS",
    "PUSHER",
    "RFC_6455",
    "SLACK",
    "TELEGRAM",
    "TWITCH",
    "Rule",
    "RuleKind",
    "RuleSet",
    "Seen",
    "on_close",
    "on_error",
    "on_match",
    "on_status",
    "on_word",
    "parse_retry_after",
]

PLATFORMS: Mapping[str, RuleSet] = MappingProxyType(
    {
        platform.name: platform
        for platform in (
            BINANCE,
            DISCORD,
            DISCORD_VOICE,
            MATTERMOST,
            PUSHER,
            SLACK,
            TELEGRAM,
            TWITCH,
        )
    }
)
"""The platforms' rule sets by the words that name them in configuration files."""

# Tracebacks and reprs show the path that a user imports. The types of attrs classes are resolved
# first: they are looked up in the module in which a class says it lives.
for _cls in (Seen, Rule, RuleSet):
    _attrs.resolve_types(_cls)
for _thing in (
    *(Seen, Rule, RuleKind, RuleSet, on_close, on_error, on_match, on_status, on_word),
    parse_retry_after,
):
    _thing.__module__ = __name__
