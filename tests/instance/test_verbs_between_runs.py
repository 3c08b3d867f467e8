"""Verbs that come while an instance is between two runs: it goes down, and comes back by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
from attrs import frozen
from trio.testing import MockClock

from trio_instances import ChildSpec, RestartIntensity, telemetry

from .scripted import Scene, ScriptedChannel, Worker, scene

CLOSES_IN = 4.0


class SlowChannel(ScriptedChannel):
    """Takes its time to close, and its own child some to start."""

    def __init__(self) -> None:
        super().__init__()
        self.close = partial(trio.sleep, CLOSES_IN)
        self.keeper = Worker()
        self.give_own = lambda _: [ChildSpec("slow", _slow), ChildSpec("keeper", self.keeper.run)]


async def _slow(*, task_status: trio.TaskStatus[None]) -> None:
    await trio.sleep(2)
    task_status.started()
    await trio.sleep_forever()


@frozen
class GoingDown:
    """An instance whose subtree is to come back, and has not closed its connection yet."""

    channel: SlowChannel
    scene: Scene


@asynccontextmanager
async def going_down(verb: str | None = None) -> AsyncIterator[GoingDown]:
    """Let an instance crash, of which a verb was asked before."""
    channel = SlowChannel()
    async with scene(channel, intensity=RestartIntensity(max_restarts=0)) as s:
        await s.bot.wait_status("connected")
        if verb is not None:
            getattr(s.bot, verb)()
            await s.bot.wait_status("paused")
        channel.keeper.end(ValueError("bug"))
        await trio.sleep(1)
        assert channel.living == 1
        yield GoingDown(channel, s)


def asked(s: Scene) -> list[tuple[str, bool]]:
    """Return the verbs that were answered, and whether each has changed anything."""
    return [(e.verb, e.changed) for e in s.log.of(telemetry.InstanceAsked)]


@pytest.mark.parametrize("verb", ["pause", "drain"])
async def test_a_pause_holds_in_the_next_run(autojump_clock: MockClock, verb: str) -> None:
    """It is said at once, kept until a resume, and asked twice it is asked once."""
    async with going_down() as down:
        bot, log = down.scene.bot, down.scene.log
        assert getattr(bot, verb)() == "paused"
        assert getattr(bot, verb)() == "paused"
        assert asked(down.scene) == [(verb, True), (verb, False)]
        await trio.sleep(100)
        assert bot.status == "paused"
        assert len(down.channel.attempts) == 1
        assert len(log.of(telemetry.ChildRestarting)) == 1
        bot.resume()

        assert await bot.wait_status("connected") == "connected"


@pytest.mark.parametrize("seconds", [0, CLOSES_IN])
async def test_a_resume_takes_a_pause_back(autojump_clock: MockClock, seconds: float) -> None:
    """One of an earlier run: while the instance goes down, and while it starts again."""
    async with going_down("pause") as down:
        bot = down.scene.bot
        await trio.sleep(seconds)
        assert bot.status == ("starting" if seconds else "paused")
        bot.resume()
        await bot.wait_status("connected")

        assert asked(down.scene) == [("pause", True), ("resume", True)]
        assert len(down.scene.log.of(telemetry.InstanceResumed)) == 1


async def test_a_change_of_mind_leaves_nothing(autojump_clock: MockClock) -> None:
    """The next run connects as if nobody had said anything."""
    async with going_down() as down:
        bot = down.scene.bot
        bot.pause()
        bot.resume()
        assert bot.status == "reconnecting"
        await bot.wait_status("connected")

        assert len(down.channel.attempts) == 2


async def test_a_pause_holds_while_an_operator_restarts_the_instance(
    autojump_clock: MockClock,
) -> None:
    """The restart ends the pause that there was, and not the one that was wished for after it."""
    channel = SlowChannel()
    async with scene(channel) as s, trio.open_nursery() as nursery:
        await s.bot.wait_status("connected")
        s.bot.pause()
        await s.runtime.restart_instance("bot")
        await s.bot.wait_status("connected")
        nursery.start_soon(s.runtime.restart_instance, "bot")
        await trio.sleep(1)
        s.bot.pause()
        await trio.sleep(100)

        assert s.bot.status == "paused"
        assert len(channel.attempts) == 2
