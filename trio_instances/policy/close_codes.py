"""What a WebSocket close code means: the codes of RFC 6455 and of IANA's registry as causes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from attrs import evolve

from .failures import Cause, FailureClass, WhoMustAct

TRY_AGAIN_LATER = 30.0
"""Seconds that a 1013 asks for. The code says "later" and no number, so the number is ours."""

_MAX_DETAIL = 500


def _again(code: int, retry_after: float | None = None) -> Cause:
    return Cause(FailureClass.RECOVERABLE, f"close_{code}", retry_after=retry_after, lost=True)


def _never(code: int, who_must_act: WhoMustAct) -> Cause:
    return Cause(FailureClass.FATAL, f"close_{code}", lost=True, who_must_act=who_must_act)


_AUTHOR = WhoMustAct.AUTHOR
_CONFIGURATION = WhoMustAct.CONFIGURATION
_CREDENTIALS = WhoMustAct.CREDENTIALS
_OPERATOR = WhoMustAct.OPERATOR

CLOSE_CAUSES: Mapping[int, Cause] = MappingProxyType(
    {
        1000: _again(1000),  # normal; we did not ask for it, so the server wants us to come again
        1001: _again(1001),  # going away
        1002: _never(1002, _AUTHOR),  # the server saw us break the protocol
        1003: _never(1003, _AUTHOR),  # unsupported data
        1005: _again(1005),  # a close frame without a code
        1006: _again(1006),  # no close frame at all; never on the wire
        1007: _never(1007, _AUTHOR),  # a payload that is not what it says it is
        1008: _never(1008, _OPERATOR),  # policy; a rate limit at some, who need their own row
        1009: _never(1009, _AUTHOR),  # a message too big for the server
        1010: _never(1010, _CONFIGURATION),  # an extension that the server lacks
        1011: _again(1011),  # server error
        1012: _again(1012),  # service restart
        1013: _again(1013, TRY_AGAIN_LATER),  # try again later
        1014: _again(1014),  # bad gateway
        1015: _never(1015, _CONFIGURATION),  # TLS; never on the wire
        3000: _never(3000, _CREDENTIALS),  # unauthorized, as IANA registers it
        3003: _never(3003, _CREDENTIALS),  # forbidden, as IANA registers it
        3008: _again(3008),  # timeout, as IANA registers it
    }
)
"""Causes by close code. Codes without a row are recoverable: see `cause_of_close`."""

NO_CAUSES: Mapping[int, Cause] = MappingProxyType({})
"""The rows of a platform that has none of its own."""


def cause_of_close(code: int, text: str = "", platform: Mapping[int, Cause] = NO_CAUSES) -> Cause:
    """Return the cause that a close code means.

    A code that no table knows is recoverable, and named ``close_<code>``: within a bounded budget a
    needless retry costs less than an instance parked by a word nobody knows.

    Args:
        code: The close code. Any number gives a cause, also one that RFC 6455 does not allow.
        text: The reason that came with it; becomes the detail, cut to 500 characters.
        platform: Rows of the platform, which go before those of RFC 6455.

    Returns:
        The cause, which always says that the connection is lost. Never raises.
    """
    row = platform.get(code) or CLOSE_CAUSES.get(code) or _again(code)
    return evolve(row, detail=text[:_MAX_DETAIL] or row.detail, lost=True)
