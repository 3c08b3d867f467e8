"""Machine 4, a breaker: what each signal does in each phase, and when most instances fail."""

from __future__ import annotations

import math
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_instances._exceptions import InvalidSpec
from trio_instances.policy.backoff import Backoff, Jitter
from trio_instances.policy.breaker import (
    TABLE,
    BreakerPhase,
    BreakerPolicy,
    BreakerSignal,
    BreakerSignalKind,
    BreakerState,
    FailureWindow,
    step,
)

CLOSED, OPEN, CANARY = BreakerPhase
Kind = BreakerSignalKind

POLICY = BreakerPolicy(
    share=0.5, minimum=2, window=60.0, backoff=Backoff(initial=1.0, cap=8.0, jitter=Jitter.NONE)
)
STATES = {
    CLOSED: BreakerState(),
    OPEN: BreakerState(OPEN, None, 1, 100.0),
    CANARY: BreakerState(CANARY, "canary", 2, 160.0),
}
"""One state for each phase."""

BEGUN = BreakerState(CANARY, "canary", 2, 160.0)
ANOTHER = BreakerState(CANARY, "another", 3, 160.0)
LEADS = {
    (CLOSED, Kind.TRIPPED, "canary"): BreakerState(OPEN, None, 0, 101.0),
    (CLOSED, Kind.TRIPPED, "another"): BreakerState(OPEN, None, 0, 101.0),
    (OPEN, Kind.BEGUN, "canary"): BEGUN,
    (OPEN, Kind.BEGUN, "another"): BreakerState(CANARY, "another", 2, 160.0),
    (OPEN, Kind.OPENED, "canary"): BEGUN,
    (OPEN, Kind.OPENED, "another"): BreakerState(CANARY, "another", 2, 160.0),
    (OPEN, Kind.LASTED, "canary"): BreakerState(),
    (OPEN, Kind.LASTED, "another"): BreakerState(),
    (CANARY, Kind.BEGUN, "canary"): BreakerState(CANARY, "canary", 3, 160.0),
    (CANARY, Kind.BEGUN, "another"): ANOTHER,
    (CANARY, Kind.LASTED, "canary"): BreakerState(),
    (CANARY, Kind.LASTED, "another"): BreakerState(),
    (CANARY, Kind.FAILED, "canary"): BreakerState(OPEN, None, 2, 104.0),
    (CANARY, Kind.LEFT, "canary"): BreakerState(OPEN, None, 2, 100.0),
}
"""Where each signal leads at time 100; every other one changes nothing."""


# --- the table


@pytest.mark.parametrize(
    ("phase", "kind", "member"), list(product(BreakerPhase, Kind, ["canary", "another"]))
)
def test_every_signal_in_every_phase(phase: BreakerPhase, kind: Kind, member: str) -> None:
    """A triple of the table leads where it should; any other changes nothing."""
    before = STATES[phase]
    after = step(before, BreakerSignal(kind, member), POLICY, 100.0, 0.5)

    assert after == LEADS.get((phase, kind, member), before)


def test_every_phase_has_its_row() -> None:
    """No phase is forgotten, so that looking one up cannot fail."""
    assert set(TABLE) == set(BreakerPhase)


def test_each_canary_that_fails_makes_the_next_one_wait_longer() -> None:
    """The delays back off up to their cap, and begin anew when the breaker has closed."""
    delays = []
    state = step(BreakerState(), BreakerSignal(Kind.TRIPPED), POLICY, 0.0, 0.0)
    for canary in range(5):
        delays.append(state.next_at)
        state = step(state, BreakerSignal(Kind.BEGUN, canary), POLICY, 0.0, 0.0)
        state = step(state, BreakerSignal(Kind.FAILED, canary), POLICY, 0.0, 0.0)
    state = step(state, BreakerSignal(Kind.LASTED, 0), POLICY, 0.0, 0.0)
    state = step(state, BreakerSignal(Kind.TRIPPED), POLICY, 0.0, 0.0)

    assert delays == [1.0, 2.0, 4.0, 8.0, 8.0]
    assert state.next_at == 1.0


def test_chance_spreads_the_canaries() -> None:
    """By the policy's backoff, so that the processes of one provider do not try at once."""
    signal = BreakerSignal(Kind.TRIPPED)

    assert [step(BreakerState(), signal, BreakerPolicy(), 0.0, u).next_at for u in (0.0, 1.0)] == [
        0.5,
        1.0,
    ]


