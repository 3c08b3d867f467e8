"""A connection budget at work: who waits for a turn, who has one, and one alarm for all.

An instance waits in its own connection loop, so nothing is started for it. Only the head of the
line has an alarm, set to the next slot. Whoever changes what that depends on calls `Turns.settle`,
which lets go whoever may go and sets the alarm of who is next. So a turn costs the same however
many wait for theirs.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, final

import trio

from .._supervision.exits import hand_out
from ..policy.breaker import BreakerPhase
from ..policy.budget import Budget, BudgetPolicy
from ..policy.health import BudgetHealth
from ..policy.rate import DayWindow
from ..policy.signals import SignalKind
from ..telemetry.budget_events import (
    BreakerCanary,
    BreakerClosed,
    BreakerOpened,
    ReconnectGranted,
    ReconnectQueued,
)

if TYPE_CHECKING:
    from ..telemetry.schema import Event
    from .record import InstanceRecord


@final
class Turns:
    """One budget in one Trio run.

    Args:
        key: The budget's name.
        policy: What may be spent.
        day: What an earlier budget has spent, to go on with.
    """

    def __init__(self, key: str, policy: BudgetPolicy, day: DayWindow | None = None) -> None:
        self.key = key
        self.policy = policy
        self.machine = Budget(policy, day)
        self._seats: dict[Seat, None] = {}
        """Those whose connection loops run, in the order in which they first waited."""
        self._told = self.machine.breaker
        """What the breaker was when it was last told of."""
        self._tripped_at = 0.0

    @property
    def in_use(self) -> bool:
        """Whether any instance has dealings with it."""
        return bool(self._seats)

    def health(self, seat: Seat | None = None) -> BudgetHealth:
        """Return what is left, and the place of one of those that wait."""
        now, machine = trio.current_time(), self.machine
        slot = machine.next_slot(now)
        return BudgetHealth(
            key=self.key,
            attempts_per_second=self.policy.attempts_per_second,
            granted=machine.granted,
            waited=machine.waited,
            left=machine.left(now),
            left_today=machine.left_today(now),
            in_flight=machine.in_flight,
            next_slot_at=None if slot == math.inf else slot,
            waiting=machine.waiting,
            place=None if seat is None else machine.place(seat),
            breaker=None if self.policy.breaker is None else machine.breaker.phase,
            openings=machine.openings,
        )

    def take_place(self, seat: Seat) -> None:
        """Let one wait. Its turn may come at once; else it is told that it waits."""
        self._seats[seat] = None
        new = self.machine.join(seat, trio.current_time())
        self.settle()
        if not new or seat.granted:
            return

        seat.queued = True
        if seat.record.bus.listening:
            seat.record.tell(ReconnectQueued, key=self.key, place=self.machine.waiting)

    def forget(self, seat: Seat) -> None:
        """One has no more dealings with it."""
        self._seats.pop(seat, None)

    def settle(self) -> None:
        """Let go whoever may go now, set the alarm of who is next, and tell of the breaker."""
        now, machine = trio.current_time(), self.machine
        while (head := machine.head) is not None:
            assert isinstance(head, Seat)
            slot = machine.next_slot(now)
            if slot > now:
                head.alarm.deadline = slot
                break
            since = machine.since(head)
            assert since is not None
            head.waited = now - since
            machine.grant(now)
            head.granted = True
            head.alarm.cancel()
        self._follow_breaker(now)

    # --- the breaker -----------------------------------------------------------------------------

    def _follow_breaker(self, now: float) -> None:
        before, after = self._told, self.machine.breaker
        if after is before:
            return

        # First: whoever is told may do what changes it again.
        self._told = after
        if before.phase is BreakerPhase.CLOSED:
            self._tripped_at = now
            self._tell_opened(now)
        if after.canary is not None and after.canaries != before.canaries:
            self._tell_canary(after.canary, after.canaries, now)
        if after.phase is BreakerPhase.CLOSED:
            elapsed = now - self._tripped_at
            closed = BreakerClosed(at=now, key=self.key, elapsed=elapsed, canaries=before.canaries)
            self._tell(closed)
            # Those that wait for a later attempt follow as well: what they waited for is over.
            for seat in tuple(self._seats):
                seat.record.signal(SignalKind.CLEARED)

    def _tell_opened(self, now: float) -> None:
        failed, connected = self.machine.failing
        delay = max(self.machine.breaker.next_at - now, 0.0)
        self._tell(
            BreakerOpened(at=now, key=self.key, failed=failed, connected=connected, delay=delay)
        )

    def _tell_canary(self, canary: object, number: int, now: float) -> None:
        assert isinstance(canary, Seat)
        spec = canary.record.spec
        self._tell(
            BreakerCanary(
                at=now,
                instance_id=spec.id,
                channel_type=spec.channel.channel_type,
                key=self.key,
                canaries=number,
            )
        )

    def tell_granted(self, seat: Seat) -> None:
        """Tell that one which was queued has its turn."""
        if seat.record.bus.listening:
            seat.record.tell(ReconnectGranted, key=self.key, waited=seat.waited)

    def _tell(self, event: Event) -> None:
        """Publish what concerns all of its instances, once on each bus that they publish on."""
        for bus, core in {seat.record.bus: seat.record.core for seat in self._seats}.items():
            if bus.listening:
                hand_out(core, event)


@final
class Seat:
    """One instance's dealings with its budget.

    A grant is held from when it is given until the attempt has a connection, or has really ended:
    as long as it closes, its socket is open. Whatever happens, it is given back once.

    Args:
        turns: The budget at work.
        record: The instance.
    """

    __slots__ = ("_turns", "alarm", "granted", "queued", "record", "waited")

    def __init__(self, turns: Turns, record: InstanceRecord) -> None:
        self._turns = turns
        self.record = record
        self.alarm = trio.CancelScope()
        """Around its waiting. Whoever is at the head has the time of the next slot as deadline."""
        self.granted = False
        """Whether it has a grant that it has not made use of yet."""
        self.queued = False
        """Whether it did not have its last grant, or does not have one, at once."""
        self.waited = 0.0
        """For how many seconds it waited for its last grant."""

    def health(self) -> BudgetHealth:
        """Return what is left of the budget, and its own place in the line."""
        return self._turns.health(self)

    # --- an attempt ------------------------------------------------------------------------------

    async def wait_turn(self) -> bool:
        """Wait for a grant, until the alarm rings, or until the connection machine wants something.

        The place in the line is kept, also when it is cancelled, until there is a grant or `ended`
        gives it up. So whoever is still queued calls it again, and goes if the slot has come.

        Returns:
            Whether there is a grant. Then `end_attempt` must follow, whatever comes of it.
        """
        wakeup = self.record.wakeup
        with trio.CancelScope() as self.alarm:
            self._turns.take_place(self)
            if not self.granted:
                await wakeup.wait()
        granted, self.granted = self.granted, False
        if granted and self.queued:
            self.queued = False
            self._turns.tell_granted(self)
        return granted

    def end_attempt(self) -> None:
        """Nothing of an attempt is left; may be repeated, and may come after `opened`."""
        self._turns.machine.release(self)
        self._turns.settle()

    # --- what the connection machine says --------------------------------------------------------

    def opened(self) -> None:
        """It has a connection."""
        self._turns.machine.release(self)
        self._turns.machine.opened(self, trio.current_time())
        self._turns.settle()

    def ended(self, *, failed: bool) -> None:
        """It waits no more, or its attempt or connection has ended.

        Args:
            failed: Whether that was a failure; not so where somebody asked for it, or planned it.
        """
        now, machine = trio.current_time(), self._turns.machine
        self._give_up()
        if failed:
            machine.failed(self, now, self.record.core.random.random())
        else:
            machine.stopped(self, now)
        self._turns.settle()

    def give_up(self) -> None:
        """It waits no more for an attempt beside its connection, which goes on."""
        self._give_up()
        self._turns.settle()

    def leave(self) -> None:
        """Its connection loop has ended, and nothing of it is left."""
        self._give_up()
        self.end_attempt()
        self._turns.forget(self)

    def _give_up(self) -> None:
        """Leave the line, and give back a grant that nothing was done with."""
        self._turns.machine.leave(self)
        self.queued = False
        if self.granted:
            self.granted = False
            self._turns.machine.release(self)

    # --- as a canary -----------------------------------------------------------------------------

    @property
    def is_canary(self) -> bool:
        """Whether the others wait for what comes of its connection."""
        return self._turns.machine.breaker.canary is self

    @property
    def lasts_after(self) -> float:
        """For how long the connection of a canary must last, in seconds."""
        policy = self._turns.policy.breaker
        assert policy is not None
        return policy.stable_after

    def lasted(self) -> None:
        """Let the others follow, as the connection has lasted."""
        self._turns.machine.lasted(self, trio.current_time())
        self._turns.settle()
