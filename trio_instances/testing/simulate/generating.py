"""A seed becomes a world: a fleet of some size, and a schedule that gives it a hard time. Pure."""

from __future__ import annotations

import math
from random import Random

from ...policy.backoff import Backoff, Jitter
from ...policy.breaker import BreakerPolicy
from ...policy.budget import BudgetPolicy
from ...policy.health import ProbePolicy
from ...policy.intensity import RestartIntensity
from ...policy.reconnect import Exhausted, ReconnectPolicy
from ...policy.restart import RestartType
from ...policy.strategies import StopOrder, Strategy
from .episodes import DENSE, USUAL, draw_schedule
from .laws.isolation import bound, proving
from .world import Member, Provider, Worker, World

HOURS = (2.0, 4.0, 8.0, 16.0)
"""How long a runtime may be up."""
SIZES = (1, 2, 3, 5, 8, 12, 12, 20)
"""How many instances it may have."""
INTERVALS = (60.0, 300.0, 600.0)
"""Seconds between probes; rarer than in life, as each one costs as much as an hour without any."""
AGE = 7200.0
"""Seconds after which a connection is replaced, where that is planned at all."""
EVERY_DENSE, DENSE_HOURS = 4, (0.5,)
"""Every fourth world is short, and something happens in it nearly all the time."""
CALM = 0.02
"""The share of worlds that are large, and calm for most of two weeks, as life is."""
CALM_HOURS, CALM_SIZES, CALM_INTERVALS, CALM_AGE = (168.0, 336.0), (100, 200), (14_400.0,), 86_400.0


def generate(seed: int) -> World:
    """Return the world of a seed.

    Args:
        seed: Any whole number; worlds of different ones have nothing in common.
    """
    random = Random(seed)
    dense = seed % EVERY_DENSE == 0
    calm = random.random() < CALM and not dense
    intervals, age = (CALM_INTERVALS, CALM_AGE) if calm else (INTERVALS, AGE)
    providers = tuple(_provider(random, index) for index in range(random.choice([1, 1, 2, 3])))
    members = tuple(
        _member(random, f"i{index}", random.choice(providers).name, random.choice(intervals), age)
        for index in range(random.choice(CALM_SIZES if calm else SIZES))
    )
    world = World(
        seed=seed,
        seconds=0.0,
        stop_order=random.choice([StopOrder.REVERSE, StopOrder.REVERSE, StopOrder.CONCURRENT]),
        instance_intensity=_intensity(random, more=1),
        providers=providers,
        members=members,
    )
    hours = DENSE_HOURS if dense else CALM_HOURS if calm else HOURS
    busy = random.choice(hours) * 3600.0
    schedule = draw_schedule(random, world, busy, DENSE if dense else USUAL)
    world = world.with_schedule(schedule)
    quiet = max((bound(world, each) + proving(each) for each in members), default=0.0)
    last = max((each.at for each in schedule), default=0.0)
    return world.lasting(max(busy, last) + min(quiet, 7200.0))


def _provider(random: Random, index: int) -> Provider:
    budget = None
    if random.random() < 0.4:
        budget = BudgetPolicy(
            attempts_per_second=random.choice([0.1, 0.5, 1.0, 5.0]),
            burst=random.choice([1, 1, 3, 10]),
            attempts_per_day=random.choice([None, None, None, 200]),
            in_flight=random.choice([None, None, 1, 3]),
            breaker=random.choice([None, BreakerPolicy(), BreakerPolicy(minimum=2)]),
        )
    return Provider(name=f"p{index}", budget=budget)


def _member(random: Random, who: str, provider: str, interval: float, age: float) -> Member:
    return Member(
        id=who,
        provider=provider,
        overlaps=random.random() < 0.2,
        takes=random.choice([0.0, 0.0, 0.25, 2.0]),
        close_takes=random.choice([0.0, 0.0, 0.5, 3.0]),
        reconnect=_reconnect(random, age),
        probe=_probe(random, interval),
        intensity=_intensity(random),
        strategy=random.choice(
            [
                Strategy.ONE_FOR_ONE,
                Strategy.ONE_FOR_ONE,
                Strategy.ONE_FOR_ALL,
                Strategy.REST_FOR_ONE,
            ]
        ),
        child_backoff=random.choice([None, None, Backoff(), Backoff(jitter=Jitter.NONE)]),
        own=_workers(random, "own", (0, 0, 1, 2)),
        workers=_workers(random, "worker", (0, 1, 1, 3)),
    )


def _reconnect(random: Random, age: float) -> ReconnectPolicy:
    jitter = random.choice([Jitter.NONE, Jitter.FULL])
    return ReconnectPolicy(
        attempts=random.choice([1, 3, 5]),
        backoff=Backoff(initial=random.choice([0.0, 0.25, 1.0]), jitter=jitter),
        slow=Backoff(
            initial=random.choice([30.0, 60.0]),
            cap=random.choice([60.0, 300.0]),
            jitter=random.choice([Jitter.NONE, Jitter.EQUAL]),
        ),
        exhausted=random.choice([Exhausted.DEGRADE] * 5 + [Exhausted.ESCALATE]),
        stable_after=random.choice([0.0, 5.0, 60.0, 60.0]),
        needs_data=random.random() < 0.2,
        connect_timeout=random.choice([10.0, 30.0]),
        close_timeout=random.choice([5.0, 10.0]),
        max_age=random.choice([math.inf, math.inf, math.inf, age]),
    )


def _probe(random: Random, interval: float) -> ProbePolicy | None:
    if random.random() < 0.3:
        return None

    return ProbePolicy(
        interval=interval,
        failures_to_fail=random.choice([1, 2, 3]),
        successes_to_recover=random.choice([1, 2]),
        startup_failures=random.choice([None, None, 5]),
    )


def _intensity(random: Random, more: int = 0) -> RestartIntensity:
    return RestartIntensity(
        max_restarts=random.choice([1, 3, 5]) + more, period=random.choice([5.0, 30.0])
    )


def _workers(random: Random, name: str, numbers: tuple[int, ...]) -> tuple[Worker, ...]:
    return tuple(
        Worker(
            name=f"{name}{index}",
            restart=random.choice(
                [RestartType.PERMANENT, RestartType.PERMANENT, RestartType.TRANSIENT]
            ),
            essential=random.random() < 0.6,
            soft=random.random() < 0.5,
            starts_in=random.choice([0.0, 0.0, 0.0, 1.0]),
            cleanup=random.choice([0.0, 0.0, 0.5, 2.0]),
        )
        for index in range(random.choice(numbers))
    )
