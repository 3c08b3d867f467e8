"""Telling what happened to children; the one place where supervision builds events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from ..policy.causes.defaults import classify_failure
from ..policy.failures import Cause
from ..telemetry import child_events, events
from ..telemetry.places import raised_at
from .exits import hand_out

if TYPE_CHECKING:
    from .._exceptions import Escalation
    from ..policy.restart import Decision
    from ..telemetry.bus import EventBus
    from ..telemetry.schema import ChildEvent
    from .record import ChildExit, ChildRecord


class Reporter:
    """Publishes what happened to the children of one supervisor.

    Each method tests for listeners first, so that without any an event is not even built. An
    instance derives from it, to keep its own counters by the same calls.

    Args:
        bus: Where to publish.
        instance_id: The instance that the supervisor belongs to, if any.
        channel_type: The type of that instance's channel.
        generation: Which connection of that instance it belongs to, if it belongs to one.
    """

    __slots__ = ("bus", "channel_type", "generation", "instance_id")

    def __init__(
        self,
        bus: EventBus,
        instance_id: str | None = None,
        channel_type: str | None = None,
        generation: int | None = None,
    ) -> None:
        self.bus = bus
        self.instance_id = instance_id
        self.channel_type = channel_type
        self.generation = generation

    def started(self, record: ChildRecord, now: float) -> None:
        """An incarnation is ready."""
        if self.bus.listening:
            self._publish(child_events.ChildStarted, record, now, elapsed=now - record.began_at)

    def start_failed(self, record: ChildRecord, now: float, exit_: ChildExit) -> None:
        """An incarnation ended before it was ready."""
        if self.bus.listening:
            self._publish_exit(child_events.ChildStartFailed, record, now, exit_)

    def declined(self, record: ChildRecord, now: float) -> None:
        """An incarnation has nothing to do."""
        if self.bus.listening:
            self._publish(child_events.ChildDeclined, record, now)

    def exited(self, record: ChildRecord, now: float, exit_: ChildExit) -> None:
        """A ready incarnation ended by itself."""
        if self.bus.listening:
            uptime = now - record.ready_at
            self._publish_exit(child_events.ChildExited, record, now, exit_, uptime=uptime)

    def restarting(self, record: ChildRecord, now: float, cause: Cause, decision: Decision) -> None:
        """A child will be started again."""
        if self.bus.listening:
            self._publish(
                child_events.ChildRestarting,
                record,
                now,
                cause=cause,
                delay=decision.delay,
                restarts=record.restarts,
            )

    def parked(self, record: ChildRecord, now: float, cause: Cause) -> None:
        """A failed child is left down."""
        if self.bus.listening:
            self._publish(child_events.ChildParked, record, now, cause=cause)

    def revived(self, record: ChildRecord, now: float) -> None:
        """A parked child is started again by hand."""
        if self.bus.listening:
            self._publish(child_events.ChildRevived, record, now)

    def stopping(self, record: ChildRecord, now: float) -> None:
        """A child was asked to stop."""
        if self.bus.listening:
            self._publish(child_events.ChildStopping, record, now)

    def stopped(self, record: ChildRecord, now: float, exit_: ChildExit, *, forced: bool) -> None:
        """A child that was asked to stop has ended."""
        if self.bus.listening:
            elapsed = now - (now if record.stop_asked_at is None else record.stop_asked_at)
            kind = child_events.ChildStopped
            self._publish_exit(kind, record, now, exit_, elapsed=elapsed, forced=forced)

    def stuck(
        self, record: ChildRecord, now: float, elapsed: float, stack: tuple[str, ...]
    ) -> None:
        """A cancelled child has not ended."""
        if self.bus.listening:
            self._publish(child_events.ChildStuck, record, now, elapsed=elapsed, stack=stack)

    def escalated(self, failure: Escalation, record: ChildRecord, *, exceeded: bool) -> None:
        """The supervisor gave up."""
        if self.bus.listening:
            event = events.SupervisorEscalated(
                at=trio.current_time(),
                instance_id=self.instance_id,
                channel_type=self.channel_type,
                path=failure.path,
                generation=self.generation,
                child=failure.child,
                cause=failure.cause,
                restarts=record.intensity.max_restarts,
                period=record.intensity.period,
                exceeded=exceeded,
            )
            hand_out(record.core, event)

    def hook_failed(self, hook: str, path: str, error: Exception) -> None:
        """A function that the user supplied has failed itself."""
        if self.bus.listening:
            cause = classify_failure(error)
            self.bus.publish(
                events.HookFailed(
                    at=trio.current_time(),
                    instance_id=self.instance_id,
                    channel_type=self.channel_type,
                    hook=hook,
                    path=path,
                    cause=cause,
                    stack=raised_at(error, cause),
                )
            )

    def health_of(self, _: ChildRecord) -> str | None:
        """Return how a child is, for people, where somebody knows more of it than a supervisor."""
        return None

    def labels(self, _: ChildRecord) -> tuple[str | None, str | None]:
        """Return the instance id and the channel type that what is told of a child bears."""
        return self.instance_id, self.channel_type

    def _publish_exit(
        self,
        kind: type[ChildEvent],
        record: ChildRecord,
        now: float,
        exit_: ChildExit,
        **fields: object,
    ) -> None:
        error, cause = exit_.error, exit_.cause
        stack = () if error is None or cause is None else raised_at(error, cause)
        self._publish(kind, record, now, cause=cause, stack=stack, **fields)

    def _publish(
        self, kind: type[ChildEvent], record: ChildRecord, now: float, **fields: object
    ) -> None:
        instance_id, channel_type = self.labels(record)
        event = kind(
            at=now,
            instance_id=instance_id,
            channel_type=channel_type,
            path=record.path,
            child=record.spec.name,
            incarnation=record.incarnation,
            generation=self.generation,
            **fields,
        )
        hand_out(record.core, event)
