"""Children that live as long as the instance."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    ChildSpec,
    ChildStartFailed,
    InstanceSpec,
    InstanceStatus,
    RestartIntensity,
    telemetry,
)

from .scripted import STEADY, ScriptedChannel, Worker, degraded, fatal, incarnations, lost, scene


async def test_they_survive_every_reconnect(autojump_clock: MockClock) -> None:
    """The same incarnation before and after, whatever ended the connection."""
    channel = ScriptedChannel()
    keeper = Worker()
    channel.give_own = lambda _: [ChildSpec("keeper", keeper.run)]
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        channel.reader.end(lost())
        await s.log.wait_for(telemetry.InstanceConnected, times=2)
        s.bot.reconnect()
        await s.log.wait_for(telemetry.InstanceConnected, times=3)
        s.bot.pause()
        s.bot.resume()
        await s.log.wait_for(telemetry.InstanceConnected, times=4)

        assert incarnations(s.bot) == {"keeper": 1, "reader": 1}
        assert keeper.running == len(keeper.began_at) == 1


async def test_they_are_ready_before_the_first_attempt(autojump_clock: MockClock) -> None:
    """The status is ``starting`` until then, and `start_instance` waits."""
    channel = ScriptedChannel()

    async def slow(*, task_status: trio.TaskStatus[None]) -> None:
        await trio.sleep(3)
        task_status.started()
        await trio.sleep_forever()

    channel.give_own = lambda _: [ChildSpec("slow", slow)]
    async with scene(channel) as s:
        assert trio.current_time() == 3
        assert s.bot.status is InstanceStatus.CONNECTING
        await s.bot.wait_status("connected")

        assert channel.attempts == [3]


async def test_one_that_ends_the_instance_is_stopped_after_the_connection_was_closed(
    autojump_clock: MockClock,
) -> None:
    """Reverse start order: what the connection may use is there until that has closed in peace."""
    channel, keeper, doomed = ScriptedChannel(), Worker(), Worker()
    channel.give_own = lambda _: [
        ChildSpec("keeper", keeper.run),
        ChildSpec("doomed", doomed.run, shutdown=1.0),
    ]

    async def close() -> None:
        await trio.sleep(3)

    channel.close = close
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        await trio.sleep(100)
        began = trio.current_time()
        doomed.end(fatal())
        await s.bot.wait_status("failed")

        assert channel.closed == [began + 3]
        assert keeper.stopped_at == [began + 3]


async def test_one_that_crashes_leaves_the_connection_alone(autojump_clock: MockClock) -> None:
    """It is restarted on its own; the crash counts among the instance's restarts."""
    channel = ScriptedChannel()
    keeper = Worker()
    channel.give_own = lambda _: [ChildSpec("keeper", keeper.run)]
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        keeper.end(ConnectionResetError("of something else"))
        await trio.sleep(1)

        assert incarnations(s.bot) == {"keeper": 2, "reader": 1}
        assert channel.attempts == [0]
        assert s.bot.health().last_restart_reason == "connection_reset"


async def test_one_that_crashes_too_often_restarts_the_whole_instance(
    autojump_clock: MockClock,
) -> None:
    """The connection is closed in order, and made anew at once; the handle stays the same."""
    channel = ScriptedChannel()
    keeper = Worker()
    channel.give_own = lambda _: [ChildSpec("keeper", keeper.run)]
    async with scene(channel, intensity=RestartIntensity(max_restarts=0)) as s:
        await s.bot.wait_status("connected")
        keeper.end(ValueError("bug"))
        await s.bot.wait_status("starting")
        await s.bot.wait_status("connected")

        assert channel.closed == [0]
        assert len(channel.attempts) == len(keeper.began_at) == 2
        assert s.runtime.instance("bot") is s.bot
        assert s.bot.health().restarts == 1


async def test_an_optional_one_is_parked_and_the_instance_degraded(
    autojump_clock: MockClock,
) -> None:
    """Also across reconnects: nothing has mended it."""
    channel = ScriptedChannel()
    keeper = Worker()
    channel.give_own = lambda _: [ChildSpec("keeper", keeper.run, essential=False)]
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        keeper.end(degraded())
        await s.bot.wait_status("degraded")
        s.bot.reconnect()
        await s.log.wait_for(telemetry.InstanceConnected, times=2)

        assert [r.what for r in s.bot.health().degraded] == ["child:keeper"]
        assert s.bot.status is InstanceStatus.DEGRADED


