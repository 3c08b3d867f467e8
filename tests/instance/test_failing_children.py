"""Children of a connection that fail, or find it lost."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    Backoff,
    ChildSpec,
    ChildState,
    InstanceFailed,
    RestartIntensity,
    Strategy,
    telemetry,
    until_stopped,
)

from .scripted import ScriptedChannel, Worker, degraded, fatal, incarnations, lost, scene, spec_of


@pytest.mark.parametrize(
    ("failure", "essential", "status"),
    [
        (ValueError("bug"), True, "connected"),
        (ValueError("bug"), False, "connected"),
        (degraded(), True, "degraded"),
        (degraded(), False, "degraded"),
        (fatal(), True, "failed"),
        (fatal(), False, "degraded"),
    ],
)
async def test_a_child_that_crashes_is_decided_by_the_crash_or_degrade_table(
    autojump_clock: MockClock,
    failure: Exception,
    essential: bool,  # noqa: FBT001 - a column of the table
    status: str,
) -> None:
    """Restarted, parked, or the end of the instance; its sibling is not touched."""
    channel = ScriptedChannel()
    worker = Worker()
    channel.give_children = lambda *_: [
        ChildSpec("reader", channel.reader.run),
        spec_of(worker.run, essential=essential),
    ]
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        worker.end(failure)
        await trio.sleep(1)

        assert s.bot.status == status
        assert len(worker.began_at) == (2 if status == "connected" else 1)
        assert channel.reader.running == (0 if status == "failed" else 1)
        assert len(channel.attempts) == len(channel.reader.began_at) == 1


@pytest.mark.parametrize("strategy", list(Strategy))
async def test_a_child_that_finds_the_connection_lost_is_not_restarted_on_it(
    autojump_clock: MockClock, strategy: Strategy
) -> None:
    """The connection is made anew, and no restart is counted; its end is told, with why."""
    channel = ScriptedChannel()
    async with scene(channel, strategy=strategy) as s:
        await s.bot.wait_status("connected")
        channel.reader.end(ConnectionResetError("gone"))
        await s.bot.wait_status("reconnecting")
        await s.bot.wait_status("connected")

        assert s.bot.health().restarts == 0
        assert s.log.of(telemetry.ChildRestarting) == []
        (exited,) = s.log.of(telemetry.ChildExited)
        assert exited.cause is not None
        assert (exited.child, exited.cause.reason) == ("reader", "connection_reset")
        assert incarnations(s.bot) == {"reader": 1}


@pytest.mark.parametrize("essential", [True, False])
async def test_a_child_that_finds_it_lost_before_it_is_ready_gives_the_attempt_up(
    autojump_clock: MockClock, *, essential: bool
) -> None:
    """Also an optional one, which no other failed start keeps a connection from being there."""
    channel = ScriptedChannel()

    async def greet(*, task_status: trio.TaskStatus[None]) -> None:
        if len(channel.attempts) < 3:
            raise ConnectionResetError("gone")

        task_status.started()
        await trio.sleep_forever()

    channel.give_children = lambda *_: [spec_of(greet, essential=essential)]
    async with scene(channel) as s:
        await s.bot.wait_status("connected")

        assert channel.attempts == [0, 0.5, 1.5]
        assert len(s.log.of(telemetry.InstanceConnected)) == 1
        assert s.log.of(telemetry.ChildParked) == []
        failed = s.log.of(telemetry.ReconnectFailed)
        assert [event.cause.reason for event in failed] == ["connection_reset"] * 2


async def test_many_children_that_find_it_lost_lose_it_once(autojump_clock: MockClock) -> None:
    """The first one's cause is the cause."""
    channel = ScriptedChannel()
    workers = [Worker() for _ in range(5)]
    channel.give_children = lambda *_: [
        ChildSpec(f"w{n}", worker.run) for n, worker in enumerate(workers)
    ]
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        for worker in workers:
            worker.end(lost())
        await trio.sleep(100)

        assert len(s.log.of(telemetry.InstanceDisconnected)) == 1
        assert channel.attempts == [0, 0.5]


async def test_a_child_that_says_that_a_failure_is_no_loss_is_restarted(
    autojump_clock: MockClock,
) -> None:
    """The channel's `classify` goes before the library's rules."""
    channel = ScriptedChannel()
    channel.judge = lambda _: degraded("handler").cause
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        channel.reader.end(ConnectionResetError("of a database"))
        await s.bot.wait_status("degraded")

        assert s.bot.connected
        assert [r.why.reason for r in s.bot.health().degraded] == ["handler"]


async def test_an_optional_child_that_fails_too_often_is_parked_until_the_next_connection(
    autojump_clock: MockClock,
) -> None:
    """The instance is degraded for it by name, and recovers with the connection after."""
    channel = ScriptedChannel()

    async def crashes() -> None:
        await trio.sleep(1)
        if len(channel.attempts) == 1:
            raise ValueError("bug")
        await trio.sleep_forever()

    channel.give_children = lambda *_: [
        ChildSpec("reader", channel.reader.run),
        spec_of(crashes, essential=False),
    ]
    async with scene(channel) as s:
        await s.bot.wait_status("degraded")
        assert trio.current_time() == 6
        assert [r.what for r in s.bot.health().degraded] == ["child:child"]
        assert s.bot.health().children_parked == 1
        await trio.sleep(100)
        assert s.bot.connected
        s.bot.reconnect()
        await s.bot.wait_status("connected")

        assert s.bot.health().children_parked == 0
        assert [e.what for e in s.log.of(telemetry.InstanceDegraded)] == ["child:child"]
        assert [e.what for e in s.log.of(telemetry.InstanceRecovered)] == ["child:child"]


