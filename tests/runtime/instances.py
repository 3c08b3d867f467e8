"""Some instances for the runtime to hold, and what calls of its verbs come to."""

from __future__ import annotations

from typing import Any

import trio

from trio_instances import ChildSpec, InstanceSpec

from ..instance.scripted import HANGS, STEADY, ScriptedChannel


def spec_of(instance_id: str, channel: ScriptedChannel | None = None) -> InstanceSpec:
    """Return a steady spec without probes."""
    channel = ScriptedChannel() if channel is None else channel
    return InstanceSpec(id=instance_id, channel=channel, reconnect=STEADY, probe=None)


def slow_to_start(*, seconds: float = HANGS) -> ScriptedChannel:
    """Return a channel with an instance child that takes its time to get ready."""
    channel = ScriptedChannel()

    async def slow(*, task_status: trio.TaskStatus[None]) -> None:
        await trio.sleep(seconds)
        task_status.started()
        await trio.sleep_forever()

    channel.give_own = lambda _: [ChildSpec("slow", slow)]
    return channel


def slow_to_stop(seconds: float = 3.0) -> ScriptedChannel:
    """Return a channel whose closing takes its time."""
    channel = ScriptedChannel()

    async def close() -> None:
        await trio.sleep(seconds)

    channel.close = close
    return channel


class Outcomes(list[Any]):
    """What several calls came to, each as a word."""

    async def of(self, verb: Any, *args: Any) -> None:
        """Call, and note the outcome."""
        try:
            result = await verb(*args)
        except Exception as exc:
            self.append(type(exc).__name__)
        else:
            self.append("done" if result is None else getattr(result, "id", result))
