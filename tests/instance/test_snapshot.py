"""The snapshot: one value that answers every question, in every status, without waiting."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    Cause,
    ChannelError,
    ChildSpec,
    ChildState,
    FailureClass,
    HealthSnapshot,
    Instance,
    InstanceStatus,
    ProbePolicy,
    WhoMustAct,
    telemetry,
)

from .scripted import HANGS, ScriptedChannel, Worker, degraded, fatal, lost, scene

S = InstanceStatus


@asynccontextmanager
async def instance_that_is(status: S) -> AsyncIterator[Instance]:
    """Bring an instance into a status."""
    channel = ScriptedChannel()
    begun = trio.Event()
    held: list[Instance] = []

    async def slow(*, task_status: trio.TaskStatus[None]) -> None:
        begun.set()
        if status is S.STARTING:
            await trio.sleep_forever()
        task_status.started()
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(3)

    def own(instance: Instance) -> list[ChildSpec]:
        held.append(instance)
        return [ChildSpec("slow", slow)]

    channel.give_own = own
    outcomes: dict[S, list[Any]] = {
        S.CONNECTING: [HANGS],
        S.RECONNECTING: [OSError("no"), HANGS],
        S.FAILED: [fatal()],
    }
    channel.outcomes = outcomes.get(status, [])
    async with trio.open_nursery() as nursery:

        async def run() -> None:
            probe, failures = ProbePolicy(interval=1.0), 1 if status is S.DEGRADED else 2
            async with scene(channel, probe=probe, failures_to_degrade=failures) as s:
                s.bot.watch_queue("outbox", trio.open_memory_channel[int](5)[0])
                await trio.sleep(2)
                s.bot.report_failure(ValueError("bad"))
                if status is S.PAUSED:
                    s.bot.pause()
                elif status in {S.STOPPING, S.STOPPED}:
                    await s.runtime.stop_instance("bot")
                await trio.sleep_forever()

        nursery.start_soon(run)
        await begun.wait()
        await trio.sleep(10 if status in {S.STOPPED, S.FAILED} else 2.5)
        yield held[0]
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("status", S)
async def test_a_snapshot_can_be_made_in_every_status_and_goes_through_json(
    autojump_clock: MockClock, status: S
) -> None:
    """All fields have values of their types, and come back from JSON as they were."""
    async with instance_that_is(status) as bot:
        health = bot.health()

        assert health.status is bot.status is status
        assert telemetry.snapshot_from_json(telemetry.snapshot_to_json(health)) == health
        connected = status in {S.CONNECTED, S.DEGRADED}
        assert health.connected == bot.connected == connected
        assert health.children_total == len(health.children)
        assert (health.since <= health.at) == (health.at == trio.current_time())
        assert health.generation == bot.generation
        running = {
            S.CONNECTED: ["slow", "reader"],
            S.DEGRADED: ["slow", "reader"],
            S.STOPPED: [],
            S.FAILED: [],
            S.STARTING: ["slow"],
        }
        assert [child.name for child in health.children] == running.get(status, ["slow"])
        assert (health.who_must_act is WhoMustAct.NOBODY) == (status not in {S.FAILED, S.DEGRADED})
        assert (health.probe.verdict is not None) == connected


async def test_a_snapshot_needs_no_await_and_is_frozen(autojump_clock: MockClock) -> None:
    """Nothing can happen while it is made, and it does not change when something does."""
    async with scene(ScriptedChannel()) as s:
        health = s.bot.health()
        await s.bot.wait_status("connected")

        assert isinstance(health, HealthSnapshot)
        assert health.status is S.CONNECTING
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            health.status = S.CONNECTED  # type: ignore[misc] # the point


async def test_it_answers_what_since_when_why_and_what_next(autojump_clock: MockClock) -> None:
    """While it waits for a retry: attempt, time of the next one, cause, class."""
    channel = ScriptedChannel(OSError("no route"), OSError("no route"))
    async with scene(channel, name="My Bot") as s:
        await s.log.wait_for(telemetry.ReconnectScheduled, times=2)
        await trio.sleep(0.25)
        health = s.bot.health()

        assert (health.instance_id, health.name, health.channel_type) == (
            "bot",
            "My Bot",
            "scripted",
        )
        assert (health.status, health.since, health.at) == ("reconnecting", 0, 0.75)
        assert (health.attempt, health.next_retry_at, health.generation) == (2, 1.5, 2)
        assert (health.last_error, health.last_error_class) == ("no route", "recoverable")
        assert health.cause is not None
        assert health.cause.error_type == "OSError"
        assert health.uptime == 0.75
        assert (health.reconnect_attempts, health.reconnects) == (1, 0)


async def test_it_tells_of_restarts_and_their_last_reason(autojump_clock: MockClock) -> None:
    """How often, why, and how bad."""
    channel = ScriptedChannel()
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        channel.reader.end(ValueError("bug"))
        await trio.sleep(1)
        health = s.bot.health()

        assert (health.restarts, health.last_restart_reason) == (1, "unexpected")
        assert health.last_restart_class is FailureClass.RECOVERABLE
        (child,) = health.children
        assert (child.incarnation, child.state, child.since) == (2, ChildState.RUNNING, 0)
        assert child.last_cause is not None
        assert child.last_cause.detail == "bug"


async def test_it_counts_children_by_what_they_do(autojump_clock: MockClock) -> None:
    """Total, running and parked; those of the instance and of the connection."""
    channel = ScriptedChannel()
    workers = {name: Worker() for name in ("a", "b", "c")}
    channel.give_own = lambda _: [ChildSpec("a", workers["a"].run, essential=False)]
    channel.give_children = lambda *_: [
        ChildSpec("b", workers["b"].run),
        ChildSpec("c", workers["c"].run, restart="transient"),
    ]
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        workers["a"].end(degraded())
        workers["c"].end()
        await trio.sleep(1)
        health = s.bot.health()

        assert (health.children_total, health.children_running, health.children_parked) == (3, 1, 1)
        assert [(c.name, c.state, c.of_connection, c.essential) for c in health.children] == [
            ("a", "parked", False, False),
            ("b", "running", True, True),
            ("c", "stopped", True, True),
        ]


async def test_it_keeps_no_exception(autojump_clock: MockClock) -> None:
    """A cause is text, so that nothing of a dead connection is held by what is shown."""
    channel = ScriptedChannel()
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        channel.reader.end(lost())
        await s.bot.wait_status("reconnecting")

        def leaves(value: Any) -> list[Any]:
            if attrs.has(type(value)):
                return [x for v in attrs.asdict(value, recurse=False).values() for x in leaves(v)]
            if isinstance(value, tuple):
                return [x for v in value for x in leaves(v)]
            return [value]

        assert {type(leaf).__module__.split(".")[0] for leaf in leaves(s.bot.health())} <= {
            "builtins",
            "trio_instances",
        }
        assert not any(isinstance(leaf, BaseException) for leaf in leaves(s.bot.health()))


async def test_the_representation_of_a_handle_says_what_it_is(autojump_clock: MockClock) -> None:
    """Id, type and status."""
    async with scene(ScriptedChannel()) as s:
        await s.bot.wait_status("connected")

        assert repr(s.bot) == "<Instance 'bot' scripted connected>"
        assert (s.bot.id, s.bot.name, s.bot.channel_type) == ("bot", "bot", "scripted")
        assert s.bot.spec.id == "bot"


async def test_who_must_act_on_a_recoverable_cause_is_named_when_retries_were_in_vain(
    autojump_clock: MockClock,
) -> None:
    """Until then a retry may mend it, and nobody is to be woken."""
    too_big = ChannelError(Cause("recoverable", "message_too_big", who_must_act="configuration"))
    channel = ScriptedChannel(*[too_big] * 5)
    async with scene(channel) as s:
        await s.log.wait_for(telemetry.ReconnectScheduled, times=4)
        assert s.bot.health().who_must_act == "nobody"
        await s.bot.wait_status("degraded")
        assert s.bot.health().who_must_act == "configuration"
        await s.bot.wait_status("connected")
        assert s.bot.health().who_must_act == "nobody"
