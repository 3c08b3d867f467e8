"""Machine 2, a connection: draining it, giving it new credentials, and calling for somebody."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

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

from .lines import BANNED, LIMITED, REFUSED, Line, at, kinds

RUNNING = [Phase.CONNECTING, Phase.CONNECTED, Phase.PROVEN, Phase.WAITING]
DRAIN = Signal(SignalKind.DRAIN, seconds=30.0)


# --- Draining


@pytest.mark.parametrize("phase", RUNNING)
def test_a_drain_changes_nothing_but_what_is_to_come(phase: Phase) -> None:
    """It stays as it is, and knows until when."""
    line = at(phase)
    line.now = 100.0
    before = line.state

    assert line.take(DRAIN) == (Action(ActionKind.DRAIN, seconds=30.0),)
    assert line.state == evolve(before, drain_by=130.0, pause_wanted=True)


@pytest.mark.parametrize("phase", RUNNING)
def test_what_is_drained_is_paused(phase: Phase) -> None:
    """Whatever it was doing, a handover included."""
    line = at(phase)
    line.take(DRAIN)
    line.tell(SignalKind.DRAINED)

    assert line.is_in(Phase.PAUSED)
    assert line.state.drain_by is None
    assert line.said[-1] == Action(ActionKind.PAUSE)


@pytest.mark.parametrize("phase", list(Phase))
def test_what_is_not_drained_cannot_be_done_with_it(phase: Phase) -> None:
    """A late word that all is sent pauses nobody who has resumed."""
    line = at(phase)
    before = line.state

    assert line.take(Signal(SignalKind.DRAINED, cause=REFUSED)) == ()
    assert line.state is before


def test_a_second_drain_does_not_make_the_time_longer() -> None:
    """Nor shorter: the first wish is in force."""
    line = at(Phase.PROVEN)
    line.take(DRAIN)
    line.now = 10.0

    assert line.take(Signal(SignalKind.DRAIN, seconds=5.0)) == ()
    assert line.state.drain_by == 30.0


@pytest.mark.parametrize("phase", RUNNING)
def test_a_resume_ends_a_drain_and_nothing_else(phase: Phase) -> None:
    """The connection stays, its attempts stay counted; twice is once."""
    line = at(phase)
    before = line.state
    line.take(DRAIN)

    assert kinds(line.take(Signal(SignalKind.RESUME))) == ["resume"]
    assert line.state == before
    assert line.take(Signal(SignalKind.RESUME)) == ()


def test_a_drain_outlives_losses_and_retries() -> None:
    """What is left can only be sent over a connection, so one is made."""
    line = at(Phase.PROVEN)
    line.take(DRAIN)
    line.fail(3)
    line.tell(SignalKind.OPENED)

    assert line.is_in(Phase.CONNECTED)
    assert line.state.drain_by == 30.0


def test_a_drain_before_the_first_attempt_is_a_pause() -> None:
    """Nothing was ever sent, and nothing can be."""
    line = at(Phase.IDLE)

    assert kinds(line.take(DRAIN)) == ["close", "pause"]
    assert line.state.drain_by is None


@pytest.mark.parametrize("end", [SignalKind.PAUSE, SignalKind.STOP, SignalKind.LOST])
def test_a_drain_ends_with_what_it_was_for(end: SignalKind) -> None:
    """A pause, a stop, a failure: nothing is left that it could be in force for."""
    line = at(Phase.PROVEN)
    line.take(DRAIN)
    line.take(Signal(end, cause=BANNED))

    assert line.state.drain_by is None


def test_an_instance_that_is_started_anew_keeps_its_numbers_and_a_pause() -> None:
    """And nothing else of what its connection machine knew."""
    line = at(Phase.PROVEN).tell(SignalKind.HANDOVER, SignalKind.PAUSE, SignalKind.STOP)

    assert line.state.renewed() == ConnectionState(generation=2, begun=2, pause_wanted=True)
    assert at(Phase.QUEUED).state.renewed() == ConnectionState(budgeted=True)


# --- Credentials

REVOKED = Cause(FailureClass.FATAL, "http_401", who_must_act=WhoMustAct.CREDENTIALS)


@pytest.mark.parametrize("phase", [Phase.CONNECTING, Phase.CONNECTED, Phase.PROVEN])
def test_a_refusal_of_the_old_credentials_is_no_failure(phase: Phase) -> None:
    """Somebody has acted before it came; the next attempt has the new ones."""
    line = at(phase).tell(SignalKind.CREDENTIALS)

    assert kinds(line.lose(REVOKED)) == ["close", "wait"]
    assert line.state.cause == evolve(
        REVOKED, failure_class=FailureClass.RECOVERABLE, who_must_act=WhoMustAct.NOBODY
    )


@pytest.mark.parametrize("phase", [Phase.CONNECTING, Phase.CONNECTED, Phase.PROVEN])
def test_a_refusal_of_the_new_credentials_is_one(phase: Phase) -> None:
    """Only what was begun before them is excused."""
    line = at(phase).tell(SignalKind.CREDENTIALS)
    line.lose(REVOKED)
    line.tell(SignalKind.DUE)

    assert kinds(line.lose(REVOKED)) == ["close", "fail"]


@pytest.mark.parametrize("phase", [Phase.CONNECTING, Phase.CONNECTED, Phase.PROVEN])
def test_what_new_credentials_cannot_mend_is_fatal_as_before(phase: Phase) -> None:
    """A ban is a ban."""
    line = at(phase).tell(SignalKind.CREDENTIALS)

    assert kinds(line.lose(BANNED)) == ["close", "fail"]


def test_a_successor_with_the_old_credentials_is_excused_too() -> None:
    """It was begun before the new ones, though it became the attempt only after."""
    line = at(Phase.PROVEN).tell(SignalKind.HANDOVER, SignalKind.CREDENTIALS)
    line.lose()

    assert kinds(line.lose(REVOKED)) == ["close", "wait"]


# --- Attention


def exhausted(policy: ReconnectPolicy) -> Line:
    """Return a connection whose quick attempts were used up at 100 s, waiting for a slow one."""
    line = Line(policy)
    line.now = 100.0
    line.tell(SignalKind.START)
    line.fail(policy.attempts)
    line.lose()
    assert line.is_in(Phase.WAITING)
    return line


ATTENTIVE = ReconnectPolicy(attention_after=1000.0)


def test_who_is_away_for_too_long_needs_attention() -> None:
    """Not sooner, exactly on time, and told once, with why the last attempt failed."""
    line = exhausted(ATTENTIVE)
    line.now = 1099.9
    assert line.take(Signal(SignalKind.OVERDUE)) == ()

    line.now = 1100.0
    attention = Action(ActionKind.ATTENTION, REFUSED, seconds=1000.0)
    assert line.take(Signal(SignalKind.OVERDUE)) == (attention,)
    assert line.state.needs_attention
    assert line.take(Signal(SignalKind.OVERDUE)) == ()


@given(st.floats(0.0, 1e6), st.floats(0.0, 1e5))
def test_the_time_at_which_it_is_due_is_late_enough(since: float, after: float) -> None:
    """A timer that is set to the sum is never told that it came too soon, and set again for ever.

    The difference of the two times may be smaller than the time between them.
    """
    line = Line(ReconnectPolicy(attempts=1, attention_after=after))
    line.now = since
    line.tell(SignalKind.START).lose()
    line.now = since + after

    assert kinds(line.take(Signal(SignalKind.OVERDUE))) == ["attention"]


def test_an_attempt_that_hangs_does_not_keep_it_from_being_told() -> None:
    """An attempt may take for ever, where the policy says so."""
    line = exhausted(ATTENTIVE).tell(SignalKind.DUE)
    line.now = 1100.0

    assert kinds(line.take(Signal(SignalKind.OVERDUE))) == ["attention"]


@pytest.mark.parametrize("phase", [Phase.CONNECTED, Phase.PAUSED])
def test_nobody_is_called_for_what_is_back_or_paused(phase: Phase) -> None:
    """It may be proven soon, or somebody knows of it already."""
    line = exhausted(ATTENTIVE).tell(SignalKind.DUE)
    line.tell(SignalKind.OPENED if phase is Phase.CONNECTED else SignalKind.PAUSE)
    line.now = 1100.0

    assert line.take(Signal(SignalKind.OVERDUE)) == ()


@pytest.mark.parametrize("back", ["proven", "resumed"])
def test_attention_ends_when_it_is_back(back: str) -> None:
    """Proven, or resumed by somebody; after the next exhaustion it is told anew."""
    line = exhausted(ATTENTIVE)
    line.now = 1100.0
    line.tell(SignalKind.OVERDUE)
    if back == "proven":
        line.tell(SignalKind.DUE, SignalKind.OPENED, SignalKind.STABLE)
    else:
        line.tell(SignalKind.PAUSE, SignalKind.RESUME)
    assert not line.state.needs_attention

    line.fail(7)
    line.now = 5000.0
    line.tell(SignalKind.OVERDUE)
    assert line.count(ActionKind.ATTENTION) == 2


def test_an_opening_alone_ends_no_need_for_attention() -> None:
    """A server that accepts and then closes does not make it well."""
    line = exhausted(ATTENTIVE)
    line.now = 1100.0
    line.tell(SignalKind.OVERDUE, SignalKind.DUE, SignalKind.OPENED)
    assert line.state.needs_attention

    line.fail(1)
    assert line.state.needs_attention
    assert line.count(ActionKind.ATTENTION) == 1


def test_a_loss_of_quality_counts_from_itself() -> None:
    """It makes slow attempts at once, so the time begins at once."""
    line = at(Phase.PROVEN, ATTENTIVE)
    line.now = 7.0
    line.lose(LIMITED)

    assert line.state.exhausted_at == 7.0


AWAY = {Phase.QUEUED, Phase.CONNECTING, Phase.WAITING}


@pytest.mark.parametrize("phase", list(Phase))
def test_it_does_not_matter_how_many_attempts_there_were(phase: Phase) -> None:
    """One that waits for a budget, or hangs, or was told to wait for days, is away."""
    line = at(phase, ATTENTIVE)
    line.now = 1000.0

    assert kinds(line.take(Signal(SignalKind.OVERDUE))) == ["attention"] * (phase in AWAY)
    assert line.state.needs_attention is (phase in AWAY)


def test_who_has_made_no_attempt_says_so() -> None:
    """There is no failure to give as the cause."""
    line = at(Phase.QUEUED, ATTENTIVE)
    line.now = 1000.0
    (attention,) = line.take(Signal(SignalKind.OVERDUE))

    assert attention.cause is line.state.cause
    assert attention.cause is not None
    assert attention.cause.reason == "not_connected"


def test_the_time_counts_from_the_loss() -> None:
    """An opening begins it anew, as long as there are quick attempts left."""
    line = at(Phase.PROVEN, ATTENTIVE)
    line.now = 500.0
    line.fail(1)
    assert line.state.away_since == 500.0

    line.tell(SignalKind.OPENED)
    assert line.state.away_since is None
    line.now = 600.0
    line.lose()
    assert line.state.away_since == 600.0


def test_who_opens_and_loses_is_away_when_its_quick_attempts_are_used_up() -> None:
    """A server that accepts and then closes is no better than one that refuses."""
    line = exhausted(ATTENTIVE).tell(SignalKind.DUE, SignalKind.OPENED)

    assert line.state.away_since == 100.0


def test_who_escalates_needs_no_other_word() -> None:
    """A connection that is given up has failed, which says more."""
    policy = ReconnectPolicy(attempts=1, exhausted=Exhausted.ESCALATE, attention_after=0.0)
    line = Line(policy).tell(SignalKind.START)
    line.lose()

    assert line.take(Signal(SignalKind.OVERDUE)) == ()
