"""Probes: bounded, one at a time, and never acting by themselves."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

from trio_instances import (
    ChildSpec,
    InstanceFailed,
    InstanceSpec,
    ProbePolicy,
    open_runtime,
    telemetry,
)
from trio_instances.telemetry import EventBus
from trio_instances.testing import EventRecorder

from .scripted import HANGS, ScriptedChannel, degraded, fatal, nothing, scene

EVEN = ProbePolicy(jitter=0.0)
"""Without chance, but for the first one."""


def probing(*answers: Exception | float) -> tuple[ScriptedChannel, list[float]]:
    """Return a channel whose probes have these outcomes, and then pass; and when each began."""
    channel = ScriptedChannel()
    times: list[float] = []
    script = list(answers)

    async def ask(_: int) -> None:
        times.append(trio.current_time())
        answer = script.pop(0) if script else 0.0
        if isinstance(answer, Exception):
            raise answer
        await trio.sleep(answer)

    channel.ask = ask
    return channel, times


async def hang_shielded(seconds: float) -> None:
    """Take no notice of a cancellation."""
    with trio.CancelScope(shield=True):
        await trio.sleep(seconds)


async def test_probes_come_every_interval_moved_by_chance(autojump_clock: MockClock) -> None:
    """Every 30 seconds, a tenth more or less, for as long as the connection lasts."""
    channel, times = probing()
    async with scene(channel, probe=ProbePolicy()) as s:
        await trio.sleep(10_000)

        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert all(27 <= gap <= 33 for gap in gaps)
        assert max(gaps) - min(gaps) > 3
        assert len(s.log.of(telemetry.ProbeCompleted)) == len(times)
        assert 300 < len(times) < 350


async def test_the_first_probes_of_a_fleet_are_spread_over_the_interval(
    autojump_clock: MockClock,
) -> None:
    """Those that connected at once do not probe at once."""
    fleet: list[list[float]] = []
    async with open_runtime() as runtime:
        for number in range(60):
            channel, times = probing()
            fleet.append(times)
            spec = InstanceSpec(id=f"bot-{number}", channel=channel, probe=EVEN)
            await runtime.start_instance(spec)
        await trio.sleep(30.1)

    firsts = [times[0] for times in fleet]
    assert all(0 <= first <= 30 for first in firsts)
    assert {first // 10 for first in firsts} == {0, 1, 2}


async def test_a_probe_has_a_budget(autojump_clock: MockClock) -> None:
    """One that gives no answer is cancelled after five seconds, and is a recoverable failure."""
    channel, times = probing(HANGS)
    async with scene(channel, probe=EVEN) as s:
        completed = await s.log.wait_for(telemetry.ProbeCompleted)

        assert (completed.verdict, completed.latency) == ("recoverable", 5)
        assert completed.cause is not None
        assert (completed.cause.reason, completed.at) == ("probe_timeout", times[0] + 5)
        assert s.bot.status == "connected"


async def test_a_probe_that_ignores_its_budget_has_failed_too(autojump_clock: MockClock) -> None:
    """At once; one in a thread, say, may go on and return, and what it says then is too late."""
    channel = ScriptedChannel()

    async def ask(_: int) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(7)

    channel.ask = ask
    async with scene(channel, probe=EVEN) as s:
        completed = await s.log.wait_for(telemetry.ProbeCompleted)

        assert (completed.verdict, completed.latency) == ("recoverable", 5)
        await trio.sleep(3)
        assert len(s.log.of(telemetry.ProbeCompleted)) == 1


async def test_a_row_of_one_probe_that_never_ends_is_a_loss(autojump_clock: MockClock) -> None:
    """Where one failure is enough; it is known while the probe still runs."""
    channel = ScriptedChannel()
    channel.ask = lambda _: hang_shielded(1000)
    policy = evolve(EVEN, failures_to_fail=1)
    async with scene(channel, probe=policy) as s:
        completed = await s.log.wait_for(telemetry.ProbeCompleted)
        lost = await s.log.wait_for(telemetry.InstanceDisconnected)

        assert (lost.at, lost.cause.reason) == (completed.at, "probe_timeout")


async def test_a_probe_that_holds_up_a_closing_is_told(autojump_clock: MockClock) -> None:
    """By the closing's own budget, and again at growing intervals, with where it is; until it ends.

    The next connection waits for it, as nothing of the old one may be left.
    """
    channel = ScriptedChannel()
    channel.ask = lambda _: hang_shielded(100)
    async with scene(channel, probe=evolve(EVEN, interval=1000.0)) as s:
        await s.log.wait_for(telemetry.ProbeCompleted)
        began, told = trio.current_time(), len(s.log)
        s.bot.reconnect()
        await s.log.wait_for(telemetry.InstanceConnected, times=2)

        stuck = [each for each in list(s.log)[told:] if isinstance(each, telemetry.HookFailed)]
        assert [each.at - began for each in stuck] == pytest.approx([10, 20, 40, 80])
        assert {(each.hook, each.path) for each in stuck} == {("probe", "bot")}
        assert "hang_shielded" in stuck[0].cause.detail
        assert trio.current_time() == pytest.approx(began + 95)


async def test_a_probe_that_hangs_delays_nothing_else(autojump_clock: MockClock) -> None:
    """Children, the time to be proven, and other instances go on meanwhile."""
    channel, _ = probing(*[HANGS] * 100)
    beats: list[float] = []

    async def beat() -> None:
        while True:
            beats.append(trio.current_time())
            await trio.sleep(1)

    channel.give_children = lambda *_: [ChildSpec("beat", beat)]
    policy = ProbePolicy(interval=1.0, timeout=200.0)
    async with scene(channel, probe=policy) as s:
        await trio.sleep(100.5)

        assert beats == list(range(101))
        assert s.bot.health().proven


async def test_a_probe_never_overlaps_itself(autojump_clock: MockClock) -> None:
    """The next interval begins when a probe has ended, however slow it is."""
    channel = ScriptedChannel()
    at_once: list[int] = [0, 0]

    async def ask(_: int) -> None:
        at_once[0] += 1
        at_once[1] = max(at_once)
        await trio.sleep(4)
        at_once[0] -= 1

    channel.ask = ask
    async with scene(channel, probe=ProbePolicy(interval=0.5)) as s:
        await trio.sleep(100)

        assert at_once[1] == 1
        assert len(s.log.of(telemetry.ProbeCompleted)) > 20


async def test_three_failures_in_a_row_end_the_connection(autojump_clock: MockClock) -> None:
    """Two are nothing yet; the third loses the connection, with the probe's cause."""
    channel, times = probing(*[TimeoutError("slow")] * 3)
    async with scene(channel, probe=EVEN) as s:
        await s.log.wait_for(telemetry.ProbeCompleted, times=2)
        assert s.bot.status == "connected"
        end = await s.log.wait_for(telemetry.InstanceDisconnected)
        await s.log.wait_for(telemetry.InstanceConnected, times=2)

        assert (end.cause.reason, end.at) == ("timeout", times[2])
        assert channel.closed == [times[2]]


