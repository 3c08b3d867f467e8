"""Causes that only a WebSocket channel can state, beside what its rules give."""

from __future__ import annotations

from ..policy.failures import Cause, FailureClass, WhoMustAct
from ..policy.rule_sets import RuleSet
from ..policy.rules import on_close

HANDSHAKE_CLOSED = Cause(FailureClass.RECOVERABLE, "handshake_closed", lost=True)
"""The connection ended before the server had answered."""
HANDSHAKE_INVALID = Cause(FailureClass.RECOVERABLE, "handshake_invalid", lost=True)
"""The server answered something that is no WebSocket handshake."""
SUBPROTOCOL = Cause(FailureClass.FATAL, "subprotocol", who_must_act=WhoMustAct.CONFIGURATION)
"""The server speaks none of the subprotocols that were offered."""
BAD_DATA = Cause(FailureClass.RECOVERABLE, "bad_data", lost=True)
"""The server sent what is no WebSocket frame, or no UTF-8 where it must be."""
TOO_BIG = Cause(
    FailureClass.RECOVERABLE,
    "message_too_big",
    lost=True,
    who_must_act=WhoMustAct.CONFIGURATION,
)
"""The server sent a message above ``max_message_size``.

The next connection need not bring one, so it is tried; if each does, the limit is to be raised.
"""
HANDLER_BUSY = Cause(
    FailureClass.DEGRADED,
    "handler_busy",
    detail="messages are not handled as fast as they arrive, so a pong would not be seen",
    who_must_act=WhoMustAct.AUTHOR,
)
"""A probe cannot tell anything, because the message handler holds up the reader."""

FOUND_HERE = RuleSet(
    "found_here", [on_close(1002, BAD_DATA), on_close(1007, BAD_DATA), on_close(1009, TOO_BIG)]
)
"""What a close code means when this side gave it for what the server sent.

The same codes from the server say that *we* are at fault, which no new connection mends. This way
round one may: the next stream is a fresh one.
"""
