"""The tasks in which probes run: each runs one probe after another."""

from __future__ import annotations

from collections.abc import Awaitable
from contextvars import Context
from typing import Protocol, final

import trio
from trio.lowlevel import Abort, Task, enable_ki_protection

INNERMOST = "_cancel_status"
"""The attribute of a task that tells one innermost scope of it from another.

There is no public way to ask. Where this one is gone, each probe has a scope of its own.
"""


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
class ProbeTasks:
    """Runs probes, each in a task that it has for itself while it runs.

    A task that has ended its probe waits for another one: a new task for each would be a quarter of
    what a probe costs. Invariant: a task that waits is as a new one would be. Its probe has left
    nothing open in its scope, or has left that; and from `forget` on the task refers to nothing of
    it. There are hardly more tasks than probes ran at once.
    """

    def __init__(self) -> None:
        self._nursery: trio.Nursery | None = None
        self._waiting: list[ProbeTask] = []
        self._used: list[ProbeTask] = []
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
        assert self._nursery is not None
        if self._waiting:
            place = self._waiting.pop()
            place.probe = probe
            assert place.task is not None
            place.task.context = context
            _wake(place)
        else:
            place = ProbeTask(probe)
            # `start_soon` gives the task a copy of the context in which it is called.
            context.run(self._nursery.start_soon, self._run, place)
        return place

    @enable_ki_protection
    async def _run(self, place: ProbeTask) -> None:
        place.task = task = trio.lowlevel.current_task()
        while place.probe is not None:
            try:
                with place.scope:
                    await self._probe_in_one_scope(place, task)
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
            if self._nursery is not None and not task.child_nurseries:
                self._to_wait(place)
                await trio.lowlevel.wait_task_rescheduled(_never)

    async def _probe_in_one_scope(self, place: ProbeTask, task: Task) -> None:
        # A scope for each probe would be a third of what all of a probe costs. So one that was used
        # is kept for the next probe, if it is as a new one would be: nobody has cancelled it, and
        # the task is in it still, and in none that a probe has left open in there.
        inside = getattr(task, INNERMOST, None)
        while (probe := place.probe) is not None:
            await probe.ask()
            empty = inside is not None and getattr(task, INNERMOST, None) is inside
            if place.cancelled or not empty:
                return  # only leaving it tells what is wrong

            place.probe = None
            probe.ended(None)
            del probe
            if self._nursery is None:
                return

            self._to_wait(place)
            await trio.lowlevel.wait_task_rescheduled(_never)

    def _to_wait(self, place: ProbeTask) -> None:
        self._waiting.append(place)
        self._used.append(place)


def _wake(place: ProbeTask) -> None:
    assert place.task is not None
    trio.lowlevel.reschedule(place.task)


def _never(_: object) -> Abort:
    return Abort.FAILED  # between two probes there is nothing to be cancelled
