"""A day of many channels on which nobody speaks, in virtual time: what it costs, what it breaks.

Run it with ``python benchmarks/quiet_day.py [CHANNELS] [HOURS]``. Every channel has both liveness
thresholds set, so that everything that could be done needlessly would be.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import trio
from attrs import frozen
from trio.testing import MockClock

from trio_instances import Instance, InstanceSpec, ProbePolicy, open_runtime, telemetry
from trio_instances.abc import Channel

POLICY = ProbePolicy(interval=300.0, transport_silence=60.0, data_silence=3600.0)
"""Each answer is a frame, as a pong is; so both kinds of silence are asked about."""


class QuietChannel(Channel[None]):
    """Connects, is never heard of unless it is asked, and answers then."""

    channel_type = "quiet"

    @asynccontextmanager
    async def connect(self, instance: Instance) -> AsyncIterator[None]:
        """Connect at once."""
        yield

    async def probe(self, instance: Instance, connection: None) -> None:
        """Answer after 50 ms, as over a network."""
        await trio.sleep(0.05)
        instance.saw_frame()


@frozen
class Day:
    """What came of it."""

    events: Counter[str]
    triggers: Counter[str]
    reconnects: int
    degraded: int
    seconds: float
    """Of processor time."""


async def spend_quiet_time(channels: int, hours: float, policy: ProbePolicy) -> Day:
    """Run so many channels for so long; needs a clock that jumps.

    Args:
        channels: How many.
        hours: Of virtual time.
        policy: When they are probed.
    """
    events: Counter[str] = Counter()
    triggers: Counter[str] = Counter()
    bus = telemetry.EventBus()

    def count(event: telemetry.Event) -> None:
        events[event.name] += 1
        if isinstance(event, telemetry.ProbeCompleted):
            triggers[event.trigger] += 1

    bus.listen(count)
    began = time.process_time()
    async with open_runtime(events=bus, random=Random(1), wall_clock=trio.current_time) as runtime:
        for number in range(channels):
            spec = InstanceSpec(id=f"quiet-{number}", channel=QuietChannel(), probe=policy)
            await runtime.start_instance(spec)
        await trio.sleep(hours * 3600)
        health = runtime.list_instance_health()

    return Day(
        events=events,
        triggers=triggers,
        reconnects=sum(each.reconnect_attempts for each in health),
        degraded=sum(each.status != "connected" for each in health),
        seconds=time.process_time() - began,
    )


def main(channels: int = 1000, hours: float = 24.0) -> None:
    """Spend the time, and say what came of it."""
    clock = MockClock(autojump_threshold=0)
    day = trio.run(spend_quiet_time, channels, hours, POLICY, clock=clock)
    probes = day.events["probe.completed"]
    print(f"{channels} channels, {hours:g} hours, {POLICY}")
    print(f"needless reconnects: {day.reconnects}; not connected at the end: {day.degraded}")
    print(f"probes: {probes}, {probes / channels / hours:.1f} a channel and hour; {day.triggers}")
    print(f"told: {day.events}")
    print(f"{day.seconds:.1f} s of processor time, {day.seconds / probes * 1e6:.0f} µs a probe")


if __name__ == "__main__":
    main(*(int(each) for each in sys.argv[1:]))
