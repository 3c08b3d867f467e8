"""Handovers to be disturbed: a channel whose successor stays at a stage."""

from __future__ import annotations

import trio

from trio_instances import (
    ChildSpec,
    Instance,
)

from .scripted import HANGS, OverlappingChannel, Scene, Worker

STAGES = ["asked", "attempt", "children"]
"""How far the successor is: asked for in this very moment, connecting, or starting its children."""


async def slowly() -> None:
    """Be a closing that takes its time."""
    await trio.sleep(7)


def channel_for(stage: str) -> OverlappingChannel:
    """Return a channel whose second connection does not get beyond a stage."""
    channel = OverlappingChannel(0.0, 0.0 if stage == "children" else HANGS)

    async def never(*, task_status: trio.TaskStatus[None]) -> None:
        await trio.sleep_forever()

    def children(_: Instance, number: int) -> list[ChildSpec]:
        reader = channel.readers[number] = Worker()
        late = stage == "children" and number == 2
        return [ChildSpec("reader", never if late else reader.run)]

    channel.give_children = children
    return channel


async def begin(s: Scene, stage: str = "attempt") -> None:
    """Let the first connection be open, and a handover be at a stage, 100 seconds later."""
    await trio.sleep(100)
    assert s.bot.connected
    s.bot.rotate()
    assert s.bot.health().handover
    if stage != "asked":
        await trio.sleep(1)
