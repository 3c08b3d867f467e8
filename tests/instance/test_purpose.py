"""What an instance is for, a law to each sentence of its purpose."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    ChildSpec,
    ChildState,
    Escalation,
    FatalChildFailure,
    InstanceFailed,
    InstanceSpec,
    InstanceStatus,
    OnInstanceFailure,
    RuntimeSettings,
    WhoMustAct,
    telemetry,
)

from .scripted import (
    DELAYS,
    STEADY,
    Scene,
    ScriptedChannel,
    Worker,
    fatal,
    incarnations,
    lost,
    scene,
)


async def test_starting_an_instance_starts_the_expected_children_and_reports_health(
    autojump_clock: MockClock,
) -> None:
    """Its own children run, those of the connection run, and the snapshot lists them all."""
    channel = ScriptedChannel()
    keeper = Worker()
    channel.give_own = lambda _: [ChildSpec("keeper", keeper.run)]
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        health = s.runtime.instance_health("bot")

        assert keeper.running == channel.reader.running == 1
        assert [(c.name, c.state, c.of_connection) for c in health.children] == [
            ("keeper", ChildState.RUNNING, False),
            ("reader", ChildState.RUNNING, True),
        ]
        assert (health.status, health.connected) == (InstanceStatus.CONNECTED, True)
        assert (health.children_total, health.children_running) == (2, 2)
        assert s.log.of(telemetry.InstanceStarted)[0].children == ("keeper",)
        assert s.log.of(telemetry.InstanceConnected)[0].children == ("reader",)


async def test_an_instance_without_any_children_still_runs(autojump_clock: MockClock) -> None:
    """Neither kind of children is needed."""
    channel = ScriptedChannel()
    channel.give_children = lambda *_: ()
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        await trio.sleep(100)

        assert s.bot.health().proven
        assert s.bot.health().children == ()


async def test_recoverable_failures_reconnect_within_bounds_then_degrade_and_go_on_slowly(
    autojump_clock: MockClock,
) -> None:
    """Five quick attempts with growing delays; from then on degraded, slow, capped, for ever."""
    channel = ScriptedChannel(*[ConnectionRefusedError("no")] * 9)
    async with scene(channel) as s:
        await s.bot.wait_status("degraded")
        assert len(channel.attempts) == 5
        assert [reason.what for reason in s.bot.health().degraded] == ["reconnect"]

        await trio.sleep(sum(DELAYS))
        assert channel.gaps == pytest.approx(DELAYS)
        assert [e.quick for e in s.log.of(telemetry.ReconnectScheduled)] == [True] * 4 + [False] * 5
        assert [e.attempts for e in s.log.of(telemetry.ReconnectExhausted)] == [5]
        assert len(s.log.of(telemetry.ReconnectFailed)) == 9
        assert s.bot.connected


async def test_a_fatal_connect_fails_the_instance_at_once_and_says_who_must_act(
    autojump_clock: MockClock,
) -> None:
    """Nothing is retried, and the cause is in the error, the event and the snapshot."""
    channel = ScriptedChannel(fatal())
    async with scene(channel) as s:
        with pytest.raises(InstanceFailed, match="credentials") as caught:
            await s.bot.wait_status("connected")

        health = s.bot.health()
        assert caught.value.cause.reason == "banned"
        assert [e.cause.who_must_act for e in s.log.of(telemetry.InstanceFailed)] == ["credentials"]
        assert (health.status, health.who_must_act) == ("failed", WhoMustAct.CREDENTIALS)
        await trio.sleep(10_000)
        assert len(channel.attempts) == 1
        assert s.bot.status is InstanceStatus.FAILED


async def test_repeated_startup_failures_escalate_as_configured_and_are_seen(
    autojump_clock: MockClock,
) -> None:
    """A child that starts no more: 5 restarts in it, then 6 of the instance, and it has failed."""
    channel = ScriptedChannel()
    starts = 0

    async def works_once(*, task_status: trio.TaskStatus[None]) -> None:
        nonlocal starts
        starts += 1
        if starts == 1:
            task_status.started()
        raise OSError("no disk")

    channel.give_own = lambda _: [ChildSpec("keeper", works_once)]
    async with scene(channel) as s:
        with pytest.raises(InstanceFailed, match="no disk"):
            await s.bot.wait_status("paused")

        restarting = [e.child for e in s.log.of(telemetry.ChildRestarting)]
        assert restarting == ["keeper"] * 5 + ["bot"] * 6
        assert starts == 1 + 5 + 6
        escalated = s.log.of(telemetry.SupervisorEscalated)
        assert [(e.path, e.restarts, e.period, e.exceeded) for e in escalated] == [
            ("runtime/bot", 5, 30.0, True)
        ]
        assert s.bot.health().restarts == 11
        assert s.bot.health().who_must_act is WhoMustAct.OPERATOR
        assert len(s.log.of(telemetry.InstanceFailed)) == 1


async def test_a_child_that_keeps_crashing_uses_up_both_budgets(autojump_clock: MockClock) -> None:
    """Each of the seven runs of the instance allows it five restarts."""
    channel = ScriptedChannel()
    starts = 0

    async def crashes() -> None:
        nonlocal starts
        starts += 1
        await trio.sleep(0.1)
        raise ValueError("bug")

    channel.give_own = lambda _: [ChildSpec("keeper", crashes)]
    async with scene(channel) as s:
        with pytest.raises(InstanceFailed, match="bug"):
            await s.bot.wait_status("paused")

        assert starts == 7 * 6
        assert s.bot.health().restarts == 7 * 5 + 6
        assert s.log.of(telemetry.InstanceFailed)[0].cause.who_must_act == "author"


async def test_crashes_that_are_rare_enough_never_escalate(autojump_clock: MockClock) -> None:
    """Five restarts in any thirty seconds are within the budget, for ever."""
    channel = ScriptedChannel()

    async def crashes() -> None:
        await trio.sleep(6.1)
        raise ValueError("bug")

    channel.give_own = lambda _: [ChildSpec("keeper", crashes)]
    async with scene(channel) as s:
        await trio.sleep(3600)

        assert s.bot.status is InstanceStatus.CONNECTED
        assert incarnations(s.bot)["reader"] == 1


async def test_an_instance_that_fails_ends_a_runtime_that_is_told_to_escalate(
    autojump_clock: MockClock,
) -> None:
    """`on_instance_failure='escalate'` raises from the block, after the ordered stop of all."""
    settings = RuntimeSettings(on_instance_failure=OnInstanceFailure.ESCALATE)
    other, channel = ScriptedChannel(), ScriptedChannel(1.0, fatal())
    spec = InstanceSpec(id="other", channel=other, reconnect=STEADY)

    async def run() -> None:
        async with scene(channel, settings=settings) as s:
            held.append(s)
            await s.runtime.start_instance(spec)
            await s.bot.wait_status("connected")
            channel.reader.end(lost())
            await trio.sleep_forever()

    held: list[Scene] = []
    with pytest.raises(FatalChildFailure, match="banned") as caught:
        await run()

    (s,) = held

    assert isinstance(caught.value, Escalation)
    assert (caught.value.path, caught.value.child) == ("runtime", "runtime/bot")
    assert other.closed == [1.0 + 0.5]
    assert [e.instance_id for e in s.log.of(telemetry.InstanceFailed)] == ["bot"]
    assert s.bot.status is InstanceStatus.FAILED
    # The runtime's own services, which are children too, stop meanwhile.
    ends = [name for name in s.log.names() if not name.startswith("child.")]
    assert ends[-2:] == ["instance.stopped", "runtime.stopped"]


async def test_stop_ends_all_children_in_reverse_order_with_none_left(
    autojump_clock: MockClock,
) -> None:
    """The connection's children, the connection, the instance's children: each last to first."""
    channel = ScriptedChannel()
    ends: list[str] = []

    def noting(name: str) -> ChildSpec:
        async def run() -> None:
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(1)
                ends.append(name)

        return ChildSpec(name, run)

    async def close() -> None:
        await trio.sleep(1)
        ends.append("close")

    channel.give_own = lambda _: [noting("own 1"), noting("own 2")]
    channel.give_children = lambda *_: [noting("of connection 1"), noting("of connection 2")]
    channel.close = close
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        tasks = trio.lowlevel.current_statistics().tasks_living
        await s.runtime.stop_instance("bot")

        assert ends == ["of connection 2", "of connection 1", "close", "own 2", "own 1"]
        assert trio.current_time() == 5
        assert s.bot.status is InstanceStatus.STOPPED
        assert s.bot.health().children == ()
        # four children, the connection's loop and the instance itself
        assert trio.lowlevel.current_statistics().tasks_living == tasks - 6


async def test_a_childs_crash_leaves_every_unrelated_subtree_untouched(
    autojump_clock: MockClock,
) -> None:
    """Siblings, the instance's own children and other instances keep their incarnations."""
    channel, other = ScriptedChannel(), ScriptedChannel()
    worker, keeper = Worker(), Worker()
    channel.give_own = lambda _: [ChildSpec("keeper", keeper.run)]
    channel.give_children = lambda *_: [
        ChildSpec("reader", channel.reader.run),
        ChildSpec("worker", worker.run),
    ]
    async with scene(channel) as s:
        neighbour = await s.runtime.start_instance(InstanceSpec(id="other", channel=other))
        await s.bot.wait_status("connected")
        await neighbour.wait_status("connected")
        before = incarnations(neighbour)
        for _ in range(3):
            worker.end(ValueError("bug"))
            await trio.sleep(1)

        assert incarnations(s.bot) == {"keeper": 1, "reader": 1, "worker": 4}
        assert incarnations(neighbour) == before
        assert len(worker.began_at) == 4
        assert len(keeper.began_at) == len(channel.reader.began_at) == 1
        assert channel.attempts == other.attempts == [0]
        assert s.bot.status is InstanceStatus.CONNECTED
        assert (neighbour.health().restarts, s.bot.health().restarts) == (0, 3)
