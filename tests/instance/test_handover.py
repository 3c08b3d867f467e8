"""Planned replacement by a channel that bears two connections: the new one first."""

from __future__ import annotations

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

from trio_instances import (
    Cause,
    ChannelError,
    ChildSpec,
    Instance,
    InstanceFailed,
    telemetry,
)

from .handovers import begin, slowly
from .scripted import (
    HANGS,
    STEADY,
    OverlappingChannel,
    Worker,
    always,
    lost,
    scene,
)

REFUSED = ConnectionRefusedError("no")


# --- the way it should be ------------------------------------------------------------------------


async def test_the_new_one_is_open_before_the_old_one_is_left(autojump_clock: MockClock) -> None:
    """Nobody is ever without a connection, and both are there for as short as it takes."""
    channel = OverlappingChannel(0.0, 5.0)
    async with scene(channel) as s:
        await trio.sleep(100)
        s.bot.rotate()
        statuses = []
        for _ in range(12):
            await trio.sleep(1)
            statuses.append((s.bot.status, s.bot.connected))

        assert set(statuses) == {("connected", True)}
        assert channel.attempts == [0, 100]
        assert channel.closed == [105]
        assert channel.most == 2
        assert channel.story == [
            ("began", 1),
            ("opened", 1),
            ("began", 2),
            ("opened", 2),
            ("closed", 1),
        ]
        assert (channel.readers[1].running, channel.readers[2].running) == (0, 1)


async def test_what_is_told_of_a_handover(autojump_clock: MockClock) -> None:
    """An attempt, the handover, a connection; no loss, no outage, and nothing to wait for."""
    channel = OverlappingChannel(0.0, 5.0)
    async with scene(channel) as s:
        await trio.sleep(100)
        told = len(s.log)
        s.bot.rotate()
        await trio.sleep(10)

        names = [
            name for name in s.log.names()[told:] if name.startswith(("instance", "reconnect"))
        ]
        assert names == ["reconnect.attempt", "instance.handed_over", "instance.connected"]
        (over,) = s.log.of(telemetry.InstanceHandedOver)
        assert (over.generation, over.previous, over.uptime, over.at) == (2, 1, 105, 105)
        connected = s.log.of(telemetry.InstanceConnected)[1]
        assert (connected.generation, connected.elapsed, connected.outage) == (2, 5, None)
        assert connected.children == ("reader",)


async def test_the_snapshot_is_of_the_old_one_until_the_new_one_is_open(
    autojump_clock: MockClock,
) -> None:
    """And it says that there is a handover."""
    channel = OverlappingChannel(0.0, 5.0)
    async with scene(channel) as s:
        await trio.sleep(100)
        s.bot.rotate()
        await trio.sleep(1)
        health = s.bot.health()
        assert (health.generation, health.handover, health.proven) == (1, True, True)
        assert health.children_total == 1
        await trio.sleep(5)
        health = s.bot.health()

        assert (health.generation, health.handover, health.proven) == (2, False, False)
        assert (health.connected, health.children_total) == (True, 1)


async def test_one_that_is_too_old_is_handed_over(autojump_clock: MockClock) -> None:
    """`max_age` means a handover where the channel can: never a moment without a connection."""
    channel = OverlappingChannel(*[3.0] * 20)
    async with scene(channel, reconnect=evolve(STEADY, max_age=1000.0)) as s:
        await trio.sleep(10_000)

        assert len(s.log.of(telemetry.InstanceHandedOver)) >= 9
        assert s.log.of(telemetry.InstanceDisconnected) == []
        assert channel.most == 2
        assert channel.living == 1
        ages = [e.uptime for e in s.log.of(telemetry.InstanceHandedOver)]
        assert all(903 <= age <= 1003 for age in ages)


async def test_the_new_one_has_its_own_time_to_prove_itself(autojump_clock: MockClock) -> None:
    """The old one's timer, which would ring first, says nothing about it."""
    channel = OverlappingChannel()
    channel.closings[1] = slowly
    async with scene(channel) as s:
        await trio.sleep(59)
        s.bot.rotate()
        await trio.sleep(59)
        assert not s.bot.health().proven
        await trio.sleep(2)

        assert s.bot.health().proven
        (proven,) = s.log.of(telemetry.InstanceProven)
        assert (proven.generation, proven.at) == (2, 119)


async def test_the_old_ones_time_to_prove_ends_when_it_is_left(autojump_clock: MockClock) -> None:
    """Also where both are at the same moment, whichever is the first."""
    proven_at = []
    for _ in range(20):
        began = trio.current_time()
        channel = OverlappingChannel(0.0, 10.0)
        channel.give_children = always()
        async with scene(channel) as s:
            await trio.sleep(50)
            s.bot.rotate()
            await trio.sleep(100)
            proven_at += [(e.generation, e.at - began) for e in s.log.of(telemetry.InstanceProven)]

    assert {(2, 120)} <= set(proven_at) <= {(1, 60), (2, 120)}


