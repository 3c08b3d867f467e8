"""One schedule for the probes of all instances: its limit, its fairness, and nobody in the way."""

from __future__ import annotations

import gc
import math
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from random import Random
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from trio_instances import (
    Instance,
    InstanceSpec,
    ProbePolicy,
    Runtime,
    RuntimeSettings,
    open_runtime,
    telemetry,
)
from trio_instances.telemetry import EventBus
from trio_instances.testing import EventRecorder

from ..instance.scripted import AT_ONCE, STEADY, ScriptedChannel, nothing

AT_TEN = ProbePolicy(interval=1000.0, jitter=0.0, data_silence=10.0)
"""The silence of all passes at one moment, so that all probes are due then."""


class Fleet:
    """Some instances, and how many of their probes run."""

    def __init__(self, runtime: Runtime, log: EventRecorder) -> None:
        self.runtime = runtime
        self.log = log
        self.running = 0
        self.most = 0
        self.began: list[tuple[float, str]] = []

    async def start(
        self, name: str, answer: Callable[[], Awaitable[object]], policy: ProbePolicy = AT_TEN
    ) -> Instance:
        """Start an instance whose probes do this."""
        channel = ScriptedChannel()

        async def ask(_: int) -> None:
            self.began.append((trio.current_time(), name))
            self.running += 1
            self.most = max(self.most, self.running)
            try:
                await answer()
            finally:
                self.running -= 1

        channel.ask = ask
        return await self.runtime.start_instance(
            InstanceSpec(id=name, channel=channel, probe=policy, reconnect=STEADY)
        )

    def completed(self, name: str) -> list[telemetry.ProbeCompleted]:
        """Return what was told of the probes of one."""
        told = self.log.of(telemetry.ProbeCompleted)
        return [event for event in told if event.instance_id == name]


@asynccontextmanager
async def fleet(at_once: int, seed: int = 0) -> AsyncIterator[Fleet]:
    """Open a runtime that allows so many probes at once."""
    bus, log = EventBus(), EventRecorder()
    bus.listen(log)
    settings = RuntimeSettings(probes_at_once=at_once)
    async with open_runtime(settings, events=bus, random=Random(seed)) as runtime:
        yield Fleet(runtime, log)


async def sleep_2() -> None:
    """Take two seconds to answer."""
    await trio.sleep(2)


async def hang() -> None:
    """Give no answer, and end when cancelled."""
    await trio.sleep_forever()


async def ignore_everything() -> None:
    """Give no answer for a long time, cancelled or not."""
    with trio.CancelScope(shield=True):
        await trio.sleep(500)


async def test_no_more_probes_run_at_once_than_allowed(autojump_clock: MockClock) -> None:
    """The others come as places get free, and all of them come."""
    async with fleet(at_once=3) as f:
        for number in range(10):
            await f.start(str(number), sleep_2)
        await trio.sleep(19)

        assert f.most == 3
        assert [at for at, _ in f.began] == [10] * 3 + [12] * 3 + [14] * 3 + [16]


async def test_the_places_are_given_first_come_first_served(autojump_clock: MockClock) -> None:
    """In the order in which the probes were due; nobody is passed by."""
    async with fleet(at_once=1) as f:
        for number in range(6):
            await f.start(str(number), sleep_2)
            await trio.sleep(0.1)
        await trio.sleep(24)

        assert [name for _, name in f.began][:6] == [str(number) for number in range(6)]
        # Those that had their turn stand at the end of the line again.
        assert [name for _, name in f.began][6:] == [str(n) for n in range(len(f.began) - 6)]


async def test_probes_that_are_due_at_nearly_the_same_time_are_begun_together(
    autojump_clock: MockClock,
) -> None:
    """One look at the times serves ten milliseconds, and none is late by more."""
    async with fleet(at_once=1000) as f:
        for number in range(100):
            await f.start(str(number), nothing)
            await trio.sleep(0.001)
        await trio.sleep(15)

        late = [at - (10 + 0.001 * int(name)) for at, name in f.began[:100]]
        assert all(-1e-9 <= each <= 0.010001 for each in late)
        assert len({at for at, _ in f.began[:100]}) <= 12


async def test_the_wait_for_a_place_is_told_and_counts_neither_as_latency_nor_as_budget(
    autojump_clock: MockClock,
) -> None:
    """A probe has its whole time from when it runs, however long it stood in line."""
    policy = ProbePolicy(interval=1000, jitter=0.0, data_silence=10, timeout=3)
    async with fleet(at_once=1) as f:
        bots = [await f.start(name, sleep_2, policy) for name in "abc"]
        await trio.sleep(17)

        told = [f.completed(name)[0] for name in "abc"]
        assert [(each.verdict, each.latency) for each in told] == [("ok", 2)] * 3
        assert [each.waited for each in told] == [0, 2, 4]
        assert (bots[2].health().probe.latency, bots[2].health().probe.waited) == (2, 4)


