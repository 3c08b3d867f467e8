"""A breaker at work: one instance goes first, and the others wait for what comes of it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

from trio_instances import (
    Backoff,
    BreakerPhase,
    BreakerPolicy,
    ChildSpec,
    ConnectionBudget,
    Instance,
    ReconnectPolicy,
)
from trio_instances.telemetry import (
    BreakerCanary,
    BreakerClosed,
    BreakerOpened,
    Event,
    InstanceConnected,
)

from .fleet import Fleet, begun, budget_of, fail_to_start, fleet, scripted
from .scripted import HANGS, STEADY, ScriptedChannel, always, fatal, lost

REFUSED = ConnectionRefusedError("no")
COUNT = 6


def breaking(**options: Any) -> ConnectionBudget:
    """Return a budget of 10 a second whose canaries go 2, 4, 8, 8 ... seconds after a failure."""
    fields = {"minimum": 3, "backoff": Backoff(initial=2.0, cap=8.0, jitter="none"), **options}
    policy = BreakerPolicy(**fields)
    return budget_of("discord", attempts_per_second=10.0, burst=COUNT, breaker=policy)


def lose_all(channels: list[ScriptedChannel], *outcomes: float | BaseException) -> None:
    """Lose every connection; whoever attempts, the attempts after that have these outcomes."""
    shared = list(outcomes)
    for channel in channels:
        channel.attempts.clear()
        channel.outcomes = shared
        channel.reader.end(lost())


def times(log: Iterable[Event]) -> list[float]:
    """Return when each canary went."""
    return [event.at for event in log if isinstance(event, BreakerCanary)]


def sent(f: Fleet) -> list[Instance]:
    """Return who went first, in order. Chance decides who is the head of the line."""
    told = f.log.of(BreakerCanary)
    return [f.runtime.instance(e.instance_id) for e in told if e.instance_id is not None]


async def test_when_most_are_lost_one_goes_first_and_the_others_follow(
    autojump_clock: MockClock,
) -> None:
    """When its connection has lasted, and not sooner, at the budget's rate."""
    budget, channels = breaking(), scripted(COUNT)
    async with fleet(budget, *channels) as f:
        await trio.sleep(100)
        lose_all(channels)
        await trio.sleep(100)

        first, *others = begun(channels)
        assert first == 102
        assert others[0] == 112
        assert len(others) == COUNT - 1
        assert all(bot.connected for bot in f.bots)
        assert budget.health().breaker is BreakerPhase.CLOSED


async def test_what_the_breaker_does_is_told_once_with_its_key(autojump_clock: MockClock) -> None:
    """That it opened and why, each canary by its instance, that it closed and after how long."""
    channels = scripted(COUNT)
    async with fleet(breaking(), *channels) as f:
        await trio.sleep(100)
        lose_all(channels)
        await trio.sleep(100)

        opened, canary, closed = (e for e in f.log if e.name.startswith("breaker."))
        assert opened == BreakerOpened(at=100, key="discord", failed=3, connected=3, delay=2.0)
        assert closed == BreakerClosed(at=112, key="discord", elapsed=12.0, canaries=1)
        assert canary == BreakerCanary(
            at=102,
            instance_id=sent(f)[0].id,
            channel_type="scripted",
            key="discord",
            canaries=1,
        )


async def test_each_canary_is_another_instance_and_comes_later(autojump_clock: MockClock) -> None:
    """So an outage costs no instance more than the others, and the provider next to nothing."""
    channels = scripted(COUNT)
    async with fleet(breaking(), *channels) as f:
        await trio.sleep(100)
        lose_all(channels, *[REFUSED] * 4)
        await trio.sleep(26)

        assert begun(channels) == times(f.log) == [102, 106, 114, 122]
        assert len({bot.id for bot in sent(f)}) == 4


async def test_a_canary_that_is_lost_before_it_has_lasted_has_failed(
    autojump_clock: MockClock,
) -> None:
    """A server that accepts and then closes does not get the whole fleet."""
    channels = scripted(COUNT)
    async with fleet(breaking(), *channels) as f:
        await trio.sleep(100)
        lose_all(channels)
        await trio.sleep(5)
        (canary,) = (channel for channel in channels if channel.attempts)
        canary.reader.end(lost())
        await trio.sleep(5)

        assert begun(channels) == times(f.log) == [102, 109]


