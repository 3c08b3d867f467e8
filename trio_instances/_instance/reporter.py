"""Keeping an instance's own counters by what its supervisors report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._supervision.reporter import Reporter
from ..policy.causes.defaults import classify_failure
from ..policy.failures import Cause, FailureClass
from ..policy.restart import ChildState
from ..policy.signals import SignalKind
from ..telemetry import events
from ..telemetry.places import raised_at

if TYPE_CHECKING:
    from .._supervision.record import ChildExit, ChildRecord
    from ..policy.restart import Decision
    from .record import InstanceRecord


class InstanceReporter(Reporter):
    """Reports of one instance's children: counted, then published.

    Args:
        record: The instance.
        generation: Which connection's children they are; None: the instance's own.
    """

    __slots__ = ("_record",)

    def __init__(self, record: InstanceRecord, generation: int | None = None) -> None:
        super().__init__(record.bus, record.spec.id, record.spec.channel.channel_type, generation)
        self._record = record

    @property
    def _judges(self) -> bool:
        """Whether these children make the instance degraded: in a handover only the old ones."""
        return self.generation in (None, self._record.connection.generation)

    def started(self, record: ChildRecord, now: float) -> None:
        """An incarnation is ready, so whatever was degraded without it is well again."""
        super().started(record, now)
        if self._record.status.reasons and self._judges:
            judge_children(self._record, record.spec.name)

    def start_failed(self, record: ChildRecord, now: float, exit_: ChildExit) -> None:
        """An incarnation ended before it was ready."""
        super().start_failed(record, now, exit_)
        self._heed_loss(record, exit_.cause)

    def exited(self, record: ChildRecord, now: float, exit_: ChildExit) -> None:
        """A ready incarnation ended by itself."""
        super().exited(record, now, exit_)
        self._heed_loss(record, exit_.cause)

    def hook_failed(self, hook: str, path: str, error: Exception) -> None:
        """A function of the channel has failed itself."""
        if self.bus.listening:
            cause = classify_failure(error)
            stack = raised_at(error, cause)
            self._record.tell(events.HookFailed, hook=hook, path=path, cause=cause, stack=stack)

    def _heed_loss(self, record: ChildRecord, cause: Cause | None) -> None:
        """End the connection that a child has found gone: nothing is restarted in it any more."""
        if self.generation is None or cause is None or not cause.lost:
            return

        record.core.begin_stop()
        self._record.signal(SignalKind.LOST, cause=cause, generation=self.generation)

    def restarting(self, record: ChildRecord, now: float, cause: Cause, decision: Decision) -> None:
        """A child will be started again."""
        self._record.count_restart(cause)
        super().restarting(record, now, cause, decision)

    def parked(self, record: ChildRecord, now: float, cause: Cause) -> None:
        """A failed child is left down: the instance goes on without it, degraded."""
        super().parked(record, now, cause)
        self._record.cause = cause
        if self._judges:
            self._record.degrade(degraded_by(record.spec.name), cause)


def degraded_by(child: str) -> str:
    """Return what a parked child is called among the reasons of a degradation."""
    return f"child:{child}"


def judge_children(record: InstanceRecord, name: str) -> None:
    """Say of the children of a name that none is left down any more, or which one is.

    A connection may have one that is called as one of the instance's own.
    """
    for supervisor in (record.connection_supervisor, record.supervisor):
        for child in () if supervisor is None else supervisor.which_children():
            if child.name == name and child.state is ChildState.PARKED:
                record.degrade(degraded_by(name), child.last_cause or _UNKNOWN)
                return

    record.recover(degraded_by(name))


_UNKNOWN = Cause(FailureClass.RECOVERABLE, "unknown")
