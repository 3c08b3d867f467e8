"""`Instance.restart_child`: somebody has put right what a child failed for."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    ChildNotFound,
    ChildRunning,
    ChildSpec,
    ChildStartFailed,
    ChildState,
    telemetry,
)

from .scripted import Scene, ScriptedChannel, Worker, always, degraded, scene


async def park(s: Scene, worker: Worker) -> None:
    """Make a child fail, and wait until it is parked."""
    worker.end(degraded())
    await s.log.wait(telemetry.ChildParked)


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
