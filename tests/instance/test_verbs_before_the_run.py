"""Verbs that come when an instance is there already, and its run has not begun."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from trio_instances import BudgetPolicy, ConnectionBudget, Instance, InstanceSpec, open_runtime
from trio_instances.telemetry import Event, EventBus, StatusChanged

from .scripted import STEADY, ScriptedChannel


@asynccontextmanager
async def started(
    channel: ScriptedChannel,
    verbs: Callable[[Instance], object],
    budget: ConnectionBudget | None = None,
) -> AsyncIterator[Instance]:
    """Start an instance of which somebody asks something as soon as it is said to be there."""
    bus = EventBus()
    async with open_runtime(events=bus) as runtime:

        def ask(event: Event) -> None:
            if isinstance(event, StatusChanged) and event.previous == "stopped":
                verbs(runtime.instance("bot"))

        bus.listen(ask)
        yield await runtime.start_instance(
            InstanceSpec(id="bot", channel=channel, reconnect=STEADY, probe=None, budget=budget)
        )


def pause_and_resume(bot: Instance) -> None:
    """Change one's mind at once."""
    bot.pause()
    bot.resume()


@pytest.mark.parametrize("verb", [Instance.pause, Instance.drain])
async def test_a_pause_before_the_run_begins_is_in_force_and_said(
    autojump_clock: MockClock, verb: Callable[[Instance], object]
) -> None:
    """Nothing connects, and the status says why; a resume ends it."""
    channel = ScriptedChannel()
    async with started(channel, verb) as bot:
        await trio.sleep(100.0)

        assert bot.status == "paused"
        assert channel.attempts == []

        bot.resume()
        assert await bot.wait_status("connected") == "connected"


@pytest.mark.parametrize("budget", [None, ConnectionBudget("site", BudgetPolicy())])
async def test_a_resume_before_the_run_begins_connects_once(
    autojump_clock: MockClock, budget: ConnectionBudget | None
) -> None:
    """One attempt, and a status that follows it up to the connection."""
    channel = ScriptedChannel(2.0)
    async with started(channel, pause_and_resume, budget) as bot:
        await trio.sleep(1.0)
        assert bot.status == "connecting"

        await trio.sleep(2.0)
        assert bot.status == "connected"
        assert len(channel.attempts) == 1
