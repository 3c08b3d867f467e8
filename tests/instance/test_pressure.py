"""Watched queues: levels, and what they say of the instance."""

from __future__ import annotations

import math
from typing import Any

import pytest
import trio
from attrs import define
from trio.testing import MockClock

from trio_instances import (
    ChildSpec,
    InstanceStatus,
    InvalidSpec,
    PressureLevel,
    PressurePolicy,
    RestartIntensity,
    telemetry,
)

from .scripted import Scene, ScriptedChannel, Worker, scene


@define
class Gauge:
    """A queue as full as a test says."""

    current_buffer_used: Any = 0
    max_buffer_size: Any = 100

    def statistics(self) -> Gauge:
        """Return itself, for it has the fields."""
        return self


class Broken:
    """A queue that cannot tell how full it is."""

    def statistics(self) -> object:
        """Raise."""
        raise OSError("not open")


async def set_to(s: Scene, gauge: Gauge, used: int) -> tuple[str, str]:
    """Fill a queue so far, and return level and status at the next look."""
    gauge.current_buffer_used = used
    await trio.sleep(1.001)
    health = s.bot.health()
    return health.pressure, health.status


async def test_levels_rise_at_their_thresholds_and_fall_below_them(
    autojump_clock: MockClock,
) -> None:
    """0.70, 0.85, 0.95; each is left 0.05 below where it begins."""
    async with scene(ScriptedChannel()) as s:
        gauge = Gauge()
        s.bot.watch_queue("outbox", gauge)
        assert await set_to(s, gauge, 69) == ("normal", "connected")
        assert await set_to(s, gauge, 70) == ("warn", "connected")
        assert await set_to(s, gauge, 84) == ("warn", "connected")
        assert await set_to(s, gauge, 85) == ("degraded", "degraded")
        assert await set_to(s, gauge, 95) == ("shed", "degraded")
        assert await set_to(s, gauge, 91) == ("shed", "degraded")
        assert await set_to(s, gauge, 89) == ("degraded", "degraded")
        assert await set_to(s, gauge, 81) == ("degraded", "degraded")
        assert await set_to(s, gauge, 79) == ("warn", "connected")
        assert await set_to(s, gauge, 66) == ("warn", "connected")
        assert await set_to(s, gauge, 64) == ("normal", "connected")

        changed = [(e.previous, e.level) for e in s.log.of(telemetry.PressureChanged)]
        assert changed == [
            ("normal", "warn"),
            ("warn", "degraded"),
            ("degraded", "shed"),
            ("shed", "degraded"),
            ("degraded", "warn"),
            ("warn", "normal"),
        ]
        assert [e.what for e in s.log.of(telemetry.InstanceDegraded)] == ["pressure"]
        assert [e.what for e in s.log.of(telemetry.InstanceRecovered)] == ["pressure"]


async def test_the_reason_says_which_queue_and_how_full(autojump_clock: MockClock) -> None:
    """Whoever looks at the snapshot knows where to look next."""
    async with scene(ScriptedChannel()) as s:
        s.bot.watch_queue("inbox", Gauge(10))
        s.bot.watch_queue("outbox", Gauge(96))
        await s.bot.wait_status("degraded")

        (reason,) = s.bot.health().degraded
        assert (reason.what, reason.why.reason) == ("pressure", "pressure_shed")
        assert reason.why.detail == "queue 'outbox' is 96% full"
        (changed,) = s.log.of(telemetry.PressureChanged)
        assert (changed.queue, changed.occupancy) == ("outbox", 0.96)


async def test_both_ends_of_a_memory_channel_can_be_watched(autojump_clock: MockClock) -> None:
    """`trio.open_memory_channel` gives what is needed."""
    send, receive = trio.open_memory_channel[int](10)
    async with scene(ScriptedChannel()) as s:
        s.bot.watch_queue("send", send)
        s.bot.watch_queue("receive", receive)
        for number in range(9):
            send.send_nowait(number)
        await s.bot.wait_status("degraded")

        assert [(q.name, q.used, q.capacity) for q in s.bot.health().queues] == [
            ("send", 9, 10),
            ("receive", 9, 10),
        ]


@pytest.mark.parametrize("capacity", [0, math.inf])
async def test_a_queue_without_a_bound_is_never_full(
    autojump_clock: MockClock, capacity: float
) -> None:
    """There is nothing to divide by."""
    async with scene(ScriptedChannel()) as s:
        s.bot.watch_queue("endless", Gauge(10**9, capacity))
        await trio.sleep(2)

        assert s.bot.health().pressure is PressureLevel.NORMAL
        assert s.bot.health().queues[0].occupancy == 0


