"""Stopping on SIGINT and SIGTERM: in order at the first, at once at a later one. And SIGHUP."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio

from .._attended import attended

SIGNALS = (signal.SIGINT, signal.SIGTERM)
HANGUP: int | None = getattr(signal, "SIGHUP", None)
"""What asks for the file to be read again; there is none on Windows."""

SPACING = 1.0
"""Seconds after the first signal from which another one means "at once".

A key held down, or a process group that is told twice, repeats signals in less time than that.
"""


@asynccontextmanager
async def stopping_on_signal(
    body: trio.CancelScope, say: Callable[[str], None], *, hangup: Callable[[], None] | None = None
) -> AsyncIterator[None]:
    """Cancel a scope at the first signal, and end the process at a second one, within a block.

    The second one is left to the operating system, because an ordered stop cannot be cut short from
    within: nothing in it is abandoned, and a task cannot be killed.

    SIGHUP is also what a terminal sends when it is closed. To whoever began in its foreground that
    is one of the signals that stop.

    Args:
        body: What is cancelled. Around what runs, and inside what is to be stopped in order.
        say: Tells people what is going on.
        hangup: Is called at each SIGHUP; None leaves that signal to the operating system.

    Raises:
        RuntimeError: It does not run in the main thread.
        BaseException: What the block raised, as it is.
    """
    async with attended() as nursery:
        await nursery.start(_watch, body, say, hangup)
        yield


async def _watch(
    body: trio.CancelScope,
    say: Callable[[str], None],
    hangup: Callable[[], None] | None,
    *,
    task_status: trio.TaskStatus[None],
) -> None:
    wanted = SIGNALS if hangup is None or HANGUP is None else (*SIGNALS, HANGUP)
    of_terminal = _dies_with_terminal()
    # To the very end, and so during the stop: a signal that nobody takes would end the process.
    with trio.open_signal_receiver(*wanted) as received:
        task_status.started()
        first_at: float | None = None
        async for number in received:
            name = signal.Signals(number).name
            now = trio.current_time()
            closed = number == HANGUP and of_terminal and not _has_terminal()
            if number == HANGUP and not closed:
                if hangup is not None and first_at is None:
                    hangup()
            elif first_at is None:
                first_at = now
                say(f"{name}: stopping in reverse start order; a second signal stops at once")
                body.cancel()
            elif now - first_at >= SPACING and not closed:
                say(f"{name} again: stopping at once")
                _end_process(number)


def _dies_with_terminal() -> bool:
    """Tell whether this process is in the foreground of a terminal, and nobody said ``nohup``."""
    if HANGUP is None or signal.getsignal(HANGUP) is signal.SIG_IGN:
        return False

    try:
        terminal = os.open("/dev/tty", os.O_RDONLY)
    except OSError:
        return False  # a service, for instance

    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    finally:
        os.close(terminal)


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY))
    except OSError:
        return False
    return True


def _end_process(number: int) -> None:
    """Let a signal do what it does to a process that does not handle it."""
    sys.stdout.flush()
    sys.stderr.flush()
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)
