"""A moment in which nothing goes on that needs no time."""

from __future__ import annotations

import trio

LULL = 1.0
"""Seconds to wait for one, where something never rests."""


async def settle(within: float = LULL) -> None:
    """Let go on what can without time passing, so that chance does not decide what is under way.

    Cancelling it ends the waiting, and changes nothing.

    Args:
        within: Seconds after which it is given up, where something never rests.
    """
    # Here, because it brings pytest along, for which a demo or a benchmark has no use.
    from trio.testing import wait_all_tasks_blocked  # noqa: PLC0415 - see above

    with trio.move_on_after(within):
        await wait_all_tasks_blocked()
