"""Machine 2, a connection: its planned replacement, before or after it is left."""

from __future__ import annotations

import math

import pytest
from attrs import evolve
from hypothesis import given

from trio_instances.policy.backoff import Backoff, Jitter
from trio_instances.policy.failures import Cause
from trio_instances.policy.reconnect import ReconnectPolicy
from trio_instances.policy.signals import Action, ActionKind, Phase, Signal, SignalKind

from .lines import BANNED, LIMITED, POLICY, REFUSED, Line, at, kinds
from .strategies import chances

OPEN = [Phase.CONNECTED, Phase.PROVEN]
CAUSES = [REFUSED, LIMITED, BANNED]


def handing_over(phase: Phase, policy: ReconnectPolicy = POLICY) -> Line:
    """Return a connection in a phase, generation 1, with its successor, generation 2, under way."""
    return at(phase, policy).tell(SignalKind.HANDOVER)


def of_successor(kind: SignalKind, **details: object) -> Signal:
    """Return a signal about generation 2."""
    return Signal(kind, 2, **details)  # type: ignore[arg-type]  # a cause, or nothing


# --- The successor


@pytest.mark.parametrize("phase", OPEN)
def test_a_handover_leaves_the_connection_as_it_is(phase: Phase) -> None:
    """Until the successor is open, the old one is the connection, and stays what it was."""
    line = handing_over(phase)

    assert line.said[-1] == Action(ActionKind.OPEN_BESIDE, generation=2)
    assert (line.state.phase, line.state.generation) == (phase, 1)
    assert (line.state.successor, line.state.begun) == (2, 2)
    assert line.state.attempt == at(phase).state.attempt


@pytest.mark.parametrize("phase", OPEN)
def test_a_successor_takes_over_when_it_is_open(phase: Phase) -> None:
    """The old one is left only then; the new one has everything to prove."""
    line = handing_over(phase)

    actions = line.take(of_successor(SignalKind.OPENED))
    assert actions == (
        Action(ActionKind.LEAVE, generation=1),
        Action(ActionKind.OPENED, generation=2, seconds=60.0),
    )
    assert (line.state.phase, line.state.generation) == (Phase.CONNECTED, 2)
    assert line.state.successor is None
    assert (line.state.stable, line.state.data) == (False, False)


def test_a_handover_counts_as_no_attempt() -> None:
    """It is no failure, so it uses up no quick attempt; it proves nothing, so it resets none."""
    line = at(Phase.CONNECTED)
    line.fail(1)
    line.tell(SignalKind.OPENED)
    for successor in range(3, 9):
        line.now += 1.0
        line.tell(SignalKind.HANDOVER).take(Signal(SignalKind.OPENED, successor))
    assert line.state.attempt == 2

    assert line.fail(1) == [1.0]


def test_what_the_old_one_proved_does_not_prove_the_new_one() -> None:
    """Neither its time nor its data."""
    policy = ReconnectPolicy(needs_data=True)
    for old, new in ((SignalKind.DATA, SignalKind.STABLE), (SignalKind.STABLE, SignalKind.DATA)):
        line = handing_over(Phase.CONNECTED, policy).tell(old)
        line.take(of_successor(SignalKind.OPENED))
        line.take(Signal(old, 1))
        line.take(of_successor(new))

        assert line.is_in(Phase.CONNECTED)


@pytest.mark.parametrize("kind", list(SignalKind))
def test_nothing_of_the_old_one_judges_the_new_one(kind: SignalKind) -> None:
    """Once it is left, whatever is learned about it changes nothing."""
    line = handing_over(Phase.PROVEN)
    line.take(of_successor(SignalKind.OPENED))
    before = line.state

    assert line.take(Signal(kind, 1, BANNED)) == ()
    assert line.state is before


@pytest.mark.parametrize("kind", [k for k in SignalKind if k not in {"opened", "lost"}])
def test_of_a_successor_only_its_fate_is_heard(kind: SignalKind) -> None:
    """A stale timer or an event of it says nothing about the connection that there is."""
    line = handing_over(Phase.PROVEN)
    before = line.state

    assert line.take(of_successor(kind, cause=BANNED)) == ()
    assert line.state is before


def test_a_second_handover_is_the_first_one() -> None:
    """There is never more than one successor."""
    line = handing_over(Phase.PROVEN)

    assert line.take(Signal(SignalKind.HANDOVER)) == ()
    assert line.state.begun == 2


# --- A successor that fails