async def test_a_success_ends_a_row_of_failures(autojump_clock: MockClock) -> None:
    """Two failures, a success and two failures are no three in a row."""
    bad = TimeoutError("slow")
    channel, _ = probing(bad, bad, 0.0, bad, bad, 0.0)
    async with scene(channel, probe=EVEN) as s:
        await s.log.wait_for(telemetry.ProbeCompleted, times=6)

        streaks = [(e.verdict, e.streak) for e in s.log.of(telemetry.ProbeCompleted)]
        assert streaks == [
            ("recoverable", 1),
            ("recoverable", 2),
            ("ok", 1),
            ("recoverable", 1),
            ("recoverable", 2),
            ("ok", 1),
        ]
        assert s.bot.generation == 1


async def test_degraded_verdicts_degrade_until_two_successes(autojump_clock: MockClock) -> None:
    """The connection is kept; the third verdict degrades, the second success recovers."""
    channel, times = probing(*[degraded("slow")] * 3, 0.0, 0.0)
    async with scene(channel, probe=EVEN) as s:
        await s.log.wait_for(telemetry.ProbeCompleted, times=2)
        assert s.bot.status == "connected"
        await s.bot.wait_status("degraded")
        assert [r.what for r in s.bot.health().degraded] == ["probe"]
        await s.log.wait_for(telemetry.ProbeCompleted, times=4)
        assert s.bot.status == "degraded"
        await s.bot.wait_status("connected")

        (recovered,) = s.log.of(telemetry.InstanceRecovered)
        assert (recovered.what, recovered.elapsed) == ("probe", times[4] - times[2])
        assert s.bot.generation == 1


