"""Machine 5, a budget: the line, what each limit does, and what is left."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from trio_instances._exceptions import InvalidSpec
from trio_instances.policy.backoff import Backoff, Jitter
from trio_instances.policy.breaker import BreakerPhase, BreakerPolicy
from trio_instances.policy.budget import MAX_BURST, Budget, BudgetPolicy
from trio_instances.policy.rate import DAY

QUICK = Backoff(initial=4.0, jitter=Jitter.NONE)


def budget(**policy: object) -> Budget:
    """Return a budget that limits nothing but what is asked for."""
    given = {"attempts_per_second": 1000.0, "burst": 100, "breaker": None, **policy}
    return Budget(BudgetPolicy(**given))  # type: ignore[arg-type]  # they are what the test says


def let_go(machine: Budget, now: float) -> list[object]:
    """Let go whoever may go now."""
    gone: list[object] = []
    while machine.head is not None and machine.next_slot(now) <= now:
        gone.append(machine.grant(now))

    return gone


# --- the line


def test_first_come_first_served() -> None:
    """The order of joining is the order of going."""
    machine = budget()
    for member in "cab":
        assert machine.join(member, 0.0)

    assert [machine.place(member) for member in "abc"] == [2, 3, 1]
    assert let_go(machine, 0.0) == ["c", "a", "b"]
    assert (machine.head, machine.waiting) == (None, 0)


def test_nobody_has_two_places() -> None:
    """Who joins again keeps the place it has."""
    machine = budget()
    machine.join("a", 0.0)
    machine.join("b", 0.0)

    assert not machine.join("a", 0.0)
    assert (machine.waiting, machine.place("a")) == (2, 1)


def test_who_leaves_the_line_is_no_more_in_it() -> None:
    """The others move up; leaving twice is leaving."""
    machine = budget()
    for member in "abc":
        machine.join(member, 0.0)
    assert machine.place("c") == 3
    machine.leave("a")
    machine.leave("a")

    assert (machine.place("a"), machine.place("c"), machine.head) == (None, 2, "b")


def test_places_are_right_after_every_change() -> None:
    """After a join, a grant and a departure; what was known before is not shown."""
    machine = budget()
    places = []
    changes: list[Callable[[], object]] = [
        lambda: machine.join("a", 0.0),
        lambda: machine.join("b", 0.0),
        lambda: machine.grant(0.0),
        lambda: machine.join("a", 0.0),
        lambda: machine.leave("b"),
    ]
    for change in changes:
        change()
        places.append((machine.place("a"), machine.place("b")))

    assert places == [(1, None), (1, 2), (None, 1), (2, 1), (1, None)]


def test_what_was_waited_is_summed_up() -> None:
    """Of those that went; who left the line did not wait for anything."""
    machine = budget()
    machine.join("a", 0.0)
    machine.join("b", 1.0)
    machine.join("c", 2.0)
    assert [machine.since(member) for member in "abcd"] == [0.0, 1.0, 2.0, None]

    machine.leave("b")
    machine.grant(3.0)
    machine.grant(3.5)

    assert (machine.granted, machine.waited) == (2, 4.5)


# --- the limits


def test_the_rate_limits() -> None:
    """The burst at once, then one each interval."""
    machine = budget(attempts_per_second=0.5, burst=2)
    for member in range(4):
        machine.join(member, 0.0)

    assert machine.left(0.0) == 2
    assert let_go(machine, 0.0) == [0, 1]
    assert (machine.left(0.0), machine.next_slot(0.0)) == (0, 2.0)
    assert let_go(machine, 1.9) == []
    assert let_go(machine, 2.0) == [2]
    assert let_go(machine, 4.0) == [3]


def test_the_day_limits() -> None:
    """What is used up comes back when it is a day old."""
    machine = budget(attempts_per_day=2)
    for member in range(3):
        machine.join(member, 0.0)

    assert machine.left_today(0.0) == 2
    assert let_go(machine, 0.0) == [0, 1]
    assert (machine.left_today(0.0), machine.next_slot(0.0)) == (0, DAY + 60.0)
    assert let_go(machine, DAY + 60.0) == [2]
    assert budget().left_today(0.0) is None


def test_what_was_spent_of_the_day_is_spent_under_another_policy() -> None:
    """Also what was spent before there was a limit; and two that are in use spend from one day."""
    earlier = budget()
    for member in range(3):
        earlier.join(member, 0.0)
    let_go(earlier, 0.0)
    later = Budget(BudgetPolicy(attempts_per_second=10.0, attempts_per_day=4), earlier.day)
    assert later.left_today(0.0) == 1

    earlier.join("a", 1.0)
    earlier.grant(1.0)
    later.join("b", 1.0)
    assert (later.left_today(1.0), later.next_slot(1.0)) == (0, DAY + 60.0)

    stricter = Budget(BudgetPolicy(attempts_per_day=2), earlier.day)
    assert (stricter.left_today(1.0), stricter.next_slot(1.0)) == (0, DAY + 60.0)


def test_the_attempts_in_flight_limit() -> None:
    """While there are too many nobody has a time; one that ends makes room, and only once."""
    machine = budget(in_flight=2)
    for member in range(4):
        machine.join(member, 0.0)

    assert let_go(machine, 0.0) == [0, 1]
    assert machine.next_slot(0.0) == math.inf
    machine.release(0)
    machine.release(0)
    assert machine.in_flight == 1
    assert let_go(machine, 0.0) == [2]


def test_an_attempt_is_in_flight_until_it_is_given_back() -> None:
    """A failure alone does not end it: it may still be closing."""
    machine = budget(in_flight=1)
    machine.join("a", 0.0)
    machine.join("b", 0.0)
    let_go(machine, 0.0)
    machine.failed("a", 0.0, 0.0)

    assert let_go(machine, 0.0) == []
    machine.release("a")
    assert let_go(machine, 0.0) == ["b"]


# --- the breaker


def tripped(**policy: object) -> Budget:
    """Return a budget whose breaker opens at time 0, with three that wait."""
    machine = budget(
        breaker=BreakerPolicy(minimum=2, backoff=QUICK, stable_after=10.0, patience=60.0), **policy
    )
    machine.failed("x", 0.0, 0.0)
    machine.failed("y", 0.0, 0.0)
    for member in "abc":
        machine.join(member, 0.0)
    return machine


def test_while_the_breaker_is_open_nobody_goes_until_the_canary_does() -> None:
    """The head of the line is the canary, when its time has come; the others wait."""
    machine = tripped()

    assert machine.breaker.phase is BreakerPhase.OPEN
    assert machine.failing == (2, 0)
    assert let_go(machine, 0.0) == []
    assert machine.next_slot(0.0) == 4.0
    assert let_go(machine, 4.0) == ["a"]
    assert machine.breaker.canary == "a"
    assert machine.next_slot(4.0) == 64.0


def test_a_canary_that_lasts_lets_the_others_follow() -> None:
    """At the budget's rate; being open is not enough."""
    machine = tripped()
    let_go(machine, 4.0)
    machine.opened("a", 4.0)
    assert let_go(machine, 13.0) == []
    machine.lasted("a", 14.0)

    assert machine.breaker.phase is BreakerPhase.CLOSED
    assert machine.failing == (0, 1)
    assert let_go(machine, 14.0) == ["b", "c"]


