"""Stopping on SIGINT and SIGTERM: in order at the first, at once at a later one."""

from __future__ import annotations

import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio

SIGNALS = (signal.SIGINT, signal.SIGTERM)

SPACING = 1.0
"""Seconds after the first signal from which another one means "at once".

A key held down, or a process group that is told twice, repeats signals in less time than that.
"""


@asynccontextmanager
async def stopping_on_signal(
    body: trio.CancelScope, say: Callable[[str], None]
) -> AsyncIterator[None]:
    """Cancel a scope at the first signal, and end the process at a second one, within a block.

    The second one is left to the operating system, because an ordered stop cannot be cut short from
    within: nothing in it is abandoned, and a task cannot be killed.

    Args:
        body: What is cancelled. Around what runs, and inside what is to be stopped in order.
        say: Tells people what is going on.

    Raises:
        RuntimeError: It does not run in the main thread.
        BaseException: What the block raised, as it is.
    """
    failure: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(_watch, body, say)
            try:
                yield
            except BaseException as exc:
                failure = exc  # kept until the nursery is done, which would wrap it
            nursery.cancel_scope.cancel()
        if failure is not None:
            raise failure
    finally:
        del failure


async def _watch(
    body: trio.CancelScope, say: Callable[[str], None], *, task_status: trio.TaskStatus[None]
) -> None:
    with trio.open_signal_receiver(*SIGNALS) as received:
        task_status.started()
        first_at: float | None = None
        async for number in received:
            name = signal.Signals(number).name
            now = trio.current_time()
            if first_at is None:
                first_at = now
                say(f"{name}: stopping in reverse start order; a second signal stops at once")
                body.cancel()
            elif now - first_at >= SPACING:
                say(f"{name} again: stopping at once")
                _end_process(number)


def _end_process(number: int) -> None:
    """Let a signal do what it does to a process that does not handle it."""
    sys.stdout.flush()
    sys.stderr.flush()
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)
