"""Machine 1, a child: every row of its tables, and what they lead to together."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_instances.policy.backoff import Backoff, Jitter
from trio_instances.policy.failures import Cause, FailureClass
from trio_instances.policy.intensity import RestartIntensity, RestartWindow
from trio_instances.policy.restart import (
    AFTER_EXIT,
    CRASH_OR_DEGRADE,
    RETURNED,
    TRANSITIONS,
    ChildState,
    Decision,
    Exit,
    Move,
    RestartType,
    Verdict,
    after_first_start,
    decide,
    ends_supervisor,
)
from trio_instances.policy.strategies import AutoShutdown

from .strategies import backoffs, causes, chances

PERMANENT, TRANSIENT, TEMPORARY = RestartType
RECOVERABLE, DEGRADED, FATAL = FailureClass
RESTART, STAY, FORGET, PARK, ESCALATE = Verdict
BY_ITSELF = [Exit.RETURNED, Exit.CRASHED, Exit.START_FAILED, Exit.DECLINED]
NEVER, ANY, ALL = AutoShutdown

RESTARTED = {
    (PERMANENT, Exit.RETURNED),
    (PERMANENT, Exit.CRASHED),
    (PERMANENT, Exit.START_FAILED),
    (TRANSIENT, Exit.CRASHED),
    (TRANSIENT, Exit.START_FAILED),
}
"""The exits after which OTP restarts: R1 and R2, and starts that fail on a restart."""


def every(*sets: Any) -> list[tuple[Any, ...]]:
    """Return every combination of one member of each set."""
    return list(product(*sets))


def window(restarts: int) -> RestartWindow:
    """Return a window in which this many restarts are left at time 0."""
    return RestartWindow(RestartIntensity(max_restarts=restarts, period=5.0))


def verdict_on(
    exit_kind: Exit = Exit.CRASHED,
    *,
    restart: RestartType = PERMANENT,
    essential: bool = True,
    failure_class: FailureClass = RECOVERABLE,
    left: RestartWindow | None = None,
    backoff: Backoff | None = None,
) -> Decision:
    """Decide about an exit; by default a crash of a permanent child that may be restarted."""
    return decide(
        restart=restart,
        essential=essential,
        exit_kind=exit_kind,
        cause=Cause(failure_class, "x"),
        window=window(1) if left is None else left,
        backoff=backoff,
        attempt=0,
        now=0.0,
        u=1.0,
    )


# --- Question 1: should it be restarted?


@pytest.mark.parametrize(
    ("restart", "exit_kind", "essential"), every(RestartType, Exit, [True, False])
)
def test_the_restart_type_decides_after_which_exits_a_child_is_restarted(
    restart: RestartType, exit_kind: Exit, *, essential: bool
) -> None:
    """Every type after every exit, as OTP has it, whether essential or not."""
    otherwise = FORGET if restart is TEMPORARY else STAY
    expected = RESTART if (restart, exit_kind) in RESTARTED else otherwise

    decision = verdict_on(exit_kind, restart=restart, essential=essential)
    assert decision == Decision(expected)
    assert AFTER_EXIT[restart][exit_kind] is expected


@pytest.mark.parametrize(
    ("restart", "exit_kind", "failure_class"), every(RestartType, Exit, FailureClass)
)
def test_a_child_that_is_not_to_be_restarted_is_not_judged(
    restart: RestartType, exit_kind: Exit, failure_class: FailureClass
) -> None:
    """Whatever the class, such an exit parks nobody, escalates nothing and costs no restart."""
    if (restart, exit_kind) in RESTARTED:
        return

    left = window(1)
    decision = verdict_on(
        exit_kind, restart=restart, failure_class=failure_class, essential=True, left=left
    )
    assert decision == Decision(FORGET if restart is TEMPORARY else STAY)
    assert left.allows(0.0)


# --- Questions 2 and 3: may it be, and what then?


@pytest.mark.parametrize(
    ("failure_class", "essential", "within", "beyond"),
    [
        (RECOVERABLE, True, Decision(RESTART), Decision(ESCALATE, exceeded=True)),
        (RECOVERABLE, False, Decision(RESTART), Decision(PARK, exceeded=True)),
        (DEGRADED, True, Decision(PARK), Decision(PARK)),
        (DEGRADED, False, Decision(PARK), Decision(PARK)),
        (FATAL, True, Decision(ESCALATE), Decision(ESCALATE)),
        (FATAL, False, Decision(PARK), Decision(PARK)),
    ],
)
@pytest.mark.parametrize("exited", sorted(RESTARTED))
def test_crash_or_degrade(
    failure_class: FailureClass,
    *,
    essential: bool,
    within: Decision,
    beyond: Decision,
    exited: tuple[RestartType, Exit],
) -> None:
    """The table of the design, within the intensity and beyond it, after every such exit."""
    restart, exit_kind = exited
    for left, expected in ((window(1), within), (window(0), beyond)):
        decision = verdict_on(
            exit_kind, restart=restart, failure_class=failure_class, essential=essential, left=left
        )
        assert decision == expected
    assert CRASH_OR_DEGRADE[failure_class, essential] == (within.verdict, beyond.verdict)


@pytest.mark.parametrize(("failure_class", "essential"), every([DEGRADED, FATAL], [True, False]))
def test_only_a_restart_costs_a_restart(failure_class: FailureClass, *, essential: bool) -> None:
    """A child that is parked or escalates leaves the budget of its siblings alone."""
    left = window(1)
    verdict_on(failure_class=failure_class, essential=essential, left=left)

    assert left.allows(0.0)
    assert not left.allows(0.0)


def test_a_restart_is_counted_once() -> None:
    """The decision itself records the restart."""
    left = window(2)

    verdicts = [verdict_on(left=left).verdict for _ in range(3)]
    assert verdicts == [RESTART, RESTART, ESCALATE]


def test_a_refused_restart_leaves_no_trace() -> None:
    """A child that was parked for lack of restarts does not push the next one out."""
    left = RestartWindow(RestartIntensity(max_restarts=1, period=5.0))
    assert left.allows(-2.0)
    assert verdict_on(essential=False, left=left).verdict is PARK

    assert left.allows(3.5)


@given(backoffs(), st.integers(0, 100), chances)
def test_the_delay_is_that_of_the_backoff(backoff: Backoff, attempt: int, u: float) -> None:
    """Attempt and chance are handed on; only a restart has a delay."""
    decisions = {
        failure_class: decide(
            restart=PERMANENT,
            essential=True,
            exit_kind=Exit.CRASHED,
            cause=Cause(failure_class, "x"),
            window=window(1),
            backoff=backoff,
            attempt=attempt,
            now=0.0,
            u=u,
        )
        for failure_class in FailureClass
    }

    assert decisions[RECOVERABLE] == Decision(RESTART, delay=backoff.delay(attempt, u))
    assert decisions[DEGRADED].delay == decisions[FATAL].delay == 0.0


def test_without_a_backoff_a_restart_is_at_once() -> None:
    """As in OTP."""
    assert verdict_on(backoff=None) == Decision(RESTART, delay=0.0)
    slow = Backoff(initial=2.0, jitter=Jitter.NONE)
    assert verdict_on(backoff=slow) == Decision(RESTART, delay=2.0, exceeded=False)


def test_a_plain_return_is_recoverable() -> None:
    """A permanent child that returns is restarted within the intensity like one that crashed."""
    assert RETURNED.failure_class is RECOVERABLE


@given(causes(), st.booleans())
def test_a_first_start_that_fails_is_decided_as_if_no_restart_were_left(
    cause: Cause,
    essential: bool,  # noqa: FBT001 - drawn by hypothesis, by position
) -> None:
    """It is parked, or goes to whoever asked for it; it is never tried again by itself."""
    verdict = after_first_start(cause, essential=essential)
    decision = verdict_on(failure_class=cause.failure_class, essential=essential, left=window(0))

    assert verdict is decision.verdict
    assert verdict in (PARK, ESCALATE)


# --- Moves


LEGAL = {
    ("starting", "ready"): "running",
    ("starting", "stop"): "stopping",
    ("starting", "retry"): "restarting",
    ("starting", "rest"): "stopped",
    ("starting", "park"): "parked",
    ("starting", "remove"): "removed",
    ("running", "stop"): "stopping",
    ("running", "retry"): "restarting",
    ("running", "rest"): "stopped",
    ("running", "park"): "parked",
    ("running", "remove"): "removed",
    ("stopping", "rest"): "stopped",
    ("stopping", "remove"): "removed",
    ("restarting", "start"): "starting",
    ("restarting", "stop"): "stopping",
    ("restarting", "rest"): "stopped",
    ("restarting", "remove"): "removed",
    ("stopped", "start"): "starting",
    ("stopped", "park"): "parked",
    ("stopped", "remove"): "removed",
    ("parked", "start"): "starting",
    ("parked", "rest"): "stopped",
    ("parked", "remove"): "removed",
}


@pytest.mark.parametrize(("state", "move"), every(ChildState, Move))
def test_every_move_in_every_state_is_legal_or_refused(state: ChildState, move: Move) -> None:
    """A pair of the table gives the state it names; any other is a bug and raises."""
    expected = LEGAL.get((state, move))
    if expected is None:
        with pytest.raises(KeyError):
            TRANSITIONS[state][move]
    else:
        assert TRANSITIONS[state][move] is ChildState(expected)


def test_nothing_comes_after_removed() -> None:
    """The state with no way out is in the table, and empty; it is the only one."""
    assert [state for state, moves in TRANSITIONS.items() if not moves] == [ChildState.REMOVED]


@pytest.mark.parametrize("state", ChildState)
def test_every_child_can_be_forgotten(state: ChildState) -> None:
    """Whatever it does, a supervisor that ends gets rid of it in at most two moves."""
    seen = {state}
    for _ in range(2):
        seen |= {after for now in seen for after in TRANSITIONS[now].values()}

    assert ChildState.REMOVED in seen


# --- Significant children: rows U1 to U9 of OTP's catalogue


@pytest.mark.parametrize(
    ("setting", "verdict", "others"), every(AutoShutdown, Verdict, [True, False])
)
def test_u1_a_child_that_is_not_significant_never_ends_its_supervisor(
    setting: AutoShutdown, verdict: Verdict, *, others: bool
) -> None:
    """Under no setting, by no end."""
    assert not ends_supervisor(setting, significant=False, verdict=verdict, others_active=others)


@pytest.mark.parametrize(("verdict", "others"), every(Verdict, [True, False]))
def test_under_never_nothing_ends_the_supervisor(verdict: Verdict, *, others: bool) -> None:
    """The default setting knows no significance."""
    assert not ends_supervisor(NEVER, significant=True, verdict=verdict, others_active=others)


@pytest.mark.parametrize("others", [True, False])
def test_u2_the_normal_end_of_a_transient_one_ends_its_supervisor(*, others: bool) -> None:
    """Under any_significant a return is enough; a crash is just restarted."""
    for exit_kind, ends in ((Exit.RETURNED, True), (Exit.CRASHED, False)):
        verdict = verdict_on(exit_kind, restart=TRANSIENT).verdict
        assert ends_supervisor(ANY, significant=True, verdict=verdict, others_active=others) is ends


@pytest.mark.parametrize(("exit_kind", "failure_class"), every(BY_ITSELF, FailureClass))
def test_u3_every_end_of_a_temporary_one_ends_its_supervisor(
    exit_kind: Exit, failure_class: FailureClass
) -> None:
    """Under any_significant, by itself, for whatever reason."""
    verdict = verdict_on(exit_kind, restart=TEMPORARY, failure_class=failure_class).verdict

    assert ends_supervisor(ANY, significant=True, verdict=verdict, others_active=True)


@pytest.mark.parametrize("exit_kind", [Exit.RETURNED, Exit.CRASHED])
def test_u6_under_all_significant_the_last_active_one_ends_its_supervisor(exit_kind: Exit) -> None:
    """The end of a significant child is enough when no other significant one is active."""
    verdict = verdict_on(exit_kind, restart=TEMPORARY).verdict

    assert ends_supervisor(ALL, significant=True, verdict=verdict, others_active=False)
    assert not ends_supervisor(ALL, significant=True, verdict=verdict, others_active=True)


@pytest.mark.parametrize(("setting", "others"), every(AutoShutdown, [True, False]))
def test_u7_one_that_is_restarted_is_still_active(setting: AutoShutdown, *, others: bool) -> None:
    """It is on its way back, so it has not ended."""
    assert not ends_supervisor(setting, significant=True, verdict=RESTART, others_active=others)


@pytest.mark.parametrize(
    ("setting", "verdict", "others"), every(AutoShutdown, [PARK, ESCALATE], [True, False])
)
def test_parking_and_escalating_are_no_ends(
    setting: AutoShutdown, verdict: Verdict, *, others: bool
) -> None:
    """A parked child is to be revived; an escalation ends the supervisor in its own way."""
    assert not ends_supervisor(setting, significant=True, verdict=verdict, others_active=others)