@given(signals=st.lists(st.tuples(st.sampled_from(Kind), st.integers(0, 3), st.floats(0.0, 1e3))))
def test_a_breaker_never_waits_for_ever(signals: list[tuple[Kind, int, float]]) -> None:
    """Whatever it hears, the next canary has a time, and that is near; a canary is somebody."""
    state, now = BreakerState(), 0.0
    for kind, member, seconds in signals:
        now += seconds
        state = step(state, BreakerSignal(kind, member), POLICY, now, 1.0)

        assert (state.canary is not None) is (state.phase is CANARY)
        if state.phase is not CLOSED:
            assert state.next_at <= now + max(POLICY.patience, POLICY.backoff.cap)


# --- most of them


def trips(window: FailureWindow, *members: int, now: float = 0.0) -> list[bool]:
    """Let some fail, and return what is said of each."""
    return [window.fails(member, now) for member in members]


def test_half_of_those_that_can_tell_are_most() -> None:
    """Of the connected ones and those that failed; the first half trips it."""
    window = FailureWindow(POLICY)
    for member in range(6):
        window.opened(member)

    assert trips(window, 0, 1, 2) == [False, False, True]
    assert (window.failed, window.connected) == (3, 3)


def test_one_that_fails_again_and_again_is_one() -> None:
    """Instances are counted, and not failures."""
    window = FailureWindow(POLICY)

    assert trips(window, 0, 0, 0) == [False, False, False]


def test_fewer_than_the_minimum_are_not_most() -> None:
    """However few there are."""
    assert trips(FailureWindow(BreakerPolicy(minimum=3)), 0, 1, 2) == [False, False, True]


def test_a_failure_counts_for_as_long_as_the_window() -> None:
    """Both ends included; after that it is as if it had not been."""
    at_the_end, after_it = FailureWindow(POLICY), FailureWindow(POLICY)
    trips(at_the_end, 0)
    trips(after_it, 0)

    assert trips(at_the_end, 1, now=60.0) == [True]
    assert trips(after_it, 1, now=60.1) == [False]
    assert after_it.failed == 1


def test_a_new_failure_of_the_same_counts_from_then_on() -> None:
    """The window forgets the oldest first, and that is who failed longest ago."""
    window = FailureWindow(POLICY)
    trips(window, 0, now=0.0)
    trips(window, 1, now=10.0)
    trips(window, 0, now=50.0)

    assert trips(window, 2, now=80.0) == [True]
    assert window.failed == 2


def test_one_that_connects_fails_no_more() -> None:
    """A success says more than the failure before it."""
    window = FailureWindow(POLICY)
    trips(window, 0)
    window.opened(0)

    assert trips(window, 1) == [False]


def test_one_that_leaves_says_nothing() -> None:
    """What somebody asked for is neither a failure nor a success."""
    window = FailureWindow(POLICY)
    trips(window, 0)
    window.opened(1)
    window.left(0)
    window.left(1)
    window.left(2)

    assert (window.failed, window.connected) == (0, 0)


def test_what_is_over_is_forgotten() -> None:
    """After that only new failures count; who is connected stays so."""
    window = FailureWindow(POLICY)
    trips(window, 0, 1)
    window.opened(2)
    window.forget()

    assert (window.failed, window.connected) == (0, 1)
    assert trips(window, 0) == [False]


# --- the policy


def test_the_defaults_are_those_of_the_docs() -> None:
    """Half of them, and five at least, within a minute; canaries at most half a minute apart."""
    assert BreakerPolicy() == BreakerPolicy(
        share=0.5,
        minimum=5,
        window=60.0,
        backoff=Backoff(initial=1.0, factor=2.0, cap=30.0, jitter=Jitter.EQUAL),
        stable_after=10.0,
        patience=60.0,
    )


def test_every_mistake_is_listed() -> None:
    """One error names every field."""
    with pytest.raises(InvalidSpec) as caught:
        BreakerPolicy(
            share=1.1,
            minimum=0,
            window=math.inf,
            backoff=None,  # type: ignore[arg-type]  # that is the point
            stable_after=math.inf,
            patience=0.0,
        )

    assert [mistake.place for mistake in caught.value.mistakes] == [
        "share",
        "minimum",
        "window",
        "backoff",
        "stable_after",
        "patience",
    ]


def test_a_backoff_cannot_say_how_long_a_canary_must_last() -> None:
    """Nothing would come of it: the policy itself says that, and the error says so."""
    expected = r"backoff.stable_after: must be left out \(set BreakerPolicy.stable_after\), not 5"
    with pytest.raises(InvalidSpec, match=expected):
        BreakerPolicy(backoff=Backoff(stable_after=5.0))


def test_a_share_of_nothing_is_refused() -> None:
    """It would be open for ever."""
    with pytest.raises(InvalidSpec, match="share"):
        BreakerPolicy(share=0.0)
