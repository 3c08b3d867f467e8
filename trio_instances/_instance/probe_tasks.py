"""The tasks in which probes run: each runs one probe after another."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import final

import trio
from attrs import define
from trio.lowlevel import Abort, enable_ki_protection

Probe = Callable[[], Awaitable[None]]
"""Probes, in a scope of its own; never raises."""


@final
@define(eq=False)
class _Room:
    """A nursery for tasks."""

    nursery: trio.Nursery
    over: trio.Event
    """Set when it is to take none any more, so that it ends with those that are in it."""
    spoilt: bool = False
    """Whether one of them has left a nursery open."""


@final
class ProbeTasks:
    """Runs probes, each in a task that it has for itself while it runs.

    A task that has ended its probe waits for another one: a new task for each would be a quarter of
    what a probe costs. Invariant: a task that waits is as a new one would be. Its probe has left
    its scope, and with it whatever was left open in there; and from `forget` on the task refers to
    nothing of it. There are hardly more tasks than probes ran at once.

    They have a nursery of their own, for the sake of a probe that leaves a nursery open: its task
    fails with that, which cancels the nursery that the task is in. The others in there take no
    notice, as a probe is shielded, and what comes next goes to another nursery.
    """

    def __init__(self) -> None:
        self._around: trio.Nursery | None = None
        """Where rooms are made."""
        self._room: _Room | None = None
        """Where tasks are made."""
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
        return self._room is not None

    async def open(self, nursery: trio.Nursery) -> None:
        """Let probes begin once it returns, in tasks that end within a nursery."""
        self._around = nursery
        opened = trio.Event()
        nursery.start_soon(self._hold_room, opened)
        await opened.wait()

    def close(self) -> None:
        """Let none begin any more. Those that run go on, and their tasks end with them."""
        self._around = None
        self._leave_room()

    @enable_ki_protection
    async def _hold_room(self, opened: trio.Event) -> None:
        """Have a room for tasks, until there is another one, or none is needed."""
        if self._around is None:
            return  # closed in the meantime

        room: _Room | None = None
        try:
            async with trio.open_nursery(strict_exception_groups=True) as nursery:
                self._leave_room()
                self._room = room = _Room(nursery, trio.Event())
                opened.set()
                with trio.CancelScope(shield=True):
                    await room.over.wait()
        except* RuntimeError:
            if room is None or not room.spoilt:
                raise

    def _leave_room(self) -> None:
        """Give up the room that there is, if any."""
        room, self._room = self._room, None
        if room is not None:
            room.over.set()
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
        room = self._room
        assert room is not None
        if self._waiting:
            task, _ = self._waiting.popitem()
            task.context = context
            self._given[task] = probe
            trio.lowlevel.reschedule(task)
        else:
            # `start_soon` gives the task a copy of the context in which it is called.
            context.run(room.nursery.start_soon, self._run, room, probe)

    @enable_ki_protection
    async def _run(self, room: _Room, probe: Probe | None) -> None:
        task = trio.lowlevel.current_task()
        while probe is not None:
            await probe()
            probe = None  # or it would be kept, and its connection, while the task waits
            # A nursery that was left open is not left with a scope: its task is of no more use.
            if task.child_nurseries:
                self._spoil(room)
            elif room is self._room:
                self._waiting[task] = None
                self._used.append(task)
                # Between two probes there is nothing to be cancelled.
                await trio.lowlevel.wait_task_rescheduled(lambda _: Abort.FAILED)
                probe = self._given.pop(task, None)

    def _spoil(self, room: _Room) -> None:
        """Take note that a task of a room is about to fail; it is of use until there is another."""
        if room is self._room and not room.spoilt:
            assert self._around is not None
            # Not in the context of the probe, which would be kept with it.
            Context().run(self._around.start_soon, self._hold_room, trio.Event())
        room.spoilt = True
