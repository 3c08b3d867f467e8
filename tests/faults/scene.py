"""A runtime with two healthy neighbours, who must never notice what goes on beside them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any, final

import trio
from attrs import frozen

from trio_instances import (
    Instance,
    InstanceSpec,
    InstanceStatus,
    ProbePolicy,
    ReconnectPolicy,
    Runtime,
    open_runtime,
    telemetry,
)
from trio_instances.channels import WebSocketChannel
from trio_instances.policy.health import ProbeVerdict

from .servers import Server, open_server
from .story import Story

_LULL = 2.0
"""Seconds that neighbours may be silent: far more than a busy machine needs."""
_PAUSE = 0.02
_PROBED_OFTEN = ProbePolicy(interval=0.2, timeout=10.0)

DISTURBANCES: tuple[type[telemetry.Event], ...] = (
    telemetry.ChildExited,
    telemetry.ChildParked,
    telemetry.ChildRestarting,
    telemetry.ChildStartFailed,
    telemetry.HookFailed,
    telemetry.InstanceDegraded,
    telemetry.InstanceDisconnected,
    telemetry.InstanceFailed,
    telemetry.ReconnectAttempt,
    telemetry.ReconnectFailed,
    telemetry.ReconnectScheduled,
)
"""What an instance never tells that nothing happens to."""


@final
class Chatter:
    """A channel that says hello, and says again whatever it hears.

    Args:
        url: The server's; an echo server keeps it talking.
        options: As `WebSocketChannel` has them.
    """

    def __init__(self, url: str, **options: Any) -> None:
        self.channel = WebSocketChannel(url, on_message=self._answer, **options)
        self.times = [trio.current_time()]
        """When a message came back; the first is when there was nothing yet."""
        self._came = trio.Event()
        self.channel.send_nowait("hello")

    async def _answer(self, _: Instance, message: str | bytes) -> None:
        self.times.append(trio.current_time())
        self._came.set()
        self._came = trio.Event()
        await trio.sleep(_PAUSE)
        await self.channel.send(message)

    async def go_on(self, messages: int = 3) -> None:
        """Wait until so many more messages came back."""
        wanted = len(self.times) + messages
        while len(self.times) < wanted:
            await self._came.wait()

    @property
    def longest_lull(self) -> float:
        """The longest time without a message, until now."""
        return max(after - before for before, after in pairwise([*self.times, trio.current_time()]))


@final
@frozen
class Neighbour:
    """A healthy instance that goes on talking."""

    chatter: Chatter
    story: Story

    def noticed(self) -> list[object]:
        """Return whatever there is of it that there would not be if it were alone."""
        health = self.story.instance.health()
        signs: dict[object, bool] = {
            health.status: health.status is not InstanceStatus.CONNECTED,
            f"generation {health.generation}": health.generation != 1,
            f"{health.restarts} restarts": health.restarts != 0,
            f"silent for {self.chatter.longest_lull} s": self.chatter.longest_lull > _LULL,
        }
        told = [event for event in self.story.events if isinstance(event, DISTURBANCES)]
        probes = self.story.of(telemetry.ProbeCompleted)
        bad = [probe for probe in probes if probe.verdict is not ProbeVerdict.OK]
        return [*(sign for sign, there in signs.items() if there), *told, *bad]


@final
@frozen
class Scene:
    """A runtime in which something is about to go wrong."""

    runtime: Runtime
    bus: telemetry.EventBus

    async def start(
        self,
        instance_id: str,
        channel: WebSocketChannel,
        reconnect: ReconnectPolicy,
        probe: ProbePolicy,
    ) -> Story:
        """Start an instance, and return the story of it."""
        story = Story(self.bus, self.runtime, instance_id)
        await self.runtime.start_instance(
            InstanceSpec(id=instance_id, channel=channel, reconnect=reconnect, probe=probe)
        )
        return story


@asynccontextmanager
async def open_scene(nursery: trio.Nursery) -> AsyncIterator[Scene]:
    """Open a runtime with two neighbours; a block that ends well fails if they noticed anything."""
    bus = telemetry.EventBus()
    async with open_server(nursery, "echo") as server, open_runtime(events=bus) as runtime:
        scene = Scene(runtime, bus)
        neighbours = [await start_neighbour(scene, server, name) for name in ("left", "right")]
        yield scene
        for neighbour in neighbours:
            with trio.move_on_after(_LULL):
                await neighbour.chatter.go_on()

            noticed = neighbour.noticed()
            assert not noticed, noticed


async def start_neighbour(scene: Scene, server: Server, name: str) -> Neighbour:
    """Start a healthy instance, and wait until it talks."""
    chatter = Chatter(server.url())
    story = await scene.start(name, chatter.channel, ReconnectPolicy(), _PROBED_OFTEN)
    await chatter.go_on()
    return Neighbour(chatter, story)
