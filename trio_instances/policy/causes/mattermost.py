"""What Mattermost means, which has no codes of its own."""

from __future__ import annotations

from ..rule_sets import RuleSet
from .rfc6455 import TRY_AGAIN_LATER
from .rows import CONFIGURATION, close_rows, error_rows

_SOURCE = "Mattermost's clients: https://github.com/mattermost/mattermost-mobile"
_CLIENT = close_rows(_SOURCE)
_PING = error_rows(_SOURCE)

MATTERMOST = RuleSet(
    "mattermost",
    (
        _CLIENT.again(1001, "going away", planned=True, resumable=True),
        _CLIENT.again(1012, "service restart", planned=True, resumable=True),
        _CLIENT.again(1013, "try again later", retry_after=TRY_AGAIN_LATER, resumable=True),
        _CLIENT.never(1015, CONFIGURATION, "the TLS handshake failed"),
        _CLIENT.again(range(1000, 5000), "the connection ended", resumable=True),
        _PING.again("trio_instances.ProbeTimedOut", reason="probe_timeout", resumable=True),
    ),
)
"""Mattermost: everything but a failed TLS handshake is worth another attempt.

The session goes on where the next connection gives ``connection_id`` and ``sequence_number``.
"""
