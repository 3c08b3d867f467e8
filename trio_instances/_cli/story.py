"""The demo's story, act by act. Each waits for what should happen, never for time to pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast, final

import trio
from attrs import frozen

from ..policy.status import InstanceStatus
from .chart import MOMENT, Allowance, busiest_second, chart
from .fleet import OPTIONAL, Cast, DemoChannel
from .tally import Tally, What

if TYPE_CHECKING:
    from .._instance.spec import InstanceSpec
    from .._runtime.runtime import Runtime
    from ..testing.gateway import Gateway


@final
@frozen(kw_only=True)
class Stage:
    """What the acts play on."""

    runtime: Runtime
    gateway: Gateway
    fleet: Sequence[InstanceSpec]
    cast: Cast
    tally: Tally
    tell: Callable[[str], None]
    """Tells the audience."""
    allowance: Allowance
    """What the budget of the fleet allows."""
    plain: bool
    """Whether the audience can see nothing but ASCII."""
    pause: float
    """Seconds between two acts, to let people watch."""

    def channel(self, name: str) -> DemoChannel:
        """Return the channel of an instance."""
        return cast("DemoChannel", self.runtime.instance(name).spec.channel)


async def play(stage: Stage) -> None:
    """Play every act but the last: the ordered stop is the end of the runtime's own block."""
    await _start(stage)
    await trio.sleep(stage.pause)
    await play_again(stage)


async def play_again(stage: Stage) -> None:
    """Play every act that needs no more than a fleet that is up, and leaves it so."""
    for act in (_crash, _die, _fall_silent, _degrade, _recover):
        await act(stage)
        await trio.sleep(stage.pause)


async def _start(stage: Stage) -> None:
    refused, others = stage.cast.refused, len(stage.fleet) - 1
    for spec in stage.fleet:
        await stage.runtime.start_instance(spec)
    await stage.tally.reach(What.CONNECTED, others)
    await stage.tally.reach(What.REFUSED, 1)
    health = stage.runtime.instance_health(refused)
    reason = "?" if health.cause is None else health.cause.reason
    stage.tell(f"{others} instances are connected; {refused} is refused ({reason}) and parked")


async def _crash(stage: Stage) -> None:
    name = stage.cast.crashing
    stage.channel(name).crash_worker()
    await stage.tally.reach(What.RESTARTED, 1)
    health = stage.runtime.instance_health(name)
    stage.tell(f"a child of {name} crashed and runs again, still on connection {health.generation}")


async def _die(stage: Stage) -> None:
    others, died_at = len(stage.fleet) - 1, trio.current_time()
    await stage.gateway.die()
    await stage.tally.reach(What.LOST, others)
    stage.tell(f"the gateway is dead: {others} connections lost, all their instances retry")
    await stage.tally.reach(What.IN_VAIN, others)
    await trio.sleep(stage.pause / 2)
    await stage.gateway.revive()
    await stage.tally.reach(What.REMADE, others)
    slowest = max(stage.tally.outages)
    stage.tell(f"the gateway is back, and so are they; the longest outage took {slowest:.1f} s")
    _draw_attempts(stage, died_at)


def _draw_attempts(stage: Stage, since: float) -> None:
    times = [at for at in stage.tally.attempts if at >= since]
    bars = chart(times, since, trio.current_time(), plain=stage.plain)
    most, allowed = busiest_second(times), stage.allowance
    stage.tell(
        f"attempts, a bar for each {MOMENT:g} s: [{bars}] at most {most} in a second; "
        f"the budget allows {allowed.a_second:g}, and {allowed.burst} at once"
    )


async def _fall_silent(stage: Stage) -> None:
    name = stage.cast.silent
    client = await stage.gateway.wait_client(f"/{name}")
    client.answers_pings = False
    await stage.tally.reach(What.SILENT, 1)
    stage.tell(f"{name} got no pongs, and gave its connection up")
    await stage.tally.reach(What.REMADE, len(stage.fleet))
    stage.tell(f"{name} is connected again")


async def _degrade(stage: Stage) -> None:
    name = stage.cast.degraded
    instance = stage.runtime.instance(name)
    stage.channel(name).fail_translator()
    await instance.wait_status(InstanceStatus.DEGRADED)
    await stage.tally.reach(What.PARKED, 1)
    state = "still connected" if instance.connected else "not connected"
    stage.tell(f"an optional child of {name} is parked; {name} is degraded, {state}")


async def _recover(stage: Stage) -> None:
    name = stage.cast.degraded
    instance = stage.runtime.instance(name)
    await instance.restart_child(OPTIONAL)
    await instance.wait_status(InstanceStatus.CONNECTED)
    stage.tell(f"the optional child of {name} is revived, and {name} is well again")
