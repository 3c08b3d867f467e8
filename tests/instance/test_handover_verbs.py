"""What an operator does in the middle of a handover."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    telemetry,
)

from .handovers import STAGES, begin, channel_for
from .scripted import OverlappingChannel, Scene, scene

ENDS: dict[str, Callable[[Scene], object]] = {
    "pause": lambda s: s.bot.pause(),
    "drain": lambda s: s.bot.drain(),
}


@pytest.mark.parametrize("verb", ENDS)
@pytest.mark.parametrize("stage", STAGES)
async def test_a_pause_in_the_middle_of_a_handover_ends_both(
    autojump_clock: MockClock, stage: str, verb: str
) -> None:
    """The old one in peace, the successor as far as it has come; nothing of either is left."""
    channel = channel_for(stage)
    async with scene(channel) as s:
        await begin(s, stage)
        ENDS[verb](s)
        await s.bot.wait_status("paused")
        await trio.sleep(0.1)
        assert channel.living == 0
        assert ("closed", 1) in channel.story
        assert ("opened", 2) not in channel.story or ("closed", 2) in channel.story
        await trio.sleep(1000)
        assert (s.bot.status, channel.living) == ("paused", 0)
        channel.outcomes = []
        s.bot.resume()
        await s.bot.wait_status("connected")

        assert channel.living == 1
        assert s.log.of(telemetry.ReconnectFailed) == []


@pytest.mark.parametrize("stage", STAGES)
async def test_a_reconnect_in_the_middle_of_a_handover_does_not_wait_for_it(
    autojump_clock: MockClock, stage: str
) -> None:
    """The old one is closed at once; the attempt that is under way is the one."""
    channel = channel_for(stage)
    async with scene(channel) as s:
        await begin(s, stage)
        assert s.bot.reconnect() == "reconnecting"
        await trio.sleep(0.1)
        assert ("closed", 1) in channel.story
        assert (s.bot.generation, len(channel.attempts)) == (2, 2)
        await s.bot.wait_status("connected")

        assert channel.living == 1
        assert s.bot.generation == 3


async def test_an_attempt_that_was_just_begun_beside_is_made_once(
    autojump_clock: MockClock,
) -> None:
    """Whoever of the loop and the attempt's own task is the first to run."""
    channel = OverlappingChannel()
    async with scene(channel) as s:
        await trio.sleep(100)
        for _ in range(20):
            s.bot.rotate()
            await trio.sleep(100)
            s.bot.rotate()
            s.bot.reconnect()
            await trio.sleep(100)

        assert len(channel.attempts) == 41
        assert channel.most == 2
        assert channel.living == 1


@pytest.mark.parametrize("stage", STAGES)
async def test_a_second_rotation_in_the_middle_of_a_handover_is_the_same(
    autojump_clock: MockClock, stage: str
) -> None:
    """There is one successor."""
    channel = channel_for(stage)
    async with scene(channel) as s:
        await begin(s, stage)
        s.bot.rotate()
        await trio.sleep(1)

        assert len(channel.attempts) == 2


async def test_retry_now_leaves_a_handover_alone(autojump_clock: MockClock) -> None:
    """Nothing waits."""
    channel = channel_for("attempt")
    async with scene(channel) as s:
        await begin(s)
        assert s.bot.retry_now() == "connected"
        assert s.bot.health().handover
        assert not s.log.of(telemetry.InstanceAsked)[-1].changed
