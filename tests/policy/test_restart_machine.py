"""Machine 1, played at random: children, exits and verbs over window, decision and moves."""

from __future__ import annotations

from attrs import define, field
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from trio_instances.policy.backoff import Backoff
from trio_instances.policy.failures import Cause, FailureClass
from trio_instances.policy.intensity import RestartIntensity, RestartWindow
from trio_instances.policy.restart import (
    RETURNED,
    TRANSITIONS,
    ChildState,
    Exit,
    Move,
    RestartType,
    Verdict,
    decide,
)

from .strategies import backoffs, causes, chances, intensities

RUNS = {ChildState.STARTING, ChildState.RUNNING}
DOWN = {ChildState.STOPPED, ChildState.PARKED}
MOVES = {
    Verdict.RESTART: Move.RETRY,
    Verdict.STAY: Move.REST,
    Verdict.FORGET: Move.REMOVE,
    Verdict.PARK: Move.PARK,
    Verdict.ESCALATE: Move.REST,
}


@define(eq=False)
class Child:
    """One child as a supervisor would keep it."""

    restart: RestartType
    essential: bool
    state: ChildState = ChildState.STOPPED
    attempt: int = 0
    visited: list[ChildState] = field(factory=list)

    def move(self, move: Move) -> None:
        """Go where the table says; a move that it lacks raises."""
        self.state = TRANSITIONS[self.state][move]
        self.visited.append(self.state)


class RestartMachine(RuleBasedStateMachine):
    """Any number of children that share one budget, under any order of exits and verbs."""

    children = Bundle("children")

    @initialize(intensity=intensities, backoff=st.one_of(st.none(), backoffs()))
    def open(self, intensity: RestartIntensity, backoff: Backoff | None) -> None:
        """Open a supervisor."""
        self.intensity = intensity
        self.window = RestartWindow(intensity)
        self.backoff = backoff
        self.now = 0.0
        self.restarts: list[float] = []
        self.escalated = False
        self.all: list[Child] = []

    @rule(target=children, restart=st.sampled_from(RestartType), essential=st.booleans())
    def add(self, restart: RestartType, essential: bool) -> Child:  # noqa: FBT001 - drawn
        """Add a child; its first start begins."""
        child = Child(restart, essential)
        child.move(Move.START)
        self.all.append(child)
        return child

    @rule(seconds=st.sampled_from([0.25, 0.5, 1.0, 4.5, 5.0, 20.0]))
    def wait(self, seconds: float) -> None:
        """Let time pass, often exactly a period."""
        self.now += seconds

    @rule(child=children)
    def start(self, child: Child) -> None:
        """Begin the next incarnation: after a delay, or because somebody asked for it."""
        if child.state in DOWN | {ChildState.RESTARTING}:
            child.move(Move.START)

    @rule(child=children)
    def ready(self, child: Child) -> None:
        """Let a start succeed."""
        if child.state is ChildState.STARTING:
            child.move(Move.READY)

    @rule(child=children)
    def stop(self, child: Child) -> None:
        """Ask for an end, from anywhere between two rests."""
        if child.state in RUNS | {ChildState.RESTARTING}:
            child.move(Move.STOP)

    @rule(child=children, cause=causes())
    def end_asked_for(self, child: Child, cause: Cause) -> None:
        """End after having been asked to: no cause matters, no restart is spent."""
        if child.state is ChildState.STOPPING:
            verdict = self.judge(child, Exit.STOPPED, cause)
            assert verdict in (Verdict.STAY, Verdict.FORGET)

    @rule(target=children, child=consumes(children))
    def delete(self, child: Child) -> Child | MultipleResults[Child]:
        """Forget a child that is down."""
        if child.state not in DOWN:
            return child

        child.move(Move.REMOVE)
        return multiple()

    @precondition(lambda self: not self.escalated)
    @rule(child=children, crashed=st.booleans(), cause=causes(), u=chances)
    def end_by_itself(self, child: Child, crashed: bool, cause: Cause, u: float) -> None:  # noqa: FBT001 - drawn
        """Crash, return, or fail to start."""
        if child.state is ChildState.STARTING:
            self.judge(child, Exit.START_FAILED if crashed else Exit.DECLINED, cause, u)
        elif child.state is ChildState.RUNNING and crashed:
            self.judge(child, Exit.CRASHED, cause, u)
        elif child.state is ChildState.RUNNING:
            self.judge(child, Exit.RETURNED, RETURNED, u)

    def judge(self, child: Child, exit_kind: Exit, cause: Cause, u: float = 0.0) -> Verdict:
        """Decide about an exit, check the decision, and make its move."""
        decision = decide(
            restart=child.restart,
            essential=child.essential,
            exit_kind=exit_kind,
            cause=cause,
            window=self.window,
            backoff=self.backoff,
            attempt=child.attempt,
            now=self.now,
            u=u,
        )
        cap = 0.0 if self.backoff is None else self.backoff.cap
        recent = [then for then in self.restarts if self.now - then <= self.intensity.period]
        full = len(recent) >= self.intensity.max_restarts
        match decision.verdict:
            case Verdict.RESTART:
                assert not full
                assert cause.failure_class is FailureClass.RECOVERABLE
                assert child.restart is not RestartType.TEMPORARY
                assert 0.0 <= decision.delay <= cap
                self.restarts.append(self.now)
                child.attempt += 1
            case Verdict.PARK:
                assert cause.failure_class is FailureClass.DEGRADED or not child.essential
                assert decision.exceeded is (
                    full and cause.failure_class is FailureClass.RECOVERABLE
                )
            case Verdict.ESCALATE:
                assert child.essential
                assert decision.exceeded is (cause.failure_class is not FailureClass.FATAL)
                assert full or not decision.exceeded
                self.escalated = True
            case Verdict.STAY:
                assert child.restart is not RestartType.TEMPORARY
            case Verdict.FORGET:
                assert child.restart is RestartType.TEMPORARY
        child.move(MOVES[decision.verdict])
        return decision.verdict

    @invariant()
    def restarts_are_bounded(self) -> None:
        """No window of one period holds more restarts than allowed."""
        for start in self.restarts:
            held = [t for t in self.restarts if start <= t and t - start <= self.intensity.period]
            assert len(held) <= self.intensity.max_restarts

    @invariant()
    def temporary_children_run_once(self) -> None:
        """Nobody restarts a temporary child; only `start` after a stop would."""
        for child in self.all:
            if child.restart is RestartType.TEMPORARY:
                assert ChildState.RESTARTING not in child.visited
                assert child.visited.count(ChildState.STARTING) == 1

    @invariant()
    def removed_is_the_end(self) -> None:
        """No state follows it."""
        for child in self.all:
            assert ChildState.REMOVED not in child.visited[:-1]


TestRestartMachine = RestartMachine.TestCase
TestRestartMachine.settings = settings(max_examples=60, stateful_step_count=40)
