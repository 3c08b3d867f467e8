"""Nobody has to listen: without a listener everything is done, and nothing is told."""

from __future__ import annotations

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

from trio_instances import (
    ChildSpec,
    InstanceFailed,
    InstanceSpec,
    ProbePolicy,
    open_runtime,
)

from .scripted import (
    STEADY,
    OverlappingChannel,
    ScriptedChannel,
    Worker,
    always,
    degraded,
    fatal,
    lost,
)


class Filling:
    """A queue that can tell how full it is until it is broken."""

    current_buffer_used = 95
    max_buffer_size: int | None = 100

    def statistics(self) -> Filling:
        """Return itself."""
        return self


async def test_an_instance_nobody_listens_to_lives_the_same_life(
    autojump_clock: MockClock,
) -> None:
    """Failures, losses, probes, pressure, verbs, closings that fail, and the end."""
    channel = ScriptedChannel(*[OSError("no")] * 5)
    queue, keeper = Filling(), Worker()
    verdicts = [degraded()] * 3
    channel.give_own = always(ChildSpec("keeper", keeper.run, essential=False))

    async def ask(_: int) -> None:
        if verdicts:
            raise verdicts.pop()

    async def fail() -> None:
        raise ValueError("in closing")

    channel.ask, channel.close = ask, fail
    async with open_runtime() as runtime:
        spec = InstanceSpec(
            id="bot", channel=channel, reconnect=STEADY, probe=ProbePolicy(interval=1.0, jitter=0)
        )
        bot = await runtime.start_instance(spec)
        await bot.wait_status("degraded")
        assert len(channel.attempts) == 5
        bot.reconnect()
        bot.watch_queue("outbox", queue)
        await trio.sleep(3.5)
        assert [r.what for r in bot.health().degraded] == ["reconnect", "pressure", "probe"]
        keeper.end(degraded())
        queue.max_buffer_size = None
        await trio.sleep(100)
        assert [r.what for r in bot.health().degraded] == ["child:keeper"]
        bot.pause()
        await trio.sleep(1)
        assert bot.status == "paused"
        bot.resume()
        await trio.sleep(1)
        channel.reader.end(lost())
        await trio.sleep(1)
        assert bot.connected
        channel.reader.end(fatal())
        with pytest.raises(InstanceFailed):
            await bot.wait_status("stopped")
        await runtime.restart_instance("bot")
        await bot.wait_status("connected")

    assert bot.status == "stopped"
    assert channel.living == 0


async def test_a_handover_and_a_drain_that_nobody_hears_of(autojump_clock: MockClock) -> None:
    """A successor that fails, one that takes over, attention, and what is left to be sent."""
    channel = OverlappingChannel(*[OSError("no")] * 6, 0.0, OSError("no"))
    queue = Filling()
    policy = evolve(STEADY, attention_after=10.0)
    async with open_runtime() as runtime:
        spec = InstanceSpec(id="bot", channel=channel, reconnect=policy, probe=None)
        bot = await runtime.start_instance(spec)
        await trio.sleep(20)
        assert bot.health().needs_attention
        assert bot.retry_now() == "degraded"
        await trio.sleep(100)
        bot.retry_now()
        await bot.wait_status("connected")
        bot.rotate()
        await trio.sleep(5)
        assert (len(channel.attempts), channel.living) == (9, 1)
        bot.watch_queue("outbox", queue)
        bot.drain(3.0)
        await bot.wait_status("paused")

    assert channel.living == 0
