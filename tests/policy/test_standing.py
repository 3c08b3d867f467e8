"""How a fleet stands: its start, lateness, everything down, and the words for it."""

from __future__ import annotations

import math

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from trio_instances.policy.failures import Cause, WhoMustAct
from trio_instances.policy.reconnect import ReconnectPolicy
from trio_instances.policy.signals import ConnectionState, Phase
from trio_instances.policy.standing import (
    Standing,
    all_down,
    down_since,
    due_by,
    gives_up,
    in_words,
    judge_start,
    overdue,
    to_mend,
)
from trio_instances.policy.status import DegradedReason, InstanceStatus, StatusState

S = InstanceStatus
POLICY = ReconnectPolicy(connect_timeout=30.0, close_timeout=10.0)
REFUSED = Cause("fatal", "http_401", who_must_act="credentials")


def standing(
    name: str = "a",
    status: InstanceStatus | str = S.CONNECTED,
    *,
    proven: bool = False,
    connected: bool | None = None,
    due: float = math.inf,
    mend: Cause | None = None,
) -> Standing:
    """Return how one instance stands; one that is connected is so by its status."""
    status = InstanceStatus(status)
    is_connected = status is S.CONNECTED if connected is None else connected
    return Standing(name, status, is_connected, proven, proven, due, mend, mend)


FLEETS = st.lists(
    st.builds(
        standing,
        st.sampled_from("abcd"),
        st.sampled_from(S),
        proven=st.booleans(),
        connected=st.booleans(),
        mend=st.none() | st.just(REFUSED),
    ),
    max_size=6,
    unique_by=lambda each: each.instance_id,
)
PROVEN = standing("ok", proven=True)


# --- ready


@pytest.mark.parametrize(
    ("fleet", "ready", "possible"),
    [
        ([], False, False),
        ([PROVEN], True, True),
        ([PROVEN, standing()], False, True),
        ([PROVEN, standing(status="failed")], True, True),
        ([PROVEN, standing(status="paused")], True, True),
        ([PROVEN, standing(status="stopping")], True, True),
        ([standing(status="failed")], False, False),
        ([standing(status="paused")], False, True),
        ([standing(status="connecting"), standing("b", "failed")], False, True),
    ],
)
def test_without_names_as_many_are_required_as_waiting_can_prove(
    *, fleet: list[Standing], ready: bool, possible: bool
) -> None:
    """What has failed, or is paused, keeps no other from its work; but somebody must be there."""
    found = judge_start(fleet)

    assert (found.done, found.possible) == (ready, possible)


@pytest.mark.parametrize(
    ("fleet", "ready", "possible"),
    [
        ([standing("a", proven=True)], True, True),
        ([standing("a", proven=True), standing("z", "failed")], True, True),
        ([standing("a"), standing("z", proven=True)], False, True),
        ([standing("a", "paused")], False, True),
        ([standing("a", "failed")], False, False),
        ([], False, False),
    ],
)
def test_one_that_is_required_by_name_must_be_proven(
    *, fleet: list[Standing], ready: bool, possible: bool
) -> None:
    """Whatever has become of it, and whatever became of the others."""
    found = judge_start(fleet, ["a"])

    assert (found.done, found.possible) == (ready, possible)


def test_an_unknown_id_is_named() -> None:
    """It can never be proven, so it is not only missing."""
    found = judge_start([PROVEN], {"ghost", "ok"})

    assert found.unknown == ("ghost",)
    assert not found.done
    assert not found.possible


def test_nothing_required_is_ready_at_once() -> None:
    """An empty list of names is a wish, and not the lack of one."""
    assert judge_start([standing(status="failed")], ()).done


def test_the_required_ids_are_not_searched_for_each_instance() -> None:
    """They come as a tuple, and with 10,000 of them a search each would hold the event loop."""

    class Listed(tuple[str, ...]):
        __slots__ = ()

        def __contains__(self, _: object) -> bool:
            raise AssertionError("the whole of it is searched")

    found = judge_start([PROVEN, standing("a")], Listed(["ok", "a", "ghost"]))

    assert [each.instance_id for each in found.missing] == ["a"]
    assert found.unknown == ("ghost",)