@pytest.mark.parametrize("bad", [Broken(), Gauge("many"), Gauge(1, None)])
async def test_a_queue_that_cannot_tell_is_told_of_and_given_up(
    autojump_clock: MockClock, bad: Any
) -> None:
    """Once; the others are watched on, and the snapshot can be made all the time."""
    async with scene(ScriptedChannel()) as s:
        gauge = Gauge()
        s.bot.watch_queue("good", gauge)
        s.bot.watch_queue("bad", bad)
        assert [q.name for q in s.bot.health().queues] == ["good"]
        await trio.sleep(10)
        assert [(e.hook, e.path) for e in s.log.of(telemetry.HookFailed)] == [
            ("watch_queue", "bot:bad")
        ]

        assert await set_to(s, gauge, 99) == ("shed", "degraded")


async def test_the_pressure_of_a_queue_that_breaks_goes_with_it(autojump_clock: MockClock) -> None:
    """An instance is not degraded for ever by what cannot be looked at any more."""
    async with scene(ScriptedChannel()) as s:
        gauge = Gauge(99)
        s.bot.watch_queue("outbox", gauge)
        await s.bot.wait_status("degraded")
        gauge.max_buffer_size = None
        await s.bot.wait_status("connected")

        assert s.bot.health().pressure is PressureLevel.NORMAL
        assert s.bot.health().queues == ()


async def test_a_queue_of_the_same_name_replaces_the_one_before(autojump_clock: MockClock) -> None:
    """A channel that makes a new queue for each connection needs to forget none."""
    async with scene(ScriptedChannel()) as s:
        s.bot.watch_queue("outbox", Gauge(99))
        await s.bot.wait_status("degraded")
        s.bot.watch_queue("outbox", Gauge(1))
        await s.bot.wait_status("connected")

        assert [q.used for q in s.bot.health().queues] == [1]


@pytest.mark.parametrize("rubbish", [None, 5, [], object()])
async def test_what_has_no_statistics_is_refused(autojump_clock: MockClock, rubbish: Any) -> None:
    """At the door, by name."""
    async with scene(ScriptedChannel()) as s:
        with pytest.raises(InvalidSpec, match="'outbox': queue: must have a method statistics"):
            s.bot.watch_queue("outbox", rubbish)


@pytest.mark.parametrize("rubbish", [3, None, b"inbox", ""])
async def test_a_queue_whose_name_is_no_text_is_refused(
    autojump_clock: MockClock, rubbish: Any
) -> None:
    """Snapshots and events bear it, and could not be read again."""
    async with scene(ScriptedChannel()) as s:
        with pytest.raises(InvalidSpec, match="name: must be a text"):
            s.bot.watch_queue(rubbish, trio.open_memory_channel[int](1)[0])

        assert s.bot.health().queues == ()


async def test_without_queues_there_is_no_pressure(autojump_clock: MockClock) -> None:
    """And nothing looks for any."""
    async with scene(ScriptedChannel()) as s:
        await trio.sleep(1000)

        assert s.bot.health().pressure is PressureLevel.NORMAL
        assert s.log.of(telemetry.PressureChanged) == []


async def test_the_interval_and_thresholds_are_settings(autojump_clock: MockClock) -> None:
    """The policy's numbers are used."""
    policy = PressurePolicy(warn=0.1, degraded=0.2, shed=0.3, interval=50.0)
    async with scene(ScriptedChannel(), pressure=policy) as s:
        gauge = Gauge()
        s.bot.watch_queue("outbox", gauge)
        await trio.sleep(1)
        gauge.current_buffer_used = 25
        await s.bot.wait_status("degraded")

        assert trio.current_time() == 50


async def test_pressure_is_seen_while_disconnected(autojump_clock: MockClock) -> None:
    """An outbox fills up exactly then."""
    async with scene(ScriptedChannel(*[OSError("no")] * 3)) as s:
        gauge = Gauge(90)
        s.bot.watch_queue("outbox", gauge)
        await s.bot.wait_status("degraded")

        assert not s.bot.connected


async def test_a_restarted_instance_finds_its_pressure_anew(autojump_clock: MockClock) -> None:
    """A queue that is still full degrades the new run as well."""
    channel = ScriptedChannel()
    keeper = Worker()
    channel.give_own = lambda _: [ChildSpec("keeper", keeper.run)]
    async with scene(channel, intensity=RestartIntensity(max_restarts=0)) as s:
        s.bot.watch_queue("outbox", Gauge(90))
        await s.bot.wait_status("degraded")
        keeper.end(ValueError("bug"))
        await s.bot.wait_status("starting")
        await s.bot.wait_status("degraded")

        assert [r.what for r in s.bot.health().degraded] == ["pressure"]
        assert s.bot.health().restarts == 1
        assert s.bot.status is InstanceStatus.DEGRADED
