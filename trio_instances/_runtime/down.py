"""Waiting until everything has been down for too long."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from ..policy.mistakes import MistakeList
from ..policy.standing import all_down, down_since

if TYPE_CHECKING:
    from .runtime import Runtime

_LOOK = 5.0
_LOOKS = 10
"""Seconds between two looks: those, or less, so that there are so many within the time."""


async def wait_all_down(runtime: Runtime, after: float = 300.0) -> None:
    """Wait until no instance has a connection, and none has had a steady one for some time.

    Instances that an operator has paused do not count; where all are paused, or there is none,
    nothing is down. A connection is steady when it has lasted for its policy's ``stable_after``;
    one that is opened and lost again at once does not make the time count anew.

    It is what a program waits for that wants to end then, so that whoever started it starts it
    anew. Cancelling it changes nothing.

    Args:
        runtime: The runtime; its instances are started.
        after: Seconds without a steady connection. Longer than a provider's usual outage: a new
            process can mend nothing there, and its logins all come at once.

    Raises:
        InvalidSpec: `after` is not a finite number above 0.
    """
    wrong = MistakeList("wait_all_down")
    wrong.number("after", after, above=0.0, finite=True)
    wrong.raise_any()

    since = trio.current_time()
    while True:
        await trio.sleep(min(_LOOK, after / _LOOKS))
        now = trio.current_time()
        standings = runtime.list_standings()
        since = down_since(since, standings, now)
        if all_down(standings) and now - since >= after:
            return
