"""What happens in one instance changes nothing in another."""

from __future__ import annotations

from random import Random
from typing import Any

import trio
from trio.testing import MockClock

from trio_instances import (
    ChildSpec,
    Instance,
    InstanceSpec,
    ProbePolicy,
    RestartIntensity,
    Runtime,
    open_runtime,
)

from ..instance.scripted import STEADY, ScriptedChannel, Worker, always, incarnations

FLEET, BAD = 50, 10


class Ticking(ScriptedChannel):
    """A well-behaved channel with children of both kinds, one of which notes when it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.keeper = Worker()
        self.ticks: list[float] = []
        self.give_own = lambda _: [ChildSpec("keeper", self.keeper.run)]
        self.give_children = lambda *_: [
            ChildSpec("reader", self.reader.run),
            ChildSpec("clock", self.tick),
        ]

    async def tick(self) -> None:
        """Note the time, every second."""
        while True:
            self.ticks.append(trio.current_time())
            await trio.sleep(1)


class Crashing(ScriptedChannel):
    """One that does everything wrong, one thing after the other."""

    def __init__(self, kind: int) -> None:
        super().__init__()
        if kind % 5 == 0:
            self.outcomes = [OSError("no")] * 10_000
        elif kind % 5 == 1:
            self.give_own = lambda _: [ChildSpec("keeper", self.crash)]
        elif kind % 5 == 2:
            self.give_children = lambda *_: [ChildSpec("reader", self.crash)]
        elif kind % 5 == 3:
            self.judge = self.misjudge
            self.outcomes = [ValueError("bug")] * 10_000
        else:
            self.ask = self.never_answer

    async def crash(self) -> None:
        """Be a bug."""
        await trio.sleep(0.05)
        raise ValueError("bug")

    async def never_answer(self, _: int) -> None:
        """Hang."""
        await trio.sleep_forever()

    def misjudge(self, exc: Exception) -> Any:
        """Be a bug as well."""
        raise ZeroDivisionError


async def run_fleet(*, bad: int) -> tuple[list[list[float]], list[dict[str, int]], list[Instance]]:
    """Run a fleet for ten minutes; return the good ones' ticks, incarnations and handles."""
    channels: list[Ticking] = []
    async with open_runtime(random=Random(7)) as runtime:
        for number in range(FLEET):
            good = number % (FLEET // BAD) != 0 or bad == 0
            channel: ScriptedChannel = Ticking() if good else Crashing(number // (FLEET // BAD))
            if isinstance(channel, Ticking) and number % (FLEET // BAD) != 0:
                channels.append(channel)
            await start(runtime, number, channel)
        await trio.sleep(600)
        bots = [bot for bot in runtime.list_instances() if int(bot.id) % (FLEET // BAD) != 0]
        return (
            [channel.ticks for channel in channels],
            [incarnations(bot) for bot in bots],
            bots,
        )


async def start(runtime: Runtime, number: int, channel: ScriptedChannel) -> None:
    """Start one member of the fleet."""
    spec = InstanceSpec(
        id=str(number), channel=channel, reconnect=STEADY, probe=ProbePolicy(interval=5.0)
    )
    await runtime.start_instance(spec)


async def test_ten_crash_loops_of_fifty_change_nothing_for_the_rest(
    autojump_clock: MockClock,
) -> None:
    """The same incarnations, counters and timings as in a fleet in which nothing goes wrong."""
    began = trio.current_time()
    ticks, runs, bots = await run_fleet(bad=BAD)
    middle = trio.current_time()
    quiet_ticks, quiet_runs, _ = await run_fleet(bad=0)

    assert len(ticks) == FLEET - BAD
    assert runs == quiet_runs == [{"keeper": 1, "reader": 1, "clock": 1}] * (FLEET - BAD)
    assert [[at - began for at in row] for row in ticks] == [
        [at - middle for at in row] for row in quiet_ticks
    ]
    for bot in bots:
        health = bot.health()
        assert (health.restarts, health.reconnects, health.reconnect_attempts) == (0, 0, 0)
        assert health.generation == 1


async def test_each_instance_has_a_restart_budget_of_its_own(
    instance_runtime: Runtime, autojump_clock: MockClock
) -> None:
    """Many that crash at once, each within its budget, fail neither themselves nor others."""
    workers = []
    for number in range(20):
        channel, worker = ScriptedChannel(), Worker()
        workers.append(worker)
        channel.give_own = always(ChildSpec("keeper", worker.run))
        await start(instance_runtime, number, channel)
    for _ in range(5):
        for worker in workers:
            worker.end(ValueError("bug"))
        await trio.sleep(0.1)

    assert {bot.status for bot in instance_runtime.list_instances()} == {"connected"}
    assert {bot.health().restarts for bot in instance_runtime.list_instances()} == {5}


async def test_instances_do_not_spend_one_anothers_restarts(
    instance_runtime: Runtime, autojump_clock: MockClock
) -> None:
    """Many that fail as a whole at once, each once, are all restarted: each counts for itself."""
    none_at_all = RestartIntensity(max_restarts=0, period=1.0)
    workers = []
    for number in range(20):
        channel, worker = ScriptedChannel(), Worker()
        workers.append(worker)
        channel.give_own = always(ChildSpec("keeper", worker.run))
        spec = InstanceSpec(id=f"bot-{number}", channel=channel, probe=None, intensity=none_at_all)
        await instance_runtime.start_instance(spec)
    for worker in workers:
        worker.end(ValueError("bug"))
    await trio.sleep(1.0)

    assert {bot.status for bot in instance_runtime.list_instances()} == {"connected"}
    assert {bot.health().restarts for bot in instance_runtime.list_instances()} == {1}


async def test_a_slow_stop_of_one_delays_no_reconnect_of_another(
    autojump_clock: MockClock,
) -> None:
    """Verbs about one instance hold up nobody else."""
    slow, other = ScriptedChannel(), ScriptedChannel(OSError("no"))

    async def close() -> None:
        await trio.sleep(9)

    slow.close = close
    async with open_runtime() as runtime, trio.open_nursery() as nursery:
        await start(runtime, 0, slow)
        await runtime.instance("0").wait_status("connected")
        nursery.start_soon(runtime.stop_instance, "0")
        await start(runtime, 1, other)
        await runtime.instance("1").wait_status("connected")

        assert other.attempts == [0, 0.5]


async def test_a_slow_start_of_one_delays_no_other(autojump_clock: MockClock) -> None:
    """Instances that are started by different tasks start at the same time."""
    async with open_runtime() as runtime, trio.open_nursery() as nursery:
        for number in range(10):
            channel = ScriptedChannel()

            async def slow(*, task_status: trio.TaskStatus[None]) -> None:
                await trio.sleep(3)
                task_status.started()
                await trio.sleep_forever()

            channel.give_own = always(ChildSpec("slow", slow))
            nursery.start_soon(start, runtime, number, channel)
        await trio.sleep(3.1)

        assert {bot.status for bot in runtime.list_instances()} == {"connected"}
