"""What Pusher means by the range of a close code: a good scheme for gateways of one's own, too."""

from __future__ import annotations

from ..rule_sets import RuleSet
from .rows import CONFIGURATION, close_rows

BACK_OFF = 1.0
"""Seconds that 4100 to 4199 ask for at least."""

_CLOSE = close_rows(
    "Pusher, connection closure: "
    "https://pusher.com/docs/channels/library_auth_reference/pusher-websockets-protocol/"
)

PUSHER = RuleSet(
    "pusher",
    (
        _CLOSE.never(range(4000, 4100), CONFIGURATION, "do not come back unchanged"),
        _CLOSE.again(range(4100, 4200), "come back after a while", retry_after=BACK_OFF),
        _CLOSE.again(range(4200, 4300), "come back at once", retry_after=0.0),
        _CLOSE.again(range(4300, 4400), "something else"),
    ),
)
"""Pusher's ranges of close codes."""
