"""Waiting for a connection, or a proven one, whatever else is said of the instance."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from trio_instances import Instance, InstanceFailed, InstanceStopped, ReconnectPolicy, telemetry

from .scripted import HANGS, ScriptedChannel, always, degraded, fatal, lost, scene, spec_of

BOTH = pytest.mark.parametrize("wait", [Instance.wait_connected, Instance.wait_proven])
Wait = Callable[[Instance], Awaitable[None]]


async def test_an_instance_that_is_degraded_can_be_connected(autojump_clock: MockClock) -> None:
    """A parked child makes it degraded from the start, and is no reason to wait for ever."""

    async def give_up() -> None:
        raise degraded()

    channel = ScriptedChannel(3.0)
    channel.give_own = always(spec_of(give_up, essential=False))
    async with scene(channel) as s:
        await s.bot.wait_connected()

        assert (trio.current_time(), s.bot.status, s.bot.connected) == (3, "degraded", True)


async def test_after_an_outage_it_is_connected_before_it_is_well(
    autojump_clock: MockClock,
) -> None:
    """It is called degraded until the connection is proven, which is not waited for here."""
    channel = ScriptedChannel(*[lost() for _ in range(5)])
    async with scene(channel) as s:
        await s.bot.wait_connected()
        reconnected_at = trio.current_time()
        assert s.bot.status == "degraded"

        await s.bot.wait_proven()
        assert s.bot.health().proven
        assert (trio.current_time() - reconnected_at, s.bot.status) == (60, "connected")


@BOTH
async def test_what_is_so_already_is_not_waited_for(autojump_clock: MockClock, wait: Wait) -> None:
    """But waiting is always a checkpoint."""
    async with scene(ScriptedChannel(), reconnect=ReconnectPolicy(stable_after=0)) as s:
        await s.log.wait_for(telemetry.InstanceProven)
        now = trio.current_time()
        await wait(s.bot)
        assert trio.current_time() == now

        with trio.CancelScope() as scope:
            scope.cancel()
            await wait(s.bot)
        assert scope.cancelled_caught


@pytest.mark.parametrize(
    ("wait", "sign"),
    [
        (Instance.wait_connected, telemetry.InstanceConnected),
        (Instance.wait_proven, telemetry.InstanceProven),
    ],
)
async def test_a_connection_that_lasts_no_time_at_all_is_not_missed(
    autojump_clock: MockClock, wait: Wait, sign: type[telemetry.Event]
) -> None:
    """A listener ends it in the same instant, before the waiting task could run."""
    async with scene(ScriptedChannel(1.0), reconnect=ReconnectPolicy(stable_after=0)) as s:

        def end_it(event: telemetry.Event) -> None:
            if isinstance(event, sign):
                s.bot.pause()

        s.bus.listen(end_it)
        await wait(s.bot)

        assert (s.bot.status, s.bot.connected) == ("paused", False)


@BOTH
async def test_waiting_for_a_connection_ends_when_the_instance_fails(
    autojump_clock: MockClock, wait: Wait
) -> None:
    """For there will be none; at once where it has failed already."""
    async with scene(ScriptedChannel(lost(), fatal())) as s:
        for _ in range(2):
            with pytest.raises(InstanceFailed) as failure:
                await wait(s.bot)
            assert failure.value.cause.reason == "banned"


@BOTH
async def test_waiting_for_a_connection_ends_when_the_instance_is_stopped(
    autojump_clock: MockClock, wait: Wait
) -> None:
    """For there will be none; at once where it is stopped already."""
    async with scene(ScriptedChannel(HANGS)) as s, trio.open_nursery() as nursery:
        ended = []

        async def expect_the_end() -> None:
            with pytest.raises(InstanceStopped):
                await wait(s.bot)
            ended.append(s.bot.status)

        nursery.start_soon(expect_the_end)
        await wait_all_tasks_blocked()
        await s.runtime.stop_instance("bot")
        await wait_all_tasks_blocked()
        await expect_the_end()

        assert ended == ["stopped", "stopped"]


@BOTH
async def test_a_pause_and_a_restart_are_no_end_for_who_waits_for_a_connection(
    autojump_clock: MockClock, wait: Wait
) -> None:
    """It may come when they are over, and does."""
    async with scene(ScriptedChannel(HANGS)) as s, trio.open_nursery() as nursery:
        came = []

        async def expect_one() -> None:
            await wait(s.bot)
            came.append(trio.current_time())

        nursery.start_soon(expect_one)
        s.bot.pause()
        await trio.sleep(100)
        await s.runtime.restart_instance("bot")
        await trio.sleep(100)

        assert len(came) == 1


@BOTH
async def test_a_cancelled_wait_for_a_connection_leaves_nothing_behind(
    autojump_clock: MockClock, wait: Wait
) -> None:
    """Neither on the instance nor for those who wait beside it."""
    async with scene(ScriptedChannel(5.0)) as s:
        with trio.move_on_after(3) as scope:
            await wait(s.bot)
        assert scope.cancelled_caught
        await wait(s.bot)

        assert s.bot._record.waiters == ()  # noqa: SLF001 - nothing public would tell
