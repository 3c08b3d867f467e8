"""`Instance.restart_child`: somebody has put right what a child failed for."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from trio_instances import (
    Backoff,
    ChildNotFound,
    ChildRunning,
    ChildSpec,
    ChildStartFailed,
    ChildState,
    Instance,
    SupervisionError,
    SupervisorNotRunning,
    telemetry,
)

from .scripted import Scene, ScriptedChannel, Worker, always, degraded, scene


async def park(s: Scene, worker: Worker) -> None:
    """Make a child fail, and wait until it is parked."""
    worker.end(degraded())
    await s.log.wait_for(telemetry.ChildParked)


def states(s: Scene) -> dict[str, ChildState]:
    """Return the state of each child."""
    return {child.name: child.state for child in s.bot.health().children}


@pytest.mark.parametrize("of_connection", [False, True])
async def test_a_parked_child_is_revived_and_its_instance_recovers(
    autojump_clock: MockClock, *, of_connection: bool
) -> None:
    """Neither the connection nor any sibling is touched by it."""
    channel, helper = ScriptedChannel(), Worker()
    own = ChildSpec("helper", helper.run, essential=False)
    reader = ChildSpec("reader", channel.reader.run)
    channel.give_children = always(reader, own) if of_connection else always(reader)
    channel.give_own = always() if of_connection else always(own)
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        await park(s, helper)
        assert s.bot.status == "degraded"

        child = await s.bot.restart_child("helper")

        assert (child.name, child.incarnation, helper.running) == ("helper", 2, 1)
        assert s.bot.status == "connected"
        assert s.log.of(telemetry.InstanceRecovered)[-1].what == "child:helper"
        assert (s.bot.generation, len(channel.reader.began_at)) == (1, 1)


async def test_a_handle_of_a_child_is_no_name(autojump_clock: MockClock) -> None:
    """Connected or not, the error says what of the handle to pass."""
    async with scene(ScriptedChannel()) as s:
        handle: Any = s.bot
        for _ in range(2):
            with pytest.raises(TypeError, match=r"name: must be a text, such as child\.name"):
                await s.bot.restart_child(handle)
            await s.bot.wait_status("connected")


async def test_one_that_fails_again_stays_parked(autojump_clock: MockClock) -> None:
    """The caller is told why, and the instance stays degraded."""
    channel, runs = ScriptedChannel(), []

    async def broken() -> None:
        runs.append(trio.current_time())
        raise degraded("still broken")

    async def fails_to_start(*, task_status: trio.TaskStatus[None]) -> None:
        await broken()

    channel.give_own = always(ChildSpec("broken", fails_to_start, essential=False))
    async with scene(channel) as s:
        await s.bot.wait_status("connected", "degraded")

        with pytest.raises(ChildStartFailed, match="still broken"):
            await s.bot.restart_child("broken")

        assert len(runs) == 2
        assert states(s)["broken"] is ChildState.PARKED
        assert s.bot.status == "degraded"


async def test_a_running_child_is_left_alone(autojump_clock: MockClock) -> None:
    """To restart it, it has to be stopped first; that is the supervisor's business."""
    channel = ScriptedChannel()
    async with scene(channel) as s:
        await s.bot.wait_status("connected")

        with pytest.raises(ChildRunning):
            await s.bot.restart_child("reader")


async def test_an_unknown_child_is_an_error_that_names_it(autojump_clock: MockClock) -> None:
    """That is also so for a child of the connection while there is none."""
    channel = ScriptedChannel()
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        s.bot.pause()
        await trio.testing.wait_all_tasks_blocked()

        with pytest.raises(ChildNotFound, match="bot/reader"):
            await s.bot.restart_child("reader")


async def test_cancelled_it_leaves_the_child_parked(autojump_clock: MockClock) -> None:
    """What was begun is undone before the caller goes on."""
    channel, starts = ScriptedChannel(), []

    async def slow(*, task_status: trio.TaskStatus[None]) -> None:
        starts.append(trio.current_time())
        if len(starts) == 1:
            raise degraded()
        await trio.sleep(10)
        task_status.started()

    channel.give_own = always(ChildSpec("slow", slow, essential=False))
    async with scene(channel) as s:
        await s.bot.wait_status("connected", "degraded")

        with trio.move_on_after(1) as scope:
            await s.bot.restart_child("slow")

        assert scope.cancelled_caught
        assert states(s)["slow"] is ChildState.PARKED
        assert s.bot.status == "degraded"


async def test_cancelled_it_lets_a_restart_that_was_due_go_on(autojump_clock: MockClock) -> None:
    """The delay before it is over for good: the supervisor's own restart was only hurried."""
    channel, starts = ScriptedChannel(), []

    async def slow(*, task_status: trio.TaskStatus[None]) -> None:
        starts.append(trio.current_time())
        await trio.sleep(2)
        task_status.started()
        if len(starts) == 1:
            raise OSError
        await trio.sleep_forever()

    channel.give_own = always(ChildSpec("slow", slow))
    delay = Backoff(initial=60, cap=60, jitter="none")
    async with scene(channel, child_backoff=delay) as s:
        await s.log.wait_for(telemetry.ChildRestarting)

        with trio.move_on_after(1) as scope:
            await s.bot.restart_child("slow")
        await trio.sleep(2)

        assert scope.cancelled_caught
        assert starts == [0, 2]
        assert states(s)["slow"] is ChildState.RUNNING


async def test_a_child_of_an_instance_that_is_ending_stays_down(autojump_clock: MockClock) -> None:
    """Nothing is started that would have to be stopped at once."""
    channel, helper = ScriptedChannel(), Worker()

    async def lingers() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(5)

    channel.give_own = always(
        ChildSpec("lingers", lingers), ChildSpec("helper", helper.run, essential=False)
    )
    async with scene(channel) as s, trio.open_nursery() as nursery:
        await s.bot.wait_status("connected")
        await park(s, helper)
        nursery.start_soon(s.runtime.stop_instance, "bot")
        await wait_all_tasks_blocked()

        with pytest.raises(SupervisorNotRunning, match="runtime/bot"):
            await s.bot.restart_child("helper")


async def test_a_child_that_would_wait_for_itself_is_told_so(autojump_clock: MockClock) -> None:
    """Under a group strategy its own start holds the turn that it asks for."""
    channel, helper = ScriptedChannel(), Worker()
    told: list[str] = []

    def give(instance: Instance, _: int) -> list[ChildSpec]:
        async def asks(*, task_status: trio.TaskStatus[None]) -> None:
            with pytest.raises(SupervisionError) as refusal:
                await instance.restart_child("helper")
            told.append(str(refusal.value))
            task_status.started()
            await trio.sleep_forever()

        return [ChildSpec("helper", helper.run), ChildSpec("asks", asks)]

    channel.give_children = give
    async with scene(channel, strategy="one_for_all") as s:
        await s.bot.wait_status("connected")

    assert len(told) == 1
    assert told[0].endswith("would wait for itself: call task_status.started() first")
