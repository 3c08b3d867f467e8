"""Machine 2, played at random: signals, stale ones too, under any policy; the laws after each."""

from __future__ import annotations

import math

import pytest
from attrs import evolve
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from trio_instances.policy.connection import step
from trio_instances.policy.failures import Cause, FailureClass, WhoMustAct
from trio_instances.policy.reconnect import Exhausted, ReconnectPolicy
from trio_instances.policy.signals import (
    Action,
    ActionKind,
    ConnectionState,
    Phase,
    Signal,
    SignalKind,
)

from .strategies import causes, chances, reconnect_policies

# The oldest hypothesis that is supported draws these plays many times slower than a new one.
pytestmark = pytest.mark.timeout(240)

MAY_FOLLOW = {
    Phase.IDLE: {Phase.CONNECTING, Phase.PAUSED, Phase.STOPPED},
    Phase.CONNECTING: {
        Phase.CONNECTED,
        Phase.WAITING,
        Phase.PAUSED,
        Phase.FAILED,
        Phase.STOPPED,
    },
    Phase.CONNECTED: {
        Phase.PROVEN,
        Phase.CONNECTING,
        Phase.WAITING,
        Phase.PAUSED,
        Phase.FAILED,
        Phase.STOPPED,
    },
    Phase.PROVEN: {
        Phase.CONNECTED,
        Phase.CONNECTING,
        Phase.WAITING,
        Phase.PAUSED,
        Phase.FAILED,
        Phase.STOPPED,
    },
    Phase.WAITING: {Phase.CONNECTING, Phase.PAUSED, Phase.STOPPED},
    Phase.PAUSED: {Phase.CONNECTING, Phase.STOPPED},
    Phase.FAILED: set(),
    Phase.STOPPED: set(),
}
ENDS = {Phase.FAILED, Phase.STOPPED}
OPEN = {Phase.CONNECTED, Phase.PROVEN}
UP = {Phase.CONNECTING, *OPEN}
RUNNING = {*UP, Phase.WAITING}
REPLACES = {SignalKind.RECONNECT, SignalKind.ROTATE}

ROAD = {
    Phase.IDLE: [SignalKind.START],
    Phase.CONNECTING: [SignalKind.OPENED],
    Phase.CONNECTED: [SignalKind.STABLE, SignalKind.DATA],
    Phase.WAITING: [SignalKind.DUE],
    Phase.PAUSED: [SignalKind.RESUME],
}
"""What leads to a proven connection."""

retried = causes(st.sampled_from([FailureClass.RECOVERABLE, FailureClass.DEGRADED]))
fatal = causes(st.just(FailureClass.FATAL))
wishes = st.sampled_from(
    [
        SignalKind.CREDENTIALS,
        SignalKind.ROTATE,
        SignalKind.RECONNECT,
        SignalKind.RETRY,
        SignalKind.PAUSE,
        SignalKind.RESUME,
        SignalKind.DRAIN,
        SignalKind.DRAINED,
        SignalKind.STOP,
    ]
)
ages = st.sampled_from([0, 1, 2, -1, None])
"""How many generations before the newest a signal is about; None: it does not say."""


