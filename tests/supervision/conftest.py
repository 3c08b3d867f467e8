"""What the tests of supervision share: an ear on the events, and children that do as told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, final

import pytest
import trio
import trio.testing
from attrs import define, field

from trio_instances import ChildDeclined, ChildSpec, Supervisor, open_supervisor, telemetry
from trio_instances.telemetry import EventBus


class Crash(Exception):
    """What a child raises that was told to crash."""


@final
class Recorder:
    """Hears every event of the supervisors that are given its bus."""

    def __init__(self) -> None:
        self.bus = EventBus()
        self.events: list[telemetry.Event] = []
        self.lines: list[str] = []
        """The events of children that OTP knows too, in short: ``started a#1``."""
        self.bus.listen(self._hear)

    def _hear(self, event: telemetry.Event) -> None:
        self.events.append(event)
        if isinstance(event, telemetry.ChildEvent):
            line = _line(event)
            if line:
                self.lines.append(line)

    def of(self, *kinds: type[Any]) -> list[Any]:
        """Return the events of some classes, in order."""
        return [event for event in self.events if isinstance(event, kinds)]

    def take(self) -> list[str]:
        """Return the lines since the last call."""
        taken, self.lines = self.lines, []
        return taken


WORDS = {
    telemetry.ChildStarted: "started",
    telemetry.ChildStartFailed: "start_failed",
    telemetry.ChildDeclined: "declined",
    telemetry.ChildStopping: "stop",
    telemetry.ChildStopped: "stopped",
    telemetry.ChildParked: "parked",
}


def _line(event: telemetry.ChildEvent) -> str:
    if isinstance(event, telemetry.ChildExited):
        word = "returned" if event.cause is None else "crashed"
    else:
        word = WORDS.get(type(event), "")
    return f"{word} {event.child}#{event.incarnation}" if word else ""


@final
@define(eq=False)
class Puppet:
    """A child that does what its test says.

    Each attempt to start does what the next word of `starts` says, the last one for ever: ``ok``
    becomes ready, ``error`` raises, ``decline`` has nothing to do, ``hang`` never becomes ready,
    ``crash`` becomes ready and raises without a checkpoint.
    """

    name: str
    starts: Sequence[str] = ("ok",)
    cleanup: float = 0.0
    """Seconds that it takes to end once it is cancelled, shielded."""
    attempts: int = 0
    alive: int = 0
    """How many incarnations run at this moment."""
    most_alive: int = 0
    _error: BaseException | None = field(default=None, init=False)
    _end: trio.Event = field(factory=trio.Event, init=False)

    async def run(self, *, task_status: trio.TaskStatus[int]) -> None:
        """Be one incarnation; the value of ``started`` is the number of the attempt."""
        self.alive += 1
        self.most_alive = max(self.most_alive, self.alive)
        start = self.starts[min(self.attempts, len(self.starts) - 1)]
        self.attempts += 1
        try:
            await self._run(start, task_status)
        finally:
            if self.cleanup:
                with trio.CancelScope(shield=True):
                    await trio.sleep(self.cleanup)
            self.alive -= 1

    async def _run(self, start: str, task_status: trio.TaskStatus[int]) -> None:
        if start == "error":
            raise Crash(f"{self.name} fails to start")
        if start == "decline":
            raise ChildDeclined
        if start == "hang":
            await trio.sleep_forever()

        task_status.started(self.attempts)
        if start == "crash":
            raise Crash(f"{self.name} crashes at once")
        self._end = trio.Event()
        await self._end.wait()
        if self._error is not None:
            raise self._error

    def crash(self, error: BaseException | None = None) -> None:
        """Let the running incarnation raise."""
        self._error = Crash(f"{self.name} crashes") if error is None else error
        self._end.set()

    def finish(self) -> None:
        """Let the running incarnation return."""
        self._error = None
        self._end.set()

    def spec(self, **options: Any) -> ChildSpec:
        """Return a specification of this child."""
        return ChildSpec(self.name, self.run, **options)


@asynccontextmanager
async def supervised(
    recorder: Recorder, *specs: ChildSpec, **options: Any
) -> AsyncIterator[Supervisor]:
    """Open a supervisor whose children have started; stop it at the end of the block.

    What the recorder has heard until the body begins is forgotten.
    """
    async with open_supervisor(events=recorder.bus, **options) as supervisor:
        await supervisor.start_children(specs)
        recorder.take()
        yield supervisor
        await supervisor.stop()


def puppets(names: Iterable[str]) -> list[Puppet]:
    """Return a puppet for each name."""
    return [Puppet(name) for name in names]


def states(supervisor: Supervisor) -> dict[str, str]:
    """Return the state of each child by name, in start order."""
    return {child.name: str(child.state) for child in supervisor.which_children()}


async def forever() -> None:
    """Be a child that is ready at once and runs until it is stopped."""
    await trio.sleep_forever()


@pytest.fixture
def recorder() -> Recorder:
    """Return an ear on the events of a supervisor; give it ``events=recorder.bus``."""
    return Recorder()


quiet = trio.testing.wait_all_tasks_blocked
"""Wait until nothing moves any more."""