@given(FLEETS, st.none() | st.sets(st.sampled_from("abcd")))
def test_ready_is_possible_and_misses_nobody_it_waits_for(
    fleet: list[Standing], required: set[str] | None
) -> None:
    """Ready implies possible; the missing are the required ones that are not proven, in order."""
    found = judge_start(fleet, required)

    wanted = [each for each in fleet if required is None or each.instance_id in required]
    assert list(found.missing) == [each for each in wanted if not each.proven]
    assert found.possible or not found.done
    if required is not None:
        assert found.done == (not found.missing and not found.unknown)


# --- late


@pytest.mark.parametrize("phase", Phase)
def test_a_machine_that_waits_for_a_retry_must_go_on_when_the_old_connection_has_closed(
    phase: Phase,
) -> None:
    """Its time, and the time to close before it. In no other phase is there a retry."""
    by = due_by(ConnectionState(phase, next_retry_at=200.0), POLICY)

    assert by == (210.0 if phase is Phase.WAITING else math.inf)


def test_a_wait_without_a_time_is_never_late() -> None:
    """There is none in the machine; the value could hold it."""
    assert due_by(ConnectionState(Phase.WAITING), POLICY) == math.inf


def test_whatever_must_have_opened_or_closed_has_its_deadline() -> None:
    """The first of them counts; one that is open, or has no budget, has none."""
    waiting = ConnectionState(Phase.WAITING, next_retry_at=200.0)

    assert due_by(ConnectionState(Phase.CONNECTING), POLICY, [130.0]) == 130.0
    assert due_by(ConnectionState(Phase.PROVEN), POLICY, [math.inf, 50.0]) == 50.0
    assert due_by(ConnectionState(Phase.PROVEN), POLICY, [math.inf]) == math.inf
    assert due_by(waiting, POLICY, [205.0]) == 205.0
    assert due_by(waiting, POLICY, [215.0]) == 210.0


def test_late_is_what_should_have_gone_on_longer_ago_than_the_bound() -> None:
    """Exactly the bound is in time."""
    fleet = [standing("a", due=70.0), standing("b", due=69.9), standing("c")]

    assert [each.instance_id for each in overdue(fleet, 100.0, 30.0)] == ["b"]


def test_what_was_due_while_all_was_held_up_has_its_time_afterwards() -> None:
    """Everything is late then, and nothing is at fault."""
    fleet = [standing("a", due=10.0)]

    assert overdue(fleet, 100.0, 30.0, 70.0) == ()
    assert overdue(fleet, 100.1, 30.0, 70.0) == tuple(fleet)


# --- down


@pytest.mark.parametrize(
    ("fleet", "down"),
    [
        ([], False),
        ([standing(status="paused")], False),
        ([standing(status="failed")], True),
        ([standing(status="reconnecting"), standing("b", "paused")], True),
        ([standing(status="failed"), PROVEN], False),
        ([standing(status="degraded", connected=True)], False),
        ([standing(status="degraded", connected=False)], True),
        ([standing(status="starting")], True),
    ],
)
def test_all_is_down_when_nobody_who_should_is_connected(
    *, fleet: list[Standing], down: bool
) -> None:
    """What an operator has paused does not count; what else it is called does not matter."""
    assert all_down(fleet) is down


def test_a_connection_that_does_not_last_does_not_make_the_time_count_anew() -> None:
    """Only a steady one does."""
    assert down_since(5.0, [standing()], 100.0) == 5.0
    assert down_since(5.0, [PROVEN], 100.0) == 100.0


def test_the_time_does_not_count_while_nothing_should_be_connected() -> None:
    """Resumed after a long pause, a fleet has its whole time to connect."""
    assert down_since(5.0, [standing(status="paused")], 100.0) == 100.0
    assert down_since(5.0, [], 100.0) == 100.0


# --- in words


