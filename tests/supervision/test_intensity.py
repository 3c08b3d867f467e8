"""How many restarts are too many, and what counts as one."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    ChildAlreadyPresent,
    ChildRestarting,
    ChildStartFailed,
    RestartIntensity,
    RestartLimitExceeded,
    SupervisorNotRunning,
    open_supervisor,
    telemetry,
)

from .conftest import Puppet, Recorder, puppets, quiet, states, supervised


@pytest.mark.parametrize("limit", [0, 1, 2, 5])
@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
async def test_exactly_so_many_restarts_are_made(
    autojump_clock: MockClock, strategy: str, limit: int, recorder: Recorder
) -> None:
    """I1: an intensity of N allows N restarts, and refuses the next, in any strategy."""
    a, b = puppets("ab")
    crashed = 0
    with pytest.raises(RestartLimitExceeded):
        async with supervised(
            recorder, a.spec(), b.spec(), strategy=strategy, intensity=RestartIntensity(limit, 60)
        ):
            while True:
                (a, b)[crashed % 2].crash()  # any mix of children
                crashed += 1
                await quiet()
    assert crashed == limit + 1
    assert len(recorder.of(telemetry.ChildRestarting)) == limit


async def test_the_error_names_child_limit_window_and_cause(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """An escalation explains itself, and holds the exception of the child's last run."""
    puppet = Puppet("a")
    with pytest.raises(RestartLimitExceeded) as caught:
        async with supervised(recorder, puppet.spec(), intensity=RestartIntensity(0, 7)):
            puppet.crash(ZeroDivisionError("by nothing"))
            await trio.sleep_forever()
    error = caught.value
    assert (error.path, error.child) == ("supervisor", "supervisor/a")
    assert error.intensity == RestartIntensity(0, 7)
    assert isinstance(error.__cause__, ZeroDivisionError)
    assert "by nothing" in str(error)
    (event,) = recorder.of(telemetry.SupervisorEscalated)
    assert (event.child, event.exceeded, event.restarts) == ("supervisor/a", True, 0)


