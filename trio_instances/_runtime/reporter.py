"""What the runtime's own supervisor reports about its instances."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from .._supervision.reporter import Reporter
from ..policy.in_words import health_words
from ..policy.status import Change, InstanceStatus
from ..telemetry import events

if TYPE_CHECKING:
    from .._exceptions import Escalation
    from .._instance.record import InstanceRecord
    from .._supervision.record import ChildExit, ChildRecord
    from ..policy.failures import Cause
    from ..policy.restart import Decision


class RuntimeReporter(Reporter):
    """Turns what happens to an instance as a child into what happens to it as an instance."""

    __slots__ = ()

    def restarting(self, record: ChildRecord, now: float, cause: Cause, decision: Decision) -> None:
        """An instance as a whole will be started again."""
        instance_of(record).count_restart(cause)
        super().restarting(record, now, cause, decision)

    def parked(self, record: ChildRecord, now: float, cause: Cause) -> None:
        """An instance has failed for good."""
        super().parked(record, now, cause)
        instance_of(record).fail(cause)

    def escalated(self, failure: Escalation, record: ChildRecord, *, exceeded: bool) -> None:
        """An instance has failed for good, and the runtime with it."""
        instance_of(record).fail(failure.cause)
        super().escalated(failure, record, exceeded=exceeded)

    def stopping(self, record: ChildRecord, now: float) -> None:
        """An instance was asked to stop."""
        instance = instance_of(record)
        instance.change(Change.STOP, at=now)
        if instance.bus.listening:
            instance.tell(events.InstanceStopping, at=now)
        super().stopping(record, now)

    def stopped(self, record: ChildRecord, now: float, exit_: ChildExit, *, forced: bool) -> None:
        """An instance that was asked to stop has ended."""
        super().stopped(record, now, exit_, forced=forced)
        instance = instance_of(record)
        if not instance.restarting:
            instance.change(Change.END, at=now)
        if instance.bus.listening:
            elapsed = now - (now if record.stop_asked_at is None else record.stop_asked_at)
            uptime = now - instance.started_at
            instance.tell(events.InstanceStopped, at=now, uptime=uptime, elapsed=elapsed)

    def health_of(self, record: ChildRecord) -> str | None:
        """Return how an instance is."""
        return health_words(instance_of(record).handle.health())

    def labels(self, record: ChildRecord) -> tuple[str | None, str | None]:
        """Return the id of the instance that a child is, and the type of its channel."""
        spec = instance_of(record).spec
        return spec.id, spec.channel.channel_type


def end_of_runtime(record: ChildRecord) -> None:
    """Nothing runs any more: neither what was stopped, nor what failed by itself meanwhile."""
    instance = instance_of(record)
    instance.leave_budget()
    if instance.status.link is not InstanceStatus.FAILED:
        instance.end()


def instance_of(record: ChildRecord) -> InstanceRecord:
    """Return the instance that a child of the runtime's supervisor is."""
    return cast("InstanceRecord", record.spec.args[0])
