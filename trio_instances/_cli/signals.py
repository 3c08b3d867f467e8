"""Stopping on SIGINT and SIGTERM: in order at the first, at once at a later one."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

import trio

SIGNALS = (signal.SIGINT, signal.SIGTERM)

SPACING = 1.0
"""Seconds after the first signal from which another one means "at once".

A key held down, or a process group that is told twice, repeats signals in less time than that.
"""


async def stop_on_signal(
    body: trio.CancelScope,
    say: Callable[[str], None],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Cancel a scope at the first signal; end the process at a second one. Runs until cancelled.

    The second one is left to the operating system, because an ordered stop cannot be cut short from
    within: nothing in it is abandoned, and a task cannot be killed.

    Args:
        body: What is cancelled. Around what runs, and inside what is to be stopped in order.
        say: Tells people what is going on.
        task_status: Told when signals are taken in.

    Raises:
        RuntimeError: It does not run in the main thread.
    """
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
