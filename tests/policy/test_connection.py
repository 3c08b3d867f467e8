"""Machine 2, a connection: what each signal does, row by row, and the numbers of the design."""

from __future__ import annotations

import math
from itertools import product

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from trio_instances._exceptions import InvalidSpec
from trio_instances.policy.backoff import Backoff, Jitter
from trio_instances.policy.connection import (
    TABLE,
    Action,
    ActionKind,
    ConnectionState,
    Exhausted,
    Phase,
    ReconnectPolicy,
    Signal,
    SignalKind,
    step,
)
from trio_instances.policy.failures import Cause, FailureClass

from .strategies import chances, reconnect_policies

REFUSED = Cause(FailureClass.RECOVERABLE, "connection_refused")
LIMITED = Cause(FailureClass.DEGRADED, "limited")
BANNED = Cause(FailureClass.FATAL, "banned")
POLICY = ReconnectPolicy()

ROAD: dict[Phase, list[Signal]] = {
    Phase.IDLE: [],
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

LEADS = {
    (Phase.IDLE, SignalKind.START): Phase.CONNECTING,
    (Phase.IDLE, SignalKind.PAUSE): Phase.PAUSED,
    (Phase.IDLE, SignalKind.STOP): Phase.STOPPED,
    (Phase.CONNECTING, SignalKind.OPENED): Phase.CONNECTED,
    (Phase.CONNECTING, SignalKind.DATA): Phase.CONNECTING,
    (Phase.CONNECTING, SignalKind.LOST): Phase.WAITING,
    (Phase.CONNECTING, SignalKind.PAUSE): Phase.PAUSED,
    (Phase.CONNECTING, SignalKind.STOP): Phase.STOPPED,
    (Phase.CONNECTED, SignalKind.STABLE): Phase.PROVEN,
    (Phase.CONNECTED, SignalKind.DATA): Phase.CONNECTED,
    (Phase.CONNECTED, SignalKind.LOST): Phase.WAITING,
    (Phase.CONNECTED, SignalKind.RECONNECT): Phase.CONNECTING,
    (Phase.CONNECTED, SignalKind.PAUSE): Phase.PAUSED,
    (Phase.CONNECTED, SignalKind.STOP): Phase.STOPPED,
    (Phase.PROVEN, SignalKind.LOST): Phase.WAITING,
    (Phase.PROVEN, SignalKind.RECONNECT): Phase.CONNECTING,
    (Phase.PROVEN, SignalKind.PAUSE): Phase.PAUSED,
    (Phase.PROVEN, SignalKind.STOP): Phase.STOPPED,
    (Phase.WAITING, SignalKind.DUE): Phase.CONNECTING,
    (Phase.WAITING, SignalKind.RECONNECT): Phase.CONNECTING,
    (Phase.WAITING, SignalKind.PAUSE): Phase.PAUSED,
    (Phase.WAITING, SignalKind.STOP): Phase.STOPPED,
    (Phase.PAUSED, SignalKind.RESUME): Phase.CONNECTING,
    (Phase.PAUSED, SignalKind.STOP): Phase.STOPPED,
}
"""Where each signal leads, with a recoverable cause and the default policy."""

PAIRS = list(product(Phase, SignalKind))


class Line:
    """A connection that is told things at time 0, with a chance of 1, and keeps what it said."""

    def __init__(self, policy: ReconnectPolicy = POLICY, *, u: float = 1.0) -> None:
        self.policy = policy
        self.u = u
        self.state = ConnectionState()
        self.said: list[Action] = []

    def tell(self, *kinds: SignalKind, cause: Cause | None = None) -> Line:
        """Tell it some things, one after the other."""
        for kind in kinds:
            self.take(Signal(kind, cause=cause))

        return self

    def take(self, signal: Signal) -> tuple[Action, ...]:
        """Take in one signal and return what is to be done."""
        self.state, actions = step(self.state, signal, self.policy, 0.0, self.u)
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

    def count(self, kind: ActionKind) -> int:
        """Return how often an action was asked for."""
        return sum(action.kind is kind for action in self.said)


def at(phase: Phase, policy: ReconnectPolicy = POLICY) -> Line:
    """Return a connection in a phase."""
    line = Line(policy)
    for signal in ROAD[phase]:
        line.take(signal)
    assert line.state.phase is phase
    return line


def kinds(actions: tuple[Action, ...]) -> list[str]:
    """Return the actions' kinds as words."""
    return [str(action.kind) for action in actions]


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


@pytest.mark.parametrize("phase", [Phase.FAILED, Phase.STOPPED])
def test_failed_and_stopped_have_no_way_out(phase: Phase) -> None:
    """They are in the table, and empty."""
    assert TABLE[phase] == {}


def test_every_phase_has_its_row() -> None:
    """No phase is forgotten, so that looking one up cannot fail."""
    assert set(TABLE) == set(Phase)


@pytest.mark.parametrize("phase", set(Phase) - {Phase.FAILED, Phase.STOPPED})
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
        (Phase.CONNECTING, SignalKind.OPENED, ["opened"]),
        (Phase.CONNECTING, SignalKind.LOST, ["close", "wait"]),
        (Phase.CONNECTED, SignalKind.STABLE, ["proven"]),
        (Phase.PROVEN, SignalKind.LOST, ["close", "wait"]),
        (Phase.CONNECTED, SignalKind.RECONNECT, ["close", "open"]),
        (Phase.PROVEN, SignalKind.RECONNECT, ["close", "open"]),
        (Phase.WAITING, SignalKind.DUE, ["open"]),
        (Phase.WAITING, SignalKind.RECONNECT, ["open"]),
        (Phase.PROVEN, SignalKind.PAUSE, ["close", "pause"]),
        (Phase.PAUSED, SignalKind.RESUME, ["resume", "open"]),
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
        Action(ActionKind.CLOSE, BANNED),
        Action(ActionKind.FAIL, BANNED),
    )
    assert line.state.phase is Phase.FAILED
    assert line.state.cause == BANNED


