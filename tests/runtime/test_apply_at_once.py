"""Passes at the same moment, in the middle of other verbs, from within, and cancelled."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from trio_instances import (
    ChildSpec,
    Runtime,
    SupervisionError,
    SupervisorNotRunning,
    open_runtime,
)

from ..instance.scripted import HANGS, ScriptedChannel, always
from .instances import Outcomes, slow_to_start, slow_to_stop, spec_of
from .test_cancelling import at_every_step, cancelled_at, everything_takes_time


def ids(runtime: Runtime) -> list[str]:
    """Return the ids of all instances, in start order."""
    return [instance.id for instance in runtime.list_instances()]


async def test_passes_at_once_are_made_one_after_the_other_and_the_last_one_wins(
    autojump_clock: MockClock,
) -> None:
    """In the order in which they were asked for, each whole."""
    async with open_runtime() as runtime, trio.open_nursery() as nursery:
        for names in ("abc", "bcd", "x"):
            specs = [spec_of(name, slow_to_stop()) for name in names]
            nursery.start_soon(runtime.apply, specs)
            await wait_all_tasks_blocked()
    assert ids(runtime) == ["x"]


async def test_a_pass_that_waits_for_its_turn_can_be_cancelled(autojump_clock: MockClock) -> None:
    """It has changed nothing, and the one under way goes on."""
    async with open_runtime() as runtime, trio.open_nursery() as nursery:
        nursery.start_soon(runtime.apply, [spec_of("slow", slow_to_start(seconds=5.0))])
        await wait_all_tasks_blocked()
        with trio.move_on_after(1) as scope:
            await runtime.apply([])
        assert scope.cancelled_caught
        await trio.sleep(10)
        assert ids(runtime) == ["slow"]


async def test_a_pass_cancelled_at_any_step_can_be_made_again(autojump_clock: MockClock) -> None:
    """Whatever it was at, nothing is half there, and the next one makes it whole."""

    async def scenario(step: int) -> bool:
        channels = {name: everything_takes_time() for name in ("gone", "stays", "differs", "new")}
        stays = spec_of("stays", channels["stays"])
        async with open_runtime() as runtime:
            await runtime.apply(
                [spec_of("gone", channels["gone"]), stays, spec_of("differs", ScriptedChannel())]
            )
            wanted = [
                stays,
                spec_of("differs", channels["differs"]),
                spec_of("new", channels["new"]),
            ]
            cancelled = await cancelled_at(step, lambda: runtime.apply(wanted))
            await trio.sleep(100)
            for bot in runtime.list_instances():
                assert bot.status in ("connected", "stopped")
            assert runtime.instance_status("stays") == "connected"

            await runtime.apply(wanted)
            await trio.sleep(100)
            assert ids(runtime) == ["stays", "differs", "new"]
            assert all(bot.status == "connected" for bot in runtime.list_instances())
            assert all(bot.spec in wanted for bot in runtime.list_instances())
        assert all(channel.living == 0 and channel.most <= 1 for channel in channels.values())
        return cancelled

    assert await at_every_step(scenario) >= 6


async def test_one_that_is_stopped_in_the_middle_of_its_restart_is_started(
    instance_runtime: Runtime, autojump_clock: MockClock
) -> None:
    """It is wanted, whatever somebody else wanted a moment ago."""
    await instance_runtime.apply([spec_of("bot", slow_to_stop())])
    await instance_runtime.instance("bot").wait_status("connected")
    new = spec_of("bot")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(instance_runtime.stop_instance, "bot")
        await wait_all_tasks_blocked()
        applied = await instance_runtime.apply([new])

    assert applied.restarted == ("bot",)
    assert instance_runtime.instance("bot").spec is new
    assert await instance_runtime.instance("bot").wait_status("connected") == "connected"


@pytest.mark.parametrize("attempt", range(8))
async def test_a_restart_at_the_same_moment_does_not_undo_it(
    instance_runtime: Runtime, autojump_clock: MockClock, attempt: int
) -> None:
    """Whichever of the two restarts it, it is what the pass wants in the end."""
    await instance_runtime.apply([spec_of("bot", slow_to_stop())])
    await instance_runtime.instance("bot").wait_status("connected")
    new = spec_of("bot")
    async with trio.open_nursery() as nursery:
        # If the pass comes second, it stops what the restart is about to start.
        nursery.start_soon(Outcomes().of, instance_runtime.restart_instance, "bot")
        nursery.start_soon(instance_runtime.apply, [new])

    assert instance_runtime.instance("bot").spec is new
    assert await instance_runtime.instance("bot").wait_status("connected") == "connected"


async def test_one_that_somebody_else_stops_meanwhile_is_not_said_to_be_stopped(
    instance_runtime: Runtime, autojump_clock: MockClock
) -> None:
    """A pass tells of what it did."""
    await instance_runtime.apply([spec_of("a"), spec_of("b", slow_to_stop())])
    await instance_runtime.instance("b").wait_status("connected")
    async with trio.open_nursery() as nursery:
        outcomes = Outcomes()
        nursery.start_soon(outcomes.of, instance_runtime.apply, [])
        await wait_all_tasks_blocked()
        await instance_runtime.stop_instance("a")

    (applied,) = outcomes
    assert applied.stopped == ("b",)
    assert ids(instance_runtime) == []


async def test_one_that_somebody_else_starts_meanwhile_is_told_as_failed(
    instance_runtime: Runtime, autojump_clock: MockClock
) -> None:
    """It is not known to be what is wanted; the next pass looks again."""
    wanted = [spec_of("slow", slow_to_start(seconds=5.0)), spec_of("bot")]
    async with trio.open_nursery() as nursery:
        outcomes = Outcomes()
        nursery.start_soon(outcomes.of, instance_runtime.apply, wanted)
        await wait_all_tasks_blocked()
        await instance_runtime.start_instance(spec_of("bot"))

    (applied,) = outcomes
    assert "already started" in str(applied.failed["bot"])
    assert (await instance_runtime.apply(wanted)).restarted == ("bot",)


async def test_one_that_is_stopped_while_its_channel_changes_hands_is_there_after_the_next_pass(
    instance_runtime: Runtime, autojump_clock: MockClock
) -> None:
    """Its new object may still be another one's when its turn comes; that is told, and no more."""
    one, two = ScriptedChannel(), slow_to_stop()
    await instance_runtime.apply([spec_of("a", one), spec_of("b", two)])
    await instance_runtime.instance("b").wait_status("connected")
    wanted = [spec_of("a", two), spec_of("b", one)]
    async with trio.open_nursery() as nursery:
        outcomes = Outcomes()
        nursery.start_soon(outcomes.of, instance_runtime.apply, wanted)
        await wait_all_tasks_blocked()
        await instance_runtime.stop_instance("a")

    (applied,) = outcomes
    assert (applied.restarted, list(applied.failed)) == (("b",), ["a"])
    assert (await instance_runtime.apply(wanted)).started == ("a",)
    assert {bot.spec.channel for bot in instance_runtime.list_instances()} == {one, two}