async def test_a_child_of_the_connection_by_the_same_name_is_another_one(
    autojump_clock: MockClock,
) -> None:
    """That it runs, is parked, or ends with its connection says nothing of the instance's own."""
    channel, own, other = ScriptedChannel(), Worker(), Worker()
    channel.give_own = lambda _: [ChildSpec("worker", own.run, essential=False)]
    channel.give_children = lambda *_: [ChildSpec("worker", other.run, essential=False)]
    async with scene(channel) as s:

        def degraded_by() -> list[tuple[str, str]]:
            return [(reason.what, reason.why.reason) for reason in s.bot.health().degraded]

        await s.bot.wait_status("connected")
        own.end(degraded("no_dictionary"))
        await trio.sleep(1)
        s.bot.reconnect()
        await trio.sleep(1)
        assert degraded_by() == [("child:worker", "no_dictionary")]

        other.end(degraded("no_voice"))
        await trio.sleep(1)
        assert degraded_by() == [("child:worker", "no_voice")]
        s.bot.reconnect()
        await trio.sleep(1)
        assert degraded_by() == [("child:worker", "no_dictionary")]

        other.end(degraded("no_voice"))
        await trio.sleep(1)
        await s.bot.restart_child("worker")
        assert degraded_by() == [("child:worker", "no_voice")]
        s.bot.reconnect()
        await s.log.wait_for(telemetry.InstanceRecovered)
        assert degraded_by() == []


async def test_an_optional_one_that_fails_to_start_does_not_keep_the_instance_down(
    autojump_clock: MockClock,
) -> None:
    """It is parked at the first start, and the instance connects, degraded."""
    channel = ScriptedChannel()

    async def fails(*, task_status: trio.TaskStatus[None]) -> None:
        raise ValueError("bug")

    channel.give_own = lambda _: [ChildSpec("keeper", fails, essential=False)]
    async with scene(channel) as s:
        assert s.bot.status is InstanceStatus.DEGRADED
        await s.log.wait_for(telemetry.InstanceConnected)

        assert s.bot.health().children_parked == 1


async def test_an_essential_one_that_fails_to_start_is_raised_to_who_asked(
    autojump_clock: MockClock,
) -> None:
    """A first start is not tried again, and nothing is kept of it."""
    channel = ScriptedChannel()

    async def fails(*, task_status: trio.TaskStatus[None]) -> None:
        raise ValueError("bug")

    channel.give_own = lambda _: [ChildSpec("keeper", fails)]
    async with scene(ScriptedChannel()) as s:
        with pytest.raises(ChildStartFailed, match="bug"):
            await s.runtime.start_instance(
                InstanceSpec(id="two", channel=channel, reconnect=STEADY)
            )

        assert [bot.id for bot in s.runtime.list_instances()] == ["bot"]
        assert channel.attempts == []


@pytest.mark.parametrize("rubbish", [None, 5, "keeper", [None]])
async def test_rubbish_is_refused_where_the_instance_is_started(
    autojump_clock: MockClock, rubbish: object
) -> None:
    """The error names what was expected, and no attempt is made."""
    channel = ScriptedChannel()
    channel.give_own = lambda _: rubbish
    with pytest.raises(ChildStartFailed, match="ChildSpec"):
        async with scene(channel):
            pass

    assert channel.attempts == []


async def test_the_name_of_the_connection_loop_is_taken(autojump_clock: MockClock) -> None:
    """A child of that name could not be told from it."""
    channel = ScriptedChannel()
    channel.give_own = lambda _: [ChildSpec("connection", channel.reader.run)]
    with pytest.raises(ChildStartFailed, match="connection loop"):
        async with scene(channel):
            pass


async def test_an_instance_children_that_raises_is_a_failed_start(
    autojump_clock: MockClock,
) -> None:
    """It is classified by the channel like anything else."""
    channel = ScriptedChannel()

    def broken(_: object) -> None:
        raise KeyError("bug")

    channel.give_own = broken
    with pytest.raises(ChildStartFailed) as caught:
        async with scene(channel):
            pass

    assert isinstance(caught.value.__cause__, KeyError)
