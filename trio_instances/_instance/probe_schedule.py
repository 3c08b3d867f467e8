"""The schedule of a runtime's probes: each at its time, at most so many at once, none in the way.

One task and one table of times serve all connections; a connection that waits for its next probe
has no task. A probe runs in a task of the schedule's, and ends with its connection, which waits for
it.

A probe that is due takes a slot, or its place in the line for one. It gives the slot back, and has
its verdict, when it has ended *or its time is up*, so that one that takes no notice of its
cancellation is in nobody's way.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, final

import trio
from trio.lowlevel import enable_ki_protection

from .probe_tasks import ProbeTasks

if TYPE_CHECKING:
    from ..policy.health import ProbeTrigger
    from .probing import ProbeWatch

BATCH = 0.01
"""Seconds between two looks at the times, at least: one look serves all that is due by then.

It makes a probe of ten thousand connections late by so much, and a third cheaper.
"""
_NEEDLESS = 64
"""How many more batches may be kept of what is called off than of what is not."""


@final
class ProbeSchedule:
    """When which connection of a runtime is probed.

    Args:
        at_once: How many probes may run at once.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._watches: dict[ProbeWatch, None] = {}
        self._batches: dict[float, dict[ProbeWatch, float]] = {}
        """Who is to be probed next, and when. Batches are all that is in order, as a look at the
        times needs no more."""
        self._order: list[float] = []
        """A heap of the batches' numbers; also of those that are gone."""
        self._line: OrderedDict[ProbeWatch, tuple[ProbeTrigger, float]] = OrderedDict()
        """Those that wait for a slot, first come first served; what for, and since when."""
        self._running: dict[float, dict[ProbeWatch, float]] = {}
        """Those that run and have time left, and until when; by their timeout, which puts them in
        order: nearly all end before, so that a place among the times would be for nothing."""
        self._taken = 0
        """How many these are, each of which has a slot."""
        self._sleep = trio.CancelScope()
        self._wakes_at = -math.inf
        """When the times are looked at next; until it sleeps again, at once."""
        self._not_before = -math.inf
        self._tasks = ProbeTasks()
        """In which the probes run; open while it runs."""

    @enable_ki_protection
    async def run(self, nursery: trio.Nursery) -> None:
        """Do everything in its time; ends only by cancellation. It can be run again.

        Args:
            nursery: Where the probes are, which its end leaves to end with their connections.
        """
        try:
            await self._tasks.open(nursery)
            for watch in self._watches:
                if watch.running is None and watch.batch is None and watch not in self._line:
                    # A crash of an earlier run has lost its place.
                    self._set_time(watch, watch.due()[0])
            self._start_first()
            await self._keep_time()
        finally:
            self._tasks.close()

    async def _keep_time(self) -> None:
        while True:
            self._wakes_at = max(self._next_at(), self._not_before)
            with trio.CancelScope(deadline=self._wakes_at) as self._sleep:
                await trio.sleep_forever()
            self._wakes_at = -math.inf
            now = trio.current_time()
            self._not_before = now + BATCH
            # Soon enough: it wakes when the time of a probe is up, also of one that has ended.
            self._tasks.forget()
            self._do_what_is_due(now)

    def add(self, watch: ProbeWatch) -> None:
        """Probe a connection from now on."""
        self._watches[watch] = None
        self._set_time(watch, watch.due()[0])

    def remove(self, watch: ProbeWatch) -> None:
        """Probe a connection no more. A probe that runs is for others to end; it holds no slot."""
        del self._watches[watch]
        self._call_off(watch)
        self._give_back(watch)
        self._start_first()

    def probe_all(self, trigger: ProbeTrigger) -> int:
        """Probe every connection as soon as there is a slot; one that is being probed, once more.

        Returns:
            How many connections that are.
        """
        for watch in self._watches:
            if watch.running is not None:
                watch.once_more = trigger
            elif watch in self._line:
                self._line[watch] = (trigger, self._line[watch][1])
            else:
                self._call_off(watch)
                self._line[watch] = (trigger, trio.current_time())
        self._start_first()
        return len(self._watches)

    def ended(self, watch: ProbeWatch) -> None:
        """Take note that a connection's probe has ended, and set the time of its next one."""
        self._give_back(watch)
        if watch.live:
            self._set_time(watch, watch.due()[0])
        if self._line:
            self._start_first()

    def _next_at(self) -> float:
        return min(self._next_probe_at(), self._next_end_at())

    def _next_probe_at(self) -> float:
        while self._order and self._order[0] not in self._batches:
            heappop(self._order)
        return min(self._batches[self._order[0]].values()) if self._order else math.inf

    def _next_end_at(self) -> float:
        firsts = (next(iter(ends.values())) for ends in self._running.values())
        return min(firsts, default=math.inf)

    def _do_what_is_due(self, now: float) -> None:
        if self._next_end_at() <= now:
            self._end_what_is_due(now)
        while self._next_probe_at() <= now:
            for watch in self._take_first_batch(now):
                self._begin_if_due(watch, now)
        self._start_first()

    def _end_what_is_due(self, now: float) -> None:
        for ends in list(self._running.values()):
            for watch in [watch for watch, at in ends.items() if at <= now]:
                # Unless who was told of the one before has called this one off.
                if self._give_back(watch):
                    watch.time_is_up()

    def _take_first_batch(self, now: float) -> list[ProbeWatch]:
        number = self._order[0]
        batch = self._batches[number]
        due = [watch for watch, at in batch.items() if at <= now]
        for watch in due:
            watch.batch = None
        if len(due) == len(batch):
            del self._batches[number]
        else:
            for watch in due:
                del batch[watch]
        return due

    def _begin_if_due(self, watch: ProbeWatch, now: float) -> None:
        # Whatever is heard puts the next probe off, and sets no time: that would cost something for
        # every frame. So it is found out here.
        due_at, trigger = watch.due()
        if due_at > now:
            self._set_time(watch, due_at)
        elif self._line or self._taken >= self._at_once:
            self._line[watch] = (trigger, now)
        else:
            self._start(watch, trigger, now, waited=0.0)

    def _start_first(self) -> None:
        if not self._line or not self._tasks.ready:
            return

        now = trio.current_time()
        while self._line and self._taken < self._at_once:
            watch, (trigger, since) = self._line.popitem(last=False)
            self._start(watch, trigger, now, waited=now - since)

    def _start(
        self, watch: ProbeWatch, trigger: ProbeTrigger, now: float, *, waited: float
    ) -> None:
        timeout = watch.policy.timeout
        ends = self._running.get(timeout)
        if ends is None:
            ends = self._running[timeout] = {}
        ends[watch] = up_at = now + timeout
        self._taken += 1
        if up_at < self._wakes_at:
            self._wake_by(up_at)
        watch.start(self._tasks, trigger, now, waited=waited)

    def _give_back(self, watch: ProbeWatch) -> bool:
        """Take a connection's slot from it, if it has one; return whether it had."""
        timeout = watch.policy.timeout
        ends = self._running.get(timeout)
        if ends is None or ends.pop(watch, None) is None:
            return False

        self._taken -= 1
        if not ends:
            del self._running[timeout]
        return True

    def _set_time(self, watch: ProbeWatch, at: float) -> None:
        watch.batch = number = at // BATCH
        batch = self._batches.get(number)
        if batch is None:
            batch = self._batches[number] = {}
            heappush(self._order, number)
        batch[watch] = at
        if at < self._wakes_at:
            self._wake_by(at)

    def _wake_by(self, at: float) -> None:
        self._wakes_at = self._sleep.deadline = max(at, self._not_before)

    def _call_off(self, watch: ProbeWatch) -> None:
        """Take a connection out of the times and the line, wherever it is."""
        self._line.pop(watch, None)
        if watch.batch is None:
            return

        batch = self._batches[watch.batch]
        del batch[watch]
        if not batch:
            del self._batches[watch.batch]
            if len(self._order) > 2 * len(self._batches) + _NEEDLESS:
                self._order = list(self._batches)
                heapify(self._order)
        watch.batch = None
