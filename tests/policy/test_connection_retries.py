"""Machine 2, a connection: attempts, delays, exhaustion, and when one is proven."""

from __future__ import annotations

import math

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from trio_instances.policy.backoff import Backoff
from trio_instances.policy.failures import Cause
from trio_instances.policy.reconnect import Exhausted, ReconnectPolicy
from trio_instances.policy.signals import Action, ActionKind, Phase, Signal, SignalKind

from .lines import LIMITED, REFUSED, Line, at, kinds
from .strategies import chances, hints, reconnect_policies

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
    assert line.said[-1] == Action(ActionKind.WAIT, LIMITED, 60.0, quick=False, generation=1)


@pytest.mark.parametrize(("asked", "delay"), [(0.0, 1.25), (1.0, 1.25), (3.0, 3.25), (900, 900.25)])
def test_a_quick_attempt_comes_when_it_was_asked_for(asked: float, delay: float) -> None:
    """Sooner or later than our own delay, never sooner than the floor, and spread by chance."""
    line = Line().tell(SignalKind.START)
    line.fail(3)

    assert line.fail(1, evolve(REFUSED, retry_after=asked)) == [delay]


def test_a_hint_is_spread_by_chance() -> None:
    """With no luck it is the first step later than asked, with all luck it is exactly then."""
    asked = evolve(REFUSED, retry_after=10.0)

    assert Line(u=0.0).tell(SignalKind.START).fail(1, asked) == [10.0]
    assert Line(u=1.0).tell(SignalKind.START).fail(1, asked) == [10.25]


@pytest.mark.parametrize(("asked", "delay"), [(0.0, 60.0), (59.0, 60.0), (61.0, 61.0)])
def test_a_slow_attempt_never_comes_sooner_for_a_hint(asked: float, delay: float) -> None:
    """The hints so far were in vain, or quality is lost: a longer wait is kept, and no shorter."""
    line = Line().tell(SignalKind.START)
    line.fail(4)
    assert line.fail(1, evolve(REFUSED, retry_after=asked)) == [delay]

    limited = evolve(LIMITED, retry_after=asked)
    assert Line().tell(SignalKind.START).fail(1, limited) == [delay]


def test_the_floor_is_a_setting() -> None:
    """A fleet that must not come back at once says so."""
    line = Line(ReconnectPolicy(hint_floor=5.0)).tell(SignalKind.START)

    assert line.fail(1, evolve(REFUSED, retry_after=0.0)) == [5.25]


@pytest.mark.parametrize("hint", [259_200.0, 259_201.0, 365 * 86_400.0, 9_999_999_999.0])
@pytest.mark.parametrize("before", [0, 7])
def test_no_hint_parks_an_instance_for_a_year(hint: float, before: int) -> None:
    """Three days are the longest ban that a platform documents; a slow attempt waits as long."""
    line = Line().tell(SignalKind.START)
    line.fail(before)
    asked = evolve(REFUSED, retry_after=hint)
    (delay,) = line.fail(1, asked)

    assert 259_200.0 <= delay <= 259_200.25
    assert ReconnectPolicy().refused(asked) == (hint if hint > 259_200.0 else None)
    assert ReconnectPolicy(hint_ceiling=math.inf).refused(asked) is None


@pytest.mark.parametrize("cause", [None, REFUSED])
def test_who_asks_for_no_time_does_not_ask_too_much(cause: Cause | None) -> None:
    """Most failures come without a hint."""
    assert ReconnectPolicy(hint_floor=0.0, hint_ceiling=0.0).refused(cause) is None


def test_hints_do_not_save_attempts() -> None:
    """A server that says "now" all the time has as many quick attempts as one that says nothing."""
    line = Line().tell(SignalKind.START)

    assert line.fail(6, evolve(REFUSED, retry_after=0.0)) == [1.25, 1.25, 1.25, 1.25, 60.0, 120.0]


@given(reconnect_policies, st.integers(1, 9), hints, chances, st.booleans())
def test_the_law_of_hints(
    policy: ReconnectPolicy,
    attempt: int,
    hint: float | None,
    u: float,
    quick: bool,  # noqa: FBT001 - hypothesis gives it
) -> None:
    """Never sooner than asked, up to the ceiling; above the floor, or a slow one's own delay."""
    delay = policy.delay_after_hint(attempt, hint or 0.0, u, quick=quick)
    asked = min(hint or 0.0, policy.hint_ceiling)

    assert delay >= asked
    if quick:
        assert delay >= policy.hint_floor
        assert delay <= max(asked, policy.hint_floor) + policy.backoff.step(0)
    else:
        assert delay == max(asked, policy.delay(attempt, u, quick=False))


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
    assert line.is_in(Phase.PAUSED)
    assert line.count(ActionKind.OPEN) == 1

    line.tell(SignalKind.RESUME)
    assert line.is_in(Phase.CONNECTING)


