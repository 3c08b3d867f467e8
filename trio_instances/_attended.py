"""A nursery for what attends a block: it ends with the block, and hides nothing that it raised."""

from __future__ import annotations

from types import TracebackType
from typing import final

import trio
from trio.lowlevel import enable_ki_protection

from .policy.failures import flatten


@final
class attended:  # noqa: N801 - it reads as a word, as the context managers of contextlib do
    """Open a nursery whose tasks are cancelled when the block is left.

    What the block raises comes out as it is; a nursery of Trio would wrap it. A task that fails
    cancels the block, and comes out in a group, as from any nursery, beside what the block raised.
    """

    __slots__ = ("_nursery", "_opened")

    @enable_ki_protection
    async def __aenter__(self) -> trio.Nursery:
        self._opened = trio.open_nursery()
        self._nursery = await self._opened.__aenter__()
        return self._nursery

    @enable_ki_protection
    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        own: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        self._nursery.cancel_scope.cancel()
        try:
            return await self._opened.__aexit__(kind, own, traceback)
        except BaseExceptionGroup as group:
            if own is None or not _only_wraps(group, own):
                raise
        return False


def _only_wraps(group: BaseExceptionGroup, own: BaseException) -> bool:
    """Tell whether a nursery's group holds the whole of an exception, and no other failure.

    Leaves are compared, for of a group that the block raised, the nursery raises a copy. A copy
    without the Cancelled that was the nursery's own is not the whole. One from outside that the
    tasks bring along is no failure, and still meets the block's exception further out.
    """
    leaves = {id(leaf): leaf for leaf in flatten(group)}
    owned = {id(leaf) for leaf in flatten(own)}
    others = (leaves[each] for each in leaves.keys() - owned)
    return owned <= leaves.keys() and all(isinstance(leaf, trio.Cancelled) for leaf in others)
