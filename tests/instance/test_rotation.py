"""Planned replacement of a connection by a channel that cannot have two: closed, then made anew."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

from trio_instances import (
    Cause,
    ChildSpec,
    Instance,
    InstanceSpec,
    ReconnectPolicy,
    Runtime,
    telemetry,
)
from trio_instances.testing import Attempt, EventRecorder, Expectations, FakeChannel, Script

from .scripted import STEADY, OverlappingChannel, ScriptedChannel, scene

DAILY = evolve(STEADY, max_age=86_400.0)
REFUSED = Attempt(refused=503)
WELL = Script()
LOST = Cause("recoverable", "gone", lost=True, retry_after=100.0)

Start = Callable[..., Awaitable[Instance]]


@pytest.fixture
def start(instance_runtime: Runtime, fake_channel: FakeChannel) -> Start:
    """Return what starts an instance of the fake, without probes."""

    async def start(
        script: Script | Attempt = WELL, *, reconnect: ReconnectPolicy = STEADY
    ) -> Instance:
        fake_channel.script = script + Script()
        spec = InstanceSpec(id="bot", channel=fake_channel, reconnect=reconnect, probe=None)
        return await instance_runtime.start_instance(spec)

    return start


def gaps(channel: FakeChannel) -> Sequence[float]:
    """Return the seconds between the beginnings of two attempts."""
    return [later - earlier for earlier, later in pairwise(channel.times("began"))]


async def test_a_connection_is_replaced_before_it_is_too_old(
    start: Start,
    fake_channel: FakeChannel,
    event_recorder: EventRecorder,
    autojump_clock: MockClock,
) -> None:
    """Up to a tenth sooner, without a delay, again and again."""
    await start(reconnect=evolve(STEADY, max_age=3600.0))
    await trio.sleep(10 * 3600)

    assert len(gaps(fake_channel)) >= 10
    assert all(3240 <= gap <= 3600 for gap in gaps(fake_channel))
    assert len(set(gaps(fake_channel))) == len(gaps(fake_channel))
    assert fake_channel.times("closed") == fake_channel.times("began")[1:]
    assert fake_channel.most_living == 1
    event_recorder.assert_none(telemetry.ReconnectScheduled)


async def test_when_it_will_be_is_in_the_snapshot(
    start: Start, fake_channel: FakeChannel, autojump_clock: MockClock
) -> None:
    """While there is a connection that is to be replaced, and at no other time."""
    bot = await start(REFUSED, reconnect=DAILY)
    assert bot.health().rotate_at is None
    await bot.wait_status("connected")
    at = bot.health().rotate_at
    assert at is not None
    await trio.sleep_until(at - 1)
    assert fake_channel.attempts == 2
    await trio.sleep(2)
    assert fake_channel.times("began")[2] == at
    bot.pause()

    assert bot.health().rotate_at is None


async def test_a_fleet_is_not_replaced_all_at_once(
    instance_runtime: Runtime, autojump_clock: MockClock
) -> None:
    """Those that connected at the same moment are spread over a tenth of the age."""
    fleet = [FakeChannel(Script(then=Attempt(deaf_after=0.0))) for _ in range(50)]
    for number, channel in enumerate(fleet):
        spec = InstanceSpec(id=f"bot-{number}", channel=channel, reconnect=DAILY, probe=None)
        await instance_runtime.start_instance(spec)
    await trio.sleep(86_400 + 1)

    times = sorted(channel.times("began")[1] for channel in fleet)
    assert times[-1] - times[0] > 5000
    assert len({time // 864 for time in times}) > 5


async def test_a_planned_replacement_is_no_failure(
    start: Start, event_recorder: EventRecorder, autojump_clock: MockClock
) -> None:
    """It is told of, at a level that wakes nobody, and leaves no cause."""
    bot = await start()
    await bot.wait_status("connected")
    bot.rotate()
    await event_recorder.wait_for(telemetry.InstanceConnected, times=2)

    (end,) = event_recorder.of(telemetry.InstanceDisconnected)
    assert end.cause.reason == "rotation_requested"
    assert telemetry.level_of(end) == "INFO"
    assert bot.health().cause is None
    assert bot.health().restarts == 0


async def test_the_age_counts_from_the_opening_of_the_present_one(
    start: Start, fake_channel: FakeChannel, autojump_clock: MockClock
) -> None:
    """A connection that took the place of a lost one is as young as it is."""
    await start(Attempt(holds=800.0), reconnect=evolve(STEADY, max_age=1000.0))
    await trio.sleep(800 + 890)
    assert fake_channel.attempts == 2
    await trio.sleep(112)

    assert fake_channel.attempts == 3


async def test_rotating_what_is_not_open_changes_nothing(
    start: Start,
    instance_runtime: Runtime,
    fake_channel: FakeChannel,
    event_recorder: EventRecorder,
    autojump_clock: MockClock,
) -> None:
    """Neither an attempt, nor a retry that waits, nor a pause, nor an end."""
    bot = await start(Attempt(takes=10.0))
    bot.rotate()
    await trio.sleep(1)
    bot.rotate()
    await bot.wait_status("connected")
    assert fake_channel.attempts == 1
    fake_channel.lose(LOST)
    await bot.wait_status("reconnecting")
    bot.rotate()
    await trio.sleep(1)
    assert fake_channel.attempts == 1
    bot.pause()
    bot.rotate()
    await trio.sleep(1)
    assert bot.status == "paused"
    await instance_runtime.stop_instance("bot")
    bot.rotate()
    await trio.sleep(1)

    assert fake_channel.attempts == 1
    assert event_recorder.of(telemetry.InstanceAsked)[-1].verb == "pause"


async def test_rotating_twice_is_once(
    start: Start, fake_channel: FakeChannel, autojump_clock: MockClock
) -> None:
    """The second one finds an attempt under way."""
    bot = await start()
    await trio.sleep(100)
    bot.rotate()
    bot.rotate()
    await trio.sleep(10)

    assert fake_channel.times("began") == [0, 100]


@pytest.mark.parametrize("verb", [Instance.rotate, Instance.reconnect])
@pytest.mark.parametrize("kind", [ScriptedChannel, OverlappingChannel])
async def test_who_asks_each_connection_for_another_one_makes_no_storm(
    autojump_clock: MockClock, kind: type[ScriptedChannel], verb: Callable[[Instance], object]
) -> None:
    """A child that hears "reconnect" on every connection gets one a second, and no more."""
    channel = kind()

    def children(instance: Instance, _: int) -> Sequence[ChildSpec]:
        async def obey() -> None:
            await trio.sleep(0.001)
            verb(instance)
            await trio.sleep_forever()

        return [ChildSpec("obey", obey)]

    channel.give_children = children
    async with scene(channel, reconnect=evolve(STEADY, exhausted="escalate")) as s:
        await trio.sleep(100)

        assert 75 <= len(channel.attempts) <= 100
        assert s.bot.health().attempt <= 1


async def test_a_replacement_that_fails_is_retried_as_any_attempt(
    start: Start,
    fake_channel: FakeChannel,
    event_recorder: EventRecorder,
    autojump_clock: MockClock,
) -> None:
    """There is nothing left to stay with."""
    bot = await start(Attempt() + 2 * REFUSED)
    await trio.sleep(100)
    bot.rotate()
    connected = await event_recorder.wait_for(telemetry.InstanceConnected, times=2)

    assert gaps(fake_channel) == [100, 0.5, 1.0]
    assert connected.outage == 1.5


async def test_the_old_one_is_closed_before_the_new_one_is_made(
    start: Start,
    fake_channel: FakeChannel,
    event_recorder: EventRecorder,
    instance_expectations: Expectations,
    autojump_clock: MockClock,
) -> None:
    """However long that takes; and not longer than it may."""
    instance_expectations.may_be_left("bot")
    bot = await start(Attempt(close_takes=math.inf))
    await trio.sleep(100)
    bot.rotate()
    await event_recorder.wait_for(telemetry.InstanceConnected, times=2)

    assert fake_channel.times("began") == [0, 110]
    assert fake_channel.most_living == 1


async def test_a_stop_while_it_is_replaced_leaves_nothing(
    start: Start, instance_runtime: Runtime, fake_channel: FakeChannel, autojump_clock: MockClock
) -> None:
    """The attempt that hangs is given up at once."""
    bot = await start(Attempt() + Attempt(takes=math.inf))
    await trio.sleep(100)
    bot.rotate()
    await trio.sleep(1)
    await instance_runtime.stop_instance("bot")

    assert trio.current_time() == 101
    assert fake_channel.living == 0


@pytest.mark.parametrize("age", [2.0, 30.0])
async def test_an_age_below_the_time_to_prove_is_no_storm(
    start: Start, fake_channel: FakeChannel, autojump_clock: MockClock, age: float
) -> None:
    """One connection for each age, no more: such a policy is odd, and harms nobody."""
    await start(reconnect=evolve(STEADY, max_age=age))
    await trio.sleep(100 * age)

    assert 100 <= fake_channel.attempts <= 112