def test_a_canary_that_fails_is_followed_by_the_next_one_later() -> None:
    """It joins at the end, so that another one risks the next attempt."""
    machine = tripped()
    let_go(machine, 4.0)
    machine.failed("a", 5.0, 0.0)
    machine.release("a")
    machine.join("a", 0.0)

    assert machine.next_slot(5.0) == 10.0
    assert let_go(machine, 10.0) == ["b"]


def test_a_canary_that_is_stopped_is_replaced_at_once() -> None:
    """Nothing was learned from it, so there is nothing to wait for."""
    machine = tripped()
    let_go(machine, 4.0)
    machine.stopped("a", 5.0)

    assert let_go(machine, 5.0) == ["b"]


def test_a_canary_that_hangs_is_replaced_when_patience_ends() -> None:
    """Nobody waits for ever for one that neither fails nor connects."""
    machine = tripped()
    let_go(machine, 4.0)

    assert let_go(machine, 63.9) == []
    assert let_go(machine, 64.0) == ["b"]
    machine.opened("a", 70.0)
    machine.lasted("a", 80.0)
    assert let_go(machine, 80.0) == ["c"]


def test_the_openings_of_the_breaker_are_counted() -> None:
    """Once for each outage, however many canaries fail in it."""
    machine = tripped()
    assert machine.openings == 1

    (canary,) = let_go(machine, 4.0)
    machine.failed(canary, 5.0, 0.0)
    assert (machine.breaker.phase, machine.openings) == (BreakerPhase.OPEN, 1)


def test_an_attempt_from_before_that_succeeds_is_the_canary() -> None:
    """Its success says the same."""
    machine = budget(breaker=BreakerPolicy(minimum=2, backoff=QUICK))
    for member in "abc":
        machine.join(member, 0.0)
    let_go(machine, 0.0)
    machine.failed("a", 1.0, 0.0)
    machine.failed("b", 1.0, 0.0)
    machine.opened("c", 2.0)

    assert machine.breaker.canary == "c"


def test_the_other_limits_hold_for_a_canary() -> None:
    """It goes no sooner than the rate, the day and the attempts in flight allow."""
    machine = tripped(in_flight=1)
    let_go(machine, 4.0)
    machine.failed("a", 4.0, 0.0)

    assert machine.next_slot(99.0) == math.inf


def test_without_a_breaker_failures_mean_nothing() -> None:
    """However many there are."""
    machine = budget()
    for member in range(10):
        machine.failed(member, 0.0, 0.0)
    machine.opened(0, 0.0)
    machine.lasted(0, 0.0)
    machine.stopped(0, 0.0)

    assert machine.breaker.phase is BreakerPhase.CLOSED
    assert machine.failing == (0, 0)


# --- the policy


def test_the_defaults_are_those_of_the_docs() -> None:
    """One attempt a second, no other limit, and a breaker."""
    assert BudgetPolicy() == BudgetPolicy(
        attempts_per_second=1.0,
        burst=1,
        attempts_per_day=None,
        in_flight=None,
        breaker=BreakerPolicy(),
    )


def test_every_mistake_is_listed() -> None:
    """One error names every field."""
    with pytest.raises(InvalidSpec) as caught:
        BudgetPolicy(
            attempts_per_second=0.0,
            burst=MAX_BURST + 1,
            attempts_per_day=0,
            in_flight=0.5,  # type: ignore[arg-type]  # that is the point
            breaker=True,  # type: ignore[arg-type]  # ... as well
        )

    assert [str(mistake) for mistake in caught.value.mistakes] == [
        "attempts_per_second: must be a finite number at least 1.15741e-05, not 0.0",
        "burst: must be a whole number of 1 to 1000000, not 1000001",
        "attempts_per_day: must be a whole number of at least 1, or None, not 0",
        "in_flight: must be a whole number of at least 1, or None, not 0.5",
        "breaker: must be a BreakerPolicy or None, not True",
    ]


def test_the_rarest_and_the_largest_are_accepted() -> None:
    """One attempt a day, and the largest burst."""
    policy = BudgetPolicy(attempts_per_second=1 / DAY, burst=MAX_BURST)

    assert Budget(policy).next_slot(0.0) == 0.0
