"""After the machine slept: a probe at once on each connection, and nothing else."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest
import trio
from attrs import frozen
from trio.testing import MockClock

from trio_instances import (
    Instance,
    InstanceSpec,
    InvalidSpec,
    ProbePolicy,
    Runtime,
    RuntimeSettings,
    open_runtime,
    telemetry,
)
from trio_instances.telemetry import EventBus
from trio_instances.testing import EventRecorder

from ..instance.scripted import STEADY, ScriptedChannel

RARE = ProbePolicy(interval=100_000.0)


class WallClock:
    """Runs as Trio's clock does, until it is moved."""

    def __init__(self) -> None:
        self.ahead = 1e9
        self.rate = 1.0
        self.failure: Exception | None = None
        self.looks = 0

    def __call__(self) -> float:
        """Return the time."""
        self.looks += 1
        if self.failure is not None:
            raise self.failure
        return self.ahead + self.rate * trio.current_time()


@frozen
class Night:
    """A runtime with some connections, and its clock."""

    runtime: Runtime
    bots: list[Instance]
    wall: WallClock
    log: EventRecorder

    @property
    def probes(self) -> list[tuple[float, str]]:
        """When each probe ended, and of which instance."""
        told = self.log.of(telemetry.ProbeCompleted)
        return [(each.at, each.instance_id or "") for each in told if each.trigger == "slept"]


@asynccontextmanager
async def night(
    count: int = 1,
    *,
    at_once: int = 200,
    make: Callable[[], ScriptedChannel] = ScriptedChannel,
    policy: ProbePolicy | None = RARE,
) -> AsyncIterator[Night]:
    """Open a runtime with some instances."""
    wall, bus, log = WallClock(), EventBus(), EventRecorder()
    bus.listen(log)
    settings = RuntimeSettings(probes_at_once=at_once)
    async with open_runtime(settings, events=bus, random=Random(2), wall_clock=wall) as runtime:
        bots = [
            await runtime.start_instance(
                InstanceSpec(id=f"bot-{n}", channel=make(), probe=policy, reconnect=STEADY)
            )
            for n in range(count)
        ]
        await trio.sleep(1)
        yield Night(runtime, bots, wall, log)


async def test_after_a_sleep_every_connection_is_probed_at_once(
    autojump_clock: MockClock,
) -> None:
    """Within the five seconds between two looks; told once, with how long it was."""
    async with night(3) as n:
        n.wall.ahead += 8 * 3600
        await trio.sleep(5)

        (slept,) = n.log.of(telemetry.RuntimeSlept)
        assert (slept.at, slept.elapsed, slept.connections) == (5, 8 * 3600, 3)
        assert sorted(n.probes) == [(5, "bot-0"), (5, "bot-1"), (5, "bot-2")]
        await trio.sleep(1000)
        assert len(n.probes) == 3


async def test_each_sleep_is_one(autojump_clock: MockClock) -> None:
    """The next one is measured from where the clocks are then."""
    async with night() as n:
        for _ in range(3):
            n.wall.ahead += 60
            await trio.sleep(20)

        assert [e.elapsed for e in n.log.of(telemetry.RuntimeSlept)] == [60, 60, 60]


@pytest.mark.parametrize(
    "move", [-3600.0, -1e9, -1.0, 1.0, 9.0], ids=["back", "far", "leap", "step", "large-step"]
)
async def test_a_step_of_the_wall_clock_is_no_sleep(autojump_clock: MockClock, move: float) -> None:
    """Not backwards, and not by a few seconds."""
    async with night() as n:
        n.wall.ahead += move
        await trio.sleep(100)

        assert n.log.of(telemetry.RuntimeSlept) == []
        assert n.probes == []


@pytest.mark.parametrize("rate", [0.0, 0.9, 1.0005, 1.1])
async def test_a_wall_clock_that_is_slewed_never_adds_up_to_a_sleep(
    autojump_clock: MockClock, rate: float
) -> None:
    """Two looks are compared, and not a look with the start."""
    async with night() as n:
        n.wall.rate = rate
        n.wall.ahead -= (rate - 1) * trio.current_time()
        await trio.sleep(10_000)

        assert n.log.of(telemetry.RuntimeSlept) == []


async def test_a_process_that_was_stopped_has_not_slept(autojump_clock: MockClock) -> None:
    """Both clocks went on, and what is overdue by them is done at once in any case."""
    async with night() as n:
        autojump_clock.jump(3600)
        await trio.sleep(20)

        assert n.log.of(telemetry.RuntimeSlept) == []


async def test_all_of_a_large_fleet_are_probed_within_the_limit(
    autojump_clock: MockClock,
) -> None:
    """Waking is no storm."""
    running = [0, 0]

    def make() -> ScriptedChannel:
        channel = ScriptedChannel()

        async def ask(_: int) -> None:
            running[0] += 1
            running[1] = max(running)
            await trio.sleep(1)
            running[0] -= 1

        channel.ask = ask
        return channel

    async with night(50, at_once=10, make=make) as n:
        n.wall.ahead += 60
        await trio.sleep(20)

        assert running[1] == 10
        assert sorted({at for at, _ in n.probes}) == [6, 7, 8, 9, 10]
        assert len(n.probes) == 50


async def test_one_that_is_being_probed_is_probed_once_more(autojump_clock: MockClock) -> None:
    """The answer may be from before the sleep; but never two at once."""
    channel = ScriptedChannel()
    times: list[tuple[float, float]] = []

    async def ask(_: int) -> None:
        began = trio.current_time()
        await trio.sleep(4)
        times.append((began, trio.current_time()))

    channel.ask = ask
    policy = ProbePolicy(interval=1e5, data_silence=3)
    async with night(make=lambda: channel, policy=policy) as n:
        await trio.sleep(3)
        n.wall.ahead += 60
        await trio.sleep(7.5)

        assert times[:2] == [(3, 7), (7, 11)]
        told = n.log.of(telemetry.ProbeCompleted)
        assert [str(each.trigger) for each in told][:2] == ["data", "slept"]