def test_a_wait_says_why_how_long_and_when() -> None:
    """The action has the delay, the state the time of the next attempt, both the cause."""
    line = at(Phase.CONNECTING)
    line.state, actions = step(line.state, Signal(SignalKind.LOST, 1, REFUSED), POLICY, 100.0, 0.5)

    assert actions[-1] == Action(ActionKind.WAIT, REFUSED, 0.25, quick=True)
    assert line.state.next_retry_at == 100.25
    assert line.state.cause == REFUSED


# --- Attempts and delays


def test_quick_attempts_come_first_and_slow_ones_for_ever_after() -> None:
    """With the defaults and no luck: five quick attempts, then 60 s doubling to 300 s."""
    line = Line().tell(SignalKind.START)

    assert line.fail(10) == [0.5, 1.0, 2.0, 4.0, 60.0, 120.0, 240.0, 300.0, 300.0, 300.0]
    assert line.state.attempt == 11


def test_the_first_retry_after_a_proven_connection_is_the_quickest() -> None:
    """Once proven, the count starts anew: 0.25 s, then as before."""
    line = at(Phase.PROVEN)

    assert line.fail(6) == [0.25, 0.5, 1.0, 2.0, 4.0, 60.0]


def test_slow_delays_have_a_floor() -> None:
    """Even with all luck a slow attempt waits half of its step, so that it burdens nobody."""
    line = Line(u=0.0).tell(SignalKind.START)

    assert line.fail(6) == [0.0, 0.0, 0.0, 0.0, 30.0, 60.0]


def test_exhaustion_is_told_once_until_proven() -> None:
    """The first slow delay comes with it; the next ones do not; after proof it is news again."""
    line = Line().tell(SignalKind.START)
    line.fail(4)
    assert line.count(ActionKind.EXHAUSTED) == 0

    assert kinds(line.lose()) == ["close", "exhausted", "wait"]
    line.tell(SignalKind.DUE).fail(3)
    line.tell(SignalKind.OPENED).fail(2)
    assert line.count(ActionKind.EXHAUSTED) == 1

    line.tell(SignalKind.OPENED, SignalKind.STABLE).fail(7)
    assert line.count(ActionKind.EXHAUSTED) == 2


def test_opening_alone_resets_nothing() -> None:
    """A server that accepts and then closes is not hammered: only proof makes retries quick."""
    line = Line().tell(SignalKind.START)
    delays = []
    for _ in range(6):
        line.tell(SignalKind.OPENED, SignalKind.DATA)
        delays += line.fail(1)

    assert delays == [0.5, 1.0, 2.0, 4.0, 60.0, 120.0]


