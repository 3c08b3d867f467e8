"""What an instance shows of being alive: when it was last heard, and what its probes say."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import trio

from ..policy.health import LivenessSignal, ProbeState
from ..policy.liveness import Heard

if TYPE_CHECKING:
    from .probe_schedule import ProbeSchedule
    from .probing import ProbeWatch


@final
class LifeSigns:
    """One instance's. What it heard outlives a connection; what its probes said does not.

    Args:
        schedule: Of the probes of all instances.
    """

    __slots__ = ("_thread", "event_at", "frame_at", "schedule", "watch")

    def __init__(self, schedule: ProbeSchedule) -> None:
        self.schedule = schedule
        self.frame_at: float | None = None
        """When anything arrived last."""
        self.event_at: float | None = None
        """When an application event arrived last."""
        self.watch: ProbeWatch | None = None
        """Of the connection that the instance is judged by, while it has one that is probed."""
        self._thread: trio.CapacityLimiter | None = None

    @property
    def thread(self) -> trio.CapacityLimiter:
        """The only place for a thread that its blocking probes have; abandoned ones keep it."""
        if self._thread is None:  # few channels need one, and it is as large as all the rest
            self._thread = trio.CapacityLimiter(1)
        return self._thread

    @property
    def probe(self) -> ProbeState:
        """What the probes of its connection have said."""
        return ProbeState() if self.watch is None else self.watch.state

    @property
    def silent(self) -> tuple[LivenessSignal, ...]:
        """The signals of its connection that were told to be silent."""
        return () if self.watch is None else tuple(self.watch.silent)

    def forget(self) -> None:
        """Its connection is not probed any more, and what its probes said is past."""
        if self.watch is not None:
            self.schedule.remove(self.watch)
            self.watch = None

    def saw_frame(self) -> None:
        """Something arrived."""
        self.frame_at = trio.current_time()
        if self.watch is not None and self.watch.silent:
            self.watch.hear(LivenessSignal.TRANSPORT)

    def saw_event(self) -> None:
        """An application event arrived, which is something as well."""
        self.event_at = trio.current_time()
        if self.watch is not None and self.watch.silent:
            self.watch.hear(LivenessSignal.TRANSPORT, LivenessSignal.DATA)

    def heard_since(self, opened_at: float) -> Heard:
        """Return when a connection was last heard. What came before it is no sign of its life."""
        data = opened_at if self.event_at is None else max(opened_at, self.event_at)
        transport = data if self.frame_at is None else max(data, self.frame_at)
        return Heard(transport, data)
