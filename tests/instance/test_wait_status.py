"""Waiting for a status: never missed, never for ever."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from trio_instances import (
    Instance,
    InstanceFailed,
    InstanceSpec,
    InstanceStatus,
    InstanceStopped,
    InvalidSpec,
    telemetry,
)

from .scripted import HANGS, STEADY, ScriptedChannel, fatal, lost, scene


async def test_a_status_it_has_is_returned_at_once(autojump_clock: MockClock) -> None:
    """Words and members mean the same."""
    async with scene(ScriptedChannel(HANGS)) as s:
        assert await s.bot.wait_status("connecting") is InstanceStatus.CONNECTING
        assert await s.bot.wait_status(InstanceStatus.CONNECTING) is InstanceStatus.CONNECTING


async def test_any_of_several_will_do(autojump_clock: MockClock) -> None:
    """The one that came is returned."""
    async with scene(ScriptedChannel(1.0)) as s:
        assert await s.bot.wait_status("paused", "connected", "failed") == "connected"
        assert trio.current_time() == 1


async def test_a_status_that_lasts_no_time_at_all_is_not_missed(
    autojump_clock: MockClock,
) -> None:
    """It has changed again before the waiting task could run, and is returned all the same."""
    channel = ScriptedChannel()
    async with scene(channel) as s, trio.open_nursery() as nursery:
        await s.bot.wait_status("connected")
        seen: list[str] = []

        async def wait(status: str) -> None:
            seen.append(await s.bot.wait_status(status))

        nursery.start_soon(wait, "paused")
        nursery.start_soon(wait, "reconnecting")
        await wait_all_tasks_blocked()
        s.bot.pause()
        s.bot.resume()
        await wait_all_tasks_blocked()

        assert sorted(seen) == ["paused", "reconnecting"]


async def test_the_first_of_several_short_ones_is_returned(autojump_clock: MockClock) -> None:
    """Not the last: what one waits for has happened when it happens first."""
    async with scene(ScriptedChannel()) as s, trio.open_nursery() as nursery:
        await s.bot.wait_status("connected")
        seen: list[str] = []

        async def wait() -> None:
            seen.append(await s.bot.wait_status("paused", "reconnecting"))

        s.bot.pause()
        s.bot.resume()
        await s.log.wait_for(telemetry.InstanceConnected, times=2)
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        s.bot.reconnect()
        s.bot.pause()
        await wait_all_tasks_blocked()

        assert seen == ["reconnecting"]


async def test_waiting_ends_when_the_instance_fails(autojump_clock: MockClock) -> None:
    """With the cause, and who must act; those who wait for exactly that get it."""
    channel = ScriptedChannel(5.0)
    async with scene(channel) as s, trio.open_nursery() as nursery:
        outcomes: list[Any] = []

        async def wait(status: str) -> None:
            try:
                outcomes.append(await s.bot.wait_status(status))
            except InstanceFailed as exc:
                outcomes.append((exc.instance_id, exc.cause.reason, exc.cause.who_must_act))

        await s.bot.wait_status("connected")
        nursery.start_soon(wait, "paused")
        nursery.start_soon(wait, "failed")
        await wait_all_tasks_blocked()
        channel.reader.end(fatal())
        await wait_all_tasks_blocked()

        assert sorted(outcomes, key=str) == [("bot", "banned", "credentials"), "failed"]
        with pytest.raises(InstanceFailed):
            await s.bot.wait_status("connected")


async def test_waiting_ends_when_the_instance_is_stopped(autojump_clock: MockClock) -> None:
    """By a verb; those who wait for exactly that get it."""
    async with scene(ScriptedChannel(HANGS)) as s, trio.open_nursery() as nursery:
        outcomes: list[Any] = []

        async def wait(status: str) -> None:
            try:
                outcomes.append(await s.bot.wait_status(status))
            except InstanceStopped as exc:
                outcomes.append(exc.instance_id)

        nursery.start_soon(wait, "connected")
        nursery.start_soon(wait, "stopped")
        nursery.start_soon(wait, "stopping")
        await wait_all_tasks_blocked()
        await s.runtime.stop_instance("bot")
        await wait_all_tasks_blocked()

        assert sorted(outcomes) == ["bot", "stopped", "stopping"]
        with pytest.raises(InstanceStopped):
            await s.bot.wait_status("connected")


async def test_waiting_ends_when_the_runtime_does(autojump_clock: MockClock) -> None:
    """Nobody waits for an instance whose runtime is gone."""
    outcomes: list[str] = []

    async def wait(bot: Instance) -> None:
        try:
            await bot.wait_status("paused")
        except InstanceStopped as exc:
            outcomes.append(exc.instance_id)

    async with trio.open_nursery() as nursery, scene(ScriptedChannel()) as s:
        nursery.start_soon(wait, s.bot)
        await wait_all_tasks_blocked()

    assert outcomes == ["bot"]


@pytest.mark.parametrize("words", [["conected"], ["connected", "up"], [""], [5], [None]])
async def test_an_unknown_word_is_refused(autojump_clock: MockClock, words: list[Any]) -> None:
    """Otherwise a misspelling would wait for ever; and the words that there are are listed."""
    async with scene(ScriptedChannel()) as s:
        with pytest.raises(InvalidSpec, match="must be one of 'starting', ") as refusal:
            await s.bot.wait_status(*words)

        last = len(words) - 1
        assert [m.place for m in refusal.value.mistakes] == [f"statuses[{last}]"]


async def test_nothing_to_wait_for_is_refused(autojump_clock: MockClock) -> None:
    """That could never be met."""
    async with scene(ScriptedChannel()) as s:
        with pytest.raises(InvalidSpec, match="at least one"):
            await s.bot.wait_status()


async def test_a_cancelled_wait_leaves_nothing_behind(autojump_clock: MockClock) -> None:
    """Neither on the instance nor for those who wait beside it."""
    async with scene(ScriptedChannel()) as s:
        with trio.move_on_after(3) as scope:
            await s.bot.wait_status("paused")
        s.bot.pause()

        assert scope.cancelled_caught
        assert await s.bot.wait_status("paused") == "paused"
        assert s.bot._record.waiters == ()  # noqa: SLF001 - nothing public would tell


async def test_waiting_is_always_a_checkpoint(autojump_clock: MockClock) -> None:
    """A loop of waits for what is already there does not starve the rest."""
    async with scene(ScriptedChannel()) as s:
        await s.bot.wait_status("connected")
        with trio.CancelScope() as scope:
            scope.cancel()
            await s.bot.wait_status("connected")

        assert scope.cancelled_caught


async def test_a_restart_is_no_end_for_those_who_wait(autojump_clock: MockClock) -> None:
    """It stops and starts, and what was waited for may come then."""
    channel = ScriptedChannel(HANGS)
    async with scene(channel) as s, trio.open_nursery() as nursery:
        seen: list[str] = []

        async def wait() -> None:
            seen.append(await s.bot.wait_status("connected"))

        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        await s.runtime.restart_instance("bot")
        await wait_all_tasks_blocked()

        assert seen == ["connected"]


async def test_a_handle_found_in_the_list_can_be_waited_for_at_once(
    autojump_clock: MockClock,
) -> None:
    """Also in the very moment in which its start begins."""
    async with scene(ScriptedChannel()) as s, trio.open_nursery() as nursery:
        seen: list[str] = []

        async def start(name: str) -> None:
            spec = InstanceSpec(id=name, channel=ScriptedChannel(), reconnect=STEADY)
            await s.runtime.start_instance(spec)

        async def look(name: str) -> None:
            while s.runtime.list_instances()[-1].id != name:
                await trio.lowlevel.checkpoint()
            seen.append(await s.runtime.instance(name).wait_status("connected"))

        for name in "abcdefghijkl":  # which of two tasks runs first is chance
            nursery.start_soon(look, name)
            nursery.start_soon(start, name)
            await trio.sleep(1)

        assert seen == ["connected"] * 12


async def test_while_degraded_it_is_not_called_connected(autojump_clock: MockClock) -> None:
    """There is one status; `connected` tells of the connection whatever else is said."""
    channel = ScriptedChannel()
    async with scene(channel, failures_to_degrade=1) as s:
        s.bot.report_failure(lost())
        await s.log.wait_for(telemetry.InstanceConnected)
        with trio.move_on_after(100) as scope:
            await s.bot.wait_status("connected")

        assert scope.cancelled_caught
        assert s.bot.connected
