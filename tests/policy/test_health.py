"""What a row of probes means, and the snapshot."""

from __future__ import annotations

import math

import pytest
from attrs.exceptions import FrozenInstanceError
from hypothesis import given
from hypothesis import strategies as st

from trio_instances._exceptions import InvalidSpec
from trio_instances.policy.failures import Cause, FailureClass
from trio_instances.policy.health import (
    HealthSnapshot,
    LivenessSignal,
    ProbeAction,
    ProbePolicy,
    ProbeState,
    ProbeVerdict,
    QueueHealth,
    step,
)
from trio_instances.policy.status import DegradedReason, InstanceStatus

from .strategies import chances

BAD = {kind: Cause(FailureClass(kind), "x") for kind in ("recoverable", "degraded", "fatal")}
POLICY = ProbePolicy()

policies = st.builds(
    ProbePolicy,
    failures_to_fail=st.integers(1, 4),
    successes_to_recover=st.integers(1, 4),
    startup_failures=st.none() | st.integers(1, 6),
)
outcomes = st.lists(
    st.sampled_from([None, None, BAD["recoverable"], BAD["degraded"], BAD["fatal"]]), max_size=25
)


def actions(*outcomes: str, policy: ProbePolicy = POLICY) -> list[str]:
    """Return what each of some outcomes leads to."""
    state = ProbeState()
    done = []
    for outcome in outcomes:
        state, action = step(state, policy, BAD.get(outcome), 0.1, 1.0)
        done.append(str(action))

    return done


# --- Thresholds


def test_three_recoverable_failures_in_a_row_end_the_connection() -> None:
    """Two do not, and a success between them begins the count anew."""
    assert actions("recoverable", "recoverable", "recoverable") == ["none", "none", "fail"]
    assert actions("recoverable", "recoverable", "ok", "recoverable", "recoverable") == ["none"] * 5


def test_three_degraded_failures_in_a_row_degrade_once() -> None:
    """The connection is kept, and more of the same is no news."""
    assert actions(*["degraded"] * 5) == ["none", "none", "degrade", "none", "none"]


def test_two_successes_in_a_row_end_a_degradation() -> None:
    """One does not, and a failure between them begins the count anew."""
    degraded = ["degraded"] * 3

    assert actions(*degraded, "ok", "ok", "ok")[3:] == ["none", "recover", "none"]
    assert actions(*degraded, "ok", "degraded", "ok", "ok")[3:] == ["none"] * 3 + ["recover"]


def test_a_success_that_ends_nothing_leads_to_nothing() -> None:
    """A healthy connection is left alone."""
    assert actions("ok", "ok", "ok") == ["none"] * 3


def test_one_fatal_failure_ends_the_connection_at_once() -> None:
    """No threshold holds it back, also not on a degraded connection or after successes."""
    assert actions("fatal") == ["fail"]
    assert actions("ok", "ok", "fatal")[-1] == "fail"
    assert actions("degraded", "degraded", "degraded", "fatal")[-1] == "fail"


@pytest.mark.parametrize(
    "outcomes",
    [
        ["recoverable", "recoverable", "degraded"],
        ["degraded", "degraded", "recoverable"],
        ["recoverable", "degraded", "recoverable"],
    ],
)
def test_a_row_of_both_kinds_of_failures_degrades(outcomes: list[str]) -> None:
    """Only recoverable failures, all in a row, end a connection."""
    assert actions(*outcomes) == ["none", "none", "degrade"]


def test_one_recoverable_failure_after_a_long_degradation_ends_nothing() -> None:
    """The failures that degraded a connection are not counted against it as lost."""
    assert actions(*["degraded"] * 5, "recoverable", "recoverable", "recoverable") == [
        "none",
        "none",
        "degrade",
        "none",
        "none",
        "none",
        "none",
        "fail",
    ]


def lost(outcomes: list[Cause | None], failures: int) -> bool:
    """Return whether the last so many outcomes are all recoverable failures."""
    last = outcomes[-failures:]
    return len(last) == failures and all(cause is BAD["recoverable"] for cause in last)


@given(policies, outcomes)
def test_the_actions_are_those_that_the_last_verdicts_give(
    policy: ProbePolicy, outcomes: list[Cause | None]
) -> None:
    """A statement of the rules by counting back, which the machine agrees with at every step."""
    state = ProbeState()
    degraded = False
    for index, cause in enumerate(outcomes):
        row = 0
        started = policy.startup_failures is None or None in outcomes[:index]
        failures = policy.failures_to_fail if started else policy.startup_failures
        assert failures is not None
        while row <= index and (outcomes[index - row] is None) is (cause is None):
            row += 1
        if cause is None:
            expected = "recover" if degraded and row >= policy.successes_to_recover else "none"
        elif cause is BAD["fatal"] or lost(outcomes[: index + 1], failures):
            expected = "fail"
        else:
            degrades = row >= failures and not degraded
            expected = "degrade" if degrades else "none"
        degraded = (degraded or expected == "degrade") and expected != "recover"

        state, action = step(state, policy, cause, 0.1, float(index))
        assert (action, state.streak, state.degraded) == (expected, row, degraded)


