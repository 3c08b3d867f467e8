"""Sinks that do what a test says, and what they are told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import trio

from trio_instances import telemetry
from trio_instances.abc import Sink
from trio_instances.telemetry import Event, EventBus, HookFailed

Step = Callable[[], Awaitable[object]]


async def fine() -> None:
    """Do nothing, as a sink that takes everything."""


async def broken() -> None:
    """Fail, as a sink whose disk is full."""
    raise OSError("no space left")


class ScriptedSink(Sink):
    """Keeps what it takes; each write does the next step of a script, and the last one for ever."""

    def __init__(self, *script: Step, close: Step = fine) -> None:
        self.script = list(script) or [fine]
        self.close = close
        self.batches: list[list[float]] = []
        self.tried_at: list[float] = []
        self.closed = 0

    async def write(self, events: Sequence[Event]) -> None:
        """Do the next step, and keep the events if it goes well."""
        self.tried_at.append(trio.current_time())
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        await step()
        self.batches.append([event.at for event in events])

    async def aclose(self) -> None:
        """Count the closings, and do what the script says."""
        self.closed += 1
        await self.close()

    @property
    def taken(self) -> list[float]:
        """The times of all events that it took."""
        return [at for batch in self.batches for at in batch]


class OtherSink(ScriptedSink):
    """One that a report tells from the first."""


def publish(bus: EventBus, *times: float) -> None:
    """Publish an event for each time."""
    for at in times:
        bus.publish(telemetry.RuntimeStarted(at=at))


def reports_of(bus: EventBus) -> list[HookFailed]:
    """Return a list that every failure that is reported from now on goes to."""
    reports: list[HookFailed] = []

    def note(event: Event) -> None:
        if isinstance(event, HookFailed):
            reports.append(event)

    bus.listen(note)
    return reports
