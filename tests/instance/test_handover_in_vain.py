"""Successors that do not come, or come slowly, or too often: what works is not given up."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    ChildSpec,
    Instance,
    telemetry,
)

from .handovers import begin, slowly
from .scripted import (
    AT_ONCE,
    HANGS,
    OverlappingChannel,
    Worker,
    degraded,
    fatal,
    lost,
    scene,
)

REFUSED = ConnectionRefusedError("no")


@pytest.mark.parametrize("failure", [REFUSED, fatal(), degraded()])
async def test_a_successor_that_fails_is_told_and_tried_again(
    autojump_clock: MockClock, failure: Exception
) -> None:
    """By the backoff, while the old connection goes on: a try must not cost what works."""
    channel = OverlappingChannel(0.0, failure, failure, failure)
    async with scene(channel) as s:
        await trio.sleep(100)
        s.bot.rotate()
        await trio.sleep(10)

        assert channel.gaps == [100, 0.5, 1.0, 2.0]
        assert [e.attempt for e in s.log.of(telemetry.ReconnectFailed)] == [1, 2, 3]
        assert [e.generation for e in s.log.of(telemetry.ReconnectFailed)] == [2, 3, 4]
        assert s.log.of(telemetry.InstanceDisconnected) == []
        assert (s.bot.generation, s.bot.status) == (5, "connected")
        assert s.bot.health().cause is None
        assert channel.most == 2


async def test_a_successor_that_hangs_is_given_up_after_connect_timeout(
    autojump_clock: MockClock,
) -> None:
    """It is bounded as any attempt, and tried again."""
    channel = OverlappingChannel(0.0, HANGS)
    async with scene(channel) as s:
        await begin(s)
        await s.log.wait_for(telemetry.InstanceHandedOver)

        (failed,) = s.log.of(telemetry.ReconnectFailed)
        assert (failed.cause.reason, failed.elapsed) == ("connect_timeout", 30)
        assert channel.attempts == [0, 100, 130.5]
        assert s.bot.generation == 3


@pytest.mark.parametrize("failure", [ValueError("bug"), lost()])
async def test_a_successor_whose_children_do_not_get_ready_is_closed_in_peace(
    autojump_clock: MockClock, failure: Exception
) -> None:
    """The old connection and its children notice nothing."""
    channel = OverlappingChannel()

    async def never(*, task_status: trio.TaskStatus[None]) -> None:
        await trio.sleep(1)
        raise failure

    def children(_: Instance, number: int) -> list[ChildSpec]:
        return [ChildSpec("reader", never if number == 2 else reader.run)]

    reader = Worker()
    channel.give_children = children
    async with scene(channel, reconnect=AT_ONCE) as s:
        await s.bot.wait_status("connected")
        s.bot.rotate()
        await trio.sleep(1.1)
        assert channel.story[-1] == ("closed", 2)
        assert (s.bot.generation, s.bot.connected, reader.running) == (1, True, 1)
        await trio.sleep(1)

        assert s.bot.generation == 3
        assert s.log.of(telemetry.InstanceDisconnected) == []


async def test_a_successor_that_is_closed_slowly_is_not_in_the_next_ones_way(
    autojump_clock: MockClock,
) -> None:
    """The next one waits for it: two are borne, and not three."""
    channel = OverlappingChannel()

    async def hang() -> None:
        await trio.sleep_forever()

    async def never(*, task_status: trio.TaskStatus[None]) -> None:
        raise ValueError("bug")

    def children(_: Instance, number: int) -> list[ChildSpec]:
        return [ChildSpec("never", never)] if number == 2 else []

    channel.give_children = children
    channel.closings[2] = hang
    async with scene(channel, reconnect=AT_ONCE) as s:
        await s.bot.wait_status("connected")
        s.bot.rotate()
        await s.log.wait_for(telemetry.InstanceHandedOver)

        assert channel.attempts == [0, 0, 10]
        assert channel.most == 2


async def test_the_old_one_hangs_in_closing_while_the_new_one_is_up(
    autojump_clock: MockClock,
) -> None:
    """It is bounded and told of; the new one is left alone, and so is its status."""
    channel = OverlappingChannel()

    async def hang() -> None:
        await trio.sleep_forever()

    channel.closings[1] = hang
    async with scene(channel, reconnect=AT_ONCE) as s:
        await s.bot.wait_status("connected")
        s.bot.rotate()
        await trio.sleep(9)
        assert (channel.living, s.bot.status, s.bot.generation) == (2, "connected", 2)
        await trio.sleep(2)

        assert channel.living == 1
        (failed,) = s.log.of(telemetry.HookFailed)
        assert (failed.hook, failed.cause.reason, failed.at) == ("close", "close_timeout", 10)
        assert s.bot.connected


async def test_handovers_in_quick_succession_never_make_three(autojump_clock: MockClock) -> None:
    """A successor begins when the one before last has been closed."""
    channel = OverlappingChannel()
    channel.close = slowly
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        for _ in range(5):
            s.bot.rotate()
            await trio.sleep(0.5)
        await trio.sleep(100)

        assert channel.most == 2
        assert channel.living == 1
        assert len(s.log.of(telemetry.InstanceHandedOver)) == len(channel.attempts) - 1
