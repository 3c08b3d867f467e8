"""How soon a restart intensity is used up, against every way to crash."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_instances.policy.backoff import Backoff, Jitter
from trio_instances.policy.crash_loop import CrashLoop, Trips, crash_loop, crash_loop_above
from trio_instances.policy.failures import Cause, FailureClass
from trio_instances.policy.intensity import RestartIntensity, RestartWindow
from trio_instances.policy.restart import Exit, RestartType, Verdict, decide

from .outages import exact_backoffs

CRASH = Cause(FailureClass.RECOVERABLE, "bug")
restarts = st.integers(0, 5)
periods = st.sampled_from([0.5, 4.0, 30.0])


def crash(backoff: Backoff, intensity: RestartIntensity, runs: tuple[bool, ...], u: float) -> float:
    """Crash again and again, as machine 1 and the shell around it have it.

    Args:
        backoff: The delays.
        intensity: How many restarts are allowed.
        runs: Before which crashes it runs until its delays begin anew.
        u: The chance of every delay.

    Returns:
        How long it took until it was given up; infinite if it was not.
    """
    window, now, attempt = RestartWindow(intensity), 0.0, 0
    for run in (False, *runs):
        if run:
            now += backoff.proven_after(attempt)
            attempt = 0
        decision = decide(
            restart=RestartType.PERMANENT,
            essential=True,
            exit_kind=Exit.CRASHED,
            cause=CRASH,
            window=window,
            backoff=backoff,
            attempt=attempt,
            now=now,
            u=u,
        )
        if decision.verdict is Verdict.ESCALATE:
            return now
        attempt += 1
        now += decision.delay
    return math.inf


@given(exact_backoffs, restarts, periods)
def test_it_can_trip_exactly_if_some_way_to_crash_trips_it(
    backoff: Backoff, limit: int, period: float
) -> None:
    """Every way is tried: at once, or after running for just long enough."""
    intensity = RestartIntensity(limit, period)
    ways = itertools.product((False, True), repeat=limit)
    soonest = min(crash(backoff, intensity, runs, 0.0) for runs in ways)
    loop = crash_loop(intensity, backoff)

    assert (loop.trips is not Trips.NEVER) is math.isfinite(soonest)
    if math.isfinite(soonest):
        assert loop.fastest == soonest


@given(exact_backoffs, restarts, periods, st.sampled_from([0.5, 1.0]))
def test_the_average_and_the_slowest_are_crashes_at_once(
    backoff: Backoff, limit: int, period: float, u: float
) -> None:
    """With average delays, and with the longest."""
    intensity = RestartIntensity(limit, period)
    loop = crash_loop(intensity, backoff)
    planned = loop.average if u == 0.5 else loop.slowest

    took = crash(backoff, intensity, (False,) * limit, u)
    assert took == (planned if planned <= period else math.inf)


@given(exact_backoffs, st.integers(0, 40), periods)
def test_the_fastest_is_not_slower_than_the_average_nor_that_than_the_slowest(
    backoff: Backoff, limit: int, period: float
) -> None:
    """Whatever the delays are."""
    loop = crash_loop(RestartIntensity(limit, period), backoff)

    assert 0.0 <= loop.fastest <= loop.average <= loop.slowest


def test_without_delays_every_intensity_trips_at_once() -> None:
    """However many restarts it allows."""
    loop = crash_loop(RestartIntensity(10**9, 1.0), None)

    assert (loop.fastest, loop.slowest, loop.trips) == (0.0, 0.0, Trips.ALWAYS)


@pytest.mark.parametrize(
    ("backoff", "trips"),
    [
        (Backoff(1.0, cap=30.0, jitter="none"), Trips.NEVER),
        (Backoff(2.1, cap=30.0, jitter="full"), Trips.SELDOM),
        (Backoff(1.5, cap=30.0, jitter="full"), Trips.MOSTLY),
        (Backoff(0.5, cap=30.0, jitter="full"), Trips.ALWAYS),
        (Backoff(1.0, cap=30.0, jitter="none", stable_after=0.0), Trips.ALWAYS),
    ],
)
def test_an_intensity_trips_as_often_as_its_delays_allow(backoff: Backoff, trips: Trips) -> None:
    """Five restarts within 30 s, by the delays between them.

    With `stable_after` of nothing it trips faster by running a little than by crashing at once.
    """
    period = 30.0 if backoff.stable_after else 31.0
    assert crash_loop(RestartIntensity(5, period), backoff).trips is trips


def test_to_run_a_little_can_be_the_faster_way() -> None:
    """Delays that begin anew are shorter than those that grow: 12 s instead of 31."""
    patient = Backoff(1.0, cap=30.0, jitter=Jitter.NONE, stable_after=0.0)

    assert crash_loop(RestartIntensity(5, 30.0), patient).fastest == 12.0


def test_a_great_many_restarts_take_at_least_as_long_as_is_said() -> None:
    """What is exact for a thousand is a bound for more, and is found in no time."""
    steady = Backoff(1.0, factor=1.0, cap=1.0, jitter=Jitter.EQUAL)
    loop = crash_loop(RestartIntensity(10**9, 60.0), steady)

    assert 0.499e9 <= loop.fastest <= 0.5e9
    assert loop.slowest == 1e9
    assert loop.trips is Trips.NEVER


def test_an_instance_crashes_as_often_as_its_child_is_given_up() -> None:
    """Its restarts come at once, but each crash of it takes the child all its restarts."""
    child = CrashLoop(RestartIntensity(5, 30.0), fastest=2.0, average=6.0, slowest=31.0)
    loop = crash_loop_above(RestartIntensity(6, 30.0), child)

    assert (loop.fastest, loop.average, loop.slowest) == (12.0, 36.0, math.inf)
    assert loop.trips is Trips.SELDOM


def test_an_instance_that_may_not_be_restarted_is_given_up_with_its_child() -> None:
    """At its first crash, however long that takes."""
    child = CrashLoop(RestartIntensity(5, 30.0), fastest=2.0, average=6.0, slowest=31.0)

    assert crash_loop_above(RestartIntensity(0, 30.0), child).trips is Trips.ALWAYS
