"""Probes that say what became of them, and tasks for them to run in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar

import trio
import trio.testing

from trio_instances import ProbePolicy
from trio_instances._instance.probe_tasks import ProbeTasks

OFTEN = ProbePolicy(interval=1.0, jitter=0.0, timeout=5.0, failures_to_fail=1000)
seen: ContextVar[object] = ContextVar("seen", default=None)


class Asker:
    """A probe, and what is known of it.

    Args:
        answer: What it does.
    """

    def __init__(self, answer: Callable[[], Awaitable[object]]) -> None:
        self.answer = answer
        self.task: trio.lowlevel.Task | None = None
        self.failures: list[BaseException | None] = []

    async def ask(self) -> None:
        """Answer."""
        seen.set(self)
        self.task = trio.lowlevel.current_task()
        await self.answer()

    def ended(self, failure: BaseException | None) -> None:
        """Keep what it has failed by."""
        self.failures.append(failure)


@asynccontextmanager
async def ready() -> AsyncIterator[tuple[ProbeTasks, trio.Nursery]]:
    """Open them, with the nursery that their tasks are in."""
    async with trio.open_nursery() as nursery:
        tasks = ProbeTasks()
        await tasks.open(nursery)
        (holder,) = nursery.child_tasks
        (own,) = holder.child_nurseries
        try:
            yield tasks, own
        finally:
            tasks.close()