async def test_the_end_of_the_runtime_ends_a_pass(autojump_clock: MockClock) -> None:
    """A start that hangs does not keep the runtime open."""
    outcomes = Outcomes()
    async with trio.open_nursery() as nursery, open_runtime() as runtime:
        nursery.start_soon(outcomes.of, runtime.apply, [spec_of("bot", slow_to_start())])
        await wait_all_tasks_blocked()

    assert outcomes == [SupervisorNotRunning.__name__]


async def test_an_instance_may_ask_for_a_pass(
    instance_runtime: Runtime, autojump_clock: MockClock
) -> None:
    """One that is not touched by it goes on; one that is to be stopped is cancelled in it."""
    channel, asked = ScriptedChannel(), trio.Event()
    outcomes = Outcomes()

    async def ask() -> None:
        await asked.wait()
        await outcomes.of(instance_runtime.apply, [wanted, spec_of("other")])
        await outcomes.of(instance_runtime.apply, [])

    channel.give_own = always(ChildSpec("asker", ask, restart="temporary"))
    wanted = spec_of("bot", channel)
    await instance_runtime.apply([wanted])
    asked.set()
    await trio.sleep(10)

    assert [applied.started for applied in outcomes] == [("other",)]
    assert instance_runtime.instance_status("bot") == "stopped"
    await instance_runtime.apply([])
    assert ids(instance_runtime) == []


async def test_an_instance_that_a_pass_waits_for_cannot_ask_for_another(
    instance_runtime: Runtime, autojump_clock: MockClock
) -> None:
    """They would wait for each other for ever."""
    channel = ScriptedChannel()

    async def ask(*, task_status: trio.TaskStatus[None]) -> None:
        await instance_runtime.apply([])
        await trio.sleep(HANGS)

    channel.give_own = always(ChildSpec("asker", ask))
    applied = await instance_runtime.apply([spec_of("bot", channel)])

    failure = applied.failed["bot"]
    causes = []
    while failure is not None:
        causes.append(type(failure))
        failure = failure.__cause__  # type: ignore[assignment]  # any error, and then none
    assert SupervisionError in causes
