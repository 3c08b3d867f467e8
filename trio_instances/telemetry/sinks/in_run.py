"""Whether this is Trio's own thread, for what may be asked in any."""

from __future__ import annotations

import trio


def in_run(token: trio.lowlevel.TrioToken) -> bool:
    """Tell whether this is the thread, and the run, of a token."""
    try:
        return trio.lowlevel.current_trio_token() is token
    except RuntimeError:
        return False