async def test_a_probe_that_uses_up_its_time_gives_its_place_to_the_next(
    autojump_clock: MockClock,
) -> None:
    """It is cancelled then, and has failed."""
    async with fleet(at_once=1) as f:
        await f.start("hangs", hang)
        await f.start("well", nothing)
        await trio.sleep(16)

        assert f.began == [(10, "hangs"), (15, "well")]
        assert [e.verdict for e in f.completed("hangs")] == ["recoverable"]


async def test_a_probe_that_ignores_its_cancellation_is_in_nobodys_way(
    autojump_clock: MockClock,
) -> None:
    """Its time being up, it has failed and holds no place, though it goes on; no second begins."""
    async with fleet(at_once=1) as f:
        await f.start("stuck", ignore_everything)
        await f.start("well", nothing)
        await trio.sleep(400)

        assert f.began[0] == (10, "stuck")
        times = [at for at, name in f.began if name == "well"]
        assert times[0] == 15
        assert all(later - earlier <= 10 for earlier, later in pairwise(times))
        assert len(f.completed("well")) > 30
        (stuck,) = f.completed("stuck")
        assert (stuck.at, stuck.verdict, stuck.latency) == (15, "recoverable", 5)
        assert [at for at, name in f.began if name == "stuck"] == [10]
        await trio.sleep(120)

        assert [at for at, name in f.began if name == "stuck"] == [10, 510]
        assert [each.at for each in f.completed("stuck")] == [15, 515]


async def test_a_stuck_probe_whose_connection_ends_is_in_nobodys_way(
    autojump_clock: MockClock,
) -> None:
    """Its place is free at once, and its verdict judges nobody."""
    policy = ProbePolicy(interval=1000, jitter=0.0, data_silence=10, timeout=100)
    async with fleet(at_once=1) as f:
        bot = await f.start("stuck", ignore_everything, policy)
        await f.start("well", nothing, policy)
        await trio.sleep(11)
        assert [name for _, name in f.began] == ["stuck"]
        bot.pause()
        await trio.sleep(1)
        assert [name for _, name in f.began] == ["stuck", "well"]
        await trio.sleep(600)

        assert f.completed("stuck") == []


async def test_one_that_waits_for_a_place_is_forgotten_with_its_connection(
    autojump_clock: MockClock,
) -> None:
    """Nothing is asked of a connection that has ended."""
    async with fleet(at_once=1) as f:
        await f.start("slow", sleep_2)
        bot = await f.start("waits", nothing)
        await trio.sleep(11)
        bot.pause()
        await trio.sleep(100)

        assert {name for _, name in f.began} == {"slow"}


async def test_one_that_loses_its_connection_at_its_turn_is_passed_over(
    autojump_clock: MockClock,
) -> None:
    """The turn comes in the very moment in which another probe ends its connection."""
    async with fleet(at_once=1) as f:
        bots: list[Instance] = []

        async def pause_the_other() -> None:
            bots[0].pause()

        await f.start("first", pause_the_other)
        bots.append(await f.start("other", nothing))
        await f.start("third", nothing)
        await trio.sleep(11)

        assert [name for _, name in f.began] == ["first", "third"]


async def test_a_verdict_that_comes_too_late_judges_no_newer_connection(
    autojump_clock: MockClock,
) -> None:
    """What a probe of the old one says in the end is about nothing that there is."""
    channel = ScriptedChannel()

    async def ask(connection: int) -> None:
        if connection == 1:
            with trio.CancelScope(shield=True):
                await trio.sleep(3)
            raise OSError("of the old one")

    channel.ask = ask
    async with fleet(at_once=5) as f:
        policy = ProbePolicy(interval=1000, jitter=0.0, data_silence=10, failures_to_fail=1)
        spec = InstanceSpec(id="bot", channel=channel, probe=policy, reconnect=STEADY)
        bot = await f.runtime.start_instance(spec)
        await trio.sleep(11)
        bot.reconnect()
        await f.log.wait_for(telemetry.InstanceConnected, times=2)
        assert bot.health().probe.verdict is None
        await trio.sleep(100)

        assert bot.generation == 2
        assert {(e.generation, e.verdict) for e in f.completed("bot")} == {(2, "ok")}


