"""A probe as a task: where it runs, what it sees, and how it ends, cancelled once or twice."""

from __future__ import annotations

from contextvars import ContextVar
from functools import partial
from random import Random

import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    Instance,
    InstanceSpec,
    ProbePolicy,
    RuntimeSettings,
    current_child_path,
    open_runtime,
    telemetry,
)
from trio_instances.telemetry import EventBus
from trio_instances.testing import EventRecorder

from .scripted import OverlappingChannel, ScriptedChannel, degraded, scene

OFTEN = ProbePolicy(interval=1.0, jitter=0.0, failures_to_fail=1000)
seen: ContextVar[int] = ContextVar("seen", default=0)


async def test_a_probe_belongs_to_its_connection_whoever_starts_it(
    autojump_clock: MockClock,
) -> None:
    """It has the context of the connection's task, not that of the schedule; Ctrl-C reaches it."""
    channel = ScriptedChannel()
    found: set[tuple[str | None, bool]] = set()

    async def ask(_: int) -> None:
        found.add((current_child_path(), trio.lowlevel.currently_ki_protected()))

    channel.ask = ask
    async with scene(channel, probe=OFTEN):
        await trio.sleep(5)

    assert found == {("runtime/bot", False)}


async def test_what_a_probe_sets_in_its_context_the_next_one_does_not_see(
    autojump_clock: MockClock,
) -> None:
    """Each begins with that of the connection."""
    channel = ScriptedChannel()
    values: list[int] = []

    async def ask(_: int) -> None:
        values.append(seen.get())
        seen.set(len(values))

    channel.ask = ask
    async with scene(channel, probe=OFTEN):
        await trio.sleep(5)

    assert values == [0] * 5


async def test_a_probe_that_fails_when_its_time_is_up_has_failed_by_that(
    autojump_clock: MockClock,
) -> None:
    """By its time: what a child of it raises while it is cancelled comes too late."""
    channel = ScriptedChannel()

    async def fail_in_cleanup() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("in the cleanup")

    async def ask(_: int) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail_in_cleanup)
            await trio.sleep_forever()

    channel.ask = ask
    async with scene(channel, probe=OFTEN) as s:
        completed = await s.log.wait_for(telemetry.ProbeCompleted)

        assert completed.cause is not None
        assert (completed.cause.reason, completed.latency) == ("probe_timeout", 5)
        await trio.sleep(0.5)
        assert len(s.log.of(telemetry.ProbeCompleted)) == 1
        assert s.bot.connected


async def test_a_probe_that_fails_while_its_connection_ends_says_nothing_any_more(
    autojump_clock: MockClock,
) -> None:
    """The end goes on as if it had not failed, and waits for the probe."""
    channel = ScriptedChannel()

    async def ask(_: int) -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(2)
            raise ValueError("in the cleanup")

    channel.ask = ask
    async with scene(channel, probe=OFTEN) as s:
        await trio.sleep(1.5)
        s.bot.pause()
        await trio.sleep(10)

        assert channel.closed == [3.5]
        assert s.log.of(telemetry.ProbeCompleted) == []
        assert s.bot.status == "paused"


async def test_a_probe_cancelled_by_its_budget_and_then_by_its_connection_ends_once(
    autojump_clock: MockClock,
) -> None:
    """Whichever comes first; the slow cleanup of one is in no other connection's way."""
    channel = ScriptedChannel()
    ends: list[float] = []

    async def ask(_: int) -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(10)
            ends.append(trio.current_time())

    channel.ask = ask
    async with scene(channel, probe=OFTEN) as s:
        await trio.sleep(8)
        s.bot.reconnect()
        await s.log.wait_for(telemetry.InstanceConnected, times=2)

        assert len(ends) == 1
        assert ends[0] == pytest.approx(channel.attempts[1])
        assert [each.latency for each in s.log.of(telemetry.ProbeCompleted)] == [5]