def test_a_degraded_loss_is_retried_slowly_at_once() -> None:
    """Quality is lost, so nobody hurries, and the instance is to be called degraded."""
    line = at(Phase.PROVEN)

    assert kinds(line.lose(LIMITED)) == ["close", "exhausted", "wait"]
    assert line.said[-1] == Action(ActionKind.WAIT, LIMITED, 60.0, quick=False)


@pytest.mark.parametrize("cause", [REFUSED, LIMITED])
@pytest.mark.parametrize(("asked", "delay"), [(0.0, 60.0), (59.0, 60.0), (61.0, 61.0)])
def test_a_longer_wait_asked_for_is_kept(cause: Cause, asked: float, delay: float) -> None:
    """The other side's Retry-After is a floor under our own delay, and may exceed the cap."""
    policy = ReconnectPolicy(
        backoff=Backoff(initial=60.0, cap=60.0, jitter=Jitter.NONE), slow=Backoff(60.0, cap=60.0)
    )

    assert Line(policy).tell(SignalKind.START).fail(1, evolve(cause, retry_after=asked)) == [delay]


def test_a_reconnect_while_waiting_opens_at_once_and_does_not_double() -> None:
    """The retry that waited is the one that is made; its timer comes too late to make another."""
    line = at(Phase.WAITING)
    opened = line.count(ActionKind.OPEN)
    line.tell(SignalKind.RECONNECT, SignalKind.RECONNECT, SignalKind.DUE)

    assert line.count(ActionKind.OPEN) == opened + 1
    assert line.state.next_retry_at is None


def test_a_pause_stays_in_force_until_resumed() -> None:
    """No timer, no loss and no reconnect opens anything meanwhile."""
    line = at(Phase.WAITING).tell(SignalKind.PAUSE)
    line.tell(SignalKind.DUE, SignalKind.RECONNECT, SignalKind.START, SignalKind.OPENED)
    line.lose()
    assert line.state.phase is Phase.PAUSED
    assert line.count(ActionKind.OPEN) == 1

    line.tell(SignalKind.RESUME)
    assert line.state.phase is Phase.CONNECTING


def test_an_operator_who_resumes_begins_the_count_anew() -> None:
    """Attempts, exhaustion and the time to prove are as for a first connection."""
    line = Line().tell(SignalKind.START)
    line.fail(7)
    line.tell(SignalKind.PAUSE, SignalKind.RESUME)

    assert (line.state.attempt, line.state.exhausted) == (1, False)
    assert line.fail(5) == [0.5, 1.0, 2.0, 4.0, 60.0]
    assert line.count(ActionKind.EXHAUSTED) == 2


# --- When quick attempts are used up and the policy says to escalate

ESCALATING = ReconnectPolicy(attempts=3, exhausted=Exhausted.ESCALATE)


def test_the_last_quick_attempt_escalates() -> None:
    """After as many failures as attempts the connection fails to its supervisor, and says why."""
    line = Line(ESCALATING).tell(SignalKind.START)
    line.fail(2)

    assert kinds(line.lose()) == ["close", "exhausted", "fail"]
    assert line.state.phase is Phase.FAILED
    assert line.state.cause == REFUSED


def test_an_escalation_tells_of_exhaustion_once() -> None:
    """Where a degraded loss has told of it, the escalation does not tell again."""
    line = Line(ESCALATING).tell(SignalKind.START)
    line.fail(2, LIMITED)

    assert kinds(line.lose()) == ["close", "fail"]
    assert line.count(ActionKind.EXHAUSTED) == 1


def test_a_proven_connection_has_all_its_attempts_before_it_escalates() -> None:
    """Its loss is no failed attempt."""
    line = at(Phase.PROVEN, ESCALATING)

    assert len(line.fail(3)) == 3
    assert kinds(line.lose()) == ["close", "exhausted", "fail"]


# --- Proof

SLOW_FIRST = ReconnectPolicy(stable_after=60.0, slow=Backoff(initial=200.0, cap=300.0))


def seconds_to_prove(line: Line) -> float:
    """Open the attempt under way and return after how many seconds it is stable."""
    (opened,) = line.take(Signal(SignalKind.OPENED))
    return opened.seconds