@pytest.mark.parametrize(
    ("verb", "outcome"),
    [("reconnect", 0.0), *itertools.product(["pause", "stop", "restart"], [0.0, 9.0])],
)
async def test_a_canary_that_is_taken_away_is_replaced_at_once(
    autojump_clock: MockClock, verb: str, outcome: float
) -> None:
    """In its attempt, or later: nothing was learned, so nothing is waited for."""
    channels = scripted(COUNT)
    async with fleet(breaking(), *channels) as f:
        await trio.sleep(100)
        lose_all(channels, outcome)
        await trio.sleep(4)
        (canary,) = sent(f)
        match verb:
            case "pause":
                canary.pause()
            case "reconnect":
                canary.reconnect()
            case "stop":
                await f.runtime.stop_instance(canary.id)
            case "restart":
                await f.runtime.restart_instance(canary.id)
        await trio.sleep(20)

        assert times(f.log) == [102, 104]
        assert [e.at for e in f.log.of(BreakerClosed)] == [114]
        back = [bot for bot in f.bots if bot.connected]
        assert len(back) == COUNT - (verb in {"pause", "stop"})


async def test_a_canary_that_hangs_keeps_nobody_for_ever(autojump_clock: MockClock) -> None:
    """Where an attempt may take for ever, another one goes when patience ends."""
    channels = scripted(COUNT)
    reconnect = ReconnectPolicy(connect_timeout=math.inf)
    async with fleet(breaking(patience=30.0), *channels, reconnect=reconnect) as f:
        await trio.sleep(100)
        lose_all(channels, HANGS)
        await trio.sleep(60)

        assert times(f.log) == [102, 132]
        assert [bot for bot in f.bots if not bot.connected] == [sent(f)[0]]


async def test_those_that_wait_for_a_slow_attempt_follow_as_well(
    autojump_clock: MockClock,
) -> None:
    """What their long delays were for is over. Only what the other side asked for is waited for."""
    channels = scripted(COUNT)
    slow = ReconnectPolicy(attempts=1, slow=Backoff(initial=900.0, cap=900.0, jitter="none"))
    async with fleet(breaking(), *channels, reconnect=slow) as f:
        await trio.sleep(10)
        lose_all(channels[:5])
        channels[5].reader.end(lost(retry_after=2000.0))
        await trio.sleep(490)
        assert begun(channels[:5]) == []
        f.bots[0].reconnect()
        await trio.sleep(15)

        assert begun(channels[:5]) == [500] + [510] * 4
        assert channels[5].attempts == [0]
        await f.bots[5].wait_status("connected")
        assert channels[5].attempts == [0, 2010]


async def test_an_attempt_from_before_that_succeeds_goes_first(autojump_clock: MockClock) -> None:
    """It has a connection, so nobody else has to try."""
    channels = [*scripted(3, 0.5, HANGS), *scripted(3, 1.0)]
    for channel in channels[:3]:
        channel.give_children = always(ChildSpec("login", fail_to_start))
    async with fleet(breaking(), *channels) as f:
        await trio.sleep(20)

        assert (times(f.log)[0], sent(f)[0].id) == (1.0, f.log.of(InstanceConnected)[0].instance_id)
        assert [e.at for e in f.log.of(BreakerClosed)] == [11.0]


async def test_what_somebody_asked_for_is_no_failure(autojump_clock: MockClock) -> None:
    """A fleet that is told to reconnect, paused, or stopped does not open its breaker.

    Nor does one whose provider sends it away in good order.
    """
    channels = scripted(COUNT)
    async with fleet(breaking(), *channels) as f:
        await trio.sleep(100)
        for verb in ("reconnect", "pause", "resume"):
            for bot in f.bots:
                getattr(bot, verb)()
            await trio.sleep(100)
        for channel in channels:
            channel.reader.end(lost(planned=True))
        await trio.sleep(100)

    assert f.log.of(BreakerOpened) == []


@pytest.mark.parametrize("verb", [Instance.pause, None])
async def test_one_that_is_taken_away_while_it_waits_fails_no_more(
    autojump_clock: MockClock, verb: Callable[[Instance], object] | None
) -> None:
    """Paused or stopped before its next attempt, it counts among nobody: not for the breaker."""
    well, bad = scripted(3), scripted(2, *[REFUSED] * 9)
    reconnect = ReconnectPolicy(backoff=Backoff(initial=20.0, cap=20.0, jitter="none"))
    async with fleet(breaking(), *well, *bad, reconnect=reconnect) as f:
        await trio.sleep(5)
        for bot in f.bots[3:]:
            if verb is None:
                await f.runtime.stop_instance(bot.id)
            else:
                verb(bot)
        well[0].reader.end(lost())
        await trio.sleep(1)

        assert begun(bad)[2:] == []
        assert f.log.of(BreakerOpened) == []


async def stop(f: Fleet, bot: Instance) -> None:
    """Stop an instance, and forget it."""
    await f.runtime.stop_instance(bot.id)


async def restart(f: Fleet, bot: Instance) -> None:
    """Start an instance anew."""
    await f.runtime.restart_instance(bot.id)


async def change(f: Fleet, bot: Instance) -> None:
    """Make another one of an instance."""
    specs = [evolve(each.spec, name="new") if each is bot else each.spec for each in f.bots]
    await f.runtime.apply(specs)