async def test_a_parked_child_that_the_next_connection_does_not_have_degrades_no_more(
    autojump_clock: MockClock,
) -> None:
    """The reason goes with the connection that the child was of."""
    channel = ScriptedChannel()
    worker = Worker()
    channel.give_children = lambda _, number: [spec_of(worker.run)] if number == 1 else []
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        worker.end(degraded())
        await s.bot.wait_status("degraded")
        s.bot.reconnect()

        assert await s.bot.wait_status("connected") == "connected"


async def test_a_child_that_is_asked_to_stop_and_finds_the_connection_gone_has_ended(
    autojump_clock: MockClock,
) -> None:
    """That is no loss any more, and nothing to wait for."""
    channel = ScriptedChannel()

    async def says_goodbye() -> None:
        with until_stopped():
            await trio.sleep_forever()
        raise lost("no goodbye")

    channel.give_children = lambda *_: [spec_of(says_goodbye)]
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        await s.runtime.stop_instance("bot")

        assert trio.current_time() == 0
        (stopped,) = [e for e in s.log.of(telemetry.ChildStopped) if e.child == "child"]
        assert stopped.cause is not None
        assert stopped.cause.reason == "no goodbye"


async def test_an_essential_child_that_fails_too_often_ends_the_connection(
    autojump_clock: MockClock,
) -> None:
    """After five restarts in thirty seconds the connection is made anew, with fresh children."""
    channel = ScriptedChannel()

    async def crashes() -> None:
        await trio.sleep(1)
        if len(channel.attempts) == 1:
            raise ValueError("bug")
        await trio.sleep_forever()

    channel.give_children = lambda *_: [spec_of(crashes)]
    async with scene(channel) as s:
        await s.log.wait_for(telemetry.InstanceConnected, times=2)

        assert channel.attempts == [0, 6.5]
        assert s.bot.health().restarts == 5
        assert s.bot.health().last_restart_reason == "unexpected"
        (end,) = s.log.of(telemetry.InstanceDisconnected)
        assert (end.cause.detail, end.uptime) == ("bug", 6)


async def test_a_fatal_child_of_the_connection_fails_the_instance_in_order(
    autojump_clock: MockClock,
) -> None:
    """Everything is stopped before it is parked."""
    channel = ScriptedChannel()
    keeper = Worker()
    channel.give_own = lambda _: [ChildSpec("keeper", keeper.run)]

    async def slowly() -> None:
        await trio.sleep(2)

    channel.close = slowly
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        channel.reader.end(fatal())
        with pytest.raises(InstanceFailed, match="banned"):
            await s.bot.wait_status("paused")

        assert trio.current_time() == 2
        assert (channel.closed, keeper.stopped_at) == ([2], [2])


async def test_strategy_and_backoff_are_those_of_the_spec(autojump_clock: MockClock) -> None:
    """A group strategy takes siblings along; delays come before each restart."""
    channel = ScriptedChannel()
    worker = Worker()
    channel.give_children = lambda *_: [
        ChildSpec("reader", channel.reader.run),
        spec_of(worker.run),
    ]
    backoff = Backoff(initial=3.0, jitter="none")
    async with scene(channel, strategy="one_for_all", child_backoff=backoff) as s:
        await s.bot.wait_status("connected")
        worker.end(ValueError("bug"))
        await trio.sleep(10)

        assert channel.reader.began_at == worker.began_at == [0, 3]


@pytest.mark.parametrize("says_when_ready", [True, False])
async def test_a_child_that_returns_is_restarted_or_not_by_its_restart_type(
    autojump_clock: MockClock, *, says_when_ready: bool
) -> None:
    """A transient child that is done stays done; the connection goes on."""
    channel = ScriptedChannel()
    worker = Worker()

    async def ready_first(*, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        await worker.run()

    run = ready_first if says_when_ready else worker.run
    channel.give_children = lambda *_: [spec_of(run, restart="transient")]
    async with scene(channel, intensity=RestartIntensity(max_restarts=0)) as s:
        await s.bot.wait_status("connected")
        worker.end()
        await trio.sleep(100)

        assert [c.state for c in s.bot.health().children] == [ChildState.STOPPED]
        assert s.bot.health().proven


async def test_a_child_that_is_no_async_function_fails_its_instance(
    autojump_clock: MockClock,
) -> None:
    """It is found out when it starts, and no retry mends it; the runtime goes on."""
    channel = ScriptedChannel()

    def plain() -> None:
        """Return None, which cannot be awaited."""

    channel.give_children = lambda *_: [spec_of(plain)]
    async with scene(channel) as s:
        failed = await s.log.wait_for(telemetry.InstanceFailed)

        assert failed.cause.reason == "invalid_spec"
        assert "must be an async function" in failed.cause.detail
        assert s.bot.health().restarts == 0
