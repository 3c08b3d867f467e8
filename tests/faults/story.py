"""What an instance told of itself, with its status at each step."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import TypeVar, final

import trio

from trio_instances import Instance, Runtime, telemetry
from trio_instances.policy.failures import Cause

E = TypeVar("E", bound=telemetry.Event)

STEPS: dict[type[telemetry.Event], str] = {
    telemetry.InstanceConnecting: "connecting",
    telemetry.InstanceConnected: "connected",
    telemetry.InstanceProven: "proven",
    telemetry.InstanceDisconnected: "disconnected",
    telemetry.InstanceDegraded: "degraded",
    telemetry.InstanceRecovered: "recovered",
    telemetry.InstanceFailed: "parked",
    telemetry.ReconnectScheduled: "scheduled",
    telemetry.ReconnectFailed: "failed",
    telemetry.ReconnectExhausted: "exhausted",
}
"""The events that a story is made of, each with the word for it."""


@final
class Story:
    """Listens to what is told of one instance.

    Args:
        bus: Where it is told.
        runtime: Whose instance it is.
        instance_id: Which instance; it need not be started yet.
    """

    def __init__(self, bus: telemetry.EventBus, runtime: Runtime, instance_id: str) -> None:
        self.events: list[telemetry.Event] = []
        """Everything, in order."""
        self._statuses: list[str] = []
        self._instance_id = instance_id
        self._runtime = runtime
        self._told = trio.Event()
        bus.listen(self._hear)

    def _hear(self, event: telemetry.Event) -> None:
        if event.instance_id != self._instance_id:
            return

        self.events.append(event)
        self._statuses.append(self._runtime.instance_status(self._instance_id))
        self._told.set()
        self._told = trio.Event()

    @property
    def instance(self) -> Instance:
        """Whom it is about, once started."""
        return self._runtime.instance(self._instance_id)

    def of(self, kind: type[E]) -> list[E]:
        """Return the events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def path(self) -> str:
        """The statuses that it went through, from the first attempt on."""
        from_connecting = [
            status
            for status, event in zip(self._statuses, self.events, strict=True)
            if type(event) in STEPS
        ]
        return " > ".join(status for status, _ in groupby(from_connecting))

    @property
    def told(self) -> str:
        """The steps, as words."""
        return " ".join(STEPS[type(event)] for event in self.events if type(event) in STEPS)

    @property
    def ends(self) -> list[Cause]:
        """Why its attempts and connections ended, one after the other."""
        ends = (telemetry.InstanceDisconnected, telemetry.ReconnectFailed)
        return [event.cause for event in self.events if isinstance(event, ends)]

    @property
    def reasons(self) -> str:
        """The words for that, repetitions left out."""
        return " > ".join(reason for reason, _ in groupby(cause.reason for cause in self.ends))

    async def wait(self, is_there: Callable[[], object]) -> None:
        """Wait until something is so; it is looked at anew with each event."""
        while not is_there():
            await self._told.wait()

    async def wait_for(self, kind: type[telemetry.Event], count: int = 1) -> None:
        """Wait until something has been told this often."""
        await self.wait(lambda: len(self.of(kind)) >= count)
