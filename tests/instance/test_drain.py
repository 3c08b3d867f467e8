"""`drain`: send what is left, and pause then; within a time, and not for ever."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from trio_instances import ChildSpec, InvalidSpec, RestartIntensity, telemetry
from trio_instances.channels import MemoryChannel, MemoryServer

from .scripted import HANGS, OverlappingChannel, ScriptedChannel, Worker, fatal, lost, scene

REFUSED = ConnectionRefusedError("no")


class Queue:
    """A queue that holds as much as a test says."""

    max_buffer_size = 100

    def __init__(self, used: int) -> None:
        self.current_buffer_used = used

    def statistics(self) -> Queue:
        """Return itself."""
        return self


async def test_it_pauses_when_the_queues_are_empty(autojump_clock: MockClock) -> None:
    """All of them, within a twentieth of a second; the connection goes on until then."""
    channel, one, two = ScriptedChannel(), Queue(3), Queue(1)
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        s.bot.watch_queue("one", one)
        s.bot.watch_queue("two", two)
        assert s.bot.drain() == "connected"
        await trio.sleep(5)
        one.current_buffer_used = 0
        await trio.sleep(5)
        assert (s.bot.status, s.bot.draining) == ("connected", True)
        two.current_buffer_used = 0
        await s.bot.wait_status("paused")

        assert 10 <= trio.current_time() <= 10.05
        assert not s.bot.draining
        await trio.sleep(0.1)
        assert len(channel.closed) == 1


async def test_what_has_nothing_left_is_paused_at_once(autojump_clock: MockClock) -> None:
    """Empty queues, or none that is watched."""
    for queues in ({}, {"one": Queue(0)}):
        channel = ScriptedChannel()
        async with scene(channel) as s:
            await s.bot.wait_status("connected")
            for name, queue in queues.items():
                s.bot.watch_queue(name, queue)
            s.bot.drain()
            await s.bot.wait_status("paused")

            assert trio.current_time() == s.log.of(telemetry.InstanceConnected)[0].at


@pytest.mark.parametrize("seconds", [0.0, 0.01, 7.0, 30.0])
async def test_when_the_time_is_over_it_is_paused_all_the_same(
    autojump_clock: MockClock, seconds: float
) -> None:
    """Exactly then, whatever is left."""
    channel = ScriptedChannel()
    async with scene(channel) as s:
        await trio.sleep(1)
        s.bot.watch_queue("one", Queue(3))
        s.bot.drain(seconds)
        await s.bot.wait_status("paused")

        assert trio.current_time() == 1 + seconds
        (draining,) = s.log.of(telemetry.InstanceDraining)
        assert draining.timeout == seconds


async def test_what_is_in_the_outbox_arrives_first(autojump_clock: MockClock) -> None:
    """The last message has been sent when the connection is closed, and none is lost."""
    server = MemoryServer(capacity=1)
    channel = MemoryChannel(server)
    async with scene(channel) as s:
        far = await server.accept()
        await s.bot.wait_status("connected")
        for number in range(10):
            await channel.send(number)
        s.bot.drain()
        received = []
        for _ in range(10):
            await trio.sleep(1)
            received.append(await far.receive())
        await s.bot.wait_status("paused")

        assert received == list(range(10))
        assert 8 <= trio.current_time() <= 10.1


async def test_it_is_shown_and_told(autojump_clock: MockClock) -> None:
    """That it is drained, so that nothing new is given to it, and that it is paused then."""
    channel = ScriptedChannel()
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        s.bot.watch_queue("one", Queue(3))
        assert not s.bot.draining
        told = len(s.log)
        s.bot.drain(5.0)
        assert s.bot.draining
        assert s.bot.health().draining
        s.bot.drain(500.0)
        await s.bot.wait_status("paused")
        assert not s.bot.health().draining

        words = [name for name in s.log.names()[told:] if name.startswith("instance")]
        assert words == [
            "instance.draining",
            "instance.asked",
            "instance.asked",
            "instance.disconnected",
            "instance.paused",
        ]
        assert [e.changed for e in s.log.of(telemetry.InstanceAsked)] == [True, False]
        assert s.log.of(telemetry.InstanceDisconnected)[0].cause.reason == "drain_requested"
        assert trio.current_time() == 5


async def test_a_resume_ends_a_drain_and_leaves_the_connection(autojump_clock: MockClock) -> None:
    """And nothing pauses it later."""
    channel, queue = ScriptedChannel(), Queue(3)
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        s.bot.watch_queue("one", queue)
        s.bot.drain(10.0)
        await trio.sleep(1)
        assert s.bot.resume() == "connected"
        assert not s.bot.draining
        queue.current_buffer_used = 0
        await trio.sleep(100)

        assert channel.attempts == [0]
        assert s.bot.health().proven


async def test_a_drain_after_a_drain_has_its_own_time(autojump_clock: MockClock) -> None:
    """The time of the one that was called off is forgotten."""
    channel = ScriptedChannel()
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        s.bot.watch_queue("one", Queue(3))
        s.bot.drain(10.0)
        await trio.sleep(5)
        s.bot.resume()
        s.bot.drain(10.0)
        await s.bot.wait_status("paused")

        assert trio.current_time() == 15


async def test_it_connects_again_if_it_must(autojump_clock: MockClock) -> None:
    """What is left can only be sent over a connection."""
    channel, queue = ScriptedChannel(0.0, REFUSED), Queue(3)
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        s.bot.watch_queue("one", queue)
        s.bot.drain()
        channel.reader.end(lost())
        await s.log.wait_for(telemetry.InstanceConnected, times=2)
        assert s.bot.draining
        queue.current_buffer_used = 0
        await s.bot.wait_status("paused")

        assert len(channel.attempts) == 3


@pytest.mark.parametrize("outcome", [HANGS, REFUSED])
async def test_what_cannot_connect_is_paused_in_time(
    autojump_clock: MockClock, outcome: float | Exception
) -> None:
    """In an attempt, or between two."""
    channel = ScriptedChannel(*[outcome] * 9)
    async with scene(channel) as s:
        await trio.sleep(5)
        s.bot.watch_queue("one", Queue(3))
        s.bot.drain(20.0)
        await s.bot.wait_status("paused")

        assert trio.current_time() == 25
        await trio.sleep(0.1)
        assert channel.living == 0


async def test_a_pause_is_quicker(autojump_clock: MockClock) -> None:
    """Who asks for it does not wait for the drain."""
    channel = ScriptedChannel()
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        s.bot.watch_queue("one", Queue(3))
        s.bot.drain()
        await trio.sleep(1)
        assert s.bot.pause() == "paused"
        assert not s.bot.draining
        await trio.sleep(100)

        assert len(s.log.of(telemetry.InstancePaused)) == 1


async def test_what_is_paused_need_not_be_drained(autojump_clock: MockClock) -> None:
    """Nothing changes, and it is not connected for it."""
    channel = ScriptedChannel()
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        s.bot.watch_queue("one", Queue(3))
        s.bot.pause()
        assert s.bot.drain() == "paused"
        assert not s.bot.draining
        assert not s.log.of(telemetry.InstanceAsked)[-1].changed
        s.bot.resume()
        await s.bot.wait_status("connected")
        await trio.sleep(100)

        assert s.bot.connected


async def test_a_failure_ends_a_drain(autojump_clock: MockClock) -> None:
    """It is parked, and who wakes it gets it as it was before."""
    channel = ScriptedChannel()
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        s.bot.watch_queue("one", Queue(3))
        s.bot.drain()
        channel.outcomes = [fatal()]
        channel.reader.end(lost())
        await s.log.wait_for(telemetry.InstanceFailed)
        assert not s.bot.draining
        await s.runtime.restart_instance("bot")
        await trio.sleep(100)

        assert s.bot.connected


async def test_a_crash_in_mid_drain_leads_to_its_end(autojump_clock: MockClock) -> None:
    """An instance that was to be paused does not come back because it has crashed."""
    channel, keeper = ScriptedChannel(), Worker()
    channel.give_own = lambda _: [ChildSpec("keeper", keeper.run)]
    async with scene(channel, intensity=RestartIntensity(max_restarts=0)) as s:
        await s.bot.wait_status("connected")
        s.bot.watch_queue("one", Queue(3))
        s.bot.drain()
        keeper.end(ValueError("bug"))
        await s.bot.wait_status("paused")
        await trio.sleep(100)
        assert len(channel.attempts) == 1
        s.bot.resume()
        await s.bot.wait_status("connected")

        assert len(channel.attempts) == 2


async def test_a_crash_after_a_drain_was_called_off_connects_again(
    autojump_clock: MockClock,
) -> None:
    """Nothing of the wish is left."""
    channel, keeper = ScriptedChannel(), Worker()
    channel.give_own = lambda _: [ChildSpec("keeper", keeper.run)]
    async with scene(channel, intensity=RestartIntensity(max_restarts=0)) as s:
        await s.bot.wait_status("connected")
        s.bot.watch_queue("one", Queue(3))
        s.bot.drain()
        s.bot.resume()
        keeper.end(ValueError("bug"))
        await s.log.wait_for(telemetry.InstanceConnected, times=2)

        assert s.bot.connected


async def test_a_stop_in_mid_drain_does_not_wait_for_it(autojump_clock: MockClock) -> None:
    """A stop is a stop."""
    channel = ScriptedChannel()
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        s.bot.watch_queue("one", Queue(3))
        s.bot.drain()
        await s.runtime.stop_instance("bot")

        assert trio.current_time() == 0
        assert channel.living == 0


async def test_a_drain_in_the_middle_of_a_handover_goes_on_over_it(
    autojump_clock: MockClock,
) -> None:
    """The successor sends what the old one has not."""
    channel, queue = OverlappingChannel(0.0, 3.0), Queue(3)
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        s.bot.watch_queue("one", queue)
        s.bot.rotate()
        s.bot.drain()
        await s.log.wait_for(telemetry.InstanceHandedOver)
        assert s.bot.draining
        queue.current_buffer_used = 0
        await s.bot.wait_status("paused")
        await trio.sleep(0.1)

        assert channel.living == 0


async def test_a_queue_that_cannot_tell_holds_nobody_up(autojump_clock: MockClock) -> None:
    """It is given up and reported, as ever."""

    class Broken:
        def statistics(self) -> Any:
            raise ValueError("broken")

    channel = ScriptedChannel()
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        s.bot.watch_queue("one", Broken())
        s.bot.drain()
        await s.bot.wait_status("paused")

        assert trio.current_time() == 0
        assert [e.hook for e in s.log.of(telemetry.HookFailed)] == ["watch_queue"]


@pytest.mark.parametrize("seconds", [-1, float("inf"), float("nan"), "soon", None])
async def test_a_time_that_is_none_is_refused(autojump_clock: MockClock, seconds: Any) -> None:
    """Before anything is done; a drain that waits for ever is no drain."""
    channel = ScriptedChannel()
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        with pytest.raises(InvalidSpec, match="timeout"):
            s.bot.drain(seconds)

        assert s.bot.connected
        assert s.log.of(telemetry.InstanceAsked) == []