@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.parametrize("phase", OPEN)
def test_a_successor_that_fails_leaves_the_old_one_in_place(phase: Phase, cause: Cause) -> None:
    """Whatever the cause, a fatal one too: what works is not given up for a try."""
    line = handing_over(phase)
    before = line.state

    actions = line.take(of_successor(SignalKind.LOST, cause=cause))
    assert actions == (Action(ActionKind.CLOSE, cause, generation=2),)
    assert (line.state.phase, line.state.generation) == (phase, 1)
    assert line.state.successor is None
    assert line.state.cause is before.cause
    assert line.state.attempt == before.attempt


def test_a_handover_that_failed_is_tried_again_by_the_backoff() -> None:
    """Later and later, for ever, until one succeeds; then the count begins anew."""
    line = at(Phase.PROVEN)
    delays = []
    for _ in range(7):
        line.tell(SignalKind.HANDOVER)
        line.take(Signal(SignalKind.LOST, line.state.successor, REFUSED))
        assert line.state.rotate_at is not None
        delays.append(line.state.rotate_at - line.now)
        line.now = line.state.rotate_at
    assert delays == [0.5, 1.0, 2.0, 4.0, 60.0, 120.0, 240.0]

    line.tell(SignalKind.HANDOVER).take(Signal(SignalKind.OPENED, line.state.successor))
    assert line.state.rotate_at is None
    line.now += 1.0
    line.tell(SignalKind.HANDOVER).take(Signal(SignalKind.LOST, line.state.successor, REFUSED))
    assert line.state.rotate_at == line.now + 0.5


def test_a_handover_that_failed_is_not_tried_before_its_time() -> None:
    """However often somebody asks for one."""
    line = handing_over(Phase.PROVEN)
    line.take(of_successor(SignalKind.LOST, cause=REFUSED))
    line.now = 0.4
    before = line.state

    assert line.take(Signal(SignalKind.HANDOVER)) == ()
    assert line.state is before
    line.now = 0.5
    assert kinds(line.take(Signal(SignalKind.HANDOVER))) == ["open_beside"]


def test_a_hint_is_obeyed_for_the_next_handover() -> None:
    """Who says "not now" to a successor is not asked again before the time."""
    line = handing_over(Phase.PROVEN)
    line.take(of_successor(SignalKind.LOST, cause=evolve(REFUSED, retry_after=30.0)))

    assert line.state.rotate_at == 30.25


def test_a_successor_lost_without_a_cause_is_a_bug() -> None:
    """As it is of any loss."""
    with pytest.raises(ValueError, match="needs a cause"):
        handing_over(Phase.PROVEN).take(of_successor(SignalKind.LOST))


# --- The old one is gone before the successor is there


@pytest.mark.parametrize("cause", [REFUSED, LIMITED])
@pytest.mark.parametrize("phase", OPEN)
def test_a_successor_becomes_the_attempt_when_the_old_one_is_lost(
    phase: Phase, cause: object
) -> None:
    """No other attempt is begun, and no delay is waited for: this one is under way."""
    line = handing_over(phase)
    before = line.state.attempt

    actions = line.lose(cause)  # type: ignore[arg-type]  # a cause
    assert kinds(actions) == ["close", "promote"]
    assert (line.state.phase, line.state.generation) == (Phase.CONNECTING, 2)
    assert line.state.attempt == before + 1
    assert (line.state.successor, line.state.rotate_at, line.state.cause) == (None, None, cause)


def test_a_promoted_attempt_is_an_attempt_like_any_other() -> None:
    """It opens, or it fails and is retried by the backoff."""
    line = handing_over(Phase.PROVEN)
    line.lose()
    assert line.fail(1) == [0.5]

    line = handing_over(Phase.PROVEN)
    line.lose()
    line.tell(SignalKind.OPENED, SignalKind.STABLE)
    assert line.is_in(Phase.PROVEN)


@pytest.mark.parametrize("phase", OPEN)
@pytest.mark.parametrize("kind", [SignalKind.RECONNECT, SignalKind.ROTATE])
def test_who_cannot_wait_is_given_the_successor(phase: Phase, kind: SignalKind) -> None:
    """The old one is closed at once, and the attempt that is under way is the one asked for."""
    line = handing_over(phase)

    assert kinds(line.take(Signal(kind, cause=REFUSED))) == ["close", "promote"]
    assert (line.state.phase, line.state.generation) == (Phase.CONNECTING, 2)


