"""A provider dies for ten minutes under a fleet that shares one budget: how does the fleet return?

The time is virtual, and the runtime the real one::

    python benchmarks/outage.py --instances 10000 --rate 100
    python benchmarks/outage.py --instances 10000 --rate 100 --no-breaker

It prints the attempts of each part and of its busiest second, and how much later the instances were
back than the budget alone would have had it: the n-th one by the time of the n-th attempt that the
rate allows after the provider's return.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import Random

import trio
from attrs import frozen
from trio.testing import MockClock

from trio_instances import (
    BreakerPolicy,
    BudgetPolicy,
    Cause,
    ChannelError,
    ChildSpec,
    ConnectionBudget,
    Instance,
    InstanceSpec,
    RuntimeSettings,
    open_runtime,
)
from trio_instances.abc import Channel

GONE = Cause("recoverable", "gone", lost=True)


class Provider:
    """What all instances connect to, and what it has seen of them.

    Args:
        instances: How many there are.
    """

    def __init__(self, instances: int) -> None:
        self.instances = instances
        self.up = True
        self.attempts: list[float] = []
        """When each attempt came, since it rose or died last."""
        self.connected: list[float] = []
        """When each connection was made, since it rose last."""
        self.dead = trio.Event()
        self.everyone_is_here = trio.Event()

    def attempt(self) -> None:
        """Take one connection attempt, or refuse it.

        Raises:
            ConnectionRefusedError: It is dead.
        """
        now = trio.current_time()
        self.attempts.append(now)
        if not self.up:
            raise ConnectionRefusedError

        self.connected.append(now)
        if len(self.connected) == self.instances:
            self.everyone_is_here.set()

    def die(self) -> None:
        """End all connections, and refuse new ones."""
        self.up, self.attempts = False, []
        self.dead.set()

    def rise(self) -> None:
        """Take connections again."""
        self.up, self.attempts, self.connected = True, [], []
        self.dead, self.everyone_is_here = trio.Event(), trio.Event()


class Line(Channel[None]):
    """One connection to the provider; made in no time, and lost when the provider dies."""

    channel_type = "line"

    def __init__(self, provider: Provider) -> None:
        self.provider = provider

    @asynccontextmanager
    async def connect(self, instance: Instance) -> AsyncIterator[None]:
        """Connect, or be refused."""
        self.provider.attempt()
        yield

    def children(self, instance: Instance, connection: None) -> Sequence[ChildSpec]:
        """Return what notices the provider's death."""
        return [ChildSpec("reader", self._read)]

    async def _read(self) -> None:
        await self.provider.dead.wait()
        raise ChannelError(GONE)


@frozen
class Story:
    """What came of it. Times are seconds of the virtual clock."""

    at_start: list[float]
    """When the attempts came with which the fleet started."""
    in_outage: list[float]
    """... those while the provider was dead."""
    in_return: list[float]
    """... and those from its return until everyone was back."""
    risen_at: float
    connected: list[float]
    """When each of them was back."""

    def late(self, policy: BudgetPolicy) -> list[float]:
        """Return by how many seconds each was back later than the budget would have had it."""
        rate, burst = policy.attempts_per_second, policy.burst
        earliest = (
            self.risen_at + max(n - burst, 0) / rate for n in range(1, len(self.connected) + 1)
        )
        return sorted(at - first for at, first in zip(self.connected, earliest, strict=True))


async def play(instances: int, policy: BudgetPolicy, outage: float = 600.0) -> Story:
    """Start a fleet, let its provider die and rise, and wait until everyone is back."""
    provider = Provider(instances)
    budget = ConnectionBudget("provider", policy)
    settings = RuntimeSettings(stop_order="concurrent")
    async with open_runtime(settings, random=Random(1)) as runtime:
        for number in range(instances):
            line = Line(provider)
            spec = InstanceSpec(id=f"i-{number}", channel=line, budget=budget, probe=None)
            await runtime.start_instance(spec)
        await provider.everyone_is_here.wait()
        await trio.sleep(60)

        at_start = provider.attempts
        provider.die()
        await trio.sleep(outage)
        in_outage = provider.attempts
        provider.rise()
        risen_at = trio.current_time()
        await provider.everyone_is_here.wait()
        return Story(at_start, in_outage, provider.attempts, risen_at, provider.connected)


def print_story(story: Story, policy: BudgetPolicy) -> None:
    """Print the figures."""
    for what, times in [
        ("start", story.at_start),
        ("outage", story.in_outage),
        ("return", story.in_return),
    ]:
        busiest = max(Counter(map(int, times)).values(), default=0)
        print(f"{what:8}{len(times):8} attempts, {busiest:4} in the busiest second")
    late = story.late(policy)
    print(f"everyone is back {story.connected[-1] - story.risen_at:.1f} s after the return")
    print(f"later than the budget alone: median {late[len(late) // 2]:.1f} s,", end=" ")
    print(f"p95 {late[int(len(late) * 0.95)]:.1f} s, at most {late[-1]:.1f} s")


def main() -> None:
    """Read the options, play, and print."""
    parser = argparse.ArgumentParser(description="An outage under a budget, in virtual time.")
    parser.add_argument("--instances", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=100.0, help="attempts per second")
    parser.add_argument("--burst", type=int, default=10)
    parser.add_argument("--outage", type=float, default=600.0, help="seconds")
    parser.add_argument("--no-breaker", action="store_true")
    given = parser.parse_args()
    policy = BudgetPolicy(
        attempts_per_second=given.rate,
        burst=given.burst,
        breaker=None if given.no_breaker else BreakerPolicy(),
    )
    began = time.perf_counter()
    clock = MockClock(autojump_threshold=0)
    story = trio.run(play, given.instances, policy, given.outage, clock=clock)
    print_story(story, policy)
    print(f"{time.perf_counter() - began:.1f} s of real time")


if __name__ == "__main__":
    main()
