"""All that is known of one instance: its machines' states, its counters, and who waits for it.

It outlives every restart inside the instance, and of the instance itself, so counters only grow.
All methods are synchronous. `signal` is the only way to the connection machine, `change` to the
status.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, final

import trio
from attrs import evolve

from .._supervision.classifying import cause_of
from .._supervision.exits import hand_out
from ..policy import connection as machine
from ..policy import status
from ..policy.causes.defaults import classify_failure
from ..policy.failures import Cause, WhoMustAct
from ..policy.pressure import PressureLevel
from ..policy.requested import ROTATION, STOP_REQUESTED
from ..policy.signals import ConnectionState, Phase, Signal, SignalKind
from ..policy.status import Change, InstanceStatus, StatusState
from ..telemetry import events
from ..telemetry.status_events import StatusChanged
from .acting import perform
from .life import life_of
from .reporter import InstanceReporter
from .waiting import DEAD_ENDS, tell_waiters

if TYPE_CHECKING:
    from .._supervision.core import Core
    from .._supervision.record import ChildRecord
    from .._supervision.supervisor import Supervisor
    from ..telemetry.schema import Event
    from .handle import Instance
    from .life import Life
    from .life_signs import LifeSigns
    from .pressure import Queue
    from .spec import InstanceSpec
    from .turns import Seat
    from .waiting import Waiter
    from .watching import Lookout


_NO_QUEUES: Mapping[str, Queue] = {}
_CONNECTED = frozenset({Phase.CONNECTED, Phase.PROVEN})


@final
class InstanceRecord:
    """One instance. Plain fields, changed only within this package.

    Args:
        spec: What it is.
        core: The supervisor that it is to be a child of, which tells of it and has chance.
        signs: What it shows of being alive.
        lookout: Who looks at it from time to time.
    """

    __slots__ = (
        "__weakref__", "_signalling", "_signals", "_wakeup", "bus", "cause", "child",
        "connected_at", "connection", "core", "failures_in_a_row", "handed_over", "handle",
        "handovers", "last_restart", "lives", "look_at", "lookout", "lost_at", "pressure",
        "proven_in", "queues", "reconnect_attempts", "reconnects", "restarting",
        "restarts", "seat", "session", "signs", "spec", "started_at", "status", "status_since",
        "supervisor", "waiters",
    )  # fmt: skip

    def __init__(
        self,
        spec: InstanceSpec,
        core: Core,
        signs: LifeSigns,
        lookout: Lookout,
    ) -> None:
        self.spec = spec
        self.core = core
        self.bus = core.reporter.bus
        self.signs = signs
        self.lookout = lookout
        self.look_at: float | None = None
        """When it is to be looked at next, if at all; kept by the lookout."""
        self.handle: Instance
        self.seat = self._take_seat()
        """Its dealings with a connection budget, where it has one."""
        self.connection = ConnectionState(budgeted=self.seat is not None)
        self.status = StatusState()
        self.status_since = self.started_at = self.connected_at = trio.current_time()
        self.restarting = 0  # how many restarts its present stop is half of
        self.lost_at: float | None = None
        """When the connection was lost, until there is one again."""
        self.proven_in = 0.0
        """Seconds after which the present connection is stable."""
        self.cause: Cause | None = None
        """The last failure of any kind."""
        self.restarts = self.failures_in_a_row = 0
        self.reconnect_attempts = self.reconnects = self.handed_over = 0
        self.last_restart: Cause | None = None
        self.queues: Mapping[str, Queue] = _NO_QUEUES
        self.pressure = PressureLevel.NORMAL
        self.child: ChildRecord | None = None
        """What it is in the tree, while it runs."""
        self.supervisor: Supervisor | None = None
        """Of the instance's own children, while it runs and has any."""
        # Tuples, as they are empty, or hold one, nearly always.
        self.lives: tuple[Life, ...] = ()
        """The generations of which something is left; more than one in a handover."""
        self.handovers: Callable[[Life], None] | None = None
        """Runs a generation beside the present one; there while the connection loop runs."""
        self.session: Any = None
        """What a connection has left for its successor."""
        self._wakeup: trio.Event | None = None
        self.waiters: tuple[Waiter, ...] = ()
        """Who waits until something is so of it."""
        self._signals: tuple[tuple[Signal, str | None], ...] = ()
        self._signalling = False

    # --- the machines ----------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether it has a connection."""
        return self.connection.phase in _CONNECTED

    @property
    def connection_supervisor(self) -> Supervisor | None:
        """The supervisor of the present connection's children, while it runs."""
        life = life_of(self, self.connection.generation)
        return None if life is None else life.supervisor

    def signal(
        self,
        kind: SignalKind,
        *,
        cause: Cause | None = None,
        generation: int | None = None,
        seconds: float = 0.0,
    ) -> None:
        """Send the connection machine what was learned, and do what it says.

        A listener of an event may send a signal itself: it waits until this one is done with.
        """
        self._take_in(Signal(kind, generation, cause, seconds))

    def ask(self, verb: str, kind: SignalKind, **details: Any) -> InstanceStatus:
        """Send the machine what an operator wishes, and answer by an event and the status."""
        self._take_in(Signal(kind, **details), verb)
        return self.status.status

    def _take_in(self, signal: Signal, verb: str | None = None) -> None:
        self._signals = (*self._signals, (signal, verb))
        if self._signalling:
            return

        self._signalling = True
        try:
            while self._signals:
                (signal, verb), *later = self._signals
                self._signals = tuple(later)
                before = self.connection
                if verb is None or not self._over:
                    self._step(signal)
                if verb is not None and self.bus.listening:
                    changed = self.connection is not before
                    self.tell(events.InstanceAsked, verb=verb, changed=changed)
        finally:
            self._signalling = False

    @property
    def _over(self) -> bool:  # no run follows by itself, for which a wish could be kept
        return self.connection.phase is Phase.STOPPED and self.status.link in DEAD_ENDS

    def _step(self, signal: Signal) -> None:
        before = self.connection
        now = trio.current_time()
        policy = self.spec.reconnect
        after, actions = machine.step(before, signal, policy, now, self.core.random.random())
        self.connection = after
        for action in actions:
            perform(self, action, before, now)
        if after is not before:
            tell_waiters(self)
            self.wake()

    @property
    def wakeup(self) -> trio.Event:
        """Set by the next `wake`. It is made for who asks, as nobody does while all is well."""
        if self._wakeup is None:
            self._wakeup = trio.Event()
        return self._wakeup

    def wake(self) -> None:
        """Have whoever waits for something to do about it look again."""
        wakeup, self._wakeup = self._wakeup, None
        if wakeup is not None:
            wakeup.set()
        self.lookout.look_soon(self)

    def rotate(self, generation: int | None = None) -> None:
        """Have the connection replaced as planned: the new one first, where the channel can."""
        kind = SignalKind.HANDOVER if self.spec.channel.overlaps else SignalKind.ROTATE
        self.signal(kind, cause=ROTATION, generation=generation)

    def change(self, change: Change, *, at: float | None = None) -> None:
        """Move the status.

        Args:
            change: What has happened to the link.
            at: When, as in `tell`; None takes the time now.
        """
        self._set_status(status.step(self.status, change), at)

    def degrade(self, what: str, why: Cause) -> None:
        """Give one more reason to call it degraded."""
        known = any(reason.what == what for reason in self.status.reasons)
        self._set_status(status.degrade(self.status, what, why, trio.current_time()))
        if not known and self.bus.listening:
            self.tell(events.InstanceDegraded, what=what, cause=why)

    def recover(self, what: str) -> None:
        """Take a reason to call it degraded away, if it is there."""
        for reason in self.status.reasons:
            if reason.what == what:
                self._set_status(status.recover(self.status, what))
                if self.bus.listening:
                    elapsed = trio.current_time() - reason.since
                    self.tell(events.InstanceRecovered, what=what, elapsed=elapsed)

    def _set_status(self, state: StatusState, at: float | None = None) -> None:
        before, self.status = self.status.status, state
        after = state.status
        if after is before:
            return

        now = trio.current_time() if at is None else at
        elapsed, self.status_since = now - self.status_since, now
        tell_waiters(self)
        if self.bus.listening:
            # After the waiters, as a listener may change the status again.
            self.tell(StatusChanged, at=now, status=after, previous=before, elapsed=elapsed)

    # --- what happens to it ----------------------------------------------------------------------

    def begin(self) -> None:
        """A run of the instance begins; what it counted before stays."""
        self.rewind()
        # A fresh start forgets why it was degraded, so what degraded it must be found out anew.
        self.connection = self.connection.fresh()
        self.pressure = PressureLevel.NORMAL
        self.change(Change.START)
        # A verb may have come since it was made: what it has led to is in force, and is said.
        asked = _ASKED_BEFORE.get(self.connection.phase)
        if asked is not None:
            self.change(asked)

    def rewind(self) -> None:
        """The connection loop begins: the end of an earlier run of it is past."""
        if self.connection.phase in (Phase.FAILED, Phase.STOPPED):
            self.connection = evolve(self.connection, phase=Phase.IDLE, next_retry_at=None)

    def end_pause(self) -> None:
        """An operator is about to start it anew, which ends a pause; one that comes now stays."""
        self.connection = evolve(self.connection, drain_by=None, pause_wanted=False)

    def renew(self) -> None:
        """It is to be started anew: attempts count from nothing."""
        # A run that was ended before it began has told the machine nothing of its end.
        self.signal(SignalKind.STOP, cause=STOP_REQUESTED)
        self.leave_budget()
        self.connection = self.connection.renewed()
        self.session = None
        self.failures_in_a_row = 0

    def become(self, spec: InstanceSpec) -> None:
        """It is another one from now on, started anew."""
        if spec.channel is not self.spec.channel:
            self.queues = _NO_QUEUES  # they were the old channel's, and so were these
            self.signs.frame_at = self.signs.event_at = None
        self.renew()
        self.spec = spec
        self.seat = self._take_seat()
        self.connection = evolve(self.connection, budgeted=self.seat is not None)

    def _take_seat(self) -> Seat | None:
        budget = self.spec.counted_in
        return None if budget is None else budget._seat(self)  # noqa: SLF001 - no verb of its users

    def leave_budget(self) -> None:
        """It is no more what it was, so its last failure tells nothing of the others of its budget.

        Also where it had given up, and its machine heeds no stop.
        """
        if self.seat is not None:
            self.seat.ended(failed=False)

    def fail(self, cause: Cause) -> None:
        """It is parked."""
        if cause.who_must_act is WhoMustAct.NOBODY:
            cause = evolve(cause, who_must_act=WhoMustAct.OPERATOR)
        self.cause = cause
        self.change(Change.FAIL)
        if self.bus.listening:
            self.tell(events.InstanceFailed, cause=cause)

    def end(self) -> None:
        """Nothing of it runs any more, whatever it was doing."""
        self.leave_budget()
        self.change(Change.STOP)
        self.change(Change.END)

    def forget_probes(self) -> None:
        """What the probes said was about a connection that there is no more."""
        self.signs.forget()
        self.recover("probe")

    def count_restart(self, cause: Cause) -> None:
        """Something within it, or it itself, is restarted."""
        self.restarts += 1
        self.last_restart = self.cause = cause

    def report_failure(self, exc: Exception) -> None:
        """The application saw a failure."""
        self.cause = self.classify(exc)
        self.failures_in_a_row += 1
        if self.failures_in_a_row >= self.spec.failures_to_degrade:
            self.degrade("failures", self.cause)

    def report_success(self) -> None:
        """The application saw a success."""
        self.failures_in_a_row = 0
        self.recover("failures")

    def saw_event(self) -> None:
        """An application event arrived."""
        self.signs.saw_event()
        if self.spec.reconnect.needs_data and not self.connection.data:
            self.signal(SignalKind.DATA)

    def watch_queue(self, name: str, queue: Queue) -> None:
        """Count a queue among those that make pressure."""
        self.queues = {**self.queues, name: queue}
        self.wake()

    def classify(self, exc: Exception) -> Cause:
        """Return the cause of a failure, by the channel's rules and then the library's."""
        if self.child is None:
            return classify_failure(exc)

        channel = self.spec.channel
        return cause_of(channel.classify, InstanceReporter(self), self.child.path, exc)

    def tell(self, kind: type[Event], *, at: float | None = None, **fields: Any) -> None:
        """Publish an event of this instance. Test `bus.listening` first.

        Args:
            kind: The event's class.
            at: When it happened, where another event about the same is to have the same time: none
                may be told after one with a later time. None takes the time now.
            fields: What the class has beside the time and the instance.
        """
        event = kind(
            at=trio.current_time() if at is None else at,
            instance_id=self.spec.id,
            channel_type=self.spec.channel.channel_type,
            **fields,
        )
        hand_out(self.core, event)


_ASKED_BEFORE = {
    Phase.PAUSED: Change.PAUSE,
    Phase.QUEUED: Change.CONNECT,
    Phase.CONNECTING: Change.CONNECT,
}
"""By the phase that a run begins in, where that is not the first one: what has happened."""
