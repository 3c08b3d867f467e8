"""Plays what the runbooks are about, on real runtimes, and keeps what is seen from outside.

Each is played in virtual time, but for the stalled loop: what blocks, blocks in real time.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import final

import trio
from attrs import define, field, frozen
from prometheus_client import CollectorRegistry, generate_latest
from trio.testing import MockClock

from trio_instances import (
    BudgetPolicy,
    ChildSpec,
    ConnectionBudget,
    Instance,
    InstanceSpec,
    ProbePolicy,
    Runtime,
    open_runtime,
    telemetry,
    watch_stalls,
)
from trio_instances.channels import MemoryChannel, MemoryConnection, MemoryServer
from trio_instances.policy.causes import DEFAULTS, DISCORD
from trio_instances.telemetry.sinks.prometheus import PrometheusCollector

FLEET = 20
Body = Callable[[Instance], Awaitable[None]]


@final
@define(eq=False)
class Scene:
    """One play: its runtime, and what has been seen of it."""

    runtime: Runtime
    server: MemoryServer
    began: float = field(factory=trio.current_time)
    told: list[tuple[str | None, str]] = field(factory=list)
    """Each event's instance and line."""
    metrics: list[str] = field(factory=list)

    def hear(self, event: telemetry.Event) -> None:
        """Keep an event as a line, with the seconds since the beginning."""
        line = f"{event.at - self.began:8.1f}  {telemetry.one_line(event)}"
        self.told.append((event.instance_id, line))

    def scrape(self) -> None:
        """Keep what Prometheus would read now."""
        registry = CollectorRegistry()
        registry.register(PrometheusCollector(self.runtime))
        lines = generate_latest(registry).decode().splitlines()
        self.metrics = [line for line in lines if not line.startswith("#")]


Play = Callable[[Scene], Awaitable[None]]


@final
@frozen
class Situation:
    """What a runbook is about."""

    play: Play
    shown: Sequence[str]
    """The events that its runbook shows, by their names' beginnings."""
    measured: Sequence[str]
    """The metrics that its runbook shows, by their names."""
    about: str = "feed-1"
    """The instance that both are about."""


@final
class Feed(MemoryChannel):
    """A feed with a task of its own, which does what a situation needs."""

    channel_type = "feed"

    def __init__(self, server: MemoryServer, body: Body | None = None) -> None:
        super().__init__(server)
        self._body = body

    def children(self, instance: Instance, connection: MemoryConnection) -> Sequence[ChildSpec]:
        """Return the receiver, the sender, and what the situation needs."""
        own = () if self._body is None else (ChildSpec("parser", self._body, (instance,)),)
        return (*super().children(instance, connection), *own)


async def outage(scene: Scene) -> None:
    """The provider goes away for ten minutes under a fleet that shares one budget."""
    budget = ConnectionBudget("provider", BudgetPolicy(attempts_per_second=2.0, burst=2))
    ends = []
    for number in range(1, FLEET + 1):
        spec = InstanceSpec(id=f"feed-{number}", channel=Feed(scene.server), budget=budget)
        await scene.runtime.start_instance(spec)
        ends.append(await scene.server.accept())
    await trio.sleep(400)

    scene.server.refusal = DEFAULTS.cause_of_status(503)
    for end in ends:  # not all at once: whoever is first in Trio's eyes is a matter of chance
        end.close(DEFAULTS.cause_of_close(1006))
        await trio.sleep(0.001)
    await trio.sleep(300)
    scene.scrape()
    await trio.sleep(300)
    scene.server.refusal = None
    for _ in ends:
        await scene.server.accept()
    await trio.sleep(60)


async def credentials(scene: Scene) -> None:
    """A token has been withdrawn."""
    scene.server.refusal = DISCORD.cause_of_close(4004, "Authentication failed.")
    await scene.runtime.start_instance(InstanceSpec(id="feed-1", channel=Feed(scene.server)))
    await trio.sleep(60)
    scene.scrape()


