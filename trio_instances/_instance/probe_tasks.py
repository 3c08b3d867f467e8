"""The tasks in which probes run: each runs one probe after another."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import final

import trio
from trio.lowlevel import Abort, enable_ki_protection

Probe = Callable[[], Awaitable[None]]
"""Probes, in a scope of its own; never raises."""


@final
class ProbeTasks:
    """Runs probes, each in a task that it has for itself while it runs.

    A task that has ended its probe waits for another one: a new task for each would be a quarter of
    what a probe costs. Invariant: a task that waits is as a new one would be. Its probe has left
    its scope, and with it whatever was left open in there; and from `forget` on the task refers to
    nothing of it. There are hardly more tasks than probes ran at once.
    """

    def __init__(self) -> None:
        self._nursery: trio.Nursery | None = None
        self._waiting: dict[trio.lowlevel.Task, None] = {}
        self._given: dict[trio.lowlevel.Task, Probe] = {}
        """What those are to run next that were just woken."""
        self._used: list[trio.lowlevel.Task] = []
        """Those that have begun to wait since `forget`, and may probe again by now."""
        self._nothing = Context()
        """The context variables of a task that waits."""

    @property
    def ready(self) -> bool:
        """Whether a probe can be begun."""
        return self._nursery is not None

    def open(self, nursery: trio.Nursery) -> None:
        """Let probes begin from now on, in tasks of a nursery."""
        self._nursery = nursery

    def close(self) -> None:
        """Let none begin any more. Those that run go on, and their tasks end with them."""
        self._nursery = None
        self._used.clear()
        while self._waiting:
            trio.lowlevel.reschedule(self._waiting.popitem()[0])

    def forget(self) -> None:
        """Drop the context variables of probes that have ended.

        Not when they end, as whoever measures a task's steps asks for its context after each; and a
        turn of its own for that is a tenth of what a probe costs.
        """
        for task in self._used:
            if task in self._waiting:
                task.context = self._nothing
        self._used.clear()

    def begin(self, probe: Probe, context: Context) -> None:
        """Begin a probe.

        Args:
            probe: What to run.
            context: Its context variables, for it alone.
        """
        assert self._nursery is not None
        if self._waiting:
            task, _ = self._waiting.popitem()
            task.context = context
            self._given[task] = probe
            trio.lowlevel.reschedule(task)
        else:
            # `start_soon` gives the task a copy of the context in which it is called.
            context.run(self._nursery.start_soon, self._run, probe)

    @enable_ki_protection
    async def _run(self, probe: Probe | None) -> None:
        task = trio.lowlevel.current_task()
        while probe is not None:
            await probe()
            probe = None  # or it would be kept, and its connection, while the task waits
            # A nursery that was left open is not left with a scope: its task is of no more use.
            if self._nursery is not None and not task.child_nurseries:
                self._waiting[task] = None
                self._used.append(task)
                # Between two probes there is nothing to be cancelled.
                await trio.lowlevel.wait_task_rescheduled(lambda _: Abort.FAILED)
                probe = self._given.pop(task, None)
