"""Work that is under way, and ends when we say so: not at the first cancellation around it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, final

import trio


@final
class Work:
    """Tasks that a cancellation from outside does not reach, so that they can end in good order.

    Whoever owns it waits for them, within a budget, and then cancels those that are left.
    """

    def __init__(self) -> None:
        self._nursery: trio.Nursery | None = None
        self._scopes: set[trio.CancelScope] = set()
        self._idle = trio.Event()
        self._cancelled = False

    def open(self, nursery: trio.Nursery) -> None:
        """Take the nursery in which new tasks are to live."""
        self._nursery = nursery

    def start_soon(self, function: Callable[..., Awaitable[object]], *args: Any) -> None:
        """Start a piece of work as a task of its own; it must not raise."""
        assert self._nursery is not None
        self._nursery.start_soon(self.run, function, *args)

    async def run(self, function: Callable[..., Awaitable[object]], *args: Any) -> None:
        """Do a piece of work in the caller's task."""
        with trio.CancelScope(shield=True) as scope:
            if self._cancelled:
                scope.cancel()
            self._scopes.add(scope)
            try:
                await function(*args)
            finally:
                self._scopes.discard(scope)
                if not self._scopes:
                    self._idle.set()

    async def wait_idle(self) -> None:
        """Wait until nothing is under way."""
        while self._scopes:
            self._idle = trio.Event()
            await self._idle.wait()

    def cancel(self) -> None:
        """Cancel what is under way, and what may still be started."""
        self._cancelled = True
        for scope in self._scopes:
            scope.cancel()
