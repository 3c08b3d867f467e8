"""The instance as channels and applications see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import trio

from .._exceptions import ChildNotFound
from ..policy.connection import SignalKind
from ..policy.mistakes import MistakeList, member_or_given
from ..policy.status import InstanceStatus
from .acting import PAUSE_REQUESTED, RECONNECT_REQUESTED
from .record import InstanceRecord, Queue
from .snapshot import make_snapshot

if TYPE_CHECKING:
    from .._supervision.record import Child
    from ..policy.health import HealthSnapshot
    from .spec import InstanceSpec


@final
class Instance:
    """One instance of a runtime, as `Runtime.start_instance` hands it out.

    It stays the same through every restart. Its methods are synchronous and cheap, unless they wait
    for something.
    """

    __slots__ = ("_record",)

    def __init__(self, record: InstanceRecord) -> None:
        self._record = record

    def __repr__(self) -> str:
        return f"<Instance {self.id!r} {self.channel_type} {self.status}>"

    @property
    def id(self) -> str:
        """Its id, unique within the runtime."""
        return self._record.spec.id

    @property
    def name(self) -> str:
        """What people call it."""
        return self._record.spec.name or self._record.spec.id

    @property
    def channel_type(self) -> str:
        """The type of its channel."""
        return self._record.spec.channel.channel_type

    @property
    def spec(self) -> InstanceSpec:
        """What it is, and the policies it lives under."""
        return self._record.spec

    @property
    def status(self) -> InstanceStatus:
        """What is said of it now."""
        return self._record.status.status

    @property
    def connected(self) -> bool:
        """Whether it has a connection now, whatever else is said of it."""
        return self._record.connected

    @property
    def generation(self) -> int:
        """Which connection it has, is making, or had last; counted from 1."""
        return self._record.connection.generation

    def health(self) -> HealthSnapshot:
        """Return everything there is to know about it at this moment."""
        return make_snapshot(self._record)

    async def wait_status(self, *statuses: InstanceStatus | str) -> InstanceStatus:
        """Wait until it has one of these statuses, however short a time.

        Cancelling it changes nothing.

        Args:
            statuses: At least one.

        Returns:
            The status it has got.

        Raises:
            InstanceFailed: It failed for good, which was not waited for.
            InstanceStopped: It was stopped, which was not waited for.
            InvalidSpec: There is no such status, or none was given; all mistakes are listed.
        """
        wanted = [member_or_given(InstanceStatus, word) for word in statuses]
        wrong = MistakeList("wait_status")
        for index, status in enumerate(wanted):
            wrong.member(f"statuses[{index}]", status, InstanceStatus)
        if not wanted:
            wrong.add("statuses", statuses, "must be at least one status to wait for")
        wrong.raise_any()
        return await self._record.wait_status(frozenset(wanted))

    # --- verbs: events for the connection machine ------------------------------------------------

    def reconnect(self) -> None:
        """Make the connection anew, now. A retry that waits is woken; one under way goes on."""
        self._record.signal(SignalKind.RECONNECT, cause=RECONNECT_REQUESTED)

    def pause(self) -> None:
        """Close the connection, and keep it closed until `resume`. Its own children go on."""
        self._record.signal(SignalKind.PAUSE, cause=PAUSE_REQUESTED)

    def resume(self) -> None:
        """End a pause: connect again, now."""
        self._record.signal(SignalKind.RESUME)

    async def restart_child(self, name: str) -> Child:
        """Start a child that is stopped or parked, and wait until it is ready.

        So a parked child is revived, and what was degraded without it is well again. One that waits
        for the delay before its next restart is restarted now.

        Cancelling it cancels the start, waits for its end, and leaves the child as it was. But a
        restart that was due anyway goes on.

        Args:
            name: The name of a child of the instance, or else of its connection.

        Raises:
            ChildNotFound: There is no such child now; that is so for every child of a connection
                while there is none.
            ChildRunning: It runs.
            ChildRestarting: It is between two restarts without a delay.
            ChildStartFailed: From what it raised before it was ready; it stays down. Or it was
                stopped before it was ready.
            SupervisorNotRunning: What it belongs to, the instance or its connection, is ending, or
                ends meanwhile.
            SupervisionError: A child of the connection asks for it before it is ready itself, under
                a group strategy, and would wait for itself.
        """
        for supervisor in (self._record.supervisor, self._record.connection_supervisor):
            if supervisor is not None and supervisor.has_child(name):
                return await supervisor.restart_child(name)

        raise ChildNotFound(f"{self.id}/{name}")

    # --- reports from the channel and the application --------------------------------------------

    def report_failure(self, exc: Exception) -> None:
        """Report that an operation failed; ten in a row, by default, degrade the instance."""
        self._record.report_failure(exc)

    def report_success(self) -> None:
        """Report that an operation succeeded, which ends a row of failures."""
        self._record.report_success()

    def saw_frame(self) -> None:
        """Report that something arrived on the connection, whatever it was."""
        self._record.frame_at = trio.current_time()

    def saw_event(self) -> None:
        """Report that an event of the application's kind arrived."""
        self._record.saw_event()

    def watch_queue(self, name: str, queue: Queue) -> None:
        """Count a queue's occupancy as pressure.

        Args:
            name: What to call it; a queue of the same name is replaced.
            queue: Either end of a Trio memory channel, or anything with alike ``statistics()``.

        Raises:
            TypeError: The object has no ``statistics`` method.
        """
        if not callable(getattr(queue, "statistics", None)):
            raise TypeError(f"queue {name!r} must have a method statistics(), {queue!r} has none")

        self._record.watch_queue(name, queue)
