"""The children of the workloads: each says when it is ready, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import tracemalloc
from time import perf_counter

import trio

from .harness.values import check

IGNORED = trio.TASK_STATUS_IGNORED


class CrashError(Exception):
    """What children fail with."""


class Crew:
    """Children that count themselves when they are ready, and when they end.

    Args:
        size: How many there are going to be.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.ready = 0
        self.all_ready = trio.Event()
        self.ended: list[int] = []

    async def child(self, number: int, *, task_status: trio.TaskStatus[None] = IGNORED) -> None:
        """Be ready, and wait for the end."""
        self.count()
        task_status.started()
        try:
            await trio.sleep_forever()
        finally:
            self.ended.append(number)

    async def plain(self, number: int) -> None:
        """Do the same, without a way to report it."""
        await self.child(number)

    async def in_asyncio(self, number: int) -> None:
        """Do the same, under asyncio."""
        self.count()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.append(number)

    def count(self) -> None:
        """Count one more that is ready."""
        self.ready += 1
        if self.ready == self.size:
            self.all_ready.set()

    def check_ready(self) -> None:
        """Refuse a run in which not all of them were."""
        check("children ready", self.ready, self.size)

    def check_ended(self) -> None:
        """Refuse a run in which not all of them have ended."""
        check("children ended", len(self.ended), self.size)

    def check_order(self) -> None:
        """Refuse a run in which they have not ended in the reverse of their order."""
        check("the order", self.ended, list(range(self.size - 1, -1, -1)))


class Crasher:
    """A child that crashes as soon as it runs, so many times.

    Args:
        crashes: How many times.
    """

    def __init__(self, crashes: int) -> None:
        self.crashes = crashes
        self.runs = 0
        self.done = trio.Event()

    async def run(self, _: int = 0) -> None:
        """Crash, or be done and wait."""
        self.crash()
        await trio.sleep_forever()

    def crash(self) -> None:
        """Crash, or be done."""
        self.runs += 1
        if self.runs <= self.crashes:
            raise CrashError

        self.done.set()

    def check_restarts(self) -> None:
        """Refuse a run with another number of restarts."""
        check("restarts", self.runs - 1, self.crashes)


class Returner:
    """A child that crashes when it is told to, and says how long it took until it was back."""

    def __init__(self) -> None:
        self.crashed_at: float | None = None
        self.took: list[float] = []

    def back(self) -> None:
        """It runs again."""
        now = perf_counter()
        if self.crashed_at is not None:
            self.took.append(now - self.crashed_at)

    def crash(self) -> None:
        """Crash."""
        self.crashed_at = perf_counter()
        raise CrashError


async def sleep_in_asyncio(_: int) -> None:
    """Do nothing, until cancelled."""
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.Event().wait()


async def sleep_in_trio(_: int = 0) -> None:
    """Do nothing, until cancelled."""
    await trio.sleep_forever()


class Weight:
    """What has been allocated since it was made, in bytes; slows everything down meanwhile."""

    def __init__(self) -> None:
        gc.collect()
        tracemalloc.start()

    def taken(self) -> float:
        """Return what is there now, and stop looking."""
        gc.collect()
        taken, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return float(taken)
