"""Machine 3, an instance: what is said of it."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_instances.policy.failures import Cause, FailureClass
from trio_instances.policy.status import (
    TRANSITIONS,
    Change,
    DegradedReason,
    InstanceStatus,
    StatusState,
    degrade,
    recover,
    step,
)

from .strategies import causes

LEADS = {
    ("stopped", "start"): "starting",
    ("starting", "connect"): "connecting",
    ("starting", "pause"): "paused",
    ("starting", "fail"): "failed",
    ("starting", "stop"): "stopping",
    ("starting", "end"): "stopped",
    ("connecting", "open"): "connected",
    ("connecting", "lose"): "reconnecting",
    ("connecting", "pause"): "paused",
    ("connecting", "start"): "starting",
    ("connecting", "fail"): "failed",
    ("connecting", "stop"): "stopping",
    ("connected", "lose"): "reconnecting",
    ("connected", "pause"): "paused",
    ("connected", "start"): "starting",
    ("connected", "fail"): "failed",
    ("connected", "stop"): "stopping",
    ("reconnecting", "open"): "connected",
    ("reconnecting", "pause"): "paused",
    ("reconnecting", "start"): "starting",
    ("reconnecting", "fail"): "failed",
    ("reconnecting", "stop"): "stopping",
    ("paused", "resume"): "reconnecting",
    ("paused", "start"): "starting",
    ("paused", "fail"): "failed",
    ("paused", "stop"): "stopping",
    ("failed", "start"): "starting",
    ("failed", "stop"): "stopping",
    ("stopping", "start"): "starting",
    ("stopping", "fail"): "failed",
    ("stopping", "end"): "stopped",
}
ON_ITS_WAY = {InstanceStatus.CONNECTING, InstanceStatus.CONNECTED, InstanceStatus.RECONNECTING}
CAUSE = Cause(FailureClass.DEGRADED, "slow")
NEWER = Cause(FailureClass.DEGRADED, "slower")

whats = st.sampled_from(["reconnect", "probe", "pressure", "child:poller"])
doings = st.lists(
    st.one_of(
        st.tuples(st.just("change"), st.sampled_from(Change)),
        st.tuples(st.just("degrade"), whats),
        st.tuples(st.just("recover"), whats),
    ),
    max_size=30,
)


def after(links: list[Change]) -> StatusState:
    """Return the state after some changes."""
    state = StatusState()
    for change in links:
        state = step(state, change)

    return state


# --- The link


@pytest.mark.parametrize(("link", "change"), list(product(InstanceStatus, Change)))
def test_every_change_of_every_link(link: InstanceStatus, change: Change) -> None:
    """A pair of the table leads where it should; any other says nothing new."""
    before = StatusState(link)
    expected = LEADS.get((link, change))

    if expected is None:
        assert step(before, change) is before
    else:
        assert step(before, change).link is InstanceStatus(expected)


def test_degraded_is_no_place_of_the_link() -> None:
    """It is said because of reasons; no change leads there, and it is in the table, empty."""
    assert TRANSITIONS[InstanceStatus.DEGRADED] == {}
    targets = {target for moves in TRANSITIONS.values() for target in moves.values()}
    assert targets == set(InstanceStatus) - {InstanceStatus.DEGRADED}


@pytest.mark.parametrize("link", [link for link in InstanceStatus if TRANSITIONS[link]])
def test_from_every_link_there_is_a_way_to_every_other(link: InstanceStatus) -> None:
    """Nothing is stuck: a stopped or failed instance can be started, a running one ended."""
    seen = {link}
    for _ in InstanceStatus:
        seen |= {target for now in seen for target in TRANSITIONS[now].values()}

    assert seen == {link for link in InstanceStatus if TRANSITIONS[link]}


def test_an_instance_begins_as_stopped() -> None:
    """What was never started is down, with nothing to say against it."""
    assert StatusState().status is InstanceStatus.STOPPED
    assert StatusState().reasons == ()


def test_a_life_is_told_in_order() -> None:
    """Start, connect, lose, come back, pause, resume, stop."""
    told = []
    state = StatusState()
    for change in (
        Change.START,
        Change.CONNECT,
        Change.OPEN,
        Change.LOSE,
        Change.CONNECT,
        Change.OPEN,
        Change.PAUSE,
        Change.LOSE,
        Change.RESUME,
        Change.OPEN,
        Change.STOP,
        Change.LOSE,
        Change.END,
    ):
        state = step(state, change)
        told.append(str(state.status))

    assert told == [
        "starting",
        "connecting",
        "connected",
        "reconnecting",
        "reconnecting",
        "connected",
        "paused",
        "paused",
        "reconnecting",
        "connected",
        "stopping",
        "stopping",
        "stopped",
    ]


# --- Reasons


@given(doings, causes())
def test_it_is_called_degraded_exactly_while_there_is_a_reason_and_a_way(
    doings: list[tuple[str, str]], cause: Cause
) -> None:
    """Some reason, and a link that is up or on its way; otherwise the link itself is said."""
    state = StatusState()
    for what, value in doings:
        if what == "change":
            state = step(state, Change(value))
        elif what == "degrade":
            state = degrade(state, value, cause, 1.0)
        else:
            state = recover(state, value)

        degraded = bool(state.reasons) and state.link in ON_ITS_WAY
        assert state.status is (InstanceStatus.DEGRADED if degraded else state.link)
        assert len({reason.what for reason in state.reasons}) == len(state.reasons)


@given(st.lists(whats, max_size=6), whats, causes())
def test_degrading_and_recovering_undo_each_other(
    before: list[str], what: str, cause: Cause
) -> None:
    """After it a reason is there, and nothing else has changed; after the other it is gone."""
    state = StatusState()
    for earlier in before:
        state = degrade(state, earlier, CAUSE, 0.0)
    others = tuple(reason for reason in state.reasons if reason.what != what)

    worse = degrade(state, what, cause, 5.0)
    assert [reason.what for reason in worse.reasons].count(what) == 1
    assert tuple(reason for reason in worse.reasons if reason.what != what) == others
    assert recover(worse, what) == StatusState(state.link, others)


def test_a_reason_given_twice_keeps_its_time_and_takes_the_newer_cause() -> None:
    """Since when is a question about the first time, why about the last."""
    state = degrade(StatusState(), "probe", CAUSE, 1.0)
    state = degrade(state, "pressure", CAUSE, 2.0)
    state = degrade(state, "probe", NEWER, 3.0)

    assert state.reasons == (
        DegradedReason("probe", NEWER, 1.0),
        DegradedReason("pressure", CAUSE, 2.0),
    )


def test_recovering_from_what_is_not_there_changes_nothing() -> None:
    """A success may be reported at any time."""
    state = degrade(StatusState(), "probe", CAUSE, 1.0)

    assert recover(state, "pressure") == state


def test_it_stays_degraded_until_the_last_reason_is_gone() -> None:
    """One reason is enough."""
    state = after([Change.START, Change.CONNECT, Change.OPEN])
    state = degrade(degrade(state, "probe", CAUSE, 1.0), "pressure", CAUSE, 1.0)

    state = recover(state, "probe")
    assert state.status is InstanceStatus.DEGRADED
    assert recover(state, "pressure").status is InstanceStatus.CONNECTED


@pytest.mark.parametrize(
    "link", [link for link in InstanceStatus if Change.START in TRANSITIONS[link]]
)
def test_a_start_forgets_the_reasons(link: InstanceStatus) -> None:
    """What they spoke of is gone with the run before."""
    state = degrade(StatusState(link), "probe", CAUSE, 1.0)

    assert step(state, Change.START) == StatusState(InstanceStatus.STARTING)


@pytest.mark.parametrize(("link", "change"), sorted(LEADS.keys()))
def test_nothing_but_a_start_forgets_the_reasons(link: str, change: str) -> None:
    """A connection lost, a pause, a failure: the reasons stay to be seen."""
    if change == "start":
        return

    state = degrade(StatusState(InstanceStatus(link)), "probe", CAUSE, 1.0)
    assert step(state, Change(change)).reasons == state.reasons
