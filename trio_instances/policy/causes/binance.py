"""What Binance's streams mean."""

from __future__ import annotations

from ..rule_sets import RuleSet
from .rows import OPERATOR, close_rows, status_rows, word_rows

SHORTEST_BAN = 120.0
"""Seconds that the shortest ban of an address lasts: two minutes."""
CONNECTION_WINDOW = 300.0
"""Seconds in which an address may make its 300 attempts to connect."""

_STREAMS = "https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams"
_EVENT = word_rows(f"Binance, streams: {_STREAMS}")
_CLOSE = close_rows(
    "sammchardy/python-binance#1655: https://github.com/sammchardy/python-binance/issues/1655"
)
_PONG = close_rows("ccxt/php-binance-api#453: https://github.com/ccxt/php-binance-api/issues/453")
_LIMITS = status_rows(
    "Binance, limits: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/limits"
)

BINANCE = RuleSet(
    "binance",
    (
        _CLOSE.again(1000, "normal closure, after 24 hours for instance"),
        _PONG.again(1008, "no pong came in time, or too many messages"),
        _LIMITS.again(
            403,
            "the firewall's limit",
            who_must_act=OPERATOR,
            retry_after=CONNECTION_WINDOW,
        ),
        _LIMITS.again(
            418,
            "the address is banned for a while",
            who_must_act=OPERATOR,
            retry_after=SHORTEST_BAN,
        ),
        _LIMITS.again(429, "too many requests"),
        _EVENT.again(
            "serverShutdown",
            "the server is about to shut down",
            planned=True,
            retry_after=0.0,
            reason="server_shutdown",
        ),
    ),
)
"""Binance's streams. A connection lives for 24 hours at most."""