def test_an_operator_who_resumes_begins_the_count_anew() -> None:
    """Attempts, exhaustion and the time to prove are as for a first connection."""
    line = Line().tell(SignalKind.START)
    line.fail(7)
    line.tell(SignalKind.PAUSE, SignalKind.RESUME)

    assert (line.state.attempt, line.state.exhausted, line.state.waited) == (1, False, 0.0)
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
    """Nothing was waited for before it, so it may even be proven at once."""
    assert seconds_to_prove(at(Phase.CONNECTING)) == 60.0
    assert seconds_to_prove(at(Phase.CONNECTING, ReconnectPolicy(stable_after=0.0))) == 0.0


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
    assert line.is_in(Phase.CONNECTED)
    assert line.count(ActionKind.PROVEN) == 0

    line.tell(order[2])
    assert line.is_in(Phase.PROVEN)
    assert line.count(ActionKind.PROVEN) == 1


def test_data_and_time_belong_to_one_connection() -> None:
    """What the connection before has delivered, or lasted, does not prove this one."""
    for before, now in ((SignalKind.DATA, SignalKind.STABLE), (SignalKind.STABLE, SignalKind.DATA)):
        line = at(Phase.CONNECTED, ReconnectPolicy(needs_data=True)).tell(before)
        line.fail(1)
        line.tell(SignalKind.OPENED, now)

        assert line.state.phase is Phase.CONNECTED


def test_proof_ends_the_time_that_was_waited() -> None:
    """A proven connection that an operator remakes is proven again after the plain time."""
    line = Line().tell(SignalKind.START)
    line.fail(7)
    line.tell(SignalKind.OPENED, SignalKind.STABLE)
    line.now = 60.0
    line.tell(SignalKind.RECONNECT)

    assert seconds_to_prove(line) == 60.0


@pytest.mark.parametrize("kind", [SignalKind.RECONNECT, SignalKind.ROTATE])
@pytest.mark.parametrize("phase", [Phase.CONNECTED, Phase.PROVEN])
def test_what_was_asked_for_uses_up_no_attempt(phase: Phase, kind: SignalKind) -> None:
    """However often: the first loss of all is retried quickly, and gives up nothing."""
    line = at(phase, ReconnectPolicy(exhausted=Exhausted.ESCALATE))
    for _ in range(20):
        line.tell(kind, SignalKind.OPENED)
        line.now += 1.0
    assert line.state.attempt == 1

    assert line.fail(1) == [0.5]


def test_what_was_asked_for_resets_no_attempt() -> None:
    """The one that replaces a connection has its number: what it fails with counts after that."""
    line = Line().tell(SignalKind.START)
    line.fail(3)
    line.tell(SignalKind.OPENED, SignalKind.RECONNECT, SignalKind.DUE)

    assert line.state.attempt == 4
    assert line.fail(2) == [4.0, 60.0]


def test_a_reconnect_of_what_was_just_opened_waits() -> None:
    """As for a "now" of the other side; who asks each connection for another one storms nobody."""
    line = Line().tell(SignalKind.START, SignalKind.OPENED)
    line.now = 0.9

    assert line.take(Signal(SignalKind.RECONNECT, cause=REFUSED)) == (
        Action(ActionKind.CLOSE, REFUSED, generation=1),
        Action(ActionKind.WAIT, REFUSED, 1.25, generation=1),
    )
    assert (line.state.phase, line.state.next_retry_at) == (Phase.WAITING, 2.15)


@pytest.mark.parametrize("kind", [SignalKind.RETRY, SignalKind.RECONNECT])
def test_who_cannot_wait_for_that_says_so(kind: SignalKind) -> None:
    """A second word wakes it as it wakes any retry that waits."""
    line = Line().tell(SignalKind.START, SignalKind.OPENED, SignalKind.RECONNECT)

    assert kinds(line.take(Signal(kind))) == ["open"]
    assert line.state.attempt == 1
