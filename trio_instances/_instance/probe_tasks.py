"""The tasks in which probes run: each runs one probe after another."""

from __future__ import annotations

from collections.abc import Awaitable
from contextvars import Context
from typing import Protocol, final

import trio
from attrs import define
from trio.lowlevel import Abort, Task, enable_ki_protection

from .._supervision.scopes import innermost


class Probe(Protocol):
    """What is run in them."""

    def ask(self) -> Awaitable[None]:
        """Probe; raises what it has failed by. Called in the task, and awaited at once."""
        ...

    def ended(self, failure: BaseException | None) -> None:
        """Take in that it has ended.

        Args:
            failure: What it has raised; None where it has passed, or was cancelled.
        """
        ...


@final
class ProbeTask:
    """One of these tasks, and what it runs."""

    __slots__ = ("cancelled", "probe", "scope", "task")

    def __init__(self, probe: Probe) -> None:
        self.probe: Probe | None = probe
        """What it runs, or is to run; None while it waits."""
        # Shielded: a probe ends with its connection, and not with the schedule.
        self.scope = trio.CancelScope(shield=True)
        """Around the probe, and nothing else that runs."""
        self.cancelled = False
        """Whether that is cancelled."""
        self.task: Task | None = None
        """The task itself, once it runs."""

    def cancel(self) -> None:
        """Cancel the probe."""
        self.cancelled = True
        self.scope.cancel()

    def renew(self) -> None:
        """Have a new scope for the next probe."""
        self.scope, self.cancelled = trio.CancelScope(shield=True), False

    def end(self, failure: BaseException | None) -> None:
        """Have nothing to run any more, and say so to what was run."""
        probe, self.probe = self.probe, None
        assert probe is not None
        probe.ended(failure)


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
    nothing open in its scope, or has left that; and from `forget` on the task refers to nothing of
    it. There are hardly more tasks than probes ran at once.

    They have a nursery of their own, for the sake of a probe that leaves a nursery open: its task
    fails with that, which cancels the nursery that the task is in. The others in there take no
    notice, as a probe is shielded, and what comes next goes to another nursery.
    """

    def __init__(self) -> None:
        self._around: trio.Nursery | None = None
        """Where rooms are made."""
        self._room: _Room | None = None
        """Where tasks are made."""
        self._waiting: list[ProbeTask] = []
        self._used: list[ProbeTask] = []
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
            _wake(self._waiting.pop())

    def forget(self) -> None:
        """Drop the context variables of probes that have ended.

        Not when they end, as whoever measures a task's steps asks for its context after each; and a
        turn of its own for that is a tenth of what a probe costs.
        """
        for place in self._used:
            if place.probe is None and place.task is not None:
                place.task.context = self._nothing
        self._used.clear()

    def begin(self, probe: Probe, context: Context) -> ProbeTask:
        """Begin a probe.

        Args:
            probe: What to run.
            context: Its context variables, for it alone.

        Returns:
            Where it runs, until it has ended.
        """
        room = self._room
        assert room is not None
        if self._waiting:
            place = self._waiting.pop()
            place.probe = probe
            assert place.task is not None
            place.task.context = context
            _wake(place)
        else:
            place = ProbeTask(probe)
            # `start_soon` gives the task a copy of the context in which it is called.
            context.run(room.nursery.start_soon, self._run, room, place)
        return place

    @enable_ki_protection
    async def _run(self, room: _Room, place: ProbeTask) -> None:
        place.task = task = trio.lowlevel.current_task()
        while place.probe is not None:
            try:
                with place.scope:
                    await self._probe_in_one_scope(room, place, task)
            except BaseException as exc:
                if place.probe is None:
                    raise  # of one who was told of a verdict

                place.end(exc)
            else:
                if place.probe is None:
                    return  # it was closed

                place.end(None)
            place.renew()
            # A nursery that was left open is not left with a scope: its task is of no more use.
            if task.child_nurseries:
                self._spoil(room)
            elif room is self._room:
                self._to_wait(place)
                await trio.lowlevel.wait_task_rescheduled(_never)

    async def _probe_in_one_scope(self, room: _Room, place: ProbeTask, task: Task) -> None:
        # A scope for each probe would be a third of what all of a probe costs. So one that was used
        # is kept for the next probe, if it is as a new one would be: nobody has cancelled it, and
        # the task is in it still, and in none that a probe has left open in there. Where nobody
        # knows, each probe has its own.
        inside = innermost(task)
        while (probe := place.probe) is not None:
            await probe.ask()
            empty = inside is not None and innermost(task) is inside
            if place.cancelled or not empty or task.child_nurseries:
                return  # only leaving it tells what is wrong

            place.probe = None
            probe.ended(None)
            del probe
            if room is not self._room:
                return

            self._to_wait(place)
            await trio.lowlevel.wait_task_rescheduled(_never)

    def _to_wait(self, place: ProbeTask) -> None:
        self._waiting.append(place)
        self._used.append(place)

    def _spoil(self, room: _Room) -> None:
        """Take note that a task of a room is about to fail; it is of use until there is another."""
        if room is self._room and not room.spoilt:
            assert self._around is not None
            # Not in the context of the probe, which would be kept with it.
            Context().run(self._around.start_soon, self._hold_room, trio.Event())
        room.spoilt = True


def _wake(place: ProbeTask) -> None:
    assert place.task is not None
    trio.lowlevel.reschedule(place.task)


def _never(_: object) -> Abort:
    return Abort.FAILED  # between two probes there is nothing to be cancelled