def test_a_first_connection_is_proven_after_the_plain_time() -> None:
    """Nothing was waited for before it."""
    assert seconds_to_prove(at(Phase.CONNECTING)) == 60.0


def test_a_later_connection_must_outlast_the_step_before_it() -> None:
    """With the defaults: 60 s after quick delays, the step after slow ones, 60 s once proven."""
    line = Line().tell(SignalKind.START)
    proven_after = []
    for _ in range(9):
        line.fail(1)
        proven_after.append(seconds_to_prove(line))
    assert proven_after == [60.0, 60.0, 60.0, 60.0, 60.0, 120.0, 240.0, 300.0, 300.0]

    line.tell(SignalKind.STABLE).fail(1)
    assert seconds_to_prove(line) == 60.0


def test_the_step_counts_also_where_a_degraded_loss_made_it_a_slow_one() -> None:
    """The attempt's number does not say how long was waited before it; the machine knows."""
    line = at(Phase.PROVEN, SLOW_FIRST)
    line.fail(1, LIMITED)

    assert seconds_to_prove(line) == 200.0


@given(reconnect_policies, st.lists(st.sampled_from([REFUSED, LIMITED]), max_size=8), chances)
def test_what_is_waited_for_must_be_outlasted(
    policy: ReconnectPolicy, causes: list[Cause], u: float
) -> None:
    """No connection that lasts less than the delay before it is ever called proven."""
    line = Line(policy, u=u).tell(SignalKind.START, SignalKind.OPENED, SignalKind.STABLE)
    delay = 0.0
    for cause in causes:
        if ActionKind.WAIT not in [action.kind for action in line.lose(cause)]:
            return

        delay = line.said[-1].seconds
        line.tell(SignalKind.DUE)

    if line.state.phase is Phase.CONNECTING:
        assert seconds_to_prove(line) >= max(delay, policy.stable_after)


@pytest.mark.parametrize(
    "order",
    [
        [SignalKind.OPENED, SignalKind.STABLE, SignalKind.DATA],
        [SignalKind.OPENED, SignalKind.DATA, SignalKind.STABLE],
        [SignalKind.DATA, SignalKind.OPENED, SignalKind.STABLE],
    ],
)
def test_where_data_is_needed_both_are_in_any_order(order: list[SignalKind]) -> None:
    """Time and an event prove together, also an event that came before all children were ready."""
    line = at(Phase.CONNECTING, ReconnectPolicy(needs_data=True))
    line.tell(*order[:2])
    assert line.state.phase is Phase.CONNECTED
    assert line.count(ActionKind.PROVEN) == 0

    line.tell(order[2])
    assert line.state.phase is Phase.PROVEN
    assert line.count(ActionKind.PROVEN) == 1


def test_data_and_time_belong_to_one_connection() -> None:
    """What the connection before has delivered does not prove this one."""
    line = at(Phase.CONNECTED, ReconnectPolicy(needs_data=True)).tell(SignalKind.DATA)
    line.fail(1)
    line.tell(SignalKind.OPENED, SignalKind.STABLE)

    assert line.state.phase is Phase.CONNECTED


# --- The policy itself


def test_the_policy_takes_words() -> None:
    """Code and configuration files say the same."""
    assert ReconnectPolicy(exhausted="escalate").exhausted is Exhausted.ESCALATE  # type: ignore[arg-type]  # as a file has it


def test_every_mistake_is_listed() -> None:
    """One error names every field."""
    with pytest.raises(InvalidSpec) as caught:
        ReconnectPolicy(
            attempts=0,
            backoff=None,  # type: ignore[arg-type]  # that is the point
            slow=5.0,  # type: ignore[arg-type]  # ... as well
            exhausted="stop",  # type: ignore[arg-type]  # ... as well
            stable_after=math.inf,
            needs_data="yes",  # type: ignore[arg-type]  # ... as well
            connect_timeout=0,
            close_timeout=math.inf,
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
    ]


def test_an_attempt_may_take_for_ever() -> None:
    """Only closing must be bounded; who wants no limit on connecting says so."""
    assert ReconnectPolicy(connect_timeout=math.inf).connect_timeout == math.inf
