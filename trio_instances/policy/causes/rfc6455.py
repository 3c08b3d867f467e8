"""What close codes mean by themselves: those of RFC 6455, and others of IANA's registry."""

from __future__ import annotations

from ..rule_sets import RuleSet
from .rows import AUTHOR, CONFIGURATION, CREDENTIALS, OPERATOR, close_rows

TRY_AGAIN_LATER = 30.0
"""Seconds that a 1013 asks for. The code says "later" and no number, so the number is ours."""

_RFC = close_rows(
    "RFC 6455, section 7.4.1: https://datatracker.ietf.org/doc/html/rfc6455#section-7.4.1"
)
_IANA = close_rows(
    "IANA, WebSocket close codes: https://www.iana.org/assignments/websocket/websocket.xhtml"
)

RFC_6455 = RuleSet(
    "rfc_6455",
    (
        # We did not ask for it, so the server wants us to come again. It is not "planned": servers
        # say it of whatever they end, whatever their reason.
        _RFC.again(1000, "normal closure"),
        _RFC.again(1001, "going away", planned=True),
        _RFC.never(1002, AUTHOR, "the server saw the protocol broken"),
        _RFC.never(1003, AUTHOR, "unsupported data"),
        _RFC.again(1005, "closed without a code"),
        _RFC.again(1006, "ended without a close frame"),
        _RFC.never(1007, AUTHOR, "a payload that is not what it says it is"),
        # Some servers say it of a rate limit or a missing pong; those need a row of their own.
        _RFC.never(1008, OPERATOR, "against the server's policy"),
        _RFC.never(1009, AUTHOR, "a message too big for the server"),
        _RFC.never(1010, CONFIGURATION, "the server lacks an extension"),
        _RFC.again(1011, "server error"),
        _IANA.again(1012, "service restart", planned=True),
        _IANA.again(1013, "try again later", retry_after=TRY_AGAIN_LATER),
        _IANA.again(1014, "bad gateway"),
        _RFC.never(1015, CONFIGURATION, "the TLS handshake failed"),
        _IANA.never(3000, CREDENTIALS, "unauthorized"),
        _IANA.never(3003, CREDENTIALS, "forbidden"),
        _IANA.again(3008, "timeout"),
    ),
)
"""Causes by close code; a code without a rule is recoverable."""
