"""`check_sink`: our sinks keep to the rules, and broken ones are told which they break, and how."""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from trio_instances.abc import Sink
from trio_instances.telemetry import Event, InstanceFailed, JSONLinesSink, LoguruSink
from trio_instances.telemetry.sinks.otel import OpenTelemetrySink
from trio_instances.testing import BrokenRule, check_sink

OURS = [JSONLinesSink, LoguruSink, OpenTelemetrySink]


@pytest.mark.parametrize("kind", OURS)
async def test_our_sinks_keep_to_the_rules(kind: type[Sink], tmp_path: Path) -> None:
    """A file each, where they write into one."""
    numbers = itertools.count()

    def make() -> Sink:
        if kind is JSONLinesSink:
            return JSONLinesSink(tmp_path / f"{next(numbers)}.jsonl")

        return kind()

    await check_sink(make)


class Fine(Sink):
    """Does nothing wrong, at three checkpoints."""

    def __init__(self) -> None:
        self.lock = trio.Semaphore(1)

    async def write(self, events: Sequence[Event]) -> None:
        """Take its time."""
        for _ in range(3):
            await trio.sleep(0.1)


class Picky(Fine):
    """Cannot write everything."""

    async def write(self, events: Sequence[Event]) -> None:
        """Encode texts."""
        for event in events:
            if isinstance(event, InstanceFailed):
                event.cause.detail.encode()


class Slow(Fine):
    """Takes its time for each."""

    async def write(self, events: Sequence[Event]) -> None:
        """Wait."""
        await trio.sleep(0.1 * len(events))


class Unready(Fine):
    """Wants to have been written to."""

    file: trio.Event

    async def write(self, events: Sequence[Event]) -> None:
        """Open it."""
        self.file = trio.Event()

    async def aclose(self) -> None:
        """Close it."""
        self.file.set()


class Locked(Fine):
    """Does not give its lock back."""

    async def write(self, events: Sequence[Event]) -> None:
        """Forget the finally."""
        await self.lock.acquire()
        await super().write(events)
        self.lock.release()


class Failing(Fine):
    """Takes a cancellation for a failure."""

    async def write(self, events: Sequence[Event]) -> None:
        """Raise something else."""
        try:
            await super().write(events)
        except BaseException:
            raise ValueError("not written") from None


class Stubborn(Fine):
    """Does not let its closing be cancelled."""

    async def aclose(self) -> None:
        """Shield too long."""
        with trio.CancelScope(shield=True):
            await trio.sleep(4.0)


class Blocking(Fine):
    """Blocks."""

    async def write(self, events: Sequence[Event]) -> None:
        """Sleep as blocking code does."""
        if len(events) == 6:
            time.sleep(1.1)  # noqa: ASYNC251 - the mistake
        await trio.lowlevel.checkpoint()


class BlockingClose(Fine):
    """Blocks in its very last step."""

    async def aclose(self) -> None:
        """Flush as blocking code does."""
        await trio.lowlevel.checkpoint()
        time.sleep(1.1)  # noqa: ASYNC251 - the mistake


class Leaky(Fine):
    """Keeps its socket."""

    async def write(self, events: Sequence[Event]) -> None:
        """Connect."""
        sockets.append(socket.socket())
        await trio.lowlevel.checkpoint()


sockets: list[socket.socket] = []

BROKEN: dict[type[Sink], str] = {
    Picky: "takes in any events.*write of instance.failed raised UnicodeEncodeError",
    Slow: "takes in any events.*write of 1000 events took longer than 5 s",
    Unready: "takes in any events, and closes.*aclose without a write raised AttributeError",
    Locked: "after a write was cancelled there can be another one",
    Failing: "a write that is cancelled .* raises nothing else: .*raised ValueError",
    Stubborn: "a closing that is cancelled .*it took 4.0 s to end",
    Blocking: "a write lets others run: nothing else ran for 1.1 s",
    BlockingClose: "a closing lets others run: nothing else ran for 1.",
    Leaky: "nothing of a sink is left behind: takes in any event, and left the socket",
}


async def test_a_sink_without_a_fault_passes(autojump_clock: MockClock) -> None:
    """So that what follows is told for its fault alone."""
    await check_sink(Fine)


@pytest.mark.parametrize("kind", BROKEN)
async def test_a_sink_that_breaks_a_rule_is_told_which_and_how(
    autojump_clock: MockClock, kind: type[Sink]
) -> None:
    """And nothing else is said."""
    try:
        with pytest.raises(BrokenRule, match=f"(?s){BROKEN[kind]}"):
            await check_sink(kind)
    finally:
        while sockets:
            sockets.pop().close()