class ConnectionMachine(RuleBasedStateMachine):
    """One connection under any order of signals."""

    @initialize(policy=reconnect_policies, far=st.integers(0, 4))
    def begin(self, policy: ReconnectPolicy, far: int) -> None:
        """Begin with nothing, and let some things go well before all the others."""
        self.policy = policy
        self.state = ConnectionState()
        self.now = 0.0
        self.begun = 0
        self.living: list[int] = []
        """The generations that were begun and neither closed nor left."""
        self.outdated = 0
        self.begin_to_count()
        for _ in range(far):
            self.go_on(0, 1.0)

    def begin_to_count(self) -> None:
        """Count anew what counts until a connection is proven or an operator resumes."""
        self.attempts = 0
        self.exhausted = 0
        self.exhausted_at = math.inf
        self.attentions = 0
        self.steps = {True: 0.0, False: 0.0}
        """The last step of the quick delays, and of the slow ones."""

    def teardown(self) -> None:
        """Nothing is ever stuck: what has not ended can still be proven, and then be parked."""
        if self.state.phase not in ENDS:
            self.go_all_the_way()
            self.lose_for_good(Cause(FailureClass.FATAL, "banned"))
            assert self.state.phase is Phase.FAILED

    @precondition(lambda self: self.state.phase in ENDS)
    @rule(far=st.integers(1, 4))
    def begin_anew(self, far: int) -> None:
        """Forget a connection that has come to its end."""
        self.begin(self.policy, far)

    @precondition(lambda self: self.state.phase in ROAD)
    @rule(turn=st.integers(0, 1), u=chances)
    def go_on(self, turn: int, u: float) -> None:
        """Let happen what should happen next."""
        road = ROAD.get(self.state.phase, [SignalKind.DATA])
        self.send(road[turn % len(road)], self.state.generation, None, u)

    @precondition(lambda self: self.state.phase in ROAD)
    @rule()
    def go_all_the_way(self) -> None:
        """Let all go well until the connection is proven, as it then is."""
        while self.state.phase in ROAD:
            for kind in ROAD[self.state.phase]:
                self.send(kind, self.state.generation, None, 1.0)
        assert self.state.phase is Phase.PROVEN

    @precondition(lambda self: self.state.phase in UP)
    @rule(cause=retried, u=chances)
    def lose(self, cause: Cause, u: float) -> None:
        """Lose the attempt or the connection."""
        self.send(SignalKind.LOST, self.state.generation, cause, u)

    @precondition(lambda self: self.state.phase in UP)
    @rule(cause=retried, times=st.integers(2, 5), u=chances)
    def lose_repeatedly(self, cause: Cause, times: int, u: float) -> None:
        """Fail some attempts in a row."""
        for _ in range(times):
            self.send(SignalKind.LOST, None, cause, u)
            self.send(SignalKind.DUE, None, None, u)

    @precondition(lambda self: self.state.phase in UP)
    @rule(cause=fatal)
    def lose_for_good(self, cause: Cause) -> None:
        """Learn something that no retry can mend."""
        self.send(SignalKind.LOST, self.state.generation, cause, 0.0)

    @precondition(lambda self: self.state.phase in OPEN)
    @rule(u=chances)
    def hand_over(self, u: float) -> None:
        """Have a successor made."""
        self.send(SignalKind.HANDOVER, self.state.generation, None, u)

    @precondition(lambda self: self.state.successor is not None)
    @rule(u=chances)
    def take_over(self, u: float) -> None:
        """Let the successor be open."""
        self.send(SignalKind.OPENED, self.state.successor, None, u)

    @precondition(lambda self: self.state.successor is not None)
    @rule(cause=causes(), u=chances)
    def fail_beside(self, cause: Cause, u: float) -> None:
        """Let the successor fail."""
        self.send(SignalKind.LOST, self.state.successor, cause, u)

    @precondition(lambda self: self.state.successor is not None)
    @rule(kind=st.sampled_from([SignalKind.PAUSE, SignalKind.STOP, SignalKind.ROTATE]))
    def end_both(self, kind: SignalKind) -> None:
        """Wish in the middle of a handover that there were none."""
        self.send(kind, None, None, 0.0)

    @precondition(lambda self: self.state.phase in RUNNING and self.state.drain_by is None)
    @rule()
    def drain(self) -> None:
        """Let an operator wish that what is left were sent first."""
        self.send(SignalKind.DRAIN, None, None, 0.0)

    @precondition(lambda self: self.state.drain_by is not None)
    @rule(kind=st.sampled_from([SignalKind.DRAINED, SignalKind.RESUME, SignalKind.STOP]))
    def end_the_drain(self, kind: SignalKind) -> None:
        """Let it be done, or called off."""
        self.send(kind, None, None, 0.0)

    @precondition(lambda self: self.state.phase not in ENDS)
    @rule(kind=wishes, cause=st.one_of(st.none(), retried), u=chances)
    def operate(self, kind: SignalKind, cause: Cause | None, u: float) -> None:
        """Let an operator wish something."""
        self.send(kind, None, cause, u)

    @precondition(lambda self: self.state.away_since is not None)
    @rule(hours=st.sampled_from([1, 2, 3]))
    def stay_away(self, hours: int) -> None:
        """Let time pass, and somebody ask whether it was too long, more than once."""
        self.now += hours * 3600.0
        for _ in range(2):
            self.send(SignalKind.OVERDUE, None, None, 0.0)

    @rule(kind=st.sampled_from(SignalKind), cause=causes(), age=ages, u=chances)
    def hear_anything(self, kind: SignalKind, cause: Cause, age: int | None, u: float) -> None:
        """Hear what fits the phase or does not, often about another connection."""
        self.send(kind, None if age is None else self.state.begun - age, cause, u)

    # --- the laws --------------------------------------------------------------------------------

    def send(self, kind: SignalKind, generation: int | None, cause: Cause | None, u: float) -> None:
        """Send a signal, and hold what comes out against the laws."""
        self.now += 0.5
        before = self.state
        signal = Signal(kind, generation, cause, 30.0)
        self.state, actions = step(before, signal, self.policy, self.now, u)

        if generation not in (None, before.generation, before.successor):
            assert (self.state, actions) == (before, ())
        if kind is SignalKind.CREDENTIALS and before.phase in UP and self.state is not before:
            self.outdated = before.begun
        if kind in REPLACES and before.phase in OPEN and actions:
            self.attempts = max(self.attempts - 1, 0)
        for action in actions:
            self.check_life(before, action)
            self.count(before, action)
        assert self.state.attempt == self.attempts
        if self.state.phase is not before.phase:
            assert self.state.phase in MAY_FOLLOW[before.phase]
        if kind is SignalKind.LOST and actions:
            assert cause is not None
            self.check_loss(before, signal, self.excuse(before, cause), actions)

    def check_life(self, before: ConnectionState, action: Action) -> None:
        """Nothing is begun while something is open, but one beside it; nothing is closed twice."""
        match action.kind:
            case ActionKind.OPEN:
                assert self.living == []
            case ActionKind.OPEN_BESIDE:
                assert self.living == [before.generation]
                assert before.phase in OPEN
            case ActionKind.LEAVE:
                assert self.living == [before.generation, before.successor]
            case ActionKind.PROMOTE:
                assert self.living == [before.successor]
        if action.kind in (ActionKind.OPEN, ActionKind.OPEN_BESIDE):
            asked = action.kind is ActionKind.OPEN_BESIDE or before.phase in OPEN
            assert not asked or self.now >= before.opened_at + self.policy.hint_floor
            self.begun += 1
            self.living.append(self.begun)
            assert action.generation == self.begun
        if action.kind in (ActionKind.CLOSE, ActionKind.LEAVE):
            assert (action.generation in self.living) is (before.phase in UP)
            self.living = [number for number in self.living if number != action.generation]

    def count(self, before: ConnectionState, action: Action) -> None:
        """Attempts grow by one with each, but for one that replaces an open connection on request.

        Only proof and a pause begin anew.
        """
        resumed = action.kind is ActionKind.RESUME and before.drain_by is None
        paused = action.kind is ActionKind.PAUSE and self.state.phase is Phase.PAUSED
        if action.kind is ActionKind.PROVEN or resumed or paused:
            self.begin_to_count()
        if action.kind in (ActionKind.OPEN, ActionKind.PROMOTE):
            self.attempts += 1
        if action.kind is ActionKind.LEAVE:
            self.attempts = max(self.attempts, 1)
        if action.kind is ActionKind.EXHAUSTED:
            self.exhausted += 1
            self.exhausted_at = self.now
        if action.kind is ActionKind.ATTENTION:
            self.attentions += 1
            assert before.away_since is not None
            assert self.now >= before.away_since + self.policy.attention_after
            assert before.away_since <= self.exhausted_at
            assert before.phase in (Phase.WAITING, Phase.CONNECTING)

    def excuse(self, before: ConnectionState, cause: Cause) -> Cause:
        """Return what a cause is taken for: old credentials may well be refused."""
        old = before.generation <= self.outdated
        if old and cause.who_must_act is WhoMustAct.CREDENTIALS:
            nobody = WhoMustAct.NOBODY
            return evolve(cause, failure_class=FailureClass.RECOVERABLE, who_must_act=nobody)

        return cause

    def check_loss(
        self, before: ConnectionState, signal: Signal, cause: Cause, actions: tuple[Action, ...]
    ) -> None:
        """Close first. A successor that fails changes no more; a connection without one is made."""
        if signal.generation is not None and signal.generation == before.successor:
            assert actions == (
                Action(ActionKind.CLOSE, signal.cause, generation=signal.generation),
            )
            assert self.state.phase is before.phase
            assert self.state.rotate_at is not None
            return

        assert actions[0] == Action(ActionKind.CLOSE, cause, generation=before.generation)
        assert self.state.cause == cause
        used_up = before.attempt >= self.policy.attempts
        escalates = used_up and self.policy.exhausted is Exhausted.ESCALATE
        if cause.failure_class is FailureClass.FATAL:
            assert self.state.phase is Phase.FAILED
        elif before.successor is not None:
            assert self.state.phase is Phase.CONNECTING
        elif escalates:
            assert self.state.phase is Phase.FAILED
        else:
            quick = not used_up and cause.failure_class is FailureClass.RECOVERABLE
            self.check_wait(actions[-1], cause, quick=quick)
        if self.state.phase is Phase.FAILED:
            assert actions[-1] == Action(ActionKind.FAIL, cause)

    def check_wait(self, wait: Action, cause: Cause, *, quick: bool) -> None:
        """Within the caps, above the floor, as was asked; the steps never shrink until proven."""
        assert (wait.kind, wait.quick) == (ActionKind.WAIT, quick)
        assert self.state.exhausted or quick
        assert self.state.next_retry_at == self.now + wait.seconds
        assert self.state.waited >= self.steps[quick]
        self.steps[quick] = self.state.waited
        asked = cause.retry_after
        if asked is not None:
            asked = min(asked, self.policy.hint_ceiling)
        if asked is None:
            assert wait.seconds <= self.state.waited
        elif quick:
            least = max(asked, self.policy.hint_floor)
            assert least <= wait.seconds <= least + self.policy.backoff.cap
        else:
            assert wait.seconds >= asked
            assert wait.seconds <= self.state.waited or wait.seconds == asked

    @invariant()
    def a_retry_has_a_time_exactly_while_waiting(self) -> None:
        """And at no other time."""
        assert (self.state.next_retry_at is not None) is (self.state.phase is Phase.WAITING)

    @invariant()
    def what_was_asked_for_is_what_is(self) -> None:
        """The machine believes in exactly those connections that it has asked for."""
        believed = [self.state.generation] if self.state.phase in UP else []
        if self.state.successor is not None:
            believed.append(self.state.successor)
        assert self.living == believed
        assert self.state.begun == self.begun

    @invariant()
    def what_is_planned_is_about_an_open_connection(self) -> None:
        """A successor, a time for it, a row of its failures: only beside what it is to replace."""
        if self.state.phase not in OPEN:
            assert self.state.successor is None
            assert self.state.besides == 0
        if self.state.phase not in OPEN or self.state.successor is not None:
            assert self.state.rotate_at is None

    @invariant()
    def what_is_away_knows_since_when(self) -> None:
        """Whatever it waits for; and what is proven, or closed on purpose, is not away."""
        if self.state.phase in (Phase.CONNECTING, Phase.WAITING):
            assert self.state.away_since is not None
        if self.state.phase in (Phase.PROVEN, Phase.PAUSED):
            assert self.state.away_since is None

    @invariant()
    def only_what_runs_is_drained(self) -> None:
        """What is paused, or has ended, has nothing to be drained for."""
        assert self.state.drain_by is None or self.state.phase in RUNNING

    @invariant()
    def exhaustion_was_told(self) -> None:
        """Who is to know of it has been told, once; and so of the need for attention."""
        assert self.exhausted <= 1
        assert self.attentions <= 1
        if self.state.phase is not Phase.FAILED:
            assert self.state.exhausted is (self.exhausted == 1)
        assert self.state.needs_attention is (self.attentions == 1)

    @invariant()
    def a_failure_has_a_cause(self) -> None:
        """Nothing is given up without a reason."""
        assert self.state.phase is not Phase.FAILED or self.state.cause is not None


TestConnectionMachine = ConnectionMachine.TestCase
TestConnectionMachine.settings = settings(max_examples=40, stateful_step_count=30)
