"""A nursery for a task in the background that its user need not know of."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio


@asynccontextmanager
async def open_background_nursery() -> AsyncIterator[trio.Nursery]:
    """Open a nursery whose block's exception comes out as it was raised, never in a group.

    It is for tasks that raise nothing but a KeyboardInterrupt, which comes out in a group.
    """
    own: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            try:
                yield nursery
            except BaseException as exc:
                # Kept, because where this is a group, the nursery raises a copy of it.
                own = exc
                raise
    except BaseExceptionGroup as group:
        if own is None or len(group.exceptions) != 1 or type(group.exceptions[0]) is not type(own):
            raise
    else:
        return

    try:
        raise own
    finally:
        del own  # its traceback holds this frame, which would hold it