@pytest.mark.parametrize("verb", [stop, restart, change])
async def test_one_that_had_failed_for_good_fails_no_more_once_somebody_has_acted(
    autojump_clock: MockClock, verb: Callable[[Fleet, Instance], Awaitable[None]]
) -> None:
    """Stopped, or started anew, it counts among nobody: not for the breaker."""
    well, bad = scripted(3), scripted(2, fatal(), HANGS)
    budget = breaking()
    async with fleet(budget, *well, *bad) as f:
        await trio.sleep(5)
        assert [bot.status for bot in f.bots[3:]] == ["failed", "failed"]
        await verb(f, f.bots[3])
        well[0].reader.end(lost())
        await trio.sleep(1)

        assert f.log.of(BreakerOpened) == []
        for channel in well[1:]:  # with the other one that has failed, and counts still
            channel.reader.end(lost())
        await trio.sleep(1)
        assert [event.failed for event in f.log.of(BreakerOpened)] == [3]


async def test_what_had_failed_for_good_fails_no_more_once_its_runtime_has_ended(
    autojump_clock: MockClock,
) -> None:
    """Those of another runtime that share the budget have nothing to learn of it."""
    budget, well = breaking(), scripted(2)
    async with fleet(budget, *well) as f:
        async with fleet(budget, *scripted(2, fatal())):
            await trio.sleep(5)
        well[0].reader.end(lost())
        await trio.sleep(1)

        assert f.log.of(BreakerOpened) == []


async def test_without_a_breaker_each_tries_for_itself(autojump_clock: MockClock) -> None:
    """At the budget's rate, and by its own delays."""
    budget, channels = budget_of(attempts_per_second=10.0, burst=COUNT), scripted(COUNT)
    async with fleet(budget, *channels) as f:
        await trio.sleep(100)
        lose_all(channels)
        await trio.sleep(1)

        assert begun(channels) == [100.25] * COUNT
        assert budget.health().breaker is None
        assert [e for e in f.log if e.name.startswith("breaker.")] == []


async def test_every_runtime_with_an_instance_of_the_budget_hears_of_its_breaker(
    autojump_clock: MockClock,
) -> None:
    """Each once, also where all the failures were in another one."""
    budget, failing = breaking(), scripted(4, *[REFUSED] * 9)
    async with fleet(budget, *scripted(2)) as one, fleet(budget, *failing) as other:
        await trio.sleep(1)

        assert [e.failed for e in one.log.of(BreakerOpened)] == [3]
        assert one.log.of(BreakerOpened) == other.log.of(BreakerOpened)


async def test_a_breaker_works_when_nobody_listens(autojump_clock: MockClock) -> None:
    """Everything is done, and nothing is told."""
    channels = scripted(COUNT)
    async with fleet(breaking(), *channels) as f:
        f.bus.close()
        await trio.sleep(100)
        lose_all(channels, REFUSED)
        await trio.sleep(100)

        assert begun(channels)[:2] == [102, 106]
        assert all(bot.connected for bot in f.bots)


async def test_a_dead_credential_does_not_keep_the_others_waiting_for_ever(
    autojump_clock: MockClock,
) -> None:
    """Canaries that fail for good are parked one by one, until one comes through."""
    channels = scripted(COUNT)
    async with fleet(breaking(), *channels) as f:
        await trio.sleep(100)
        lose_all(channels, *[fatal()] * (COUNT - 1))
        await trio.sleep(100)

        assert sorted(bot.status for bot in f.bots) == ["connected"] + ["failed"] * (COUNT - 1)


async def test_a_listener_may_take_the_canary_away(autojump_clock: MockClock) -> None:
    """In the very moment at which it is told who goes first; another one goes."""
    budget, channels = breaking(), scripted(COUNT)
    async with fleet(budget, *channels) as f:

        def interfere(event: Event) -> None:
            if isinstance(event, BreakerCanary) and event.canaries < 3:
                sent(f)[-1].pause()

        f.bus.listen(interfere)
        await trio.sleep(100)
        lose_all(channels)
        await trio.sleep(100)

        assert times(f.log) == [102, 102, 102]
        assert [bot.status for bot in sent(f)] == ["paused", "paused", "connected"]
        assert sum(bot.connected for bot in f.bots) == COUNT - 2
        assert (budget.health().in_flight, budget.health().waiting) == (0, 0)


def test_the_default_delays_leave_room_for_a_recovery_within_a_minute() -> None:
    """The longest wait for a canary, and its proof, are less than 60 seconds."""
    policy = BreakerPolicy()

    assert policy.backoff.cap + policy.stable_after < 60.0
    assert STEADY.connect_timeout + policy.stable_after < policy.patience
