"""A connection to be told things, for the tests of machine 2."""

from __future__ import annotations

from trio_instances.policy.connection import step
from trio_instances.policy.failures import Cause, FailureClass
from trio_instances.policy.reconnect import ReconnectPolicy
from trio_instances.policy.signals import (
    Action,
    ActionKind,
    ConnectionState,
    Phase,
    Signal,
    SignalKind,
)

REFUSED = Cause(FailureClass.RECOVERABLE, "connection_refused")
LIMITED = Cause(FailureClass.DEGRADED, "limited")
BANNED = Cause(FailureClass.FATAL, "banned")
POLICY = ReconnectPolicy()

ROAD: dict[Phase, list[Signal]] = {
    Phase.IDLE: [],
    Phase.QUEUED: [Signal(SignalKind.START)],
    Phase.CONNECTING: [Signal(SignalKind.START)],
    Phase.CONNECTED: [Signal(SignalKind.START), Signal(SignalKind.OPENED)],
    Phase.PROVEN: [
        Signal(SignalKind.START),
        Signal(SignalKind.OPENED),
        Signal(SignalKind.STABLE),
    ],
    Phase.WAITING: [Signal(SignalKind.START), Signal(SignalKind.LOST, cause=REFUSED)],
    Phase.PAUSED: [Signal(SignalKind.PAUSE)],
    Phase.FAILED: [Signal(SignalKind.START), Signal(SignalKind.LOST, cause=BANNED)],
    Phase.STOPPED: [Signal(SignalKind.STOP)],
}
"""How each phase is come to first."""


class Line:
    """A connection that is told things, with a chance of 1, and keeps what it said.

    Its time is 0 until a test moves it.
    """

    def __init__(
        self, policy: ReconnectPolicy = POLICY, *, u: float = 1.0, budgeted: bool = False
    ) -> None:
        self.policy = policy
        self.u = u
        self.now = 0.0
        self.state = ConnectionState(budgeted=budgeted)
        self.said: list[Action] = []

    def tell(self, *kinds: SignalKind, cause: Cause | None = None) -> Line:
        """Tell it some things, one after the other."""
        for kind in kinds:
            self.take(Signal(kind, cause=cause))

        return self

    def take(self, signal: Signal) -> tuple[Action, ...]:
        """Take in one signal and return what is to be done."""
        self.state, actions = step(self.state, signal, self.policy, self.now, self.u)
        self.said += actions
        return actions

    def fail(self, times: int, cause: Cause = REFUSED) -> list[float]:
        """Fail attempts in a row, begin the next one after each, and return the delays."""
        delays = []
        for _ in range(times):
            (wait,) = (a for a in self.lose(cause) if a.kind is ActionKind.WAIT)
            delays.append(wait.seconds)
            self.tell(SignalKind.DUE)

        return delays

    def lose(self, cause: Cause = REFUSED) -> tuple[Action, ...]:
        """Lose the attempt or the connection that there is."""
        return self.take(Signal(SignalKind.LOST, self.state.generation, cause))

    def is_in(self, phase: Phase) -> bool:
        """Tell whether it is in a phase now."""
        return self.state.phase is phase

    def count(self, kind: ActionKind) -> int:
        """Return how often an action was asked for."""
        return sum(action.kind is kind for action in self.said)


def at(phase: Phase, policy: ReconnectPolicy = POLICY) -> Line:
    """Return a connection in a phase; with a budget only where it needs one to be there.

    One that is open was opened long enough ago to be replaced at once.
    """
    line = Line(policy, budgeted=phase is Phase.QUEUED)
    line.now = -policy.hint_floor if phase in (Phase.CONNECTED, Phase.PROVEN) else 0.0
    for signal in ROAD[phase]:
        line.take(signal)
    line.now = 0.0
    assert line.state.phase is phase
    return line


def kinds(actions: tuple[Action, ...]) -> list[str]:
    """Return the actions' kinds as words."""
    return [str(action.kind) for action in actions]
