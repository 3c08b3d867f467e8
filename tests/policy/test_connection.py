"""Machine 2, a connection: what each signal does in each phase, and the policy's own rules."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import pytest
from attrs import evolve

from trio_instances._exceptions import InvalidSpec
from trio_instances.policy.backoff import Backoff, Jitter
from trio_instances.policy.connection import TABLE, step
from trio_instances.policy.failures import Cause
from trio_instances.policy.reconnect import Exhausted, ReconnectPolicy
from trio_instances.policy.signals import Action, ActionKind, Phase, Signal, SignalKind

from .lines import BANNED, POLICY, REFUSED, at, kinds

LEADS = {
    (Phase.IDLE, SignalKind.START): Phase.CONNECTING,
    (Phase.IDLE, SignalKind.PAUSE): Phase.PAUSED,
    (Phase.IDLE, SignalKind.DRAIN): Phase.PAUSED,
    (Phase.IDLE, SignalKind.RESUME): Phase.IDLE,
    (Phase.IDLE, SignalKind.STOP): Phase.STOPPED,
    (Phase.QUEUED, SignalKind.GRANTED): Phase.CONNECTING,
    (Phase.QUEUED, SignalKind.PAUSE): Phase.PAUSED,
    (Phase.QUEUED, SignalKind.DRAIN): Phase.QUEUED,
    (Phase.QUEUED, SignalKind.STOP): Phase.STOPPED,
    (Phase.CONNECTING, SignalKind.OPENED): Phase.CONNECTED,
    (Phase.CONNECTING, SignalKind.DATA): Phase.CONNECTING,
    (Phase.CONNECTING, SignalKind.LOST): Phase.WAITING,
    (Phase.CONNECTING, SignalKind.CREDENTIALS): Phase.CONNECTING,
    (Phase.CONNECTING, SignalKind.PAUSE): Phase.PAUSED,
    (Phase.CONNECTING, SignalKind.DRAIN): Phase.CONNECTING,
    (Phase.CONNECTING, SignalKind.STOP): Phase.STOPPED,
    (Phase.CONNECTED, SignalKind.STABLE): Phase.PROVEN,
    (Phase.CONNECTED, SignalKind.DATA): Phase.CONNECTED,
    (Phase.CONNECTED, SignalKind.LOST): Phase.WAITING,
    (Phase.CONNECTED, SignalKind.CREDENTIALS): Phase.CONNECTED,
    (Phase.CONNECTED, SignalKind.ROTATE): Phase.CONNECTING,
    (Phase.CONNECTED, SignalKind.HANDOVER): Phase.CONNECTED,
    (Phase.CONNECTED, SignalKind.RECONNECT): Phase.CONNECTING,
    (Phase.CONNECTED, SignalKind.PAUSE): Phase.PAUSED,
    (Phase.CONNECTED, SignalKind.DRAIN): Phase.CONNECTED,
    (Phase.CONNECTED, SignalKind.STOP): Phase.STOPPED,
    (Phase.PROVEN, SignalKind.LOST): Phase.WAITING,
    (Phase.PROVEN, SignalKind.CREDENTIALS): Phase.PROVEN,
    (Phase.PROVEN, SignalKind.ROTATE): Phase.CONNECTING,
    (Phase.PROVEN, SignalKind.HANDOVER): Phase.PROVEN,
    (Phase.PROVEN, SignalKind.RECONNECT): Phase.CONNECTING,
    (Phase.PROVEN, SignalKind.PAUSE): Phase.PAUSED,
    (Phase.PROVEN, SignalKind.DRAIN): Phase.PROVEN,
    (Phase.PROVEN, SignalKind.STOP): Phase.STOPPED,
    (Phase.WAITING, SignalKind.DUE): Phase.CONNECTING,
    (Phase.WAITING, SignalKind.CREDENTIALS): Phase.CONNECTING,
    (Phase.WAITING, SignalKind.RECONNECT): Phase.CONNECTING,
    (Phase.WAITING, SignalKind.RETRY): Phase.CONNECTING,
    (Phase.WAITING, SignalKind.CLEARED): Phase.CONNECTING,
    (Phase.WAITING, SignalKind.PAUSE): Phase.PAUSED,
    (Phase.WAITING, SignalKind.DRAIN): Phase.WAITING,
    (Phase.WAITING, SignalKind.STOP): Phase.STOPPED,
    (Phase.PAUSED, SignalKind.RESUME): Phase.CONNECTING,
    (Phase.PAUSED, SignalKind.STOP): Phase.STOPPED,
    (Phase.STOPPED, SignalKind.PAUSE): Phase.STOPPED,
    (Phase.STOPPED, SignalKind.DRAIN): Phase.STOPPED,
    (Phase.STOPPED, SignalKind.RESUME): Phase.STOPPED,
}
"""Where each signal leads, with a recoverable cause and the default policy, while nothing is
drained and quick attempts are left."""

PAIRS = list(product(Phase, SignalKind))
WISHED = [Phase.CONNECTING, Phase.PROVEN, Phase.WAITING, Phase.STOPPED]


# --- The table


@pytest.mark.parametrize(("phase", "kind"), PAIRS)
def test_every_signal_in_every_phase(phase: Phase, kind: SignalKind) -> None:
    """A pair of the table leads where it should; any other changes nothing and asks for nothing."""
    line = at(phase)
    before = line.state
    actions = line.take(Signal(kind, cause=REFUSED))

    if (phase, kind) in LEADS:
        assert line.state.phase is LEADS[phase, kind]
    else:
        assert line.state is before
        assert actions == ()
    assert (line.state.next_retry_at is not None) is (line.state.phase is Phase.WAITING)


@pytest.mark.parametrize(("phase", "kind"), PAIRS)
@pytest.mark.parametrize("off", [-1, 1])
def test_a_signal_about_another_generation_changes_nothing(
    phase: Phase, kind: SignalKind, off: int
) -> None:
    """Nothing of a dead connection judges the living one, whatever it says."""
    line = at(phase)
    before = line.state

    assert line.take(Signal(kind, before.generation + off, BANNED)) == ()
    assert line.state is before


@pytest.mark.parametrize(("phase", "kind"), PAIRS)
def test_a_signal_about_this_generation_counts(phase: Phase, kind: SignalKind) -> None:
    """A signal that names the present generation does what one without a name does."""
    named, unnamed = at(phase), at(phase)

    actions = named.take(Signal(kind, named.state.generation, REFUSED))
    assert actions == unnamed.take(Signal(kind, None, REFUSED))
    assert named.state == unnamed.state


def test_failed_has_no_way_out() -> None:
    """It is in the table, and empty."""
    assert TABLE[Phase.FAILED] == {}


def test_stopped_has_no_way_out() -> None:
    """What can be wished there is for the next run, and says so in whichever order it comes."""
    line = at(Phase.STOPPED)
    assert {LEADS[Phase.STOPPED, kind] for kind in TABLE[Phase.STOPPED]} == {Phase.STOPPED}

    for wish, actions in [
        (SignalKind.RESUME, []),
        (SignalKind.PAUSE, ["pause"]),
        (SignalKind.DRAIN, []),
        (SignalKind.RESUME, ["resume"]),
        (SignalKind.DRAIN, ["pause"]),
        (SignalKind.PAUSE, []),
    ]:
        assert kinds(line.take(Signal(wish, cause=REFUSED))) == actions
        assert line.state.phase is Phase.STOPPED


@pytest.mark.parametrize("phase", [Phase.IDLE, *WISHED])
@pytest.mark.parametrize("wish", [SignalKind.PAUSE, SignalKind.DRAIN])
def test_a_wish_to_be_paused_lasts_into_the_next_run(phase: Phase, wish: SignalKind) -> None:
    """Whenever it was made, also after the end of the last run; until a resume, at any time."""
    for resumed in (False, True):
        line = at(phase).tell(wish, SignalKind.STOP)
        line.state = evolve(line.state, phase=Phase.IDLE)
        if resumed:
            line.tell(SignalKind.RESUME)
        line.tell(SignalKind.START)

        assert line.state.phase is (Phase.CONNECTING if resumed else Phase.PAUSED)


def test_every_phase_has_its_row() -> None:
    """No phase is forgotten, so that looking one up cannot fail."""
    assert set(TABLE) == set(Phase)


@pytest.mark.parametrize("phase", sorted(set(Phase) - {Phase.FAILED, Phase.STOPPED}))
def test_from_every_phase_there_is_a_way_to_every_end(phase: Phase) -> None:
    """Nothing is stuck: it can become connected, proven, paused, failed and stopped."""
    signals = [Signal(kind, cause=cause) for kind in SignalKind for cause in (REFUSED, BANNED)]
    seen = {phase}
    states = [at(phase).state]
    while states:
        state = states.pop()
        for signal in signals:
            after, _ = step(state, signal, POLICY, 0.0, 0.0)
            if after.phase not in seen:
                seen.add(after.phase)
                states.append(after)

    ends = {Phase.CONNECTED, Phase.PROVEN, Phase.PAUSED, Phase.FAILED, Phase.STOPPED}
    assert seen >= ends


def test_a_loss_without_a_cause_is_a_bug() -> None:
    """Who reports a loss knows why; nothing is decided without it."""
    with pytest.raises(ValueError, match="needs a cause"):
        at(Phase.CONNECTED).tell(SignalKind.LOST)


# --- What is asked for


@pytest.mark.parametrize(
    ("phase", "kind", "actions"),
    [
        (Phase.IDLE, SignalKind.START, ["open"]),
        (Phase.QUEUED, SignalKind.GRANTED, ["open"]),
        (Phase.CONNECTING, SignalKind.OPENED, ["opened"]),
        (Phase.CONNECTING, SignalKind.LOST, ["close", "wait"]),
        (Phase.CONNECTED, SignalKind.STABLE, ["proven"]),
        (Phase.PROVEN, SignalKind.LOST, ["close", "wait"]),
        (Phase.CONNECTED, SignalKind.RECONNECT, ["close", "open"]),
        (Phase.CONNECTED, SignalKind.ROTATE, ["close", "open"]),
        (Phase.CONNECTED, SignalKind.HANDOVER, ["open_beside"]),
        (Phase.PROVEN, SignalKind.RECONNECT, ["close", "open"]),
        (Phase.WAITING, SignalKind.DUE, ["open"]),
        (Phase.WAITING, SignalKind.RECONNECT, ["open"]),
        (Phase.WAITING, SignalKind.RETRY, ["open"]),
        (Phase.WAITING, SignalKind.CREDENTIALS, ["open"]),
        (Phase.PROVEN, SignalKind.PAUSE, ["close", "pause"]),
        (Phase.PAUSED, SignalKind.RESUME, ["resume", "open"]),
        (Phase.PROVEN, SignalKind.DRAIN, ["drain"]),
        (Phase.PROVEN, SignalKind.STOP, ["close"]),
    ],
)
def test_what_each_signal_asks_for(phase: Phase, kind: SignalKind, actions: list[str]) -> None:
    """In this order; what there was is closed before anything else begins."""
    assert kinds(at(phase).take(Signal(kind, cause=REFUSED))) == actions


@pytest.mark.parametrize("phase", [Phase.CONNECTING, Phase.CONNECTED, Phase.PROVEN])
def test_a_fatal_loss_fails_at_once_with_its_cause(phase: Phase) -> None:
    """Fatal is fatal: no retry, and the cause is kept for who must act."""
    line = at(phase)

    assert line.lose(BANNED) == (
        Action(ActionKind.CLOSE, BANNED, generation=1),
        Action(ActionKind.FAIL, BANNED),
    )
    assert line.state.phase is Phase.FAILED
    assert line.state.cause == BANNED


def test_a_wait_says_why_how_long_and_when() -> None:
    """The action has the delay, the state the time of the next attempt, both the cause."""
    line = at(Phase.CONNECTING)
    line.state, actions = step(line.state, Signal(SignalKind.LOST, 1, REFUSED), POLICY, 100.0, 0.5)

    assert actions[-1] == Action(ActionKind.WAIT, REFUSED, 0.25, quick=True, generation=1)
    assert line.state.next_retry_at == 100.25
    assert line.state.cause == REFUSED


# --- The policy itself


def test_the_defaults_are_those_of_the_design() -> None:
    """Five quick attempts, a minute to prove, half a minute to connect, ten seconds to close."""
    assert ReconnectPolicy() == ReconnectPolicy(
        attempts=5,
        backoff=Backoff(initial=0.25, factor=2.0, cap=5.0, jitter=Jitter.FULL),
        slow=Backoff(initial=60.0, factor=2.0, cap=300.0, jitter=Jitter.EQUAL),
        exhausted=Exhausted.DEGRADE,
        stable_after=60.0,
        needs_data=False,
        connect_timeout=30.0,
        close_timeout=10.0,
        deaf_close_timeout=1.0,
        hint_floor=1.0,
        hint_ceiling=259_200.0,
        attention_after=7200.0,
        max_age=math.inf,
    )


def test_short_times_are_accepted() -> None:
    """A proof at once, and budgets of less than a second."""
    policy = ReconnectPolicy(stable_after=0, connect_timeout=0.1, close_timeout=0.1)

    assert (policy.stable_after, policy.connect_timeout, policy.close_timeout) == (0, 0.1, 0.1)


@pytest.mark.parametrize(
    ("cause", "seconds"),
    [(None, 5.0), (REFUSED, 5.0), (Cause("recoverable", "probe_timeout"), 2.0)],
)
def test_who_does_not_answer_is_not_waited_for(cause: Cause | None, seconds: float) -> None:
    """And nobody for longer than `close_timeout`."""
    policy = ReconnectPolicy(close_timeout=5.0, deaf_close_timeout=2.0)

    assert policy.closing(cause) == seconds
    assert evolve(policy, close_timeout=1.0).closing(cause) == 1.0


def test_an_end_takes_as_long_as_the_children_and_the_closing_together() -> None:
    """They stop one after the other, and then it is closed; for ever, where one of them may."""
    policy = ReconnectPolicy(close_timeout=5.0)

    assert (policy.ending(0.0), policy.ending(12.0)) == (5.0, 17.0)
    assert policy.ending(math.inf) == math.inf


def test_the_policy_takes_words() -> None:
    """Code and configuration files say the same."""
    assert ReconnectPolicy(exhausted="escalate").exhausted is Exhausted.ESCALATE


def test_every_mistake_is_listed() -> None:
    """One error names every field."""
    with pytest.raises(InvalidSpec) as caught:
        ReconnectPolicy(
            attempts=0,
            backoff=None,  # type: ignore[arg-type]  # that is the point
            slow=5.0,  # type: ignore[arg-type]  # ... as well
            exhausted="stop",
            stable_after=math.inf,
            needs_data="yes",  # type: ignore[arg-type]  # ... as well
            connect_timeout=0,
            close_timeout=math.inf,
            deaf_close_timeout=0,
            hint_floor=math.inf,
            hint_ceiling=-1,
            attention_after=-1,
            max_age=0,
        )

    assert [mistake.place for mistake in caught.value.mistakes] == [
        "attempts",
        "backoff",
        "slow",
        "exhausted",
        "stable_after",
        "needs_data",
        "connect_timeout",
        "close_timeout",
        "deaf_close_timeout",
        "hint_floor",
        "hint_ceiling",
        "attention_after",
        "max_age",
    ]


def test_no_hint_is_waited_for_longer_than_its_ceiling() -> None:
    """So a floor above it is refused; what is allowed is where both are one."""
    with pytest.raises(InvalidSpec, match=r"hint_ceiling.* at least hint_floor \(10\)"):
        ReconnectPolicy(hint_floor=10.0, hint_ceiling=1.0)

    policy = ReconnectPolicy(hint_floor=10.0, hint_ceiling=10.0)
    assert policy.delay_after_hint(1, 100.0, 0.0, quick=True) == 10.0


@pytest.mark.parametrize("field", ["backoff", "slow"])
def test_a_backoff_cannot_say_when_a_connection_is_proven(field: str) -> None:
    """Nothing would come of it: the policy itself says that, and the error says so."""
    delays: Any = {field: Backoff(stable_after=5.0)}
    expected = rf"{field}.stable_after: must be left out \(set ReconnectPolicy.stable_after\)"
    with pytest.raises(InvalidSpec, match=expected):
        ReconnectPolicy(**delays)


def test_nobody_need_be_told() -> None:
    """Attention after no time at all, or never."""
    assert ReconnectPolicy(attention_after=0).attention_after == 0
    assert ReconnectPolicy(attention_after=math.inf).attention_after == math.inf


def test_an_attempt_may_take_for_ever() -> None:
    """Only closing must be bounded; who wants no limit on connecting says so."""
    assert ReconnectPolicy(connect_timeout=math.inf).connect_timeout == math.inf