async def test_one_that_ends_in_the_middle_of_its_probe_is_forgotten(
    autojump_clock: MockClock,
) -> None:
    """Nothing of it is kept for the regular time of its next one, which may be days away."""
    channel = ScriptedChannel()

    async def hang(_: int) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(4)

    channel.ask = hang
    async with night(make=lambda: channel) as n:
        n.wall.ahead += 60
        await trio.sleep(6)
        n.bots[0].pause()
        await trio.sleep(3)

        schedule = n.runtime._schedule  # noqa: SLF001 - it shows nowhere else
        assert schedule._batches == {}  # noqa: SLF001 - nothing public tells what it keeps


async def test_one_that_waits_for_its_turn_is_probed_once(autojump_clock: MockClock) -> None:
    """It is asked after the sleep anyhow; it keeps its place, and the sleep is its reason."""

    def make() -> ScriptedChannel:
        channel = ScriptedChannel()

        async def ask(_: int) -> None:
            await trio.sleep(4)

        channel.ask = ask
        return channel

    policy = ProbePolicy(interval=1e5, data_silence=103)
    async with night(3, at_once=1, make=make, policy=policy) as n:
        await trio.sleep(103)
        n.wall.ahead += 60
        await trio.sleep(20)

        told = n.log.of(telemetry.ProbeCompleted)
        assert [(e.instance_id, str(e.trigger)) for e in told] == [
            ("bot-0", "data"),
            ("bot-1", "slept"),
            ("bot-2", "slept"),
            ("bot-0", "slept"),
        ]


async def test_a_dead_connection_is_found_and_the_sleep_alone_ends_none(
    autojump_clock: MockClock,
) -> None:
    """A sleep is no failure: only what the probes say counts."""
    channel = ScriptedChannel()

    async def ask(connection: int) -> None:
        if connection == 1:
            raise ConnectionResetError("the server gave up on us")

    channel.ask = ask
    policy = ProbePolicy(failures_to_fail=1, interval=1e5)
    async with night(make=lambda: channel, policy=policy) as n:
        n.wall.ahead += 3600
        await n.log.wait_for(telemetry.InstanceConnected, times=2)
        n.wall.ahead += 3600
        await trio.sleep(10)

        assert n.bots[0].generation == 2
        assert len(n.log.of(telemetry.RuntimeSlept)) == 2


async def test_nothing_is_asked_of_what_has_no_connection_or_no_probes(
    autojump_clock: MockClock,
) -> None:
    """A retry that waits goes on to wait: its time is Trio's."""

    def make() -> ScriptedChannel:
        return ScriptedChannel(*[OSError("no")] * 6)

    async with night(make=make) as n:
        await n.bots[0].wait_status("degraded")
        due = n.bots[0].health().next_retry_at
        n.wall.ahead += 3600
        await trio.sleep(10)

        assert n.log.of(telemetry.RuntimeSlept)[0].connections == 0
        assert n.bots[0].health().next_retry_at == due

    async with night(policy=None) as n:
        n.wall.ahead += 3600
        await trio.sleep(10)

        assert n.probes == []


async def test_a_clock_that_fails_is_told_of_and_asked_no_more(autojump_clock: MockClock) -> None:
    """The runtime goes on without it; regular probes find what a sleep has broken."""
    async with night(policy=ProbePolicy()) as n:
        n.wall.failure = OSError("no clock")
        await trio.sleep(100)

        (failed,) = n.log.of(telemetry.HookFailed)
        assert (failed.hook, failed.cause.detail) == ("wall_clock", "no clock")
        assert n.wall.looks == 2
        assert len(n.log.of(telemetry.ProbeCompleted)) >= 3


@pytest.mark.parametrize("given", ["now", float("nan"), None], ids=str)
async def test_a_clock_that_tells_no_time_does_no_harm(
    autojump_clock: MockClock, given: Any
) -> None:
    """Nor does one that fails at its first look."""
    async with open_runtime(wall_clock=lambda: given) as runtime:
        bot = await runtime.start_instance(InstanceSpec(id="bot", channel=ScriptedChannel()))
        await trio.sleep(100)

        assert bot.status == "connected"


def test_ctrl_c_while_the_clock_is_read_goes_to_the_block() -> None:
    """The runtime's own tasks are not torn apart by it: what the user wrote is interrupted."""

    def interrupting() -> float:
        signal.raise_signal(signal.SIGINT)
        return 0.0

    async def main() -> None:
        with pytest.raises(KeyboardInterrupt):  # bare
            async with open_runtime(wall_clock=interrupting):
                await trio.sleep_forever()

    trio.run(main)


async def test_a_wall_clock_must_be_a_function() -> None:
    """It is refused at the door."""
    with pytest.raises(InvalidSpec, match="wall_clock"):
        async with open_runtime(wall_clock=12.5):  # type: ignore[arg-type] # the point
            pass


async def test_a_sleep_is_noticed_while_nobody_listens(autojump_clock: MockClock) -> None:
    """Being told of it is not what it is for."""
    wall = WallClock()
    async with open_runtime(wall_clock=wall) as runtime:
        spec = InstanceSpec(id="bot", channel=ScriptedChannel(), probe=RARE)
        bot = await runtime.start_instance(spec)
        await trio.sleep(1)
        wall.ahead += 100
        await trio.sleep(5)

        assert bot.health().probe.verdict == "ok"