async def crash_loop(scene: Scene) -> None:
    """A task of a connection fails on a message that comes again and again."""

    async def parse(_: Instance) -> None:
        await trio.sleep(2)
        raise KeyError("price")

    await scene.runtime.start_instance(InstanceSpec(id="feed-1", channel=Feed(scene.server, parse)))
    with trio.move_on_after(120):
        while True:
            await scene.server.accept()
    scene.scrape()


async def deaf(scene: Scene) -> None:
    """The other side answers each probe, and sends nothing any more."""
    policy = ProbePolicy(data_silence=60.0)
    spec = InstanceSpec(id="feed-1", channel=Feed(scene.server), probe=policy)
    await scene.runtime.start_instance(spec)
    end = await scene.server.accept()
    for _ in range(10):
        await end.send("price")
        await trio.sleep(5)
    await trio.sleep(300)
    scene.scrape()
    await end.send("price")
    await trio.sleep(60)


async def stuck_stop(scene: Scene) -> None:
    """A task does not end when it is cancelled."""
    gone = trio.Event()

    async def parse(_: Instance) -> None:
        with trio.CancelScope(shield=True):
            await gone.wait()

    await scene.runtime.start_instance(InstanceSpec(id="feed-1", channel=Feed(scene.server, parse)))
    await scene.server.accept()
    await trio.sleep(60)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.runtime.stop_instance, "feed-1")
        await trio.sleep(90)
        scene.scrape()
        gone.set()


async def stalled(scene: Scene) -> None:
    """A task does not let the others run."""

    async def parse(_: Instance) -> None:
        await trio.sleep(1)
        work_hard()
        await trio.sleep_forever()

    with watch_stalls(0.1, events=scene.runtime.events, warn=lambda _: None):
        await scene.runtime.start_instance(
            InstanceSpec(id="feed-1", channel=Feed(scene.server, parse))
        )
        await scene.server.accept()
        await trio.sleep(5)
    scene.scrape()


def work_hard() -> None:
    """Block, as a call into a slow library does."""
    time.sleep(0.3)


SITUATIONS: Mapping[str, Situation] = {
    "provider-outage": Situation(
        outage,
        ["breaker", "instance.disc", "instance.connected", "instance.proven", "reconnect"],
        ["instances", "next_retry_seconds", "attempts_in_a_row", "budget", "breaker"],
    ),
    "bad-credentials": Situation(
        credentials,
        ["reconnect", "supervisor", "child.parked", "instance.failed"],
        ["instances", "action_needed", "attempts_in_a_row", "next_retry_seconds"],
    ),
    "crash-loop": Situation(
        crash_loop,
        ["child.exited", "supervisor", "instance.disc", "reconnect.sch", "instance.degraded"],
        ["instances", "action_needed", "restarts_total", "reconnects_total", "next_retry_seconds"],
    ),
    "alive-but-deaf": Situation(
        deaf,
        ["instance.proven", "liveness"],
        ["connected", "proven", "last_frame_age_seconds", "last_event_age_seconds"],
    ),
    "stuck-stop": Situation(
        stuck_stop,
        ["instance.stop", "child.stuck"],
        ["instances", "children", "status_age_seconds"],
    ),
    "stalled-loop": Situation(
        stalled, ["loop"], ["instances", "loop_stalls_total", "loop_stalled_seconds_total"]
    ),
}


@asynccontextmanager
async def _scene() -> AsyncIterator[Scene]:
    bus = telemetry.EventBus()
    async with open_runtime(events=bus, random=Random(1)) as runtime:
        scene = Scene(runtime, MemoryServer())
        with bus.listen(scene.hear):
            yield scene


def play(situation: Situation) -> Scene:
    """Play a situation, and return what was seen."""

    async def main() -> Scene:
        async with _scene() as scene:
            await situation.play(scene)
        return scene

    return trio.run(main, clock=MockClock(autojump_threshold=0.0))
