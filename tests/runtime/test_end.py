"""The end of a runtime's block, however it comes: everything stops, in order, and is told."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    ChildSpec,
    FatalChildFailure,
    Instance,
    InstanceSpec,
    InstanceStatus,
    OnInstanceFailure,
    RestartIntensity,
    RestartLimitExceeded,
    Runtime,
    RuntimeSettings,
    open_runtime,
    telemetry,
)
from trio_instances.abc import Sink
from trio_instances.telemetry import Event, EventBus
from trio_instances.testing import EventRecorder

from ..instance.scripted import STEADY, ScriptedChannel, always, fatal


class KeepingSink(Sink):
    """Keeps the names of what it is given, after some time for each batch."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.names: list[str] = []
        self.closed_at = math.nan
        self._seconds = seconds

    async def write(self, events: Sequence[Event]) -> None:
        """Keep."""
        await trio.sleep(self._seconds)
        self.names += [event.name for event in events]

    async def aclose(self) -> None:
        """Note the time."""
        self.closed_at = trio.current_time()


async def fill(runtime: Runtime, ends: list[str]) -> None:
    """Start three instances, each of which takes a second to stop, and notes it."""

    def closing(name: str) -> ScriptedChannel:
        channel = ScriptedChannel()

        async def close() -> None:
            await trio.sleep(1)
            ends.append(name)

        channel.close = close
        return channel

    for name in ("a", "b", "c"):
        spec = InstanceSpec(id=name, channel=closing(name), reconnect=STEADY, probe=None)
        await (await runtime.start_instance(spec)).wait_status("connected")


def banned() -> InstanceSpec:
    """Return an instance that fails for good as soon as it connects."""
    return InstanceSpec(id="bad", channel=ScriptedChannel(fatal()), reconnect=STEADY)


def heard() -> tuple[EventBus, EventRecorder]:
    """Return a bus and what is heard on it."""
    bus, log = EventBus(), EventRecorder()
    bus.listen(log)
    return bus, log


def check_told(log: EventRecorder) -> None:
    """Check the runtime's own events, and the order of the instances' stops."""
    assert log.names()[0] == "runtime.started"
    assert log.names()[-1] == "runtime.stopped"
    (stopping,) = log.of(telemetry.RuntimeStopping)
    (stopped,) = log.of(telemetry.RuntimeStopped)
    assert (stopping.instances, stopped.elapsed) == (3, stopped.at - stopping.at)
    assert [e.instance_id for e in log.of(telemetry.InstanceStopped)] == ["c", "b", "a"]


async def test_left_normally_it_stops_all_in_reverse_start_order(
    autojump_clock: MockClock,
) -> None:
    """One after the other, each fully ended before the next is asked."""
    bus, log = heard()
    ends: list[str] = []
    async with open_runtime(events=bus) as runtime:
        await fill(runtime, ends)

    assert ends == ["c", "b", "a"]
    assert trio.current_time() == 3
    assert log.of(telemetry.RuntimeStopped)[0].elapsed == 3
    check_told(log)


async def test_left_by_an_exception_it_stops_all_and_raises_it_bare(
    autojump_clock: MockClock,
) -> None:
    """The very exception, in no group, after the stop."""
    bus, log = heard()
    ends: list[str] = []
    failure = KeyError("mine")

    async def run() -> None:
        async with open_runtime(events=bus, sinks=[KeepingSink()]) as runtime:
            await fill(runtime, ends)
            raise failure

    with pytest.raises(KeyError) as caught:
        await run()

    assert caught.value is failure
    assert ends == ["c", "b", "a"]
    check_told(log)


async def test_cancelled_from_outside_it_stops_all_and_lets_the_cancellation_go_on(
    autojump_clock: MockClock,
) -> None:
    """The same ordered stop, which takes the time that it takes."""
    bus, log = heard()
    ends: list[str] = []
    with trio.move_on_after(10) as scope:
        async with open_runtime(events=bus) as runtime:
            await fill(runtime, ends)
            await trio.sleep_forever()

    assert scope.cancelled_caught
    assert ends == ["c", "b", "a"]
    assert trio.current_time() == 13
    check_told(log)


async def test_ended_by_an_escalation_it_stops_all_and_raises_it(
    autojump_clock: MockClock,
) -> None:
    """The body is cancelled, whatever it waits for, and the escalation comes out bare."""
    bus, log = heard()
    ends: list[str] = []
    settings = RuntimeSettings(on_instance_failure=OnInstanceFailure.ESCALATE)

    async def run() -> None:
        async with open_runtime(settings, events=bus) as runtime:
            await fill(runtime, ends)
            await runtime.start_instance(banned())
            await trio.sleep_forever()

    with pytest.raises(FatalChildFailure, match="banned"):
        await run()

    assert ends == ["c", "b", "a"]
    assert log.names()[-1] == "runtime.stopped"
    assert [e.instance_id for e in log.of(telemetry.InstanceStopped)] == ["c", "b", "a"]


async def test_an_instance_that_crashes_too_often_escalates_too(autojump_clock: MockClock) -> None:
    """With the limit that was exceeded: the instance's own."""
    channel = ScriptedChannel()

    async def crashes() -> None:
        await trio.sleep(0.1)
        raise ValueError("bug")

    channel.give_own = lambda _: [ChildSpec("keeper", crashes)]
    settings = RuntimeSettings(on_instance_failure="escalate")
    held: list[Instance] = []

    async def run() -> None:
        async with open_runtime(settings) as runtime:
            held.append(await runtime.start_instance(InstanceSpec(id="bot", channel=channel)))
            await trio.sleep_forever()

    with pytest.raises(RestartLimitExceeded) as caught:
        await run()

    assert caught.value.intensity == RestartIntensity(6, 30.0)
    assert held[0].status is InstanceStatus.FAILED