@given(policies, outcomes)
def test_degrading_and_recovering_alternate(
    policy: ProbePolicy, outcomes: list[Cause | None]
) -> None:
    """No second degradation before a recovery, and no recovery without a degradation."""
    state = ProbeState()
    told = []
    for cause in outcomes:
        state, action = step(state, policy, cause, 0.1, 1.0)
        if action in (ProbeAction.DEGRADE, ProbeAction.RECOVER):
            told.append(action)

    assert told == [ProbeAction.DEGRADE, ProbeAction.RECOVER] * (len(told) // 2) + [
        ProbeAction.DEGRADE
    ] * (len(told) % 2)


@pytest.mark.parametrize(
    ("cause", "verdict"),
    [
        (None, ProbeVerdict.OK),
        (BAD["recoverable"], ProbeVerdict.RECOVERABLE),
        (BAD["degraded"], ProbeVerdict.DEGRADED),
        (BAD["fatal"], ProbeVerdict.FATAL),
    ],
)
def test_the_state_tells_of_the_last_probe(cause: Cause | None, verdict: ProbeVerdict) -> None:
    """Verdict, cause, how long it took and when it ended; nothing of the one before."""
    before = ProbeState(ProbeVerdict.FATAL, 9.0, 1, cause=BAD["fatal"], at=1.0)
    after, _ = step(before, POLICY, cause, 0.25, 40.0, waited=3.0)

    assert (after.verdict, after.cause, after.latency, after.at) == (verdict, cause, 0.25, 40.0)
    assert (after.waited, after.passed) == (3.0, cause is None)


# --- Startup


STARTING = ProbePolicy(failures_to_fail=2, startup_failures=4)


def test_until_a_probe_has_passed_the_startup_failures_count() -> None:
    """Four in a row end the connection, or degrade it, and two do not."""
    assert actions(*["recoverable"] * 4, policy=STARTING) == ["none"] * 3 + ["fail"]
    assert actions(*["degraded"] * 4, policy=STARTING) == ["none"] * 3 + ["degrade"]


def test_from_the_first_pass_on_the_ordinary_failures_count() -> None:
    """The budget for the start is spent once, and what was left of it is gone."""
    outcomes = ["recoverable"] * 3 + ["ok"] + ["recoverable"] * 2

    assert actions(*outcomes, policy=STARTING) == ["none"] * 5 + ["fail"]


def test_a_fatal_failure_is_fatal_during_the_start_too() -> None:
    """Patience does not mend it."""
    assert actions("fatal", policy=STARTING) == ["fail"]


@given(outcomes)
def test_that_a_probe_has_passed_is_never_forgotten(outcomes: list[Cause | None]) -> None:
    """A connection starts once."""
    state = ProbeState()
    for index, cause in enumerate(outcomes):
        state, _ = step(state, STARTING, cause, 0.1, 1.0)
        assert state.passed == (None in outcomes[: index + 1])


@pytest.mark.parametrize("passed", [True, False])
@pytest.mark.parametrize("startup", [None, 5])
def test_silence_has_no_threshold_during_a_start(startup: int | None, *, passed: bool) -> None:
    """Without a budget for the start there is none, and the thresholds hold at once."""
    policy = ProbePolicy(startup_failures=startup, transport_silence=7.0, data_silence=9.0)
    thresholds = [policy.threshold(signal, passed=passed) for signal in LivenessSignal]

    assert thresholds == ([7.0, 9.0] if passed or startup is None else [None, None])


@pytest.mark.parametrize("transport", [None, 7.0])
@pytest.mark.parametrize("data", [None, 9.0])
def test_silence_is_minded_where_there_is_any_threshold(
    transport: float | None, data: float | None
) -> None:
    """Without one nobody needs to know when a connection was last heard."""
    policy = ProbePolicy(transport_silence=transport, data_silence=data)

    assert policy.minds_silence == (policy != ProbePolicy())


# --- When to probe


