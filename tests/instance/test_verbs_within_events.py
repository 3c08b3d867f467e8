"""`reconnect`, `pause` and `resume` from within an event: a listener may use them too."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from trio_instances import telemetry
from trio_instances.testing import EventRecorder

from .scripted import ScriptedChannel, lost, scene

REFUSED = ConnectionRefusedError("no")


@pytest.mark.parametrize(
    "kind",
    [
        telemetry.InstanceConnecting,
        telemetry.InstanceConnected,
        telemetry.InstanceProven,
        telemetry.InstanceDisconnected,
        telemetry.ReconnectScheduled,
        telemetry.ReconnectAttempt,
        telemetry.ReconnectFailed,
        telemetry.ReconnectExhausted,
        telemetry.InstanceDegraded,
        telemetry.InstanceRecovered,
        telemetry.InstanceResumed,
        telemetry.ChildStarted,
    ],
)
async def test_a_pause_from_within_any_event_is_in_force(
    autojump_clock: MockClock, kind: type[telemetry.Event]
) -> None:
    """The machine takes in one signal at a time, and the listener's is the next."""
    channel = ScriptedChannel(*[REFUSED] * 5)
    log, bus = EventRecorder(), telemetry.EventBus()
    async with scene(channel, log=log, bus=bus) as s:
        s.bot.pause()
        at: list[float] = []

        def pause(event: telemetry.Event) -> None:
            if isinstance(event, kind) and not at:
                at.append(event.at)
                s.bot.pause()

        bus.listen(pause)
        s.bot.resume()
        await trio.sleep(1000)
        if not at:
            channel.reader.end(lost())
            await trio.sleep(100)

        assert len(at) == 1
        assert s.bot.status == "paused"
        assert channel.living == 0
        assert all(attempt <= at[0] for attempt in channel.attempts)


async def test_a_signal_from_within_an_event_waits_until_the_one_before_is_done_with(
    autojump_clock: MockClock,
) -> None:
    """So that whoever listens hears of the retry before he hears that it is called off."""
    channel = ScriptedChannel()
    async with scene(channel) as s:
        await s.bot.wait_status("connected")

        def pause(event: telemetry.Event) -> None:
            if isinstance(event, telemetry.InstanceDisconnected):
                s.bot.pause()

        s.bus.listen(pause)
        told = len(s.log)
        channel.reader.end(lost())
        await s.bot.wait_status("paused")

        names = [
            name for name in s.log.names()[told:] if name.startswith(("instance", "reconnect"))
        ]
        assert names == [
            "instance.disconnected",
            "reconnect.scheduled",
            "instance.paused",
            "instance.asked",
        ]
        (answer,) = s.log.of(telemetry.InstanceAsked)
        assert answer.changed


async def test_a_verb_from_within_an_event_is_answered_when_it_is_done_with(
    autojump_clock: MockClock,
) -> None:
    """What it has changed itself is told, and not what the signal before it has."""
    channel = ScriptedChannel()
    async with scene(channel) as s:
        await s.bot.wait_status("connected")

        def ask(event: telemetry.Event) -> None:
            if isinstance(event, telemetry.InstanceDisconnected):
                for verb in (s.bot.resume, s.bot.retry_now, s.bot.retry_now):
                    verb()

        s.bus.listen(ask)
        channel.reader.end(lost())
        await s.bot.wait_status("reconnecting")
        await s.bot.wait_status("connected")

        answers = [(e.verb, e.changed) for e in s.log.of(telemetry.InstanceAsked)]
        assert answers == [("resume", False), ("retry_now", True), ("retry_now", False)]


async def test_a_reconnect_from_within_an_event_wakes_the_retry_once(
    autojump_clock: MockClock,
) -> None:
    """At `reconnect.scheduled` the retry is already one that waits."""
    channel = ScriptedChannel(REFUSED, REFUSED)
    log, bus = EventRecorder(), telemetry.EventBus()

    def hurry(event: telemetry.Event) -> None:
        if isinstance(event, telemetry.ReconnectScheduled):
            bots[0].reconnect()

    bots: list[Any] = []

    class Known(ScriptedChannel):
        def instance_children(self, instance: Any) -> Any:
            bots.append(instance)
            return ()

    bus.listen(hurry)
    channel = Known(REFUSED, REFUSED)
    async with scene(channel, log=log, bus=bus) as s:
        await s.bot.wait_status("connected")
        await trio.sleep(100)

        assert channel.attempts == [0, 0, 0]