@pytest.mark.parametrize(
    ("kind", "last"), [(SignalKind.PAUSE, "pause"), (SignalKind.STOP, None), ("fatal", "fail")]
)
def test_both_are_closed_when_nothing_is_to_be_left(kind: str, last: str | None) -> None:
    """A pause, a stop and a fatal loss end the old one first, and then the successor."""
    line = handing_over(Phase.PROVEN)
    if kind == "fatal":
        actions = line.lose(BANNED)
    else:
        actions = line.take(Signal(SignalKind(kind), cause=REFUSED))

    assert [a.generation for a in actions if a.kind is ActionKind.CLOSE] == [1, 2]
    assert kinds(actions)[2:] == ([] if last is None else [last])
    assert line.state.successor is None


def test_numbers_of_successors_are_not_used_twice() -> None:
    """Not even after one that failed: a late word of it must not judge another."""
    line = handing_over(Phase.PROVEN)
    line.take(of_successor(SignalKind.LOST, cause=REFUSED))
    line.fail(1)

    assert line.state.generation == 3


# --- Planned rotation


@pytest.mark.parametrize("kind", [SignalKind.ROTATE, SignalKind.HANDOVER])
def test_who_was_just_opened_is_replaced_a_little_later(kind: SignalKind) -> None:
    """Above the floor, spread by chance, and once, however often it is asked for."""
    line = Line().tell(SignalKind.START)
    line.now = 7.0
    line.tell(SignalKind.OPENED)
    line.now = 7.9

    assert line.take(Signal(kind)) == ()
    assert (line.state.phase, line.state.rotate_at) == (Phase.CONNECTED, 8.25)
    before = line.state
    assert line.take(Signal(kind)) == ()
    assert line.state == before
    line.now = 8.25
    assert line.take(Signal(kind)) != ()


def test_who_was_to_be_replaced_sooner_than_that_is() -> None:
    """A time that is planned is only ever moved to a sooner one, while it is to come."""
    line = Line(ReconnectPolicy(max_age=1.1), u=0.0).tell(SignalKind.START, SignalKind.OPENED)
    line.u = 1.0
    line.tell(SignalKind.ROTATE)

    assert line.state.rotate_at == 1.1


def test_an_age_below_the_floor_is_the_floor() -> None:
    """A time that has passed without a replacement gets a new one, or its timer would spin."""
    line = Line(ReconnectPolicy(max_age=0.1), u=0.0).tell(SignalKind.START, SignalKind.OPENED)
    line.now = 0.1
    line.tell(SignalKind.ROTATE)

    assert line.state.rotate_at == 1.0


@given(chances)
def test_a_connection_has_an_age_at_most_a_tenth_below_the_greatest(u: float) -> None:
    """Chance keeps a fleet from being replaced all at once, and nobody grows older than allowed."""
    line = Line(ReconnectPolicy(max_age=1000.0), u=u)
    line.now = 50.0
    line.tell(SignalKind.START, SignalKind.OPENED)

    assert line.state.rotate_at is not None
    assert 950.0 <= line.state.rotate_at <= 1050.0


def test_without_a_greatest_age_nothing_is_replaced() -> None:
    """The default."""
    assert POLICY.max_age == math.inf
    assert at(Phase.CONNECTED).state.rotate_at is None


def test_proof_does_not_make_a_connection_younger() -> None:
    """The age counts from the opening."""
    line = at(Phase.CONNECTED, ReconnectPolicy(max_age=1000.0))
    rotate_at = line.state.rotate_at
    line.now = 60.0
    line.tell(SignalKind.STABLE)

    assert line.state.rotate_at == rotate_at


def test_the_next_one_has_an_age_of_its_own() -> None:
    """Whether it came by a handover, a rotation or a loss."""
    policy = ReconnectPolicy(max_age=1000.0, backoff=Backoff(jitter=Jitter.NONE))
    for way in ([SignalKind.HANDOVER], [SignalKind.ROTATE]):
        line = at(Phase.PROVEN, policy)
        line.now = 900.0
        line.tell(*way).take(Signal(SignalKind.OPENED, 2))

        assert line.state.rotate_at == 1800.0


@pytest.mark.parametrize(
    "kind", [SignalKind.LOST, SignalKind.HANDOVER, SignalKind.RECONNECT, SignalKind.PAUSE]
)
def test_what_is_planned_is_forgotten_with_its_connection(kind: SignalKind) -> None:
    """No timer of a connection that is gone, or being replaced, replaces another."""
    line = at(Phase.PROVEN, ReconnectPolicy(max_age=1000.0))
    line.take(Signal(kind, cause=REFUSED))

    assert line.state.rotate_at is None
