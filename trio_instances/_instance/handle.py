"""The instance as channels and applications see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from .._exceptions import ChildNotFound
from ..policy.mistakes import MistakeList, check_key, member_or_given
from ..policy.requested import DRAIN_REQUESTED, PAUSE_REQUESTED, RECONNECT_REQUESTED
from ..policy.signals import Phase, SignalKind
from ..policy.status import InstanceStatus
from .life import greet, speaks_of_another
from .pressure import Queue
from .record import InstanceRecord
from .snapshot import make_snapshot, make_standing
from .waiting import wait_until

if TYPE_CHECKING:
    from .._supervision.record import Child
    from ..policy.health import HealthSnapshot
    from ..policy.standing import Standing
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

    def standing(self) -> Standing:
        """Return how it stands: much less than `health`, and much cheaper."""
        return make_standing(self._record)

    async def wait_connected(self) -> None:
        """Wait until it has a connection, for however short a time and whatever else is said of it.

        An instance that is ``degraded`` can have one; see `wait_status` for what is said of it. One
        that is paused gets none before `resume`, and is waited for. Cancelling it changes nothing.

        Raises:
            InstanceFailed: It failed for good.
            InstanceStopped: It was stopped.
        """
        await wait_until(self._record, lambda record: record.connected)

    async def wait_proven(self) -> None:
        """Wait until it has a proven connection, for however short a time, as `wait_connected`.

        That is one that has lasted for `ReconnectPolicy.stable_after` seconds, and has delivered an
        event where `ReconnectPolicy.needs_data`. Cancelling it changes nothing.

        Raises:
            InstanceFailed: It failed for good.
            InstanceStopped: It was stopped.
        """
        await wait_until(self._record, lambda record: record.connection.phase is Phase.PROVEN)

    async def wait_status(self, *statuses: InstanceStatus | str) -> InstanceStatus:
        """Wait until it has one of these statuses, for however short a time.

        It has one at a time: while it is ``degraded`` it is not called ``connected``, though it may
        be. For a connection, see `wait_connected`. Cancelling it changes nothing.

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
        return await wait_until(self._record, lambda record: record.status.status in wanted)

    @property
    def draining(self) -> bool:
        """Whether an operator drains it: nothing new should be given to it to send."""
        return self._record.connection.drain_by is not None

    @property
    def session(self) -> Any:
        """What a connection leaves for its successor: a session id, a sequence number, or None.

        A channel sets it while it is connected, and reads it when it connects again. It is dropped
        when a connection is lost by a cause that is not ``resumable``, and by
        `Runtime.restart_instance`. An attempt that fails leaves it as it is; where the other side
        has refused the session, the channel sets it to None itself.
        """
        return self._record.session

    @session.setter
    def session(self, session: Any) -> None:
        self._record.session = session

    # --- verbs: events for the connection machine ------------------------------------------------
    #
    # Each may come at any time, and twice. Each is answered by an event ``instance.asked``, which
    # says whether it has changed anything, and by the status that follows.

    def reconnect(self) -> InstanceStatus:
        """Make the connection anew, now. A retry that waits is woken; one under way goes on.

        One that was opened less than `ReconnectPolicy.hint_floor` seconds ago is closed now, and
        made anew so many seconds later: a child that asks on every connection makes no storm.
        `retry_now` makes it at once.

        Returns:
            The status now.
        """
        return self._record.ask("reconnect", SignalKind.RECONNECT, cause=RECONNECT_REQUESTED)

    def retry_now(self) -> InstanceStatus:
        """Wake a retry that waits. What is open, or under way, is left alone.

        Returns:
            The status now.
        """
        return self._record.ask("retry_now", SignalKind.RETRY)

    def pause(self) -> InstanceStatus:
        """Close the connection, and keep it closed until `resume`. Its own children go on.

        Returns:
            The status now.
        """
        return self._record.ask("pause", SignalKind.PAUSE, cause=PAUSE_REQUESTED)

    def resume(self) -> InstanceStatus:
        """End a pause: connect again, now. Or end a drain: the connection stays.

        Returns:
            The status now.
        """
        return self._record.ask("resume", SignalKind.RESUME)

    def drain(self, timeout: float = 30.0) -> InstanceStatus:
        """Pause as soon as the watched queues are empty, or the time for it is over.

        Until then it stays connected, and connects again if it must. `draining` tells channels and
        applications to take no more; `resume` ends it. ``wait_status("paused")`` waits for its end.

        Args:
            timeout: Seconds that it may take; Kubernetes gives a pod 30 s.

        Returns:
            The status now.

        Raises:
            InvalidSpec: The time is no number of at least 0.
        """
        wrong = MistakeList("drain")
        wrong.number("timeout", timeout, finite=True)
        wrong.raise_any()
        return self._record.ask("drain", SignalKind.DRAIN, cause=DRAIN_REQUESTED, seconds=timeout)

    def rotate(self) -> None:
        """Replace the connection as planned, for instance when the other side announces its end.

        A channel that ``overlaps`` has a new one before the old one is left; every other channel
        closes first. The session is handed on. Nothing happens where nothing is open.

        One that was opened less than `ReconnectPolicy.hint_floor` seconds ago is replaced a little
        later, and one whose replacement has failed when that is to be tried again.
        """
        self._record.rotate()

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
        check_key("name", name, "child.name")
        for supervisor in (self._record.supervisor, self._record.connection_supervisor):
            if supervisor is not None and supervisor.has_child(name):
                return await supervisor.restart_child(name)

        raise ChildNotFound(f"{self.id}/{name}")

    # --- reports from the channel and the application --------------------------------------------

    def report_failure(self, exc: Exception) -> None:
        """Report that an operation failed; ten in a row, by default, degrade the instance.

        Args:
            exc: What it raised.

        Raises:
            TypeError: It is no `Exception`.
        """
        if not isinstance(exc, Exception):
            raise TypeError(f"a failure must be an Exception, {exc!r} is none")

        self._record.report_failure(exc)

    def report_success(self) -> None:
        """Report that an operation succeeded, which ends a row of failures."""
        self._record.report_success()

    def saw_frame(self) -> None:
        """Report that something arrived on the connection, whatever it was.

        It costs little enough for every frame. `ProbePolicy.transport_silence` counts from it. What
        a connection says while it is closed, or still made beside another, is no sign of the
        present one and does not count; what is said outside of any connection does.
        """
        if not speaks_of_another(self._record):
            self._record.signs.saw_frame()

    def saw_event(self) -> None:
        """Report that an event of the application's kind arrived.

        It is something that arrived as well. `ProbePolicy.data_silence` counts from it, and
        ``ReconnectPolicy.needs_data`` waits for it; see `saw_frame` for whose it is. What greets a
        connection that is made beside another is its data once it has taken over.
        """
        if speaks_of_another(self._record):
            greet(self._record)
        else:
            self._record.saw_event()

    def watch_queue(self, name: str, queue: Queue) -> None:
        """Count a queue's occupancy as pressure.

        Args:
            name: What to call it; a queue of the same name is replaced.
            queue: Either end of a Trio memory channel, or anything with alike ``statistics()``.

        Raises:
            InvalidSpec: The name is no text, or an empty one; or the object has no ``statistics``
                method.
        """
        wrong = MistakeList(f"queue {name!r}")
        wrong.text("name", name)
        if not callable(getattr(queue, "statistics", None)):
            wrong.add("queue", queue, "must have a method statistics(), as a memory channel has")
        wrong.raise_any()
        self._record.watch_queue(name, queue)
