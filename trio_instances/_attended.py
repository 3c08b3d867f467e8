"""A nursery for what attends a block: it ends with the block, and hides nothing that it raised."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio


@asynccontextmanager
async def attended() -> AsyncIterator[trio.Nursery]:
    """Open a nursery whose tasks are cancelled when the block is left.

    What the block raises comes out as it is; a nursery of Trio would wrap it. A task that fails
    cancels the block, and comes out in a group, as from any nursery.
    """
    failure: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            try:
                yield nursery
            except BaseException as exc:
                failure = exc  # kept until the nursery is done
            nursery.cancel_scope.cancel()
        if failure is not None:
            raise failure
    finally:
        del failure  # it holds this frame, which would hold it
