"""Running the instances of a file until somebody asks to stop."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, final

import trio

from .._exceptions import TrioInstancesError
from .._runtime.opening import open_runtime
from ..abc import Sink
from ..telemetry import json_line
from .reloading import Reloads
from .signals import stopping_on_signal

if TYPE_CHECKING:
    from .._runtime.config import Config
    from ..telemetry import Event

STOPPED = 0
"""The exit code after an ordered stop that was asked for."""
ESCALATED = 1
"""The exit code after the runtime has given up."""


async def run_instances(file: Path, config: Config, sink: Sink, say: Callable[[str], None]) -> int:
    """Run what a file says, until a signal or an escalation; at SIGHUP, what it says then.

    Args:
        file: The file.
        config: What it says now.
        sink: Where the events go.
        say: Tells people what is going on.

    Returns:
        The exit code.
    """
    body, reloads = trio.CancelScope(), Reloads(say)
    async with stopping_on_signal(body, say, hangup=reloads.ask):
        try:
            async with open_runtime(config.settings, sinks=[sink]) as runtime:
                with body:
                    await reloads.follow(runtime, file, config)
        except TrioInstancesError as exc:
            say(f"the runtime has given up: {exc}")
            return ESCALATED

        say("stopped")
        return STOPPED


@final
class JSONOutput(Sink):
    """Writes each event to a stream as one line of JSON, with the UTC time for people.

    Args:
        stream: Where to; standard output by default.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stdout if stream is None else stream

    async def write(self, events: Sequence[Event]) -> None:
        """Write the events. A reader that is slow holds up a thread, and nothing else."""
        offset = time.time() - trio.current_time()
        lines = "".join(json_line(event, offset) for event in events)
        await trio.to_thread.run_sync(self._write, lines, abandon_on_cancel=True)

    def _write(self, lines: str) -> None:
        self._stream.write(lines)
        self._stream.flush()
