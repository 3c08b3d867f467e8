"""A simulated day of a thousand channels on which nobody speaks."""

from __future__ import annotations

from collections import Counter
from random import Random

import trio
from trio.testing import MockClock

from trio_instances import InstanceSpec, ProbePolicy, open_runtime, telemetry
from trio_instances.telemetry import EventBus

from ..instance.scripted import ScriptedChannel

CHANNELS = 1000
HOUR = 3600.0
DAY = 24 * HOUR


async def test_a_day_of_a_thousand_quiet_channels_costs_no_reconnect(
    autojump_clock: MockClock,
) -> None:
    """Nobody is lost or degraded; each costs one probe a threshold beside the regular ones."""
    policy = ProbePolicy(interval=6 * HOUR, transport_silence=2 * HOUR, data_silence=5 * HOUR)
    told: Counter[str] = Counter()
    probes: Counter[str | None] = Counter()
    bus = EventBus()

    def count(event: telemetry.Event) -> None:
        told[event.name] += 1
        if isinstance(event, telemetry.ProbeCompleted):
            probes[event.instance_id] += 1

    bus.listen(count)
    async with open_runtime(events=bus, random=Random(1)) as runtime:
        for number in range(CHANNELS):
            spec = InstanceSpec(id=f"quiet-{number}", channel=ScriptedChannel(), probe=policy)
            await runtime.start_instance(spec)
        await trio.sleep(DAY)

        health = runtime.list_instance_health()
        assert {(each.status, each.generation) for each in health} == {("connected", 1)}
        assert told["instance.disconnected"] == told["instance.degraded"] == 0
        assert told["liveness.silent"] == 2 * CHANNELS
        most = 24 / 2 + 24 / 5 + 24 / 6 + 2
        assert all(24 / 2 - 1 <= number <= most for number in probes.values())
        assert len(probes) == CHANNELS
