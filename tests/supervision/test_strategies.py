"""What a restart takes along, in which order, and how a group that cannot start is retried."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from trio_instances import Backoff, RestartIntensity, RestartLimitExceeded, telemetry

from .conftest import Puppet, Recorder, puppets, quiet, states, supervised

MANY = RestartIntensity(max_restarts=100, period=1000)


async def test_one_for_one_restarts_the_dead_child_alone(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """S1: siblings keep their incarnations, and the child keeps its place in the order."""
    a, b, c = puppets("abc")
    async with supervised(recorder, a.spec(), b.spec(), c.spec()) as supervisor:
        b.crash()
        await quiet()
        assert recorder.take() == ["crashed b#1", "started b#2"]
        assert [child.name for child in supervisor.which_children()] == ["a", "b", "c"]


async def test_one_for_all_stops_right_to_left_and_starts_left_to_right(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """S2: each is fully stopped before the next is asked; then all are started in start order."""
    a, b, c, d = (Puppet(name, cleanup=1.0) for name in "abcd")
    specs = [each.spec() for each in (a, b, c, d)]
    async with supervised(recorder, *specs, strategy="one_for_all"):
        b.crash()
        await trio.sleep(10)
        assert recorder.take() == [
            "crashed b#1",
            "stop d#1", "stopped d#1", "stop c#1", "stopped c#1", "stop a#1", "stopped a#1",
            "started a#2", "started b#2", "started c#2", "started d#2",
        ]  # fmt: skip
        assert max(each.most_alive for each in (a, b, c, d)) == 1


async def test_rest_for_one_takes_those_started_later_along(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """S3: the right part stops right to left and starts left to right; the left is untouched."""
    children = puppets("abcde")
    specs = [each.spec() for each in children]
    async with supervised(recorder, *specs, strategy="rest_for_one"):
        children[1].crash()
        await quiet()
        assert recorder.take() == [
            "crashed b#1",
            "stop e#1", "stopped e#1", "stop d#1", "stopped d#1", "stop c#1", "stopped c#1",
            "started b#2", "started c#2", "started d#2", "started e#2",
        ]  # fmt: skip


async def test_rest_for_one_restarts_the_last_alone_and_with_the_first_all(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """S4: to the right of the last there is nobody, to the right of the first everybody."""
    a, b, c = puppets("abc")
    specs = [a.spec(), b.spec(), c.spec()]
    async with supervised(recorder, *specs, strategy="rest_for_one", intensity=MANY):
        c.crash()
        await quiet()
        assert recorder.take() == ["crashed c#1", "started c#2"]
        a.crash()
        await quiet()
        assert recorder.take() == [
            "crashed a#1", "stop c#2", "stopped c#2", "stop b#1", "stopped b#1",
            "started a#2", "started b#2", "started c#3",
        ]  # fmt: skip


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_temporary_bystander_is_stopped_and_forgotten(
    autojump_clock: MockClock, strategy: str, recorder: Recorder
) -> None:
    """S5: it is taken down with its group, not started again, and costs no count."""
    a, b = puppets("ab")
    async with supervised(
        recorder, a.spec(), b.spec(restart="temporary"), strategy=strategy
    ) as supervisor:
        a.crash()
        await quiet()
        assert states(supervisor) == {"a": "running"}
        assert recorder.take() == ["crashed a#1", "stop b#1", "stopped b#1", "started a#2"]


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_group_restart_revives_those_that_were_down(
    autojump_clock: MockClock, strategy: str, recorder: Recorder
) -> None:
    """S6: one that had returned, one that was terminated, and one that had declined are started."""
    first, returned, terminated = puppets(["first", "returned", "terminated"])
    declined = Puppet("declined", ["decline", "ok"])
    async with supervised(
        recorder,
        first.spec(), returned.spec(restart="transient"), terminated.spec(), declined.spec(),
        strategy=strategy,
    ) as supervisor:  # fmt: skip
        returned.finish()
        await supervisor.terminate_child("terminated")
        assert states(supervisor)["declined"] == "stopped"
        first.crash()
        await quiet()
        assert set(states(supervisor).values()) == {"running"}


async def test_a_group_restart_leaves_a_parked_child_parked(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """What was left down on purpose waits for somebody to revive it, not for a sibling's crash."""
    a, parked = Puppet("a"), Puppet("b", ["error"])
    async with supervised(
        recorder, a.spec(), parked.spec(essential=False), strategy="one_for_all"
    ) as supervisor:
        a.crash()
        await quiet()
        assert (states(supervisor), parked.attempts) == ({"a": "running", "b": "parked"}, 1)


