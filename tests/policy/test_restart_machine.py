"""Machine 1, played at random: children, exits and verbs over window, decision and moves."""

from __future__ import annotations

from attrs import define, field
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

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

DOWN = {ChildState.STOPPED, ChildState.PARKED}
STOPPABLE = {ChildState.STARTING, ChildState.RUNNING, ChildState.RESTARTING}
ONWARDS = {
    ChildState.STARTING: Move.READY,
    ChildState.RUNNING: Move.STOP,
    ChildState.STOPPING: Move.REST,
    ChildState.RESTARTING: Move.START,
    ChildState.STOPPED: Move.START,
    ChildState.PARKED: Move.START,
}
MOVES = {
    Verdict.RESTART: Move.RETRY,
    Verdict.STAY: Move.REST,
    Verdict.FORGET: Move.REMOVE,
    Verdict.PARK: Move.PARK,
    Verdict.ESCALATE: Move.REST,
}


kinds = st.tuples(st.sampled_from(RestartType), st.booleans())
indexes = st.integers(0, 3)


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
    """Some children that share one budget, under any order of exits and verbs."""

    @initialize(
        intensity=intensities,
        backoff=st.one_of(st.none(), backoffs()),
        kinds=st.lists(kinds, min_size=1, max_size=4),
    )
    def open(
        self,
        intensity: RestartIntensity,
        backoff: Backoff | None,
        kinds: list[tuple[RestartType, bool]],
    ) -> None:
        """Open a supervisor."""
        self.intensity = intensity
        self.backoff = backoff
        self.kinds = kinds
        self.now = 0.0
        self.reopen()

    def reopen(self) -> None:
        """Begin with new children and a whole budget, as after an escalation."""
        self.window = RestartWindow(self.intensity)
        self.restarts: list[float] = []
        self.escalated = False
        self.all = [Child(restart, essential) for restart, essential in self.kinds]

    def child(self, index: int, state: ChildState) -> Child:
        """Return a child brought to a state by legal moves; a new one for one removed."""
        if self.escalated:
            self.reopen()
        index %= len(self.kinds)
        if self.all[index].state is ChildState.REMOVED:
            self.all[index] = Child(*self.kinds[index])
        child = self.all[index]
        while child.state is not state:
            child.move(ONWARDS[child.state])
        return child

    @rule(seconds=st.sampled_from([0.25, 0.5, 1.0, 4.5, 5.0, 20.0]))
    def wait(self, seconds: float) -> None:
        """Let time pass, often exactly a period."""
        self.now += seconds

    @rule(index=indexes, cause=causes(), u=chances)
    def crash(self, index: int, cause: Cause, u: float) -> None:
        """Crash after a start that went well."""
        self.judge(self.child(index, ChildState.RUNNING), Exit.CRASHED, cause, u)

    @rule(index=indexes, times=st.integers(2, 6), gap=st.sampled_from([0.0, 0.25, 1.0, 5.0]))
    def crash_again_and_again(self, index: int, times: int, gap: float) -> None:
        """Crash so often that no budget lasts."""
        for _ in range(times):
            self.judge(self.child(index, ChildState.RUNNING), Exit.CRASHED, RETURNED)
            self.now += gap

    @rule(index=indexes)
    def end_well(self, index: int) -> None:
        """Return."""
        self.judge(self.child(index, ChildState.RUNNING), Exit.RETURNED, RETURNED)

    @rule(index=indexes, cause=causes(), u=chances)
    def fail_to_start(self, index: int, cause: Cause, u: float) -> None:
        """End before being ready."""
        self.judge(self.child(index, ChildState.STARTING), Exit.START_FAILED, cause, u)

    @rule(index=indexes, cause=causes())
    def decline(self, index: int, cause: Cause) -> None:
        """Have nothing to do."""
        child = self.child(index, ChildState.STARTING)
        assert self.judge(child, Exit.DECLINED, cause) in (Verdict.STAY, Verdict.FORGET)

    @rule(index=indexes, state=st.sampled_from(sorted(STOPPABLE)), cause=causes())
    def stop(self, index: int, state: ChildState, cause: Cause) -> None:
        """End because somebody asked for it: no cause matters, no restart is spent."""
        if state is ChildState.RESTARTING:
            child = self.child(index, ChildState.RUNNING)
            if self.judge(child, Exit.CRASHED, RETURNED) is not Verdict.RESTART:
                return
        else:
            child = self.child(index, state)

        child.move(Move.STOP)
        assert self.judge(child, Exit.STOPPED, cause) in (Verdict.STAY, Verdict.FORGET)

    @rule(index=indexes)
    def delete(self, index: int) -> None:
        """Forget a child that is down."""
        child = self.all[index % len(self.kinds)]
        if child.state in DOWN:
            child.move(Move.REMOVE)

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
    def temporary_children_are_never_restarted(self) -> None:
        """They are forgotten at their first end."""
        for child in self.all:
            if child.restart is RestartType.TEMPORARY:
                assert ChildState.RESTARTING not in child.visited

    @invariant()
    def removed_is_the_end(self) -> None:
        """No state follows it."""
        for child in self.all:
            assert ChildState.REMOVED not in child.visited[:-1]


TestRestartMachine = RestartMachine.TestCase
TestRestartMachine.settings = settings(max_examples=60, stateful_step_count=40)