@pytest.mark.parametrize("silence", [1e6, 0.001], ids=["waiting", "probed"])
async def test_five_hundred_reconnects_leave_nothing_in_the_schedule(
    autojump_clock: MockClock, silence: float
) -> None:
    """Neither the times of dead connections pile up, nor are the connections kept alive.

    Whether they end while they wait for a probe, or in the middle of one.
    """

    class Thing:
        """What a connection is made of."""

    alive: weakref.WeakSet[Thing] = weakref.WeakSet()

    class Fresh(ScriptedChannel):
        @asynccontextmanager
        async def connect(self, instance: Instance) -> AsyncIterator[Any]:
            async with super().connect(instance):
                thing = Thing()
                alive.add(thing)
                yield thing
                del thing

    async with fleet(at_once=5) as f:
        policy = ProbePolicy(interval=1e6, data_silence=silence)
        channel = Fresh()
        channel.ask = lambda _: hang()
        spec = InstanceSpec(id="bot", channel=channel, probe=policy, reconnect=AT_ONCE)
        bot = await f.runtime.start_instance(spec)
        for _ in range(500):
            await bot.wait_status("connected")
            await trio.sleep(0.1)
            bot.reconnect()
        await trio.sleep(0.0005)
        gc.collect()

        assert len(alive) == 1
        schedule = f.runtime._schedule  # noqa: SLF001 - it shows nowhere else
        assert len(schedule._order) < 100  # noqa: SLF001 - nothing public tells what it keeps


@pytest.mark.parametrize("how", ["stop_instance", "leave"])
async def test_a_stop_ends_the_probes_that_run_and_those_that_wait(
    autojump_clock: MockClock, how: str
) -> None:
    """None is begun after the stop of its instance."""
    async with fleet(at_once=2) as f:
        for number in range(6):
            await f.start(str(number), hang)
        await trio.sleep(11)
        assert f.running == 2
        if how == "stop_instance":
            for number in range(6):
                await f.runtime.stop_instance(str(number))
            assert f.running == 0
            begun = len(f.began)
            await trio.sleep(100)
            assert len(f.began) == begun

    assert f.running == 0
    assert f.log.of(telemetry.ProbeCompleted) == []


LENGTHS = st.sampled_from([0.0, 0.5, 4.0, 6.0, math.inf])
"""Some answer at once, some slowly, some too late, some never."""


@given(
    at_once=st.integers(1, 4),
    lengths=st.lists(LENGTHS, min_size=1, max_size=8),
    stubborn=st.integers(0, 7),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=60)
def test_whatever_the_probes_do_each_instance_is_probed_in_time(
    at_once: int, lengths: list[float], stubborn: int, seed: int
) -> None:
    """Never two of one, never too many that have time left, and none waits for longer than a round.

    A round is as long as all the others take one after the other, in so many lines.
    """
    timeout = 5.0
    policy = ProbePolicy(
        interval=7.0, timeout=timeout, failures_to_fail=10**6, transport_silence=3.0
    )

    async def main() -> None:
        async with fleet(at_once, seed) as f:
            in_time: dict[str, float] = {}

            def answering(name: str, length: float, *, shielded: bool) -> Callable[[], Any]:
                async def answer() -> None:
                    now = trio.current_time()
                    assert name not in in_time, "two probes of one connection"
                    in_time[name] = now
                    assert sum(now < at + timeout for at in in_time.values()) <= at_once
                    try:
                        with trio.CancelScope(shield=shielded):
                            await trio.sleep(min(length, 11.0) if shielded else length)
                    finally:
                        del in_time[name]

                return answer

            names = [str(number) for number in range(len(lengths))]
            for name, length in zip(names, lengths, strict=True):
                shielded = int(name) == stubborn
                await f.start(name, answering(name, length, shielded=shielded), policy)
            await trio.sleep(300)

            round_ = timeout * (len(lengths) // at_once + 1)
            assert all(e.waited <= round_ for e in f.log.of(telemetry.ProbeCompleted))
            longest = 11.0 + 7.0 * 1.1 + round_
            assert all(len(f.completed(name)) >= 300 // longest - 1 for name in names)

    trio.run(main, clock=MockClock(autojump_threshold=0))


async def test_a_listener_to_one_timeout_may_end_another(autojump_clock: MockClock) -> None:
    """Also one whose time is up at the same moment: there is no verdict on that one any more."""
    async with fleet(at_once=5) as f:
        bots = [await f.start(name, hang) for name in "abc"]

        def pause_the_others(event: telemetry.Event) -> None:
            if isinstance(event, telemetry.ProbeCompleted):
                for bot in [bot for bot in bots if bot.id != event.instance_id]:
                    bot.pause()

        f.runtime.events.listen(pause_the_others)
        await trio.sleep(30)

        assert len({event.instance_id for event in f.log.of(telemetry.ProbeCompleted)}) == 1
        assert sorted(bot.status for bot in bots) == ["connected", "paused", "paused"]
