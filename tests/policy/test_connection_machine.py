"""Machine 2, played at random: signals, stale ones too, under any policy; the laws after each."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from trio_instances.policy.connection import step
from trio_instances.policy.failures import Cause, FailureClass
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
UP = {Phase.CONNECTING, Phase.CONNECTED, Phase.PROVEN}

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
    [SignalKind.RECONNECT, SignalKind.PAUSE, SignalKind.RESUME, SignalKind.STOP]
)
ages = st.sampled_from([1, 2, -1, None, 0])
"""How many generations ago a signal is about; None: it does not say."""


# Functions with names: of a lambda, older releases of hypothesis look up the source whenever they
# ask it, which took ten times as long as all the rest.


def has_ended(machine: ConnectionMachine) -> bool:
    """Return whether nothing follows any more."""
    return machine.state.phase in ENDS


def may_end(machine: ConnectionMachine) -> bool:
    """Return whether anything follows."""
    return machine.state.phase not in ENDS


def is_on_the_road(machine: ConnectionMachine) -> bool:
    """Return whether it can get nearer to being proven."""
    return machine.state.phase in ROAD


def is_up(machine: ConnectionMachine) -> bool:
    """Return whether there is an attempt or a connection to lose."""
    return machine.state.phase in UP


class ConnectionMachine(RuleBasedStateMachine):
    """One connection under any order of signals."""

    @initialize(policy=reconnect_policies)
    def begin(self, policy: ReconnectPolicy) -> None:
        """Begin with nothing."""
        self.policy = policy
        self.state = ConnectionState()
        self.now = 0.0
        self.up = False
        self.opens = 0
        self.opens_since_proven = 0
        self.exhausted = 0

    @precondition(has_ended)
    @rule()
    def begin_anew(self) -> None:
        """Forget a connection that has come to its end."""
        self.begin(self.policy)

    @precondition(is_on_the_road)
    @rule(turn=st.integers(0, 1), u=chances)
    def go_on(self, turn: int, u: float) -> None:
        """Let happen what should happen next."""
        road = ROAD[self.state.phase]
        self.send(road[turn % len(road)], 0, None, u)

    @precondition(is_on_the_road)
    @rule()
    def go_all_the_way(self) -> None:
        """Let all go well until the connection is proven."""
        while self.state.phase in ROAD:
            for kind in ROAD[self.state.phase]:
                self.send(kind, 0, None, 1.0)

    @precondition(is_up)
    @rule(cause=retried, u=chances)
    def lose(self, cause: Cause, u: float) -> None:
        """Lose the attempt or the connection."""
        self.send(SignalKind.LOST, 0, cause, u)

    @precondition(is_up)
    @rule(cause=retried, times=st.integers(2, 5), u=chances)
    def lose_repeatedly(self, cause: Cause, times: int, u: float) -> None:
        """Fail some attempts in a row."""
        for _ in range(times):
            self.send(SignalKind.LOST, None, cause, u)
            self.send(SignalKind.DUE, None, None, u)

    @precondition(is_up)
    @rule(cause=fatal)
    def lose_for_good(self, cause: Cause) -> None:
        """Learn something that no retry can mend."""
        self.send(SignalKind.LOST, 0, cause, 0.0)

    @precondition(may_end)
    @rule(kind=wishes, cause=st.one_of(st.none(), retried), u=chances)
    def operate(self, kind: SignalKind, cause: Cause | None, u: float) -> None:
        """Let an operator wish something."""
        self.send(kind, None, cause, u)

    @rule(kind=st.sampled_from(SignalKind), cause=causes(), age=ages, u=chances)
    def hear_anything(self, kind: SignalKind, cause: Cause, age: int | None, u: float) -> None:
        """Hear what fits the phase or does not, often about another connection."""
        self.send(kind, age, cause, u)

    def send(self, kind: SignalKind, age: int | None, cause: Cause | None, u: float) -> None:
        """Send a signal, and hold what comes out against the laws."""
        self.now += 0.5
        before = self.state
        generation = None if age is None else before.generation - age
        signal = Signal(kind, generation, cause)
        self.state, actions = step(before, signal, self.policy, self.now, u)

        self.check_generations(before, signal, actions)
        self.check_attempts(before, actions)
        self.check_connections(actions)
        if self.state.phase is not before.phase:
            assert self.state.phase in MAY_FOLLOW[before.phase]
        if kind is SignalKind.LOST and before.phase in UP and actions:
            assert cause is not None
            self.check_loss(before, cause, actions)

    def check_generations(
        self, before: ConnectionState, signal: Signal, actions: tuple[Action, ...]
    ) -> None:
        """A generation begins with each `open` and never else; the old ones change nothing."""
        if signal.generation not in (None, before.generation):
            assert (self.state, actions) == (before, ())
        opens = [action.kind for action in actions].count(ActionKind.OPEN)
        assert opens <= 1
        self.opens += opens
        assert self.state.generation == self.opens

    def check_attempts(self, before: ConnectionState, actions: tuple[Action, ...]) -> None:
        """Attempts grow by one with each `open`; only proof and a resume begin anew."""
        for action in actions:
            if action.kind in (ActionKind.PROVEN, ActionKind.RESUME):
                self.opens_since_proven = 0
                self.exhausted = 0
            if action.kind is ActionKind.OPEN:
                self.opens_since_proven += 1
            if action.kind is ActionKind.EXHAUSTED:
                self.exhausted += 1
        assert self.state.attempt == self.opens_since_proven
        assert self.exhausted <= 1
        if before.exhausted and not self.state.exhausted:
            assert actions[0].kind in (ActionKind.PROVEN, ActionKind.RESUME)

    def check_connections(self, actions: tuple[Action, ...]) -> None:
        """Nothing is opened while something is open."""
        for action in actions:
            if action.kind is ActionKind.CLOSE:
                self.up = False
            if action.kind is ActionKind.OPEN:
                assert not self.up
                self.up = True

    def check_loss(
        self, before: ConnectionState, cause: Cause, actions: tuple[Action, ...]
    ) -> None:
        """Close, and then wait within the cap or for as long as was asked, or fail."""
        assert actions[0] == Action(ActionKind.CLOSE, cause)
        assert self.state.cause == cause
        last = actions[-1]
        used_up = before.attempt >= self.policy.attempts
        escalates = used_up and self.policy.exhausted is Exhausted.ESCALATE
        if cause.failure_class is FailureClass.FATAL or escalates:
            assert last == Action(ActionKind.FAIL, cause)
            assert self.state.phase is Phase.FAILED
            return

        assert last.kind is ActionKind.WAIT
        assert last.quick is (not used_up and cause.failure_class is FailureClass.RECOVERABLE)
        assert self.state.exhausted or last.quick
        asked = cause.retry_after or 0.0
        cap = self.policy.backoff.cap if last.quick else self.policy.slow.cap
        assert last.seconds >= asked
        assert last.seconds <= cap or last.seconds == asked
        assert self.state.next_retry_at == self.now + last.seconds

    @invariant()
    def a_retry_has_a_time_exactly_while_waiting(self) -> None:
        """And at no other time."""
        assert (self.state.next_retry_at is not None) is (self.state.phase is Phase.WAITING)

    @invariant()
    def what_was_asked_for_is_what_is(self) -> None:
        """The machine believes in a connection exactly when it has asked for one."""
        assert self.up is (self.state.phase in UP)

    @invariant()
    def exhaustion_was_told(self) -> None:
        """Who is to know of it has been told, once."""
        if self.state.phase is not Phase.FAILED:
            assert self.state.exhausted is (self.exhausted == 1)

    @invariant()
    def a_failure_has_a_cause(self) -> None:
        """Nothing is given up without a reason."""
        assert self.state.phase is not Phase.FAILED or self.state.cause is not None


TestConnectionMachine = ConnectionMachine.TestCase
TestConnectionMachine.settings = settings(max_examples=80, stateful_step_count=40)
