"""The bare mechanism: what a supervised child costs on Trio at the very least.

One task, one shielded scope, an object by which the child says that it is ready; the end of each
asks the one before it to stop; a crash is caught in the child's own task, which goes on in a fresh
context behind a checkpoint. There are no names, no records, no policies, no events, no errors told
and no protection from Ctrl-C: nobody could use it. It is there to be compared with.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Awaitable, Callable
from typing import Any

import trio
from trio.lowlevel import Abort, current_task, reschedule, wait_task_rescheduled

from .crew import Crasher, CrashError


class BareChild:
    """A child, and the ``task_status`` that it is given."""

    __slots__ = ("scope", "starter")

    def __init__(self) -> None:
        self.scope = trio.CancelScope(shield=True)
        self.starter = current_task()

    def started(self, _: Any = None) -> None:
        """Have whoever starts it go on."""
        reschedule(self.starter)


class BareSupervisor:
    """A nursery with children that can be stopped one after the other.

    Args:
        nursery: Where they run.
    """

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._children: list[BareChild] = []
        self._stopping = False

    async def start(self, run: Callable[..., Awaitable[object]], number: int) -> None:
        """Start a child, and wait until it is ready; not to be cancelled."""
        child = BareChild()
        self._children.append(child)
        self._nursery.start_soon(self._run, child, run, number, name="bare")
        await wait_task_rescheduled(lambda _: Abort.FAILED)

    async def _run(
        self, child: BareChild, run: Callable[..., Awaitable[object]], number: int
    ) -> None:
        with child.scope:
            await run(number, task_status=child)
        if self._stopping:
            self.stop()

    def stop(self) -> None:
        """Ask the newest to stop, which asks the next when it has ended."""
        self._stopping = True
        if self._children:
            self._children.pop().scope.cancel()


async def retry(crasher: Crasher) -> None:
    """Restart a child that crashes at once, in its own task."""
    context = contextvars.copy_context()
    while True:
        with contextlib.suppress(CrashError):
            await crasher.run()
        current_task().context = context.copy()
        await trio.lowlevel.checkpoint()