async def test_a_reconnect_after_a_handover_is_an_ordinary_one(autojump_clock: MockClock) -> None:
    """The connection is closed before another is made, though it was once a successor."""
    channel = OverlappingChannel(0.0, 1.0)
    channel.close = slowly
    async with scene(channel) as s:
        await begin(s)
        await trio.sleep(100)
        s.bot.reconnect()
        await s.log.wait_for(telemetry.InstanceConnected, times=3)

        assert channel.story[-3:] == [("closed", 2), ("began", 3), ("opened", 3)]
        assert s.bot.generation == 3


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_a_loss_after_a_handover_is_retried_by_the_backoff(
    autojump_clock: MockClock, times: int
) -> None:
    """However many handovers there were before."""
    channel = OverlappingChannel()
    async with scene(channel) as s:
        for _ in range(times):
            await trio.sleep(100)
            s.bot.rotate()
        await trio.sleep(100)
        channel.readers[1 + times].end(lost())
        await s.bot.wait_status("reconnecting")
        await s.bot.wait_status("connected")

        assert channel.attempts[-1] == (times + 1) * 100 + 0.25
        assert channel.living == 1


# --- the old one is lost meanwhile ---------------------------------------------------------------


async def test_the_successor_is_the_attempt_when_the_old_one_is_lost(
    autojump_clock: MockClock,
) -> None:
    """Neither a delay nor another attempt: the outage lasts until this one is open."""
    channel = OverlappingChannel(0.0, 5.0)
    async with scene(channel) as s:
        await trio.sleep(100)
        s.bot.rotate()
        await trio.sleep(2)
        channel.readers[1].end(lost())
        await trio.sleep(1)
        assert (s.bot.status, s.bot.connected, s.bot.generation) == ("reconnecting", False, 2)
        await s.bot.wait_status("connected")

        assert channel.attempts == [0, 100]
        assert s.log.of(telemetry.ReconnectScheduled) == []
        assert s.log.of(telemetry.InstanceHandedOver) == []
        assert s.log.of(telemetry.InstanceConnected)[1].outage == 3
        assert s.log.of(telemetry.InstanceDisconnected)[0].cause.reason == "gone"


async def test_a_promoted_attempt_fails_like_any_other(autojump_clock: MockClock) -> None:
    """Within the same time to connect, and then the backoff."""
    channel = OverlappingChannel(0.0, HANGS)
    async with scene(channel) as s:
        await trio.sleep(100)
        s.bot.rotate()
        await trio.sleep(20)
        channel.readers[1].end(lost())
        await s.bot.wait_status("connected")
        await s.log.wait_for(telemetry.InstanceConnected, times=2)

        assert channel.attempts == [0, 100, 130.5]
        assert channel.living == 1


@pytest.mark.parametrize("first", ["lost", "open"])
async def test_the_old_one_is_lost_at_the_moment_at_which_the_successor_opens(
    autojump_clock: MockClock, first: str
) -> None:
    """Whichever is heard of first: one connection is left, and it is the new one."""
    channel = OverlappingChannel(0.0, 5.0)
    async with scene(channel) as s:
        await trio.sleep(100)
        s.bot.rotate()
        await trio.sleep(1)

        def lose(event: telemetry.Event) -> None:
            if isinstance(event, telemetry.ChildStarted) and event.at == 105:
                channel.readers[1].end(lost())

        if first == "lost":
            s.bus.listen(lose)
        else:
            await trio.sleep(4)
            channel.readers[1].end(lost())
        await trio.sleep(20)

        assert (s.bot.generation, s.bot.connected) == (2, True)
        assert channel.attempts == [0, 100]
        assert channel.living == 1


@pytest.mark.parametrize("stage", ["attempt", "children"])
async def test_a_fatal_loss_of_the_old_one_parks_the_instance(
    autojump_clock: MockClock, stage: str
) -> None:
    """Nothing is left of either, and somebody must act."""
    channel = OverlappingChannel(0.0, HANGS if stage == "attempt" else 0.0)

    async def slow(*, task_status: trio.TaskStatus[None]) -> None:
        await trio.sleep_forever()

    def children(_: Instance, number: int) -> list[ChildSpec]:
        return [ChildSpec("reader", reader.run if number == 1 else slow)]

    reader = Worker()
    channel.give_children = children
    async with scene(channel) as s:
        await begin(s)
        reader.end(ChannelError(Cause("fatal", "banned", lost=True)))
        with pytest.raises(InstanceFailed, match="banned"):
            await s.bot.wait_status("stopped")

        assert channel.living == 0
        assert trio.current_time() == 101
        assert s.log.of(telemetry.ReconnectFailed) == []
