"""What a supervisor keeps: nothing of an incarnation that is over, nothing of a child that is gone.

Counted in blocks of Python's allocator after a first round that warms every cache.
"""

from __future__ import annotations

import contextvars
import gc
import sys

import trio
from trio.testing import MockClock

from trio_instances import MaxChildrenReached, RestartIntensity, open_supervisor

from .conftest import Crash, forever, quiet

ENDLESS = RestartIntensity(10**9, 0.001)
SLACK = 2_000
"""Blocks: far fewer than one for each round, far more than what caches come and go with."""

held: contextvars.ContextVar[object] = contextvars.ContextVar("held")


def blocks() -> int:
    """Return how many blocks are allocated once all garbage is gone."""
    gc.collect()
    return sys.getallocatedblocks()


async def test_a_hundred_thousand_restarts_leave_memory_where_it_was() -> None:
    """No traceback, no context, no record of the restarts before: of a crash nothing stays."""
    reached = trio.Event()
    goals = [1_000, 101_000]
    run = 0

    async def crashes() -> None:
        nonlocal run, reached
        held.set(bytearray(100))
        run += 1
        if run == goals[0]:
            del goals[0]
            reached.set()
        raise Crash(f"number {run}")

    async with open_supervisor(intensity=ENDLESS) as supervisor:
        supervisor.start_soon(crashes, name="a")
        await reached.wait()
        before = blocks()
        reached = trio.Event()
        await reached.wait()
        assert blocks() - before < SLACK
        assert supervisor.which_children()[0].restarts >= 100_000
        await supervisor.stop()


async def test_a_hundred_thousand_children_come_and_go_without_a_trace() -> None:
    """D17: a temporary child that has ended, or was terminated, is forgotten altogether."""

    async def brief() -> None:
        await trio.lowlevel.checkpoint()

    async def waves(count: int) -> None:
        for _ in range(count):
            for number in range(500):
                supervisor.start_soon(brief, name=f"brief-{number}", restart="temporary")
                supervisor.start_soon(forever, name=f"long-{number}", restart="temporary")
            await quiet()
            for number in range(500):
                await supervisor.terminate_child(f"long-{number}")
            assert supervisor.which_children() == []

    async with open_supervisor(max_children=1_000) as supervisor:
        await waves(1)
        before = blocks()
        await waves(100)
        assert blocks() - before < SLACK


async def test_a_refused_child_is_forgotten(autojump_clock: MockClock) -> None:
    """Whoever asks too often at a full supervisor fills no memory."""

    def ask(times: int) -> None:
        for number in range(times):
            try:
                supervisor.start_soon(forever, name=str(number))
            except MaxChildrenReached:
                continue

    async with open_supervisor(max_children=0) as supervisor:
        ask(100)
        before = blocks()
        ask(10_000)
        assert blocks() - before < SLACK
