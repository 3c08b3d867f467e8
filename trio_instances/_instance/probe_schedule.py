"""The schedule of a runtime's probes: each at its time, at most so many at once, none in the way.

One task and one heap of times serve all connections; a connection that waits for its next probe has
no task. A probe runs in a task of the schedule's, and ends with its connection, which waits for it.

A probe that is due takes a slot, or its place in the line for one. It gives the slot back, and has
its verdict, when it has ended *or its time is up*, so that one that takes no notice of its
cancellation is in nobody's way.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from heapq import heapify, heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, final

import trio
from trio.lowlevel import enable_ki_protection

if TYPE_CHECKING:
    from ..policy.health import ProbeTrigger
    from .probing import ProbeWatch

BATCH = 0.01
"""Seconds between two looks at the times, at least: one look serves all that is due by then.

It makes a probe of ten thousand connections late by so much, and a third cheaper.
"""
_NEEDLESS = 64
"""How many more times may be kept of what is called off than of what is not."""


@final
class ProbeSchedule:
    """When which connection of a runtime is probed.

    Args:
        at_once: How many probes may run at once.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._watches: dict[ProbeWatch, None] = {}
        self._tickets = count()
        self._times: list[tuple[float, int]] = []
        """When something is to be done, and the ticket of that; also of what is called off."""
        self._by_ticket: dict[int, ProbeWatch] = {}
        self._line: OrderedDict[ProbeWatch, tuple[ProbeTrigger, float]] = OrderedDict()
        """Those that wait for a slot, first come first served; what for, and since when."""
        self._slots: set[ProbeWatch] = set()
        """Those that run, and have time left."""
        self._sleep = trio.CancelScope()
        self._not_before = -math.inf
        self._nursery: trio.Nursery | None = None
        """Of the probes, while it runs."""

    @enable_ki_protection
    async def run(self, nursery: trio.Nursery) -> None:
        """Do everything in its time; ends only by cancellation. It can be run again.

        Args:
            nursery: For the probes, which its end leaves to end with their connections.
        """
        self._nursery = nursery
        try:
            for watch in self._watches:
                if watch.budget is None and watch.ticket is None and watch not in self._line:
                    self._wait(watch)  # a crash of an earlier run has lost its place
            self._start_first()
            await self._keep_time()
        finally:
            self._nursery = None

    async def _keep_time(self) -> None:
        while True:
            next_at = self._times[0][0] if self._times else math.inf
            with trio.CancelScope(deadline=max(next_at, self._not_before)) as self._sleep:
                await trio.sleep_forever()
            now = trio.current_time()
            self._not_before = now + BATCH
            self._do_what_is_due(now)

    def add(self, watch: ProbeWatch) -> None:
        """Probe a connection from now on."""
        self._watches[watch] = None
        self._wait(watch)

    def remove(self, watch: ProbeWatch) -> None:
        """Probe a connection no more. A probe that runs is for others to end; it holds no slot."""
        del self._watches[watch]
        self._call_off(watch)
        self._slots.discard(watch)
        self._start_first()

    def probe_all(self, trigger: ProbeTrigger) -> int:
        """Probe every connection as soon as there is a slot; one that is being probed, once more.

        Returns:
            How many connections that are.
        """
        for watch in self._watches:
            if watch.budget is not None:
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
        self._call_off(watch)
        self._slots.discard(watch)
        if watch.live:
            self._wait(watch)
        self._start_first()

    def _do_what_is_due(self, now: float) -> None:
        while self._times and self._times[0][0] <= now:
            watch = self._by_ticket.pop(heappop(self._times)[1], None)
            if watch is None:
                continue

            watch.ticket = None
            if watch.budget is None:
                self._queue_if_due(watch, now)
            else:
                self._slots.discard(watch)
                watch.time_is_up()
        self._start_first()

    def _queue_if_due(self, watch: ProbeWatch, now: float) -> None:
        # Whatever is heard puts the next probe off, and sets no time: that would cost something for
        # every frame. So it is found out here.
        due_at, trigger = watch.due()
        if due_at <= now:
            self._line[watch] = (trigger, now)
        else:
            self._set_time(watch, due_at)

    def _start_first(self) -> None:
        while self._nursery is not None and self._line and len(self._slots) < self._at_once:
            watch, (trigger, since) = self._line.popitem(last=False)
            now = trio.current_time()
            self._slots.add(watch)
            self._set_time(watch, now + watch.policy.timeout)
            watch.start(self._nursery, trigger, waited=now - since)

    def _wait(self, watch: ProbeWatch) -> None:
        self._set_time(watch, watch.due()[0])

    def _set_time(self, watch: ProbeWatch, at: float) -> None:
        watch.ticket = next(self._tickets)
        self._by_ticket[watch.ticket] = watch
        heappush(self._times, (at, watch.ticket))
        if at < self._sleep.deadline:
            self._sleep.deadline = max(at, self._not_before)

    def _call_off(self, watch: ProbeWatch) -> None:
        """Take a connection out of the times and the line, wherever it is."""
        self._line.pop(watch, None)
        if watch.ticket is not None:
            del self._by_ticket[watch.ticket]
            watch.ticket = None
        if len(self._times) > 2 * len(self._by_ticket) + _NEEDLESS:
            self._times = [each for each in self._times if each[1] in self._by_ticket]
            heapify(self._times)
