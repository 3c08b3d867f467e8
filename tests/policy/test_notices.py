"""What the init system is told, and when."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from trio_instances import InvalidSpec
from trio_instances.policy.notices import (
    STATUS,
    Facts,
    InitPolicy,
    NoticeState,
    gets_on,
    status_text,
    step,
)
from trio_instances.policy.standing import Standing, Start
from trio_instances.policy.status import InstanceStatus

READY = Start(done=True, possible=True, missing=())
NOT_YET = Start(done=False, possible=True, missing=())
HOPELESS = Start(done=False, possible=False, missing=())
POLICY = InitPolicy()
EXTEND = "EXTEND_TIMEOUT_USEC=30000000"


def failed_or(status: InstanceStatus) -> Standing:
    """Return an instance of some status that is late."""
    return Standing(
        "bot", status, connected=False, steady=False, proven=False, due_by=0, cause=None
    )


LATE = failed_or(InstanceStatus.RECONNECTING)
FAILED = failed_or(InstanceStatus.FAILED)
STARTING = Facts(start=NOT_YET, words="so")
RUNNING = Facts(start=READY, words="so")
STOPPING = Facts(start=READY, words="so", stopping=True)
TOLD = NoticeState(ready=True, status="so")


def said(
    state: NoticeState,
    facts: Facts,
    *,
    now: float = 0.0,
    watchdog: float | None = None,
    policy: InitPolicy = POLICY,
) -> list[str]:
    """Return what is said without the status."""
    _, lines = step(state, facts, policy, watchdog, now)
    return [line for line in lines if not line.startswith(STATUS)]


def test_ready_is_said_once() -> None:
    """At the first look at which it is so, and never taken back."""
    state, lines = step(NoticeState(), RUNNING, POLICY, None, 0.0)
    assert lines == ("READY=1", "STATUS=so")

    _, lines = step(state, STARTING, POLICY, None, 100.0)
    assert lines == ()


def test_stopping_comes_first() -> None:
    """Before anything else that is said at that look; more time is asked for at once."""
    state = evolve(TOLD, extended_at=0.0)

    assert step(state, STOPPING, POLICY, 1.0, 0.1)[1] == (
        "STOPPING=1",
        "STATUS=stopping: so",
        "WATCHDOG=1",
        EXTEND,
    )


def test_what_stops_is_not_called_ready_any_more() -> None:
    """A stop that came before it was ready is a stop only."""
    assert said(NoticeState(), STOPPING) == ["STOPPING=1", EXTEND]


def test_the_status_is_said_when_it_changes() -> None:
    """And not again while it is the same."""
    assert step(TOLD, RUNNING, POLICY, None, 0.0)[1] == ()
    assert step(TOLD, evolve(RUNNING, words="else"), POLICY, None, 0.0)[1] == ("STATUS=else",)


def test_the_watchdog_is_fed_at_half_its_time() -> None:
    """Not before, and at the first look from then on."""
    fed = evolve(TOLD, watchdog_at=100.0)

    assert said(fed, RUNNING, watchdog=10.0, now=104.9) == []
    assert said(fed, RUNNING, watchdog=10.0, now=105.0) == ["WATCHDOG=1"]
    assert said(fed, RUNNING, watchdog=None, now=999.0) == []


@pytest.mark.parametrize("facts", [STARTING, RUNNING])
def test_a_machine_that_is_late_stops_the_watchdog(facts: Facts) -> None:
    """The event loop may run: this process does not get on."""
    late = evolve(facts, overdue=(LATE,))

    assert said(TOLD, late, watchdog=10.0) == []
    assert said(TOLD, late, watchdog=10.0, policy=InitPolicy(overdue_tolerated=1)) == ["WATCHDOG=1"]


def test_an_instance_that_failed_stops_the_watchdog_only_where_that_is_wanted() -> None:
    """A new process would fail alike, unless somebody says otherwise."""
    facts = evolve(RUNNING, start=Start(done=False, possible=False, missing=(FAILED,)))

    assert said(TOLD, facts, watchdog=1.0) == ["WATCHDOG=1"]
    assert said(TOLD, facts, watchdog=1.0, policy=InitPolicy(failed_stops_watchdog=True)) == []


def test_a_child_that_is_stuck_ends_all_signs_of_life_of_a_stop() -> None:
    """The init system may do what the runtime cannot: end it."""
    state = evolve(TOLD, stopping=True)

    assert said(state, STOPPING, watchdog=1.0) == ["WATCHDOG=1", EXTEND]
    assert said(state, evolve(STOPPING, stuck=("a/b",)), watchdog=1.0) == []


def test_more_time_is_asked_for_while_it_starts_or_stops() -> None:
    """At a third of what was asked for; not while it runs."""
    asked = NoticeState(extended_at=100.0, status="so")

    assert said(asked, STARTING, now=109.0) == []
    assert said(asked, STARTING, now=110.0) == [EXTEND]
    assert said(TOLD, RUNNING, now=999.0) == []
    assert said(TOLD, STARTING, now=999.0) == []  # it was ready once: it does not start any more


def test_a_start_that_waiting_cannot_end_gets_no_more_time() -> None:
    """So the init system's own limit for a start is in force."""
    assert said(NoticeState(), evolve(STARTING, start=HOPELESS)) == []


def test_the_status_says_what_does_not_get_on() -> None:
    """By the instance's id, or the child's path."""
    assert status_text(evolve(RUNNING, overdue=(LATE,))) == "so; not getting on: bot"
    assert status_text(evolve(STOPPING, stuck=("a", "b"))) == "stopping: so; stuck: a, b"


READINESS = st.sampled_from([READY, NOT_YET, HOPELESS])
FACTS = st.builds(
    Facts,
    start=READINESS,
    words=st.sampled_from(["one", "two"]),
    overdue=st.sampled_from([(), (LATE,)]),
    stuck=st.sampled_from([(), ("a/b",)]),
)


@given(st.lists(st.tuples(st.floats(0.01, 50.0), FACTS)), st.integers(0, 20), st.floats(0.1, 60.0))
def test_whatever_happens_each_word_has_its_time(
    looks: list[tuple[float, Facts]], stop_at: int, watchdog: float
) -> None:
    """READY and STOPPING at most once each and in this order; no sign of life without life."""
    state, now = NoticeState(), 0.0
    heard: list[str] = []
    for number, (pause, seen) in enumerate(looks):
        now += pause
        facts = evolve(seen, stopping=number >= stop_at)
        before = state
        state, lines = step(state, facts, POLICY, watchdog, now)
        heard += lines
        alive = gets_on(facts, POLICY)
        assert alive or not {"WATCHDOG=1", EXTEND} & set(lines)
        assert state.status == status_text(facts)
        assert not alive or now - state.watchdog_at < watchdog / 2
        assert step(state, facts, POLICY, watchdog, now) == (state, ())
        assert lines or state == before
    order = [line for line in heard if line in ("READY=1", "STOPPING=1")]
    assert order in ([], ["READY=1"], ["STOPPING=1"], ["READY=1", "STOPPING=1"])


@pytest.mark.parametrize(
    "field",
    [
        {"overdue_after": float("inf")},
        {"overdue_tolerated": -1},
        {"failed_stops_watchdog": 1},
        {"extension": 0.5},
    ],
    ids=str,
)
def test_a_bad_field_is_refused(field: dict[str, float]) -> None:
    """By name."""
    with pytest.raises(InvalidSpec, match=next(iter(field))):
        InitPolicy(**field)  # type: ignore[arg-type]  # the mistakes under test
