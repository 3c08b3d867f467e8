"""``trio-instances run --json``: standard output as a sink, for readers of every kind."""

from __future__ import annotations

import io
import subprocess
import threading
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from trio_instances import telemetry
from trio_instances._cli.running import JSONOutput
from trio_instances.testing import Gateway

from .processes import COMMAND, FOLDER, write


class StalledStream(io.StringIO):
    """A stream whose reader takes nothing until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.reading = threading.Event()

    def write(self, text: str) -> int:
        """Write, once it is read."""
        self.reading.wait()
        return super().write(text)


async def test_a_reader_that_takes_nothing_holds_one_thread_however_often_it_is_tried(
    autojump_clock: MockClock,
) -> None:
    """And none of Trio's own, which every look-up of a name needs."""
    stream = StalledStream()
    sink = JSONOutput(stream)
    try:
        for _ in range(3):
            with trio.move_on_after(10) as write:
                await sink.write([telemetry.RuntimeStarted(at=trio.current_time())])
            assert write.cancelled_caught

        assert trio.to_thread.current_default_thread_limiter().borrowed_tokens == 0
    finally:
        stream.reading.set()


async def test_what_was_given_up_before_its_turn_is_never_written(
    autojump_clock: MockClock,
) -> None:
    """What had begun is, before what comes once it is read again: no line is torn or moved."""
    stream = StalledStream()
    sink = JSONOutput(stream)
    for _ in range(3):
        with trio.move_on_after(10):
            await sink.write([telemetry.RuntimeStarted(at=trio.current_time())])
    stream.reading.set()
    await sink.write([telemetry.RuntimeStopped(at=trio.current_time(), elapsed=1.0)])

    names = [telemetry.from_json(line).name for line in stream.getvalue().splitlines()]
    assert names == ["runtime.started", "runtime.stopped"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
async def test_events_that_get_lost_are_told_on_standard_error(
    gateway: Gateway, tmp_path: Path
) -> None:
    """The only sink cannot tell that it fails; whoever watches would take it for a quiet day."""
    command = [*COMMAND, "--json", str(write(tmp_path, gateway, "a"))]
    with Path("/dev/full").open("wb") as full:  # noqa: ASYNC230 - a device, which never blocks
        process = await trio.lowlevel.open_process(
            command, stdout=full, stderr=subprocess.PIPE, cwd=FOLDER
        )
    said = b""
    assert process.stderr is not None
    with trio.fail_after(60):
        async with process.stderr:
            async for data in process.stderr:
                said += data
                if b"\n" in data and b"stopping" not in said:
                    process.terminate()
        assert await process.wait() == 0
    assert b"events get lost: JSONOutput fails: os_error (recoverable): OSError: [Errno 28]" in said