async def test_the_end_of_a_runtime_waits_for_its_probes(autojump_clock: MockClock) -> None:
    """Cancelled from outside in the middle of one, it ends in order, and nothing is left."""
    channel = ScriptedChannel()
    running = [0]

    async def ask(_: int) -> None:
        running[0] += 1
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(2)
            running[0] -= 1

    channel.ask = ask
    with trio.move_on_after(1.5) as scope:
        async with scene(channel, probe=OFTEN):
            await trio.sleep_forever()

    assert scope.cancelled_caught
    assert trio.current_time() == 3.5
    assert running == [0]
    assert len(channel.closed) == 1


async def test_a_probe_that_ends_its_own_connection_says_nothing_more_of_it(
    autojump_clock: MockClock,
) -> None:
    """A channel may ask for a new connection itself; a verdict on the old one is of no use then."""
    channel = ScriptedChannel()
    bots: list[Instance] = []

    async def ask(connection: int) -> None:
        if connection == 1:
            bots[0].reconnect()
            raise OSError("that one was bad")

    channel.ask = ask
    async with scene(channel, probe=ProbePolicy(interval=1.0, failures_to_fail=1)) as s:
        bots.append(s.bot)
        await trio.sleep(10)

        assert s.bot.generation == 2
        assert {e.generation for e in s.log.of(telemetry.ProbeCompleted)} == {2}


async def test_what_a_listener_ends_at_a_bad_verdict_is_not_degraded_as_well(
    autojump_clock: MockClock,
) -> None:
    """The connection that the verdict was about is gone when the listener returns."""
    channel = ScriptedChannel()
    bus, log = EventBus(), EventRecorder()
    bots: list[Instance] = []

    def impatient(event: telemetry.Event) -> None:
        if isinstance(event, telemetry.ProbeCompleted) and event.verdict != "ok":
            bots[0].pause()

    async def ask(_: int) -> None:
        raise degraded()

    channel.ask = ask
    bus.listen(impatient)
    async with scene(
        channel, probe=ProbePolicy(interval=1.0, failures_to_fail=1), bus=bus, log=log
    ) as s:
        bots.append(s.bot)
        await trio.sleep(10)

        assert s.bot.status == "paused"
        assert log.of(telemetry.InstanceDegraded) == []


async def test_in_a_handover_each_connection_is_judged_by_its_own_probes(
    autojump_clock: MockClock,
) -> None:
    """The old one until the new one is open, and from then on the new one alone."""
    channel = OverlappingChannel(0.0, 5.0)
    channel.close = partial(trio.sleep, 8)
    asked: list[tuple[int, float]] = []

    async def ask(connection: int) -> None:
        asked.append((connection, trio.current_time()))
        if connection == 1:
            raise degraded()

    channel.ask = ask
    policy = ProbePolicy(interval=1.0, failures_to_fail=2, data_silence=500)
    async with scene(channel, probe=policy) as s:
        await s.bot.wait_status("degraded")
        await trio.sleep(10 - trio.current_time())
        s.bot.rotate()
        await s.log.wait_for(telemetry.InstanceConnected, times=2)
        assert (s.bot.status, s.bot.health().probe.verdict) == ("connected", None)
        await trio.sleep(100)

        assert all((connection == 1) == (at <= 15) for connection, at in asked)
        assert {connection for connection, _ in asked} == {1, 2}
        assert (s.bot.status, s.bot.health().probe.verdict) == ("connected", "ok")
        recovered = s.log.of(telemetry.InstanceRecovered)
        assert [(e.what, e.at) for e in recovered] == [("probe", 15)]