async def test_an_exception_of_the_body_and_an_escalation_come_out_together(
    autojump_clock: MockClock,
) -> None:
    """Of two failures none is lost."""
    settings = RuntimeSettings(on_instance_failure=OnInstanceFailure.ESCALATE)

    async def run() -> None:
        async with open_runtime(settings) as runtime:
            await runtime.start_instance(banned())
            try:
                await trio.sleep_forever()
            finally:
                raise KeyError("mine")

    with pytest.raises(BaseExceptionGroup) as caught:
        await run()

    assert caught.group_contains(KeyError, match="mine")
    assert caught.group_contains(FatalChildFailure)


async def test_an_instance_that_fails_while_others_stop_is_stopped_too(
    autojump_clock: MockClock,
) -> None:
    """A failure in the middle of the end is no status to be left in."""
    ends: list[str] = []
    channel = ScriptedChannel(0.0)
    held: list[Instance] = []
    async with open_runtime() as runtime:
        held.append(await runtime.start_instance(InstanceSpec(id="first", channel=channel)))
        await fill(runtime, ends)

        async def fail_later() -> None:
            await trio.sleep(2)
            channel.reader.end(fatal())

        other = ScriptedChannel()
        other.close = fail_later
        await runtime.start_instance(InstanceSpec(id="last", channel=other))
        await runtime.instance("last").wait_status("connected")

    assert held[0].status is InstanceStatus.STOPPED
    assert ends == ["c", "b", "a"]


async def test_an_instance_that_failed_before_stays_failed(autojump_clock: MockClock) -> None:
    """The end of the runtime says nothing new of it."""
    async with open_runtime() as runtime:
        bot = await runtime.start_instance(InstanceSpec(id="bot", channel=ScriptedChannel(fatal())))
        await bot.wait_status("failed")

    assert bot.status is InstanceStatus.FAILED
    assert bot.health().cause is not None


async def test_an_instance_between_two_restarts_is_stopped_too(autojump_clock: MockClock) -> None:
    """At whichever moment of a crash loop the end comes, the status is stopped, or failed."""
    for checkpoints in range(40):
        channel = ScriptedChannel()

        async def crashes() -> None:
            await trio.lowlevel.checkpoint()
            raise ValueError("bug")

        channel.give_own = always(ChildSpec("keeper", crashes))
        async with open_runtime() as runtime:
            bot = await runtime.start_instance(InstanceSpec(id="bot", channel=channel))
            for _ in range(checkpoints):
                await trio.lowlevel.checkpoint()

        assert bot.status is InstanceStatus.STOPPED


async def test_sinks_get_everything_the_last_events_too(autojump_clock: MockClock) -> None:
    """A slow one as well, within its time; each is closed at the end."""
    quick, slow = KeepingSink(), KeepingSink(seconds=2.0)
    bus, log = heard()
    ends: list[str] = []
    async with open_runtime(events=bus, sinks=[quick, slow]) as runtime:
        await fill(runtime, ends)
        await trio.sleep(10)

    assert quick.names == slow.names == log.names()
    assert quick.names[-1] == "runtime.stopped"
    assert (quick.closed_at, slow.closed_at) == (13, 16)


async def test_sinks_may_come_from_a_generator(autojump_clock: MockClock) -> None:
    """It is gone through once, and what it gave is looked at and written to."""
    sink = KeepingSink()
    async with open_runtime(sinks=(each for each in [sink])):
        pass

    assert (sink.names[0], sink.names[-1]) == ("runtime.started", "runtime.stopped")


async def test_sinks_get_the_last_events_of_a_cancelled_runtime(autojump_clock: MockClock) -> None:
    """The cancellation waits for them, too."""
    sink = KeepingSink(seconds=1.0)
    with trio.move_on_after(5):
        async with open_runtime(sinks=[sink]) as runtime:
            await fill(runtime, [])
            await trio.sleep_forever()

    assert sink.names[-1] == "runtime.stopped"


async def test_the_body_may_stop_an_instance_that_is_the_last(autojump_clock: MockClock) -> None:
    """A runtime without instances goes on, and ends at once."""
    bus, log = heard()
    async with open_runtime(events=bus) as runtime:
        await runtime.start_instance(InstanceSpec(id="bot", channel=ScriptedChannel()))
        await runtime.stop_instance("bot")
        await trio.sleep(10)

    assert trio.current_time() == 10
    assert log.of(telemetry.RuntimeStopping)[0].instances == 0


async def test_an_instance_is_not_started_while_the_runtime_ends(
    autojump_clock: MockClock,
) -> None:
    """Who asks from within an instance that is being stopped is told, and nothing is left."""
    told: list[str] = []
    channel = ScriptedChannel()
    async with open_runtime() as runtime:

        async def late() -> None:
            spec = InstanceSpec(id="late", channel=ScriptedChannel())
            try:
                await runtime.start_instance(spec)
            except Exception as exc:
                told.append(type(exc).__name__)

        channel.close = late
        await runtime.start_instance(InstanceSpec(id="bot", channel=channel))
        await runtime.instance("bot").wait_status("connected")

    assert told == ["SupervisorNotRunning"]
    assert [bot.id for bot in runtime.list_instances()] == ["bot"]


async def test_a_bus_that_was_given_is_left_open(autojump_clock: MockClock) -> None:
    """Several runtimes may share one; one that the runtime made is closed with it."""
    bus, log = heard()
    for _ in range(2):
        async with open_runtime(events=bus):
            pass

    assert not bus.closed
    assert log.names().count("runtime.stopped") == 2
