"""A storm: everything fails, hangs and is asked at once, and the promises still hold."""

from __future__ import annotations

import math
from contextlib import suppress
from random import Random

import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    BreakerPolicy,
    BudgetPolicy,
    ChildSpec,
    ChildStartFailed,
    ConnectionBudget,
    Instance,
    InstanceAlreadyStarted,
    InstanceNotFound,
    InstanceSpec,
    ProbePolicy,
    ReconnectPolicy,
    RestartIntensity,
    Runtime,
    open_runtime,
    telemetry,
)
from trio_instances.telemetry import EventBus

from ..instance.scripted import HANGS, ScriptedChannel, degraded, fatal, lost

LINKED = {"connected", "degraded"}


class StormyChannel(ScriptedChannel):
    """One of which anything may be expected, by chance.

    Args:
        chance: Where it comes from.
    """

    def __init__(self, chance: Random) -> None:
        failures = [OSError("a"), lost(retry_after=3.0), degraded(), fatal()]
        outcomes: list[float | BaseException] = [0.0, 0.0, 1.0, HANGS, *failures]
        super().__init__(*chance.choices(outcomes, k=10))
        self.chance = chance
        self.close = self.close_somehow
        self.ask = self.answer_somehow
        self.give_children = lambda *_: [self.somehow("a"), self.somehow("b")]
        self.give_own = lambda _: [self.somehow("own")]

    def somehow(self, name: str) -> ChildSpec:
        """Return a child that may be essential."""
        return ChildSpec(name, self.live_somehow, essential=self.chance.random() < 0.6)

    async def live_somehow(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Start slowly, or not at all; live, and fail; stop slowly."""
        await trio.sleep(self.chance.choice([0] * 20 + [2, HANGS]))
        if self.chance.random() < 0.1:
            raise self.chance.choice([ValueError("s"), lost(), degraded()])
        task_status.started()
        try:
            await trio.sleep(self.chance.choice([0, 0.5, 5, 50, HANGS, HANGS]))
            raise self.chance.choice([ValueError("c"), lost(), degraded(), OSError("k")])
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(self.chance.choice([0, 0, 0, 0, 1, 4]))

    async def close_somehow(self) -> None:
        """Close at once, or slowly, or not at all."""
        await trio.sleep(self.chance.choice([0, 0, 0, 0.5, 3, HANGS]))
        if self.chance.random() < 0.1:
            raise ValueError("in closing")

    async def answer_somehow(self, _: int) -> None:
        """Answer a probe, or not."""
        await trio.sleep(self.chance.choice([0] * 9 + [HANGS]))
        if self.chance.random() < 0.2:
            raise self.chance.choice([degraded(), OSError("p")])


class Storm:
    """Several tasks that ask a runtime for anything, and cancel what takes too long."""

    def __init__(
        self, chance: Random, runtime: Runtime, budget: ConnectionBudget | None = None
    ) -> None:
        self.chance = chance
        self.runtime = runtime
        self.budget = budget
        self.channels: list[StormyChannel] = []
        self.bots: list[Instance] = []

    async def blow(self) -> None:
        """Ask for one thing after the other."""
        for _ in range(30):
            await trio.sleep(self.chance.choice([0, 0, 0.1, 1, 5, 20]))
            for bot in self.runtime.list_instances():
                check(bot)
            with trio.move_on_after(self.chance.choice([0, 0.1, 1, 10, math.inf, math.inf])):
                with suppress(InstanceNotFound, InstanceAlreadyStarted, ChildStartFailed):
                    await self.ask_anything(self.chance.choice("xyz"))

    async def ask_anything(self, name: str) -> None:
        """Ask for one thing."""
        match self.chance.randrange(7):
            case 0 | 1:
                await self.start(name)
            case 2:
                await self.runtime.stop_instance(name)
            case 3:
                await self.runtime.restart_instance(name)
            case 4:
                self.runtime.instance(name).reconnect()
            case 5:
                self.runtime.instance(name).pause()
            case _:
                self.runtime.instance(name).resume()

    async def start(self, name: str) -> None:
        """Start an instance."""
        channel = StormyChannel(self.chance)
        self.channels.append(channel)
        spec = InstanceSpec(
            id=name,
            channel=channel,
            reconnect=ReconnectPolicy(stable_after=10),
            probe=ProbePolicy(interval=2.0),
            budget=self.budget,
            intensity=RestartIntensity(self.chance.choice([0, 2, 5]), 30.0),
        )
        self.bots.append(await self.runtime.start_instance(spec))

    def interfere(self, _: telemetry.Event) -> None:
        """Now and then answer an event with a verb."""
        if self.bots and self.chance.random() < 0.01:
            bot = self.chance.choice(self.bots)
            self.chance.choice([bot.reconnect, bot.pause, bot.resume])()


def check(bot: Instance) -> None:
    """Check that what is said of an instance is true, in so far as one can see."""
    health = bot.health()
    if bot.status == "connected":
        assert bot.connected
    if bot.status not in LINKED | {"stopping"}:
        assert not bot.connected
    assert telemetry.snapshot_from_json(telemetry.snapshot_to_json(health)) == health


async def play(chance: Random, budget: ConnectionBudget | None = None) -> Storm:
    """Play a storm, and check that everything is down at its end."""
    bus = EventBus()
    async with open_runtime(events=bus, random=chance) as runtime:
        storm = Storm(chance, runtime, budget)
        bus.listen(storm.interfere)
        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(storm.blow)
            with trio.move_on_after(400) as patience:
                await trio.sleep_forever()
            nursery.cancel_scope.cancel()

    assert patience.cancelled_caught
    assert len(storm.channels) > 1
    assert {channel.living for channel in storm.channels} == {0}
    assert max(channel.most for channel in storm.channels) <= 1
    assert {bot.status for bot in storm.bots} <= {"stopped", "failed"}
    return storm


@pytest.mark.parametrize("seed", range(25))
async def test_a_storm_leaves_nothing_behind(autojump_clock: MockClock, seed: int) -> None:
    """Never two generations at once, never a wrong word, and at the end everything is down."""
    await play(Random(seed))


@pytest.mark.parametrize("seed", range(25))
async def test_a_storm_under_a_budget_keeps_to_it(autojump_clock: MockClock, seed: int) -> None:
    """Never over the rate; what was taken is given back; the breaker keeps nobody for ever."""
    breaker = BreakerPolicy(minimum=2, stable_after=2.0)
    policy = BudgetPolicy(attempts_per_second=0.5, burst=2, in_flight=2, breaker=breaker)
    budget = ConnectionBudget("key", policy)
    storm = await play(Random(seed), budget)

    attempts = sorted(at for channel in storm.channels for at in channel.attempts)
    assert len(attempts) > 1
    for earlier, later in zip(attempts, attempts[2:], strict=False):
        assert later - earlier > 2.0 - 1e-6
    health = budget.health()
    assert (health.in_flight, health.waiting) == (0, 0)
