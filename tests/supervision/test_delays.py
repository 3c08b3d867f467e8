"""Backoff between restarts: how long, and what cuts it short."""

from __future__ import annotations

from random import Random

import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    Backoff,
    ChildRunning,
    ChildStartFailed,
    RestartIntensity,
    RestartLimitExceeded,
    telemetry,
)

from .conftest import Crash, Puppet, Recorder, puppets, quiet, states, supervised

MANY = RestartIntensity(max_restarts=1000, period=1000)
DOUBLING = Backoff(initial=1.0, factor=2.0, cap=8.0, jitter="none", stable_after=60.0)
LONG = Backoff(initial=100.0, cap=100.0, jitter="none")
STRATEGIES = pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])


@STRATEGIES
async def test_the_delays_of_restarts_in_a_row_grow_to_the_cap(
    autojump_clock: MockClock, strategy: str, recorder: Recorder
) -> None:
    """Each restart waits for its delay; failed starts count among those in a row."""
    puppet = Puppet("a", ["ok", "error", "error", "error", "error", "ok"])
    async with supervised(
        recorder, puppet.spec(), strategy=strategy, intensity=MANY, backoff=DOUBLING
    ) as supervisor:
        began = trio.current_time()
        puppet.crash()
        await trio.sleep(1 + 2 + 4 + 8 + 8 + 0.5)
        assert states(supervisor) == {"a": "running"}
        (started,) = recorder.of(telemetry.ChildStarted)[1:]
        assert started.at - began == pytest.approx(23.0)
        assert [event.delay for event in recorder.of(telemetry.ChildRestarting)] == [1, 2, 4, 8, 8]


async def test_the_delays_start_anew_when_a_child_has_run_long_enough(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """Only a run of ``stable_after`` seconds proves that it is well again."""
    puppet = Puppet("a")
    async with supervised(recorder, puppet.spec(), intensity=MANY, backoff=DOUBLING):
        for uptime in (0, 30, 30, 61, 0):
            await trio.sleep(uptime)
            puppet.crash()
            await trio.sleep(10)
        delays = [event.delay for event in recorder.of(telemetry.ChildRestarting)]
        assert delays == [1, 2, 4, 1, 2]


async def test_a_child_s_own_backoff_goes_before_that_of_the_supervisor(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """An option of the supervisor, or of one child."""
    own, other = puppets(["own", "other"])
    async with supervised(
        recorder, own.spec(backoff=LONG), other.spec(), intensity=MANY, backoff=DOUBLING
    ):
        own.crash()
        other.crash()
        await quiet()
        delays = {event.child: event.delay for event in recorder.of(telemetry.ChildRestarting)}
        assert delays == {"own": 100.0, "other": 1.0}


async def test_jitter_comes_from_the_given_random_numbers(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """Law 10: chance is injected, so that a run can be played again."""
    puppet = Puppet("a")
    jittery = Backoff(initial=4.0, factor=1.0, cap=4.0, jitter="full")
    async with supervised(
        recorder, puppet.spec(), intensity=MANY, backoff=jittery, random=Random(7)
    ):
        for _ in range(3):
            puppet.crash()
            await trio.sleep(5)
    expected = Random(7)
    assert [event.delay for event in recorder.of(telemetry.ChildRestarting)] == pytest.approx(
        [4.0 * expected.random() for _ in range(3)]
    )


async def test_a_long_delay_of_one_child_delays_no_other_under_one_for_one(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """Law 8: restarts of others, and verbs, go on meanwhile."""
    waiting, other = puppets(["waiting", "other"])
    async with supervised(
        recorder, waiting.spec(backoff=LONG), other.spec(), intensity=MANY
    ) as supervisor:
        waiting.crash()
        await quiet()
        with trio.fail_after(1):
            other.crash()
            await quiet()
            await supervisor.start_child(Puppet("new").spec())
        assert states(supervisor) == {
            "waiting": "restarting", "other": "running", "new": "running",
        }  # fmt: skip


@STRATEGIES
async def test_restart_child_cuts_a_delay_short(
    autojump_clock: MockClock, strategy: str, recorder: Recorder
) -> None:
    """The restart happens now, is the supervisor's own, and is not made twice."""
    a, b = puppets("ab")
    async with supervised(
        recorder, a.spec(), b.spec(), strategy=strategy, intensity=MANY, backoff=LONG
    ) as supervisor:
        a.crash()
        await quiet()
        began = trio.current_time()
        child = await supervisor.restart_child("a")
        assert (trio.current_time(), child.incarnation, child.restarts) == (began, 2, 1)
        await trio.sleep(500)
        assert set(states(supervisor).values()) == {"running"}
        assert a.attempts == 2


@STRATEGIES
async def test_a_restart_that_was_hurried_and_fails_tells_so_at_once(
    autojump_clock: MockClock, strategy: str, recorder: Recorder
) -> None:
    """The caller does not wait for the next delay, and the supervisor tries on."""
    puppet = Puppet("a", ["ok", "error", "ok"])
    async with supervised(
        recorder, puppet.spec(), strategy=strategy, intensity=MANY, backoff=LONG
    ) as supervisor:
        puppet.crash()
        await quiet()
        with trio.fail_after(1), pytest.raises(ChildStartFailed, match="fails to start"):
            await supervisor.restart_child("a")
        await trio.sleep(101)
        assert states(supervisor) == {"a": "running"}


@STRATEGIES
async def test_a_stop_ends_a_delay_at_once(
    autojump_clock: MockClock, strategy: str, recorder: Recorder
) -> None:
    """What waits for its restart is not waited for."""
    puppet, other = puppets("ab")
    async with supervised(
        recorder, puppet.spec(), other.spec(), strategy=strategy, intensity=MANY, backoff=LONG
    ) as supervisor:
        puppet.crash()
        await quiet()
        began = trio.current_time()
        await supervisor.stop()
        assert set(states(supervisor).values()) == {"stopped"}
    assert trio.current_time() == began


@STRATEGIES
async def test_terminating_a_child_in_its_delay_calls_the_restart_off(
    autojump_clock: MockClock, strategy: str, recorder: Recorder
) -> None:
    """M6: it is stopped, stays so, and can be restarted by hand."""
    puppet = Puppet("a")
    async with supervised(
        recorder, puppet.spec(), strategy=strategy, intensity=MANY, backoff=LONG
    ) as supervisor:
        puppet.crash()
        await quiet()
        await supervisor.terminate_child("a")
        await trio.sleep(1000)
        assert (states(supervisor), puppet.attempts) == ({"a": "stopped"}, 1)
        await supervisor.restart_child("a")
        with pytest.raises(ChildRunning):
            await supervisor.restart_child("a")


async def test_the_supervisor_s_end_is_told_to_whoever_hurried_a_restart(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """A hurried restart that is one too many ends the supervisor, and the caller with it."""
    puppet = Puppet("a", ["ok", "error"])
    with pytest.raises(RestartLimitExceeded) as caught:
        async with supervised(
            recorder, puppet.spec(), intensity=RestartIntensity(1, 1000), backoff=LONG
        ) as supervisor:
            puppet.crash()
            await quiet()
            await supervisor.restart_child("a")
    assert isinstance(caught.value.__cause__, Crash)
