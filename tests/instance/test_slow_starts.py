"""The start of a connection: what is not asked yet, and what does not count yet."""

from __future__ import annotations

from typing import Any

import trio
from trio.testing import MockClock

from trio_instances import ProbePolicy, telemetry

from .scripted import Scene, ScriptedChannel, lost, scene

HOUR = 3600.0


def made_for_silence(s: Scene) -> list[float]:
    """Return when each probe ended that did not come in its turn."""
    completed = s.log.of(telemetry.ProbeCompleted)
    return [each.at for each in completed if each.trigger != "interval"]


def failing(times: int) -> ScriptedChannel:
    """Return a channel whose first probes fail, so many on every connection."""
    channel = ScriptedChannel()
    left: dict[int, int] = {}

    async def ask(connection: int) -> None:
        left[connection] = left.get(connection, times) - 1
        if left[connection] >= 0:
            raise TimeoutError("slow to start")

    channel.ask = ask
    return channel


async def probed(s: Scene, times: int) -> Any:
    """Wait until so many probes are complete; return the cause of each."""
    await s.log.wait_for(telemetry.ProbeCompleted, times=times)
    return [each.cause and each.cause.reason for each in s.log.of(telemetry.ProbeCompleted)]


async def test_a_connection_that_is_slow_to_start_has_a_budget_of_its_own(
    autojump_clock: MockClock,
) -> None:
    """As with a startup probe of Kubernetes: failures until the first pass are counted apart."""
    policy = ProbePolicy(startup_failures=10)
    async with scene(failing(9), probe=policy) as s:
        await probed(s, 12)

        assert (s.bot.status, s.bot.generation) == ("connected", 1)
        assert s.log.of(telemetry.InstanceDegraded) == []


async def test_the_budget_of_a_start_ends(autojump_clock: MockClock) -> None:
    """And each connection has one of its own."""
    policy = ProbePolicy(startup_failures=5)
    async with scene(failing(5), probe=policy) as s:
        await s.log.wait_for(telemetry.InstanceDisconnected, times=2)

        assert await probed(s, 10) == ["timeout"] * 10
        assert s.bot.generation == 2


async def test_after_its_first_pass_a_connection_has_no_patience_left(
    autojump_clock: MockClock,
) -> None:
    """What ends it then is the ordinary row of failures."""
    channel = ScriptedChannel()
    outcomes: list[Exception | None] = [OSError("a"), None, *[OSError("b")] * 3]

    async def ask(_: int) -> None:
        outcome = outcomes.pop(0) if outcomes else None
        if outcome is not None:
            raise outcome

    channel.ask = ask
    async with scene(channel, probe=ProbePolicy(startup_failures=50)) as s:
        await s.log.wait_for(telemetry.InstanceDisconnected)

        assert len(s.log.of(telemetry.ProbeCompleted)) == 5


async def test_nothing_is_asked_and_no_silence_counted_before_a_connection_is_open(
    autojump_clock: MockClock,
) -> None:
    """An attempt has its own budget, and children that are slow to start belong to it."""
    channel = ScriptedChannel(25.0)
    async with scene(channel, probe=ProbePolicy(interval=HOUR, data_silence=10)) as s:
        await trio.sleep(34)
        assert made_for_silence(s) == []
        await trio.sleep(2)
        assert made_for_silence(s) == [35]
        channel.outcomes.append(OSError("no"))
        channel.reader.end(lost())
        await trio.sleep(1.2)

        assert len(made_for_silence(s)) == 1