@pytest.mark.parametrize(
    ("fleet", "words"),
    [
        ([], "0 instances"),
        ([standing()], "1 instance: 1 connected"),
        (
            [standing("a", "failed", mend=REFUSED), standing("b"), standing("c")],
            "3 instances: 2 connected, 1 failed; to be mended: a by credentials (http_401)",
        ),
        ([standing("a", "degraded")], "1 instance: 1 degraded"),
        ([standing("a", "failed")], "1 instance: 1 failed"),
        (
            [standing(name, "failed", mend=REFUSED) for name in "abcde"],
            (
                "5 instances: 5 failed; to be mended: a by credentials (http_401), "
                "b by credentials (http_401), c by credentials (http_401) and 2 more"
            ),
        ),
    ],
)
def test_the_words_say_how_many_are_what_and_who_must_act(
    fleet: list[Standing], words: str
) -> None:
    """A long list of people to act is cut short; what mends itself is not in it."""
    assert in_words(fleet) == words


@given(FLEETS)
def test_the_counts_add_up(fleet: list[Standing]) -> None:
    """Every instance is counted once."""
    counts = in_words(fleet).partition(": ")[2].partition(";")[0]
    numbers = [int(part.split()[0]) for part in counts.split(", ") if part]

    assert sum(numbers) == len(fleet)


@pytest.mark.parametrize("who", sorted(set(WhoMustAct) - {WhoMustAct.NOBODY}))
def test_everybody_who_can_act_can_be_named(who: WhoMustAct) -> None:
    """By the cause that says so."""
    cause = Cause("fatal", "why", who_must_act=who)

    assert f"a by {who} (why)" in in_words([standing("a", "failed", mend=cause)])


# --- who must act

MEH = Cause("recoverable", "meh")
BIG = Cause("recoverable", "message_too_big", who_must_act="configuration")


@pytest.mark.parametrize(
    ("link", "whys", "mend"),
    [
        (S.FAILED, [], REFUSED),
        (S.FAILED, [BIG], REFUSED),
        (S.CONNECTED, [], None),
        (S.CONNECTED, [MEH], None),
        (S.CONNECTED, [MEH, BIG], BIG),
        (S.RECONNECTING, [], None),
        (S.RECONNECTING, [BIG, REFUSED], BIG),
        (S.PAUSED, [BIG], None),
        (S.STOPPING, [BIG], None),
    ],
)
def test_a_cause_says_who_must_act_while_it_explains_how_an_instance_is(
    link: InstanceStatus, whys: list[Cause], mend: Cause | None
) -> None:
    """What it has failed by, or is degraded by; what ended an old connection is over."""
    reasons = tuple(DegradedReason(f"child:{n}", why, 0.0) for n, why in enumerate(whys))
    old = ConnectionState(Phase.PROVEN, cause=REFUSED)

    assert to_mend(StatusState(link, reasons), old, REFUSED) == mend


def test_an_operator_must_look_at_what_is_away_for_too_long() -> None:
    """Where nobody else is named; and why it is away is said."""
    away = ConnectionState(Phase.WAITING, cause=MEH, needs_attention=True)

    def said(why: Cause) -> Cause | None:
        reasons = (DegradedReason("reconnect", why, 0.0),)
        return to_mend(StatusState(S.RECONNECTING, reasons), away, why)

    assert said(MEH) == evolve(MEH, who_must_act="operator")
    assert said(BIG) == BIG
    assert to_mend(StatusState(S.CONNECTED), ConnectionState(Phase.PROVEN), None) is None


@pytest.mark.parametrize("why", [REFUSED, MEH])
def test_what_is_given_up_is_to_be_mended_while_it_still_closes(why: Cause) -> None:
    """From the decision on; and no more when somebody ends it."""
    given_up = ConnectionState(Phase.FAILED, cause=why)

    def said(link: InstanceStatus) -> tuple[bool, Cause | None]:
        state = StatusState(link)
        return gives_up(state, given_up), to_mend(state, given_up, why)

    expected = why if why is REFUSED else evolve(why, who_must_act="operator")
    assert said(S.RECONNECTING) == (True, expected)
    assert said(S.STOPPING) == said(S.STOPPED) == (False, None)