async def test_the_error_tells_what_the_restarts_before_were_for(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """The last of those within the window, at most five, each with its child; alike ones once."""
    a, b = puppets("ab")
    with pytest.raises(RestartLimitExceeded) as caught:
        async with supervised(recorder, a.spec(), b.spec(), intensity=RestartIntensity(4, 10)):
            a.crash(ValueError("long ago"))
            await trio.sleep(20)
            for _ in range(3):
                b.crash(OSError("no route"))
                await trio.sleep(0.1)
            a.crash(ValueError("odd"))
            await trio.sleep(1)
            a.crash(ValueError("the last"))
            await trio.sleep_forever()
    before = [(child, cause.detail) for child, cause in caught.value.before]
    assert before == [("supervisor/b", "no route")] * 3 + [("supervisor/a", "odd")]
    assert str(caught.value).splitlines()[1:] == [
        "  restarted before: 'supervisor/b', os_error (recoverable): OSError: no route (3 times)",
        "  restarted before: 'supervisor/a', unexpected (recoverable): ValueError: odd",
    ]


async def test_the_error_counts_the_restarts_that_it_does_not_name(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """Five of them stand for all, and nobody shall take them for all."""
    puppet = Puppet("a")
    with pytest.raises(RestartLimitExceeded) as caught:
        async with supervised(recorder, puppet.spec(), intensity=RestartIntensity(7, 10)):
            for _ in range(8):
                puppet.crash(OSError("no route"))
                await trio.sleep(0.1)
            await trio.sleep_forever()
    assert str(caught.value).splitlines()[1:] == [
        "  restarted before: 'supervisor/a', os_error (recoverable): OSError: no route (5 times)",
        "  ... and before these: 2 restarts more",
    ]


async def test_the_error_speaks_of_one_restart_as_one(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """It is OTP's default, and so what is read most often."""
    with pytest.raises(RestartLimitExceeded, match="within 5 s, and 1 is allowed; its last exit"):
        async with supervised(recorder, intensity=RestartIntensity(1, 5)) as supervisor:
            supervisor.start_soon(trio.sleep, 0.0)
            await trio.sleep_forever()


@pytest.mark.parametrize(("apart", "gives_up"), [(1.0, True), (5.0, True), (6.0, False)])
async def test_the_edge_of_the_window_belongs_to_it(
    *, autojump_clock: MockClock, apart: float, gives_up: bool, recorder: Recorder
) -> None:
    """I2: a restart counts as long as no more than the period has passed."""
    puppet = Puppet("a")
    gave_up = False
    try:
        async with supervised(recorder, puppet.spec(), intensity=RestartIntensity(1, 5)):
            puppet.crash()
            await quiet()
            autojump_clock.jump(apart)
            puppet.crash()
            await quiet()
    except RestartLimitExceeded:
        gave_up = True
    assert gave_up is gives_up


async def test_restarts_further_apart_than_the_period_go_on_for_ever(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """I2: the window slides; nothing adds up over time."""
    puppet = Puppet("a")
    async with supervised(recorder, puppet.spec(), intensity=RestartIntensity(1, 1)):
        for _ in range(50):
            puppet.crash()
            await trio.sleep(2.1)
        assert puppet.attempts == 51


async def test_a_start_that_fails_again_and_again_gets_as_many_attempts_as_the_intensity(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """I3: each attempt of a restart counts; with 3, there are 3."""
    puppet = Puppet("a", ["ok", "error"])
    with pytest.raises(RestartLimitExceeded):
        async with supervised(recorder, puppet.spec(), intensity=RestartIntensity(3, 60)):
            puppet.crash()
            await trio.sleep_forever()
    assert puppet.attempts == 1 + 3
    assert len(recorder.of(telemetry.ChildStartFailed)) == 3


async def test_failed_attempts_use_up_the_budget_of_the_one_that_succeeds(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """I4: two failures and a success are three restarts, and the next crash is one too many."""
    puppet = Puppet("a", ["ok", "error", "error", "ok"])
    with pytest.raises(RestartLimitExceeded):
        async with supervised(
            recorder, puppet.spec(), intensity=RestartIntensity(3, 60)
        ) as supervisor:
            puppet.crash()
            await quiet()
            assert states(supervisor) == {"a": "running"}
            puppet.crash()
            await trio.sleep_forever()


async def test_what_is_asked_for_by_hand_does_not_count(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """M4, M8: `terminate_child` and `restart_child`, also failing, are free, as a first start."""
    puppet, failing = Puppet("a"), Puppet("b", ["ok", "error"])
    async with supervised(recorder, intensity=RestartIntensity(0, 60)) as supervisor:
        await supervisor.start_child(puppet.spec())
        await supervisor.start_child(failing.spec())
        for _ in range(5):
            await supervisor.terminate_child("a")
            await supervisor.restart_child("a")
        await supervisor.terminate_child("b")
        for _ in range(5):
            with pytest.raises(ChildStartFailed):
                await supervisor.restart_child("b")
        assert states(supervisor) == {"a": "running", "b": "stopped"}


async def test_a_group_restart_counts_once(autojump_clock: MockClock, recorder: Recorder) -> None:
    """S2: however many children a crash takes along, it is one restart."""
    children = puppets("abcdef")
    async with supervised(
        recorder,
        *(child.spec() for child in children),
        strategy="one_for_all",
        intensity=RestartIntensity(1, 60),
    ):
        children[0].crash()
        await quiet()
        assert {child.attempts for child in children} == {2}


async def test_several_deaths_count_each_under_one_for_one(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """I1: two children that die together are two restarts."""
    a, b = puppets("ab")
    with pytest.raises(RestartLimitExceeded):
        async with supervised(recorder, a.spec(), b.spec(), intensity=RestartIntensity(1, 60)):
            a.crash()
            b.crash()
            await trio.sleep_forever()


async def test_the_restart_is_stamped_at_the_decision(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """I2: a slow stop of siblings, or a slow start, does not move the restart in time."""
    a, slow = Puppet("a"), Puppet("b", cleanup=5.0)
    async with supervised(
        recorder, a.spec(), slow.spec(), strategy="one_for_all", intensity=RestartIntensity(1, 5)
    ) as supervisor:
        a.crash()
        await trio.sleep(5.5)  # the round took 5 s; the decision is 5.5 s old
        a.crash()
        await trio.sleep(20)
        assert states(supervisor) == {"a": "running", "b": "running"}


async def test_declining_a_restart_ends_the_attempts_and_counts_once(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """I14: the child is kept, stopped."""
    puppet = Puppet("a", ["ok", "decline"])
    async with supervised(recorder, puppet.spec(), intensity=RestartIntensity(1, 60)) as supervisor:
        puppet.crash()
        await quiet()
        assert (states(supervisor), puppet.attempts) == ({"a": "stopped"}, 2)
        assert len(recorder.of(telemetry.ChildRestarting)) == 1


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all"])
async def test_verbs_and_a_stop_get_through_a_child_that_never_stops_failing(
    autojump_clock: MockClock, strategy: str, recorder: Recorder
) -> None:
    """I9, M13: a retry loop, even without delays, keeps nobody out."""
    failing = Puppet("a", ["ok", "error"])
    async with open_supervisor(
        strategy=strategy, intensity=RestartIntensity(10**9, 60), events=recorder.bus
    ) as supervisor:
        await supervisor.start_child(failing.spec())
        failing.crash()
        await trio.lowlevel.checkpoint()
        await supervisor.start_child(Puppet("b").spec())
        await supervisor.terminate_child("b")
        await supervisor.delete_child("b")
        with trio.fail_after(1):
            await supervisor.stop()
    assert failing.attempts > 1


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all"])
async def test_terminating_a_child_between_two_attempts_calls_the_next_one_off(
    autojump_clock: MockClock, strategy: str, recorder: Recorder
) -> None:
    """I10, M6: the child is stopped, and a retry that was due does nothing."""
    failing = Puppet("a", ["ok", "error"])
    async with supervised(
        recorder, failing.spec(), strategy=strategy, intensity=RestartIntensity(10**9, 60)
    ) as supervisor:
        failing.crash()
        await trio.lowlevel.checkpoint()
        await supervisor.terminate_child("a")
        attempts = failing.attempts
        await trio.sleep(10)
        assert (states(supervisor), failing.attempts) == ({"a": "stopped"}, attempts)


@pytest.mark.parametrize("strategy", ["one_for_one", "rest_for_one"])
async def test_a_child_between_two_attempts_can_be_neither_restarted_nor_deleted(
    autojump_clock: MockClock, strategy: str, recorder: Recorder
) -> None:
    """M10: it is restarting; whoever wants something else terminates it first."""
    failing = Puppet("a", ["ok", "error"])
    async with supervised(
        recorder, failing.spec(), strategy=strategy, intensity=RestartIntensity(10**9, 60)
    ) as supervisor:
        failing.crash()
        while states(supervisor)["a"] != "restarting":
            await trio.lowlevel.checkpoint()
        assert supervisor.count_children().active == 0
        with pytest.raises(ChildRestarting):
            await supervisor.delete_child("a")
        await supervisor.terminate_child("a")
        await supervisor.delete_child("a")


async def test_the_name_of_a_child_between_two_attempts_is_taken(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """M3: it is present, if not running."""
    failing = Puppet("a", ["ok", "error"])
    async with supervised(
        recorder, failing.spec(), intensity=RestartIntensity(10**9, 60)
    ) as supervisor:
        failing.crash()
        while states(supervisor)["a"] != "restarting":
            await trio.lowlevel.checkpoint()
        with pytest.raises(ChildAlreadyPresent):
            await supervisor.start_child(Puppet("a").spec())


async def test_a_child_between_two_attempts_without_a_delay_cannot_be_hurried(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """M10: to restart what is being restarted is refused, where there is no delay to cut short."""
    failing = Puppet("a", ["ok", "error"])
    async with supervised(
        recorder, failing.spec(), intensity=RestartIntensity(10**9, 60)
    ) as supervisor:
        failing.crash()
        while states(supervisor)["a"] != "restarting":
            await trio.lowlevel.checkpoint()
        with pytest.raises(ChildRestarting):
            await supervisor.restart_child("a")


@pytest.mark.parametrize("limit", [2, 3, 10])
async def test_children_that_fail_side_by_side_take_turns_and_share_the_budget(
    autojump_clock: MockClock, limit: int, recorder: Recorder
) -> None:
    """I13: neither gets ahead of the other, and the attempts of both are counted together."""
    a, b = Puppet("a", ["ok", "error"]), Puppet("b", ["ok", "error"])
    with pytest.raises(RestartLimitExceeded):
        async with supervised(recorder, a.spec(), b.spec(), intensity=RestartIntensity(limit, 60)):
            a.crash()
            b.crash()
            await trio.sleep_forever()
    assert len(recorder.of(telemetry.ChildRestarting)) == limit
    assert abs(a.attempts - b.attempts) <= 1


async def test_a_crash_loop_before_the_first_checkpoint_starves_nobody(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """Law 7: however huge the intensity, a sibling's timer and an outer deadline are on time."""

    async def crashes() -> None:
        raise ValueError

    ticks = 0

    async def ticker() -> None:
        nonlocal ticks
        while True:
            await trio.lowlevel.checkpoint()
            ticks += 1

    async with open_supervisor(intensity=RestartIntensity(10**9, 3600)) as supervisor:
        supervisor.start_soon(crashes)
        supervisor.start_soon(ticker)
        for _ in range(100):
            await trio.lowlevel.checkpoint()
        assert ticks >= 90
        assert 90 <= supervisor.which_children()[0].restarts <= 110
        autojump_clock.jump(10)
        with trio.move_on_after(0.0):
            await trio.sleep_forever()
        await supervisor.stop()


async def test_nothing_is_restarted_once_the_supervisor_gives_up(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """T8: others that die while the supervisor stops stay down, and do not upset the stop."""
    a, b, c = Puppet("a"), Puppet("b"), Puppet("c", cleanup=5.0)
    supervisors = []
    with pytest.raises(RestartLimitExceeded) as caught:
        async with supervised(
            recorder, a.spec(), b.spec(), c.spec(), intensity=RestartIntensity(0, 60)
        ) as supervisor:
            supervisors.append(supervisor)
            a.crash()
            try:
                await trio.sleep_forever()
            finally:
                b.crash()
    assert caught.value.child == "supervisor/a"
    assert recorder.take() == ["crashed a#1", "stop c#1", "crashed b#1", "stopped c#1"]
    with pytest.raises(SupervisorNotRunning):
        await supervisors[0].restart_child("a")
