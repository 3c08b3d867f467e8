"""Silence: it asks, it tells, and it never reconnects."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock

from trio_instances import Instance, InstanceSpec, ProbePolicy, Runtime, telemetry
from trio_instances.telemetry import EventBus
from trio_instances.testing import EventRecorder

from .scripted import HANGS, ScriptedChannel, scene

HOUR = 3600.0
RARE = ProbePolicy(interval=10 * HOUR, jitter=0.0)
"""Regular probes come hardly ever, so that those that come are due to silence."""
DATA = ProbePolicy(interval=10 * HOUR, jitter=0.0, data_silence=60.0)
TRANSPORT = ProbePolicy(interval=10 * HOUR, jitter=0.0, transport_silence=60.0)


def probes(log: EventRecorder) -> list[tuple[float, str]]:
    """Return when each probe ended, and why it was made; without those that came in their turn."""
    completed = log.of(telemetry.ProbeCompleted)
    return [(each.at, str(each.trigger)) for each in completed if each.trigger != "interval"]


def told(log: EventRecorder) -> list[tuple[float, str, str, float]]:
    """Return what was told of silence: when, what, of which signal, and how long it was."""
    kinds = (telemetry.LivenessSilent, telemetry.LivenessHeard)
    return [
        (each.at, each.name.partition(".")[2], str(each.signal), each.elapsed)
        for each in log
        if isinstance(each, kinds)
    ]


# --- asking


@pytest.mark.parametrize(
    ("policy", "trigger"), [(DATA, "data"), (TRANSPORT, "transport")], ids=["data", "transport"]
)
async def test_a_silence_that_passes_its_threshold_is_asked_about_at_once(
    autojump_clock: MockClock, policy: ProbePolicy, trigger: str
) -> None:
    """Out of turn; and while the probe passes, once for each threshold from then on."""
    channel = ScriptedChannel()

    async def ask(_: int) -> None:
        await trio.sleep(0.5)

    channel.ask = ask
    async with scene(channel, probe=policy) as s:
        await trio.sleep(200)

        assert probes(s.log) == [(60.5, trigger), (121, trigger), (181.5, trigger)]


async def test_a_channel_that_is_silent_for_days_keeps_its_connection(
    autojump_clock: MockClock,
) -> None:
    """It is neither lost nor degraded: nothing is wrong with a channel on which nobody speaks."""
    policy = ProbePolicy(interval=HOUR, transport_silence=1800, data_silence=900)
    async with scene(ScriptedChannel(), probe=policy) as s:
        await trio.sleep(2 * 24 * HOUR)

        assert (s.bot.status, s.bot.generation) == ("connected", 1)
        assert s.log.of(telemetry.InstanceDegraded) == []
        assert len(s.log.of(telemetry.ProbeCompleted)) <= 2 * 24 * (4 + 1) + 2


async def test_only_failing_probes_end_a_silent_connection(autojump_clock: MockClock) -> None:
    """Three of them, one for each threshold; the silence itself is no failure."""
    channel = ScriptedChannel()

    async def ask(connection: int) -> None:
        if connection == 1:
            raise TimeoutError("deaf")

    channel.ask = ask
    async with scene(channel, probe=DATA) as s:
        end = await s.log.wait_for(telemetry.InstanceDisconnected)
        await s.log.wait_for(telemetry.InstanceConnected, times=2)
        await trio.sleep(HOUR)

        assert (end.at, end.cause.reason) == (180, "timeout")
        assert s.bot.generation == 2


@pytest.mark.parametrize(
    ("policy", "report", "puts_off"),
    [
        (TRANSPORT, Instance.saw_frame, True),
        (TRANSPORT, Instance.saw_event, True),
        (DATA, Instance.saw_frame, False),
        (DATA, Instance.saw_event, True),
    ],
    ids=["transport-frame", "transport-event", "data-frame", "data-event"],
)
async def test_what_is_heard_puts_the_question_off(
    autojump_clock: MockClock,
    policy: ProbePolicy,
    report: Callable[[Instance], None],
    *,
    puts_off: bool,
) -> None:
    """An event is a frame as well; a frame is no event."""
    async with scene(ScriptedChannel(), probe=policy) as s:
        await trio.sleep(40)
        report(s.bot)
        await trio.sleep(59)
        assert len(probes(s.log)) == (0 if puts_off else 1)
        await trio.sleep(2)

        assert [at for at, _ in probes(s.log)] == ([100] if puts_off else [60])


async def test_a_busy_channel_is_never_asked_out_of_turn(autojump_clock: MockClock) -> None:
    """However many thresholds pass."""
    async with scene(ScriptedChannel(), probe=DATA) as s:
        for _ in range(100):
            await trio.sleep(50)
            s.bot.saw_event()

        assert probes(s.log) == []
        assert told(s.log) == []


async def test_without_thresholds_nothing_is_asked_out_of_turn(autojump_clock: MockClock) -> None:
    """None is off, and the default."""
    async with scene(ScriptedChannel(), probe=ProbePolicy()) as s:
        await trio.sleep(5 * HOUR)

        assert probes(s.log) == []
        assert told(s.log) == []


async def test_a_regular_probe_answers_a_silence_as_well(autojump_clock: MockClock) -> None:
    """A threshold beyond the interval asks once, when it is passed; from then on others ask."""
    policy = ProbePolicy(interval=30, data_silence=600)
    async with scene(ScriptedChannel(), probe=policy) as s:
        await trio.sleep(5 * HOUR)

        assert probes(s.log) == [(600, "data")]


async def test_a_probe_out_of_turn_moves_no_regular_one(autojump_clock: MockClock) -> None:
    """So a fleet that fell silent at once is still spread over the interval."""
    policy = ProbePolicy(interval=100, jitter=0.0, data_silence=30)
    async with scene(ScriptedChannel(), probe=policy) as s:
        await trio.sleep(2000)

        regular = [e.at for e in s.log.of(telemetry.ProbeCompleted) if e.trigger == "interval"]
        assert {round(later - earlier, 6) for earlier, later in pairwise(regular)} == {100}
        assert len(probes(s.log)) > 40


async def test_a_silence_during_a_slow_probe_starts_no_second_one(
    autojump_clock: MockClock,
) -> None:
    """Never two of one connection; the one that runs asks about it, too."""
    channel = ScriptedChannel()
    running: list[int] = [0, 0]

    async def ask(_: int) -> None:
        running[0] += 1
        running[1] = max(running)
        await trio.sleep(4)
        running[0] -= 1

    channel.ask = ask
    policy = ProbePolicy(interval=HOUR, data_silence=1.0, transport_silence=1.5)
    async with scene(channel, probe=policy) as s:
        await trio.sleep(100)

        assert running[1] == 1
        assert [at for at, _ in probes(s.log)][:3] == [5, 10, 15]


@pytest.mark.parametrize(
    ("policy", "trigger"), [(DATA, "data"), (TRANSPORT, "transport")], ids=["data", "transport"]
)
async def test_a_new_connection_is_not_judged_by_what_an_earlier_one_heard(
    autojump_clock: MockClock, policy: ProbePolicy, trigger: str
) -> None:
    """Its silence counts from its opening; the snapshot goes on counting for the instance."""
    async with scene(ScriptedChannel(), probe=policy) as s:
        await s.bot.wait_status("connected")
        s.bot.saw_frame()
        s.bot.saw_event()
        await trio.sleep(50)
        s.bot.reconnect()
        await trio.sleep(59)
        assert probes(s.log) == []
        assert (s.bot.health().since_frame, s.bot.health().since_event) == (109, 109)
        await trio.sleep(2)

        assert probes(s.log) == [(110, trigger)]


async def test_a_new_channel_was_never_heard(autojump_clock: MockClock) -> None:
    """A pass of desired state that gives an instance another one begins to count anew."""
    async with scene(ScriptedChannel(), probe=DATA) as s:
        await s.bot.wait_status("connected")
        s.bot.saw_frame()
        s.bot.saw_event()
        await s.runtime.apply([InstanceSpec(id="bot", channel=ScriptedChannel(), probe=DATA)])

        assert (s.bot.health().since_frame, s.bot.health().since_event) == (None, None)


async def test_during_a_start_silence_asks_nothing(autojump_clock: MockClock) -> None:
    """Until the first probe has passed, which is a regular one."""
    channel = ScriptedChannel()
    failures = [TimeoutError("slow to start")] * 3

    async def ask(_: int) -> None:
        if failures:
            raise failures.pop()

    channel.ask = ask
    policy = ProbePolicy(interval=100, jitter=0.0, data_silence=10, startup_failures=10)
    async with scene(channel, probe=policy) as s:
        await s.log.wait_for(telemetry.ProbeCompleted, times=5)

        completed = [(e.verdict, e.trigger) for e in s.log.of(telemetry.ProbeCompleted)]
        assert completed == [("recoverable", "interval")] * 3 + [("ok", "interval"), ("ok", "data")]
        assert s.bot.generation == 1


# --- telling


async def test_a_silence_is_told_once_and_its_end_once(autojump_clock: MockClock) -> None:
    """However often it is asked about; with how long it was."""
    async with scene(ScriptedChannel(), probe=DATA) as s:
        await trio.sleep(300)
        assert told(s.log) == [(60, "silent", "data", 60)]
        assert s.bot.health().silent == ("data",)
        s.bot.saw_event()
        s.bot.saw_event()
        assert told(s.log)[1:] == [(300, "heard", "data", 300)]
        assert s.bot.health().silent == ()
        await trio.sleep(61)

        assert told(s.log)[2:] == [(360, "silent", "data", 60)]


async def test_a_transport_that_speaks_when_it_is_asked_is_not_told_to_be_silent(
    autojump_clock: MockClock,
) -> None:
    """A pong is a frame, so that a quiet but healthy WebSocket makes no noise in the log."""
    channel = ScriptedChannel()
    bots: list[Instance] = []

    async def ask(_: int) -> None:
        bots[0].saw_frame()

    channel.ask = ask
    policy = ProbePolicy(interval=HOUR, transport_silence=10, data_silence=100)
    async with scene(channel, probe=policy) as s:
        bots.append(s.bot)
        await trio.sleep(HOUR)

        assert len(probes(s.log)) > 300
        assert told(s.log) == [(100, "silent", "data", 100)]


async def test_a_frame_ends_a_transports_silence_and_not_that_of_the_data(
    autojump_clock: MockClock,
) -> None:
    """Alive but deaf looks like this; an event ends both."""
    policy = ProbePolicy(interval=HOUR, transport_silence=10, data_silence=10)
    async with scene(ScriptedChannel(), probe=policy) as s:
        await trio.sleep(15)
        assert s.bot.health().silent == ("transport", "data")
        s.bot.saw_frame()
        assert s.bot.health().silent == ("data",)
        await trio.sleep(15)
        s.bot.saw_event()

        assert s.bot.health().silent == ()
        assert [(what, signal) for _, what, signal, _ in told(s.log)[2:]] == [
            ("heard", "transport"),
            ("silent", "transport"),
            ("heard", "transport"),
            ("heard", "data"),
        ]


async def test_a_listener_may_report_life_at_the_news_of_silence(autojump_clock: MockClock) -> None:
    """It is taken in at once, and told once."""
    bus, log = EventBus(), EventRecorder()
    bots: list[Instance] = []

    def answer(event: telemetry.Event) -> None:
        if isinstance(event, telemetry.LivenessSilent | telemetry.LivenessHeard):
            bots[0].saw_event()

    bus.listen(answer)
    async with scene(ScriptedChannel(), probe=DATA, bus=bus, log=log) as s:
        bots.append(s.bot)
        await trio.sleep(70)

        assert sorted(what for _, what, _, _ in told(log)) == ["heard", "silent"]
        assert s.bot.health().silent == ()


async def test_a_silence_whose_probe_ends_the_connection_is_not_told_as_well(
    autojump_clock: MockClock,
) -> None:
    """The end says it all."""
    channel = ScriptedChannel()

    async def ask(_: int) -> None:
        raise OSError("gone")

    channel.ask = ask
    policy = ProbePolicy(interval=10 * HOUR, data_silence=60.0, failures_to_fail=1)
    async with scene(channel, probe=policy) as s:
        await s.log.wait_for(telemetry.InstanceDisconnected)

        assert told(s.log) == []


async def test_silence_ends_with_its_connection(autojump_clock: MockClock) -> None:
    """What spoke of it is gone, and that is told by its own event."""
    async with scene(ScriptedChannel(), probe=DATA) as s:
        await trio.sleep(70)
        s.bot.pause()
        await trio.sleep(1)
        assert s.bot.health().silent == ()
        s.bot.saw_event()

        assert [what for _, what, _, _ in told(s.log)] == ["silent"]


async def test_reports_while_there_is_no_connection_are_kept_and_harmless(
    autojump_clock: MockClock,
) -> None:
    """Whoever holds a handle may report at any time."""
    async with scene(ScriptedChannel(HANGS), probe=DATA) as s:
        s.bot.saw_frame()
        s.bot.saw_event()
        await trio.sleep(3)

        assert (s.bot.health().since_frame, s.bot.health().since_event) == (3, 3)
        assert s.bot.health().silent == ()


async def test_silence_is_counted_while_nobody_listens(
    instance_runtime: Runtime, autojump_clock: MockClock
) -> None:
    """The snapshot tells of it, whoever else is told."""
    spec = InstanceSpec(id="bot", channel=ScriptedChannel(), probe=DATA)
    bot = await instance_runtime.start_instance(spec)
    await trio.sleep(61)
    assert bot.health().silent == ("data",)
    bot.saw_event()

    assert bot.health().silent == ()
