"""The tasks in which probes run: each runs one probe after another."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import Context
from typing import final

import trio
from trio.lowlevel import Abort, enable_ki_protection

Probe = Callable[[], Awaitable[bool]]
"""Probes; returns whether the task `is_clean`."""


@final
class ProbeTasks:
    """Runs probes, each in a task and a scope that it has for itself while it runs.

    A task that has ended its probe waits for another one, in the same scope unless that was
    cancelled: a new task and a new scope for each would be two fifths of what a probe costs.
    Invariant: a task that waits is as a new one would be. It refers to nothing of its last probe
    from `forget` on, and no scope is open in it but its own. There are hardly more tasks than
    probes ran at once.
    """

    def __init__(self) -> None:
        self._nursery: trio.Nursery | None = None
        self._waiting: dict[trio.lowlevel.Task, trio.CancelScope] = {}
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

    def begin(self, probe: Probe, context: Context) -> trio.CancelScope:
        """Begin a probe.

        Args:
            probe: It must not raise when it is cancelled.
            context: Its context variables, for it alone.

        Returns:
            What cancels it. Shielded: a probe ends with its connection, and not with the nursery.
        """
        assert self._nursery is not None
        if self._waiting:
            task, scope = self._waiting.popitem()
            task.context = context
            self._given[task] = probe
            trio.lowlevel.reschedule(task)
        else:
            scope = trio.CancelScope(shield=True)
            # `start_soon` gives the task a copy of the context in which it is called.
            context.run(self._nursery.start_soon, self._run, probe, scope)
        return scope

    @enable_ki_protection
    async def _run(self, probe: Probe | None, scope: trio.CancelScope) -> None:
        with _left_somehow(scope):
            while probe is not None:
                clean = await probe()
                probe = None  # or it would be kept, and its connection, while the task waits
                if clean:
                    probe = await self._wait(scope)

    async def _wait(self, scope: trio.CancelScope) -> Probe | None:
        if self._nursery is None:
            return None

        task = trio.lowlevel.current_task()
        self._waiting[task] = scope
        self._used.append(task)
        # Nothing can cancel it: the scope is shielded, and belongs to no probe now.
        await trio.lowlevel.wait_task_rescheduled(lambda _: Abort.FAILED)
        return self._given.pop(task, None)


@contextmanager
def _left_somehow(scope: trio.CancelScope) -> Iterator[None]:
    """Be in a scope, and leave it also from within one that a probe has left open in it."""
    scope.__enter__()
    try:
        yield
    finally:
        with suppress(RuntimeError):  # Trio's word for that; the probe's verdict says it already
            scope.__exit__(None, None, None)


def is_clean() -> bool:
    """Tell whether a probe has left this task as it found it: not cancelled, and in its own scope.

    One that uses an async generator and does not close it may leave a cancel scope open. Trio tells
    of a nursery, and of a deadline; a scope that has neither is not found before it is cancelled.
    """
    nurseries = trio.lowlevel.current_task().child_nurseries
    return not nurseries and trio.current_effective_deadline() == math.inf