async def test_a_probe_of_the_old_connection_says_nothing_after_a_handover(
    autojump_clock: MockClock,
) -> None:
    """It runs while the new one opens, and ends later."""
    channel = OverlappingChannel(0.0, 0.5)

    async def ask(connection: int) -> None:
        if connection == 1:
            with trio.CancelScope(shield=True):
                await trio.sleep(4)
            raise OSError("of the old one")

    channel.ask = ask
    policy = ProbePolicy(interval=1000.0, data_silence=10.0, failures_to_fail=1)
    async with scene(channel, probe=policy) as s:
        await trio.sleep(11)
        s.bot.rotate()
        await trio.sleep(100)

        assert s.bot.generation == 2
        assert {e.generation for e in s.log.of(telemetry.ProbeCompleted)} == {2}


async def test_a_connection_that_is_ended_as_soon_as_it_is_open_is_not_probed(
    autojump_clock: MockClock,
) -> None:
    """A listener may end it at the very news of it."""
    channel = ScriptedChannel()
    bus, log = EventBus(), EventRecorder()
    bots: list[Instance] = []
    asked: list[int] = []

    def pause(event: telemetry.Event) -> None:
        if isinstance(event, telemetry.InstanceConnected):
            bots[0].pause()

    async def ask(connection: int) -> None:
        asked.append(connection)

    async def close() -> None:
        await trio.sleep(5)

    channel.ask, channel.close = ask, close
    channel.outcomes.append(1.0)
    bus.listen(pause)
    at_once = ProbePolicy(interval=1e-300)
    async with scene(channel, probe=at_once, bus=bus, log=log) as s:
        bots.append(s.bot)
        for _ in range(50):  # which task comes first at one time is a matter of chance
            await trio.sleep(30)
            assert s.bot.status == "paused"
            s.bot.resume()

        assert asked == []
        assert s.bot.health().probe.verdict is None


async def test_ctrl_c_in_a_probe_ends_the_runtime(autojump_clock: MockClock) -> None:
    """It goes through, and the other instances stop in order."""
    channel = ScriptedChannel()

    async def ask(_: int) -> None:
        raise KeyboardInterrupt

    channel.ask = ask
    with pytest.raises(KeyboardInterrupt):
        async with scene(channel, probe=OFTEN):
            await trio.sleep_forever()

    assert channel.living == 0


async def test_what_fails_beside_ctrl_c_in_a_probe_is_a_verdict(autojump_clock: MockClock) -> None:
    """The ordinary part of a group is the probe's own failure, and Ctrl-C goes through alone."""
    channel = ScriptedChannel()
    log = EventRecorder()

    async def ask(_: int) -> None:
        raise BaseExceptionGroup("both", [KeyboardInterrupt(), ValueError("own")])

    channel.ask = ask
    with pytest.raises(KeyboardInterrupt):
        async with scene(channel, probe=OFTEN, log=log):
            await trio.sleep_forever()

    completed = log.of(telemetry.ProbeCompleted)
    assert [e.cause.error_type for e in completed if e.cause is not None] == ["ValueError"]


async def test_no_probe_begins_once_the_runtime_ends(autojump_clock: MockClock) -> None:
    """Nor one that waits in line for the slot of one that ends with its connection."""
    quick, hanging = ScriptedChannel(), ScriptedChannel()
    asked: list[float] = []

    async def ask(_: int) -> None:
        asked.append(trio.current_time())

    async def hang(_: int) -> None:
        await trio.sleep_forever()

    quick.ask, hanging.ask = ask, hang
    async with open_runtime(RuntimeSettings(probes_at_once=1), random=Random(1)) as runtime:
        for name, channel in (("quick", quick), ("hanging", hanging)):
            spec = InstanceSpec(id=name, channel=channel, probe=OFTEN)
            await (await runtime.start_instance(spec)).wait_status("connected")
        await trio.sleep(2.5)
        before = len(asked)

    assert len(asked) == before <= 1
    assert quick.living == hanging.living == 0


async def test_a_runtime_without_instances_has_nothing_to_probe(
    autojump_clock: MockClock,
) -> None:
    """Its services end with it."""
    async with open_runtime():
        await trio.sleep(100)

    assert trio.current_time() == 100
