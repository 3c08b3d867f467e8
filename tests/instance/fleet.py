"""Several scripted instances under one budget."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import trio
from attrs import frozen

from trio_instances import (
    BudgetPolicy,
    ConnectionBudget,
    Instance,
    InstanceSpec,
    Runtime,
    open_runtime,
)
from trio_instances.telemetry import EventBus
from trio_instances.testing import EventRecorder

from .scripted import STEADY, ScriptedChannel


def budget_of(key: str = "key", **policy: Any) -> ConnectionBudget:
    """Return a budget of one attempt a second, without a breaker unless there is one."""
    return ConnectionBudget(key, BudgetPolicy(**{"breaker": None, **policy}))


@frozen
class Fleet:
    """A runtime whose instances share a budget."""

    runtime: Runtime
    bots: list[Instance]
    log: EventRecorder
    bus: EventBus


@asynccontextmanager
async def fleet(
    budget: ConnectionBudget | None,
    *channels: ScriptedChannel,
    log: EventRecorder | None = None,
    **spec: Any,
) -> AsyncIterator[Fleet]:
    """Run an instance for each channel: ``bot-0``, ``bot-1`` and so on, all started at once."""
    bus, log = EventBus(), EventRecorder() if log is None else log
    bus.listen(log)
    fields: dict[str, Any] = {"budget": budget, "reconnect": STEADY, "probe": None, **spec}
    async with open_runtime(events=bus, random=Random(1)) as runtime:
        bots = [
            await runtime.start_instance(InstanceSpec(id=f"bot-{n}", channel=channel, **fields))
            for n, channel in enumerate(channels)
        ]
        yield Fleet(runtime, bots, log, bus)


def scripted(count: int, *outcomes: float | BaseException) -> list[ScriptedChannel]:
    """Return channels, each of which has these outcomes."""
    return [ScriptedChannel(*outcomes) for _ in range(count)]


def begun(channels: list[ScriptedChannel]) -> list[float]:
    """Return when all their attempts began, in order."""
    return sorted(at for channel in channels for at in channel.attempts)


async def fail_to_start(*, task_status: trio.TaskStatus[None]) -> None:
    """Fail before being ready."""
    raise ConnectionRefusedError
