"""Machine 2 under a budget: every attempt that is due is queued, and only a grant begins it."""

from __future__ import annotations

import pytest
from attrs import evolve

from trio_instances.policy.connection import TABLE, step
from trio_instances.policy.failures import Cause, FailureClass
from trio_instances.policy.signals import ActionKind, Phase, Signal, SignalKind

from .lines import BANNED, POLICY, REFUSED, Line, at, kinds

ASKED_TO_WAIT = Cause(FailureClass.RECOVERABLE, "http_429", retry_after=90.0)


def budgeted(phase: Phase) -> Line:
    """Return a connection in a phase that needs a grant from then on."""
    line = at(phase)
    line.state = evolve(line.state, budgeted=True)
    return line


@pytest.mark.parametrize(
    ("phase", "kind", "actions"),
    [
        (Phase.IDLE, SignalKind.START, ["queue"]),
        (Phase.WAITING, SignalKind.DUE, ["queue"]),
        (Phase.WAITING, SignalKind.RECONNECT, ["queue"]),
        (Phase.WAITING, SignalKind.CLEARED, ["queue"]),
        (Phase.CONNECTED, SignalKind.RECONNECT, ["close", "queue"]),
        (Phase.PROVEN, SignalKind.RECONNECT, ["close", "queue"]),
        (Phase.PAUSED, SignalKind.RESUME, ["resume", "queue"]),
    ],
)
def test_what_would_begin_an_attempt_queues_it(
    phase: Phase, kind: SignalKind, actions: list[str]
) -> None:
    """Whoever wants the attempt: a start, a timer, an operator. It is no attempt yet."""
    line = budgeted(phase)
    before = line.state

    assert kinds(line.take(Signal(kind, cause=REFUSED))) == actions
    assert line.state.phase is Phase.QUEUED
    assert line.state.generation == before.generation
    line.tell(SignalKind.GRANTED)
    same = phase is Phase.CONNECTED  # what is replaced on request counts once
    assert line.state.attempt == (before.attempt if same else before.attempt + 1)
    assert line.state.next_retry_at is None


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.QUEUED])
def test_no_signal_begins_an_attempt_but_the_grant(phase: Phase) -> None:
    """From no other phase does any signal ask to open."""
    for kind in SignalKind:
        for cause in (REFUSED, BANNED):
            state = budgeted(phase).state
            _, actions = step(state, Signal(kind, cause=cause), POLICY, 0.0, 0.0)

            assert ActionKind.OPEN not in {action.kind for action in actions}


def test_a_grant_begins_the_next_attempt_of_the_next_generation() -> None:
    """Both count from the grant, so that waiting in the line is no attempt."""
    line = at(Phase.QUEUED)

    assert kinds(line.take(Signal(SignalKind.GRANTED))) == ["open"]
    assert line.state.phase is Phase.CONNECTING
    assert (line.state.generation, line.state.attempt) == (1, 1)


@pytest.mark.parametrize(
    "kind",
    [kind for kind in SignalKind if kind not in {"granted", "pause", "stop", "drain"}],
)
def test_a_queued_attempt_is_not_doubled_or_lost(kind: SignalKind) -> None:
    """A wish to reconnect has been granted already, and there is nothing to be lost."""
    line = at(Phase.QUEUED)
    before = line.state

    assert line.take(Signal(kind, cause=REFUSED)) == ()
    assert line.state is before


@pytest.mark.parametrize("kind", [SignalKind.PAUSE, SignalKind.STOP])
def test_a_pause_and_a_stop_end_the_waiting_at_once(kind: SignalKind) -> None:
    """They close what there is, and that is the place in the line."""
    line = at(Phase.QUEUED)

    assert line.take(Signal(kind))[0].kind is ActionKind.CLOSE
    assert line.take(Signal(SignalKind.GRANTED)) == ()


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.QUEUED])
def test_a_grant_that_comes_too_late_begins_nothing(phase: Phase) -> None:
    """Whoever was granted one and is elsewhere by now does not attempt."""
    line = budgeted(phase)
    before = line.state

    assert line.take(Signal(SignalKind.GRANTED)) == ()
    assert line.state is before


def test_what_the_other_side_asked_for_outlasts_an_outage() -> None:
    """When the breaker closes, a retry with a hint is not due, as one with a guessed time is."""
    line = budgeted(Phase.CONNECTING)
    line.lose(ASKED_TO_WAIT)
    before = line.state

    assert line.take(Signal(SignalKind.CLEARED)) == ()
    assert line.state is before
    assert line.state.next_retry_at == 90.25  # and the jitter


def test_a_breaker_that_closes_concerns_only_those_that_wait() -> None:
    """Nothing else follows it: not who is queued, connected, paused, failed."""
    assert [phase for phase in Phase if SignalKind.CLEARED in TABLE[phase]] == [Phase.WAITING]