async def test_a_degradation_by_probes_ends_with_the_connection(autojump_clock: MockClock) -> None:
    """The next one is judged by its own probes."""
    channel, _ = probing(*[degraded("slow")] * 3)
    async with scene(channel, probe=EVEN) as s:
        await s.bot.wait_status("degraded")
        s.bot.reconnect()
        await s.log.wait_for(telemetry.InstanceConnected, times=2)

        assert s.bot.status == "connected"
        assert s.bot.health().probe.verdict is None


async def test_a_fatal_verdict_fails_the_instance_at_once(autojump_clock: MockClock) -> None:
    """One is enough: no retry can mend it."""
    channel, _ = probing(fatal())
    async with scene(channel, probe=EVEN) as s:
        with pytest.raises(InstanceFailed, match="banned"):
            await s.bot.wait_status("paused")

        assert len(s.log.of(telemetry.ProbeCompleted)) == 1


async def test_the_channel_classifies_what_a_probe_raises(autojump_clock: MockClock) -> None:
    """Its `classify` is asked, as for any other failure."""
    channel, _ = probing(ZeroDivisionError("odd"))
    channel.judge = lambda _: degraded("by the channel").cause
    async with scene(channel, probe=EVEN) as s:
        completed = await s.log.wait_for(telemetry.ProbeCompleted)

        assert completed.cause is not None
        assert completed.cause.reason == "by the channel"


async def test_a_cause_that_says_lost_still_needs_its_row(autojump_clock: MockClock) -> None:
    """A probe reports and does not act, whatever its failure claims of the connection."""
    channel, _ = probing(ConnectionResetError("gone"))
    async with scene(channel, probe=EVEN) as s:
        await s.log.wait_for(telemetry.ProbeCompleted, times=2)

        assert s.bot.generation == 1


async def test_without_a_policy_nothing_is_probed(autojump_clock: MockClock) -> None:
    """``probe=None``: never."""
    channel, times = probing()
    async with scene(channel, probe=None):
        await trio.sleep(1000)

    assert times == []


async def test_nothing_is_probed_without_a_connection(autojump_clock: MockClock) -> None:
    """Neither while it waits for a retry nor while it is paused."""
    channel, times = probing()
    channel.outcomes.append(ConnectionRefusedError("no"))
    async with scene(channel, probe=ProbePolicy(interval=0.1)) as s:
        await trio.sleep(0.4)
        assert times == []
        await s.bot.wait_status("connected")
        await trio.sleep(1)
        assert times != []
        s.bot.pause()
        await trio.sleep(0.001)
        before = len(times)
        await trio.sleep(100)

        assert len(times) == before


async def test_a_probe_is_ended_with_its_connection(autojump_clock: MockClock) -> None:
    """What it was about is gone, so its verdict is not told."""
    channel, times = probing(HANGS)
    async with scene(channel, probe=ProbePolicy(interval=1.0)) as s:
        await trio.sleep(2)
        assert len(times) == 1
        s.bot.pause()
        await trio.sleep(100)

        assert s.log.of(telemetry.ProbeCompleted) == []


async def test_the_snapshot_shows_the_last_verdict(autojump_clock: MockClock) -> None:
    """Verdict, latency, streak and cause."""
    channel, _ = probing(0.5, 0.25)
    async with scene(channel, probe=EVEN) as s:
        assert s.bot.health().probe.verdict is None
        await s.log.wait_for(telemetry.ProbeCompleted, times=2)

        probe = s.bot.health().probe
        assert (probe.verdict, probe.latency, probe.streak) == ("ok", 0.25, 2)


async def test_a_listener_may_reconnect_at_a_bad_probe(autojump_clock: MockClock) -> None:
    """The probe's own task is then ended in the middle of its event."""
    channel, _ = probing(TimeoutError("slow"))
    bus, log = EventBus(), EventRecorder()
    bots: list[Any] = []

    def impatient(event: telemetry.Event) -> None:
        if isinstance(event, telemetry.ProbeCompleted) and event.verdict != "ok":
            bots[0].reconnect()

    bus.listen(impatient)
    async with scene(channel, probe=EVEN, bus=bus, log=log) as s:
        bots.append(s.bot)
        await s.log.wait_for(telemetry.InstanceConnected, times=2)
        channel.ask = lambda _: nothing()
        await trio.sleep(100)

        assert s.bot.generation == 2
        assert s.bot.health().probe.verdict == "ok"
        assert channel.most == 1