async def test_rest_for_one_leaves_those_that_are_down_on_the_left(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """S7: what stands left of the crash is not looked at."""
    a, b = puppets("ab")
    async with supervised(recorder, a.spec(), b.spec(), strategy="rest_for_one") as supervisor:
        await supervisor.terminate_child("a")
        b.crash()
        await quiet()
        assert states(supervisor) == {"a": "stopped", "b": "running"}


async def test_a_child_added_later_is_the_last_in_order_and_a_restart_keeps_the_place(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """S8: terminate and restart keep the place; delete and start move to the end."""
    a, b, c = puppets("abc")
    async with supervised(recorder, a.spec(), b.spec()) as supervisor:
        await supervisor.start_child(c.spec())
        await supervisor.terminate_child("a")
        await supervisor.restart_child("a")
        assert list(states(supervisor)) == ["a", "b", "c"]
        await supervisor.terminate_child("a")
        await supervisor.delete_child("a")
        await supervisor.start_child(a.spec())
        assert list(states(supervisor)) == ["b", "c", "a"]
        recorder.take()
    assert [line for line in recorder.take() if line.startswith("stop ")] == [
        "stop a#1", "stop c#1", "stop b#1",
    ]  # fmt: skip


@pytest.mark.parametrize("crash", ["crash", "crash later"])
async def test_a_death_during_a_round_waits_until_the_round_is_done(
    autojump_clock: MockClock, crash: str, recorder: Recorder
) -> None:
    """S9: a restarted child that dies before its siblings are up begins a new, counted round."""
    a = Puppet("a", ["ok", "crash" if crash == "crash" else "ok", "ok"])
    b = Puppet("b")
    began = trio.Event()

    async def slow(*, task_status: trio.TaskStatus[None]) -> None:
        began.set()
        await trio.sleep(5)
        task_status.started()
        await trio.sleep_forever()

    async with supervised(
        recorder, a.spec(), b.spec(), strategy="one_for_all", intensity=RestartIntensity(2, 1000)
    ) as supervisor:
        await supervisor.start(slow)
        recorder.take()
        began = trio.Event()
        a.crash()
        await began.wait()
        if crash == "crash later":
            a.crash()
        await trio.sleep(20)
        assert recorder.take() == [
            "crashed a#1", "stop slow#1", "stopped slow#1", "stop b#1", "stopped b#1",
            "started a#2", *(["crashed a#2"] if crash == "crash" else []), "started b#2",
            *([] if crash == "crash" else ["crashed a#2"]), "started slow#2",
            "stop slow#2", "stopped slow#2", "stop b#2", "stopped b#2",
            "started a#3", "started b#3", "started slow#3",
        ]  # fmt: skip


async def test_a_sibling_that_declines_in_a_round_stays_down_and_the_round_goes_on(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """S10: declining is no failure: nothing is retried, and the others come up."""
    a, b, c = Puppet("a"), Puppet("b", ["ok", "decline"]), Puppet("c")
    async with supervised(
        recorder, a.spec(), b.spec(), c.spec(), strategy="one_for_all"
    ) as supervisor:
        a.crash()
        await quiet()
        assert states(supervisor) == {"a": "running", "b": "stopped", "c": "running"}


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
async def test_too_many_restarts_stop_all_others_right_to_left(
    autojump_clock: MockClock, strategy: str, recorder: Recorder
) -> None:
    """S11: also those left of the crash; the crashed child itself is down already."""
    a, b, c = puppets("abc")
    with pytest.raises(RestartLimitExceeded):
        async with supervised(
            recorder, a.spec(), b.spec(), c.spec(),
            strategy=strategy, intensity=RestartIntensity(0, 5),
        ):  # fmt: skip
            b.crash()
            await trio.sleep_forever()
    assert recorder.take() == [
        "crashed b#1", "stop c#1", "stopped c#1", "stop a#1", "stopped a#1",
    ]  # fmt: skip


async def test_deaths_during_a_group_stop_are_consumed_by_it(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """S2: a bystander that dies while its group is being stopped neither counts nor restarts."""
    a, b = Puppet("a"), Puppet("b")
    c = Puppet("c", cleanup=5.0)
    async with supervised(
        recorder, a.spec(), b.spec(), c.spec(), strategy="one_for_all"
    ) as supervisor:
        a.crash()
        await trio.sleep(1)  # c is cleaning up
        b.crash()
        await trio.sleep(10)
        assert recorder.take() == [
            "crashed a#1", "stop c#1", "crashed b#1", "stopped c#1",
            "started a#2", "started b#2", "started c#2",
        ]  # fmt: skip
        assert [child.restarts for child in supervisor.which_children()] == [1, 0, 0]


async def test_a_child_added_while_its_group_is_stopped_is_stopped_before_those_on_its_left(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """S2: right to left holds for one that ``start_soon`` adds in the middle of the stop, too."""
    a, b, d = puppets("abd")
    c = Puppet("c", cleanup=5.0)
    async with supervised(
        recorder, a.spec(), b.spec(), c.spec(), strategy="one_for_all"
    ) as supervisor:
        a.crash()
        await trio.sleep(1)  # c is cleaning up
        supervisor.start_soon(d.run, name="d")
        await trio.sleep(10)
        assert recorder.take() == [
            "crashed a#1", "stop c#1", "started d#1", "stopped c#1", "stop d#1", "stopped d#1",
            "stop b#1", "stopped b#1", "started a#2", "started b#2", "started c#2", "started d#2",
        ]  # fmt: skip


async def test_rest_for_one_counts_two_deaths_twice_when_the_right_one_comes_first(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """S3: right first makes two rounds; left first takes the right one along, uncounted."""
    a, b = Puppet("a", cleanup=1.0), Puppet("b", cleanup=1.0)
    async with supervised(recorder, a.spec(), b.spec(), strategy="rest_for_one", intensity=MANY):
        b.crash()
        await trio.sleep(0.5)
        a.crash()
        await trio.sleep(10)
        assert len(recorder.of(telemetry.ChildRestarting)) == 2
        recorder.events.clear()
        a.crash()
        await trio.sleep(0.5)
        b.crash()
        await trio.sleep(10)
        assert len(recorder.of(telemetry.ChildRestarting)) == 1


async def test_one_for_all_stops_again_what_came_up_when_a_member_cannot_start(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """I5: the retry is for the member that failed, and begins with stopping those that came up."""
    a, b, c = Puppet("a"), Puppet("b"), Puppet("c", ["ok", "error", "ok"])
    async with supervised(
        recorder, a.spec(), b.spec(), c.spec(), strategy="one_for_all", intensity=MANY
    ):
        a.crash()
        await quiet()
        assert recorder.take() == [
            "crashed a#1", "stop c#1", "stopped c#1", "stop b#1", "stopped b#1",
            "started a#2", "started b#2", "start_failed c#2",
            "stop b#2", "stopped b#2", "stop a#2", "stopped a#2",
            "started a#3", "started b#3", "started c#3",
        ]  # fmt: skip
        assert [event.child for event in recorder.of(telemetry.ChildRestarting)] == ["a", "c"]


async def test_rest_for_one_keeps_what_came_up_left_of_a_member_that_cannot_start(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """I6: the retry begins at the member that failed."""
    a, b, c, d = Puppet("a"), Puppet("b"), Puppet("c", ["ok", "error", "ok"]), Puppet("d")
    specs = [each.spec() for each in (a, b, c, d)]
    async with supervised(recorder, *specs, strategy="rest_for_one", intensity=MANY):
        a.crash()
        await quiet()
        assert recorder.take()[-5:] == [
            "started a#2", "started b#2", "start_failed c#2", "started c#3", "started d#2",
        ]  # fmt: skip
        assert (a.attempts, b.attempts, c.attempts, d.attempts) == (2, 2, 3, 2)


async def test_a_group_that_runs_out_of_restarts_stops_what_came_up(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """I8: the members that were started in vain are stopped right to left; then it gives up."""
    a, b, c = Puppet("a"), Puppet("b"), Puppet("c", ["ok", "error"])
    with pytest.raises(RestartLimitExceeded) as caught:
        async with supervised(
            recorder, a.spec(), b.spec(), c.spec(),
            strategy="one_for_all", intensity=RestartIntensity(1, 1000),
        ):  # fmt: skip
            a.crash()
            await trio.sleep_forever()
    assert caught.value.child == "supervisor/c"
    assert recorder.take()[-7:] == [
        "started a#2", "started b#2", "start_failed c#2",
        "stop b#2", "stopped b#2", "stop a#2", "stopped a#2",
    ]  # fmt: skip


async def test_a_crash_that_comes_before_a_pending_retry_starts_that_child_too(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """I12: its round takes the waiting member along; the retry finds nothing to do."""
    a, b = Puppet("a"), Puppet("b", ["ok", "error", "ok"])
    delays = Backoff(initial=10.0, cap=10.0, jitter="none")
    async with supervised(
        recorder, a.spec(), b.spec(backoff=delays), strategy="one_for_all", intensity=MANY
    ) as supervisor:
        a.crash()
        await quiet()
        assert states(supervisor) == {"a": "running", "b": "restarting"}
        a.crash()
        await quiet()
        assert states(supervisor) == {"a": "running", "b": "running"}
        await trio.sleep(100)
        assert (a.attempts, b.attempts) == (3, 3)


@pytest.mark.parametrize(
    ("strategy", "left"),
    [
        ("one_for_all", {"a": "running", "b": "stopped", "c": "stopped"}),
        ("rest_for_one", {"a": "running", "b": "stopped", "c": "stopped"}),
    ],
)
async def test_calling_off_a_group_s_retry_leaves_the_others_as_they_are(
    autojump_clock: MockClock, strategy: str, left: dict[str, str], recorder: Recorder
) -> None:
    """I7, I10, I11: terminating the member that waits leaves the left up and the right down."""
    a, b, c = Puppet("a"), Puppet("b", ["ok", "error"]), Puppet("c")
    delays = Backoff(initial=10.0, cap=10.0, jitter="none")
    async with supervised(
        recorder, a.spec(), b.spec(backoff=delays), c.spec(), strategy=strategy, intensity=MANY
    ) as supervisor:
        a.crash()
        await quiet()
        assert states(supervisor) == left | {"b": "restarting"}
        await supervisor.terminate_child("b")
        await trio.sleep(100)
        assert states(supervisor) == left


async def test_members_that_are_down_by_themselves_are_not_stopped_again(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """A group stop asks those that run, and nobody else."""
    a, b = puppets("ab")
    async with supervised(recorder, a.spec(), b.spec(restart="transient"), strategy="one_for_all"):
        b.finish()
        await quiet()
        recorder.take()
        a.crash()
        await quiet()
        assert recorder.take() == ["crashed a#1", "started a#2", "started b#2"]