@given(st.floats(0.001, 1e6), st.floats(0.0, 1.0), chances)
def test_a_wait_is_the_interval_and_the_jitter_both_ways(
    interval: float, jitter: float, u: float
) -> None:
    """Never more than the share away from the interval, and never negative."""
    wait = ProbePolicy(interval=interval, jitter=jitter).wait(u)

    assert wait >= 0.0
    assert abs(wait - interval) <= interval * jitter * (1 + 1e-9) + 1e-9


@given(st.floats(0.001, 1e6), st.floats(0.0, 1.0), chances)
def test_the_first_wait_is_anywhere_in_the_interval(
    interval: float, jitter: float, u: float
) -> None:
    """A fleet that connects at once is spread over a whole interval, whatever the jitter."""
    wait = ProbePolicy(interval=interval, jitter=jitter).wait(u, first=True)

    assert wait == pytest.approx(interval * u)
    assert 0.0 <= wait <= interval


@given(st.floats(0.0, 1e3), st.floats(0.0, 1e3), chances)
def test_probes_that_are_late_together_do_not_stay_together(
    late: float, latency: float, u: float
) -> None:
    """Each keeps its place in the interval, however late it was.

    Half of an interval is left in any case: a long stall is not made up for by a burst.
    """
    due_at = 100.0
    began_at = due_at + late
    next_at = POLICY.next_regular(due_at, began_at, began_at + latency, u)

    places = (next_at - due_at - latency - POLICY.wait(u)) / 30.0
    assert places == pytest.approx(round(places), abs=1e-6)
    assert abs(next_at - began_at - latency - POLICY.wait(u)) <= 15.0 + 1e-6


def test_a_probe_that_began_before_its_time_moves_nothing() -> None:
    """One that a silence has asked for may still run when the regular one is due."""
    assert POLICY.next_regular(100.0, 98.0, 101.0, 0.5) == 131.0


def test_the_ends_of_the_wait_are_reached() -> None:
    """By default 27 to 33 seconds; the first one 0 to 30."""
    assert [POLICY.wait(u) for u in (0.0, 0.5, 1.0)] == pytest.approx([27.0, 30.0, 33.0])
    assert [POLICY.wait(u, first=True) for u in (0.0, 0.5, 1.0)] == [0.0, 15.0, 30.0]


def test_the_defaults_are_those_that_are_published() -> None:
    """Every 30 s within 5 s; three failures to fail, two successes to recover."""
    assert ProbePolicy() == ProbePolicy(
        interval=30.0, jitter=0.1, timeout=5.0, failures_to_fail=3, successes_to_recover=2
    )


def test_silence_is_off_unless_a_threshold_is_given() -> None:
    """A quiet channel is left alone, and no start is gated, until its user knows better."""
    assert [POLICY.threshold(signal, passed=True) for signal in LivenessSignal] == [None, None]
    assert POLICY.startup_failures is None


def test_every_mistake_is_listed() -> None:
    """One error names every field."""
    with pytest.raises(InvalidSpec) as caught:
        ProbePolicy(
            interval=0,
            jitter=1.5,
            timeout=math.inf,
            failures_to_fail=0,
            successes_to_recover=0,
            startup_failures=0,
            transport_silence=0,
            data_silence=math.inf,
        )

    assert str(caught.value).splitlines() == [
        "ProbePolicy has 8 mistakes:",
        "  - interval: must be a finite number above 0, not 0",
        "  - jitter: must be a number at least 0 and at most 1, not 1.5",
        "  - timeout: must be a finite number above 0, not inf",
        "  - failures_to_fail: must be a whole number of at least 1, not 0",
        "  - successes_to_recover: must be a whole number of at least 1, not 0",
        "  - startup_failures: must be a whole number of at least 1, not 0",
        "  - transport_silence: must be a finite number above 0, or None, not 0",
        "  - data_silence: must be a finite number above 0, or None, not inf",
    ]


# --- The snapshot


def snapshot() -> HealthSnapshot:
    """Return a snapshot of some instance."""
    return HealthSnapshot(
        instance_id="bot-1",
        name="bot",
        channel_type="memory",
        at=1.0,
        status=InstanceStatus.CONNECTED,
        since=0.5,
        connected=True,
        proven=False,
        generation=1,
        uptime=1.0,
        queues=(QueueHealth("outbox", 1, 10, 0.1),),
        degraded=(DegradedReason("probe", BAD["degraded"], 1.0),),
    )


def test_a_snapshot_does_not_change_afterwards() -> None:
    """It is frozen, and so is all that it holds: it may be kept, compared and hashed."""
    taken = snapshot()

    assert taken == snapshot()
    assert hash(taken) == hash(snapshot())
    with pytest.raises(FrozenInstanceError):
        taken.restarts = 1  # type: ignore[misc]  # that is the point
