"""A listener that exits, or is interrupted, at what it hears of an instance: it goes through."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    Backoff,
    BreakerPolicy,
    Cause,
    InstanceSpec,
    ProbePolicy,
    classify_failure,
    telemetry,
)
from trio_instances.telemetry import Event, EventBus

from .fleet import budget_of, fleet, scripted
from .scripted import ScriptedChannel, lost, scene

PROBED = ProbePolicy(interval=3.0)


class Exiting:
    """A listener that raises at the first event of a kind, and takes all others.

    Args:
        told: The kind.
        error: What it raises.
    """

    def __init__(self, told: type[Event], error: BaseException) -> None:
        self.told = told
        self.error: BaseException | None = error
        self.log: list[Event] = []

    def __call__(self, event: Event) -> None:
        """Take an event."""
        self.log.append(event)
        if self.error is not None and type(event) is self.told:
            error, self.error = self.error, None
            raise error

    def of(self, kind: type[Event]) -> list[Any]:
        """Return the events of a kind."""
        return [event for event in self.log if type(event) is kind]


async def lose_and_pause(channel: ScriptedChannel, bus: EventBus) -> None:
    """Run two instances, of which one has all kinds of trouble."""
    async with scene(channel, bus=bus, probe=PROBED) as s:
        await s.runtime.start_instance(InstanceSpec(id="other", channel=ScriptedChannel()))
        await trio.sleep(100)
        channel.reader.end(lost())
        await trio.sleep(10)
        s.bot.pause()
        s.bot.resume()
        await trio.sleep(10)


@pytest.mark.parametrize(
    "told",
    [
        telemetry.StatusChanged,
        telemetry.InstanceStarted,
        telemetry.InstanceConnecting,
        telemetry.InstanceConnected,
        telemetry.InstanceProven,
        telemetry.ProbeCompleted,
        telemetry.InstanceDisconnected,
        telemetry.ReconnectScheduled,
        telemetry.ReconnectAttempt,
        telemetry.ReconnectFailed,
        telemetry.InstanceAsked,
        telemetry.InstancePaused,
        telemetry.InstanceResumed,
        telemetry.InstanceStopping,
        telemetry.InstanceStopped,
    ],
)
async def test_what_a_listener_lets_through_ends_the_runtime_and_harms_no_instance(
    autojump_clock: MockClock, told: type[Event]
) -> None:
    """Law 6: what was under way is done, nothing fails for it, and the end is the ordered one."""
    listener = Exiting(told, SystemExit(3))
    bus, channel = EventBus(), ScriptedChannel(0.0, ConnectionRefusedError("no"))
    bus.listen(listener)
    with trio.fail_after(1000), pytest.raises(SystemExit) as caught:
        await lose_and_pause(channel, bus)

    assert caught.value.code == 3
    assert channel.living == 0
    assert listener.of(telemetry.HookFailed) == []
    ends = {event.cause.reason for event in listener.of(telemetry.InstanceDisconnected)}
    assert ends <= {"gone", "stop_requested", "pause_requested"}
    last = {each.instance_id: each.status for each in listener.of(telemetry.StatusChanged)}
    assert set(last.values()) == {"stopped"}
    stopped = [event.instance_id for event in listener.of(telemetry.InstanceStopped)]
    assert stopped == [each for each in ("other", "bot") if each in stopped]


@pytest.mark.parametrize(
    ("told", "then"),
    [
        (telemetry.InstanceDisconnected, telemetry.ReconnectScheduled),
        (telemetry.ReconnectFailed, telemetry.ReconnectScheduled),
        (telemetry.InstancePaused, telemetry.InstanceAsked),
    ],
)
async def test_what_was_decided_is_done_to_its_end_whatever_a_listener_lets_through(
    autojump_clock: MockClock, told: type[Event], then: type[Event]
) -> None:
    """The next that there is to be told of the same decision is told."""
    listener = Exiting(told, SystemExit(3))
    bus, channel = EventBus(), ScriptedChannel(0.0, ConnectionRefusedError("no"))
    bus.listen(listener)
    with pytest.raises(SystemExit):
        await lose_and_pause(channel, bus)

    kinds = [type(event) for event in listener.log]
    assert kinds[kinds.index(told) + 1] is then


async def test_an_interrupt_in_a_listener_goes_through_as_well(autojump_clock: MockClock) -> None:
    """Ctrl-C that comes while a listener takes an event is nobody's failure."""
    listener = Exiting(telemetry.InstanceConnected, KeyboardInterrupt())
    bus, channel = EventBus(), ScriptedChannel()
    bus.listen(listener)
    with trio.fail_after(1000), pytest.raises(KeyboardInterrupt):
        await lose_and_pause(channel, bus)

    ends = [event.cause.reason for event in listener.of(telemetry.InstanceDisconnected)]
    assert ends == ["stop_requested"]
    assert channel.closed == [0.0]


async def test_a_verb_does_not_raise_what_a_listener_lets_through(
    autojump_clock: MockClock,
) -> None:
    """Whoever asks is answered, and what he asked for is done; the runtime ends with it."""
    answers: list[str] = []

    async def ask() -> None:
        async with scene(ScriptedChannel()) as s:
            await trio.sleep(1)
            s.bus.listen(Exiting(telemetry.StatusChanged, SystemExit(3)))
            answers.extend((s.bot.pause(), s.bot.status))
            await trio.sleep_forever()

    with pytest.raises(SystemExit):
        await ask()
    assert answers == ["paused", "paused"]


async def test_what_a_listener_of_a_breaker_lets_through_harms_no_instance(
    autojump_clock: MockClock,
) -> None:
    """The loss that has opened it is done with as any other."""
    policy = BreakerPolicy(minimum=2, backoff=Backoff(jitter="none"))
    channels, listener = scripted(3), Exiting(telemetry.BreakerOpened, SystemExit(3))

    async def lose_two() -> None:
        async with fleet(budget_of(burst=3, breaker=policy), *channels) as f:
            f.bus.listen(listener)
            await trio.sleep(10)
            for channel in channels[:2]:
                channel.reader.end(lost())
            await trio.sleep_forever()

    with pytest.raises(SystemExit):
        await lose_two()
    assert len(listener.of(telemetry.ReconnectScheduled)) == 2
    ends = [event.cause.reason for event in listener.of(telemetry.InstanceDisconnected)]
    assert ends == ["gone", "gone", "stop_requested"]


async def test_what_a_listener_lets_through_at_a_failing_hook_harms_nobody_either(
    autojump_clock: MockClock,
) -> None:
    """The failure that ``classify`` could not judge is judged by the library's rules."""
    channel, causes = ScriptedChannel(), list[Cause | None]()

    def judge(_: Exception) -> Cause:
        raise ValueError

    async def report() -> None:
        async with scene(channel) as s:
            await trio.sleep(1)
            channel.judge = judge
            s.bus.listen(Exiting(telemetry.HookFailed, SystemExit(3)))
            s.bot.report_failure(ConnectionResetError("gone"))
            causes.append(s.bot.health().cause)
            await trio.sleep_forever()

    with pytest.raises(SystemExit):
        await report()
    assert causes == [classify_failure(ConnectionResetError("gone"))]
