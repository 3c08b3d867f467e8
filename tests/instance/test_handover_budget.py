"""Handovers under a connection budget: an attempt beside is an attempt like any other."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from trio_instances import telemetry

from .fleet import budget_of, fleet
from .handovers import slowly
from .scripted import HANGS, OverlappingChannel

REFUSED = ConnectionRefusedError("no")


async def test_attempts_beside_wait_for_their_turn(autojump_clock: MockClock) -> None:
    """A fleet that is replaced at once comes at the budget's rate, and nobody is disconnected."""
    channels = [OverlappingChannel() for _ in range(3)]
    budget = budget_of(attempts_per_second=0.1)
    async with fleet(budget, *channels) as f:
        await trio.sleep(100)
        for bot in f.bots:
            bot.rotate()
        await trio.sleep(60)

        assert sorted(channel.attempts[1] for channel in channels) == [100, 110, 120]
        assert sorted(channel.closed for channel in channels) == [[100], [110], [120]]
        assert all(bot.connected for bot in f.bots)
        assert f.log.of(telemetry.InstanceDisconnected) == []
        assert budget.health().in_flight == budget.health().waiting == 0


@pytest.mark.parametrize("failure", [REFUSED, HANGS])
async def test_an_attempt_beside_that_fails_gives_its_place_back(
    autojump_clock: MockClock, failure: float | BaseException
) -> None:
    """Or the others would wait for ever where few may be in flight."""
    failing, other = OverlappingChannel(0.0, failure), OverlappingChannel()
    budget = budget_of(attempts_per_second=1.0, in_flight=1)
    async with fleet(budget, failing, other) as f:
        await trio.sleep(100)
        f.bots[0].rotate()
        f.bots[1].rotate()
        await trio.sleep(200)

        assert f.bots[0].connected
        assert len(other.attempts) == 2
        assert len(failing.attempts) >= 2


@pytest.mark.parametrize("verb", ["pause", "reconnect", "stop"])
@pytest.mark.parametrize("wait", [0.0, 5.0])
async def test_what_ends_a_handover_that_waits_gives_its_place_up(
    autojump_clock: MockClock, verb: str, wait: float
) -> None:
    """A place in the line that nobody stands in would hold up all who come later."""
    channel, other = OverlappingChannel(), OverlappingChannel()
    budget = budget_of(attempts_per_second=0.01, burst=1)
    async with fleet(budget, channel, other) as f:
        await f.bots[1].wait_status("connected")
        f.bots[0].rotate()
        await trio.sleep(wait)
        match verb:
            case "pause":
                f.bots[0].pause()
                f.bots[0].resume()
            case "reconnect":
                f.bots[0].reconnect()
            case "stop":
                await f.runtime.stop_instance("bot-0")
        f.bots[1].rotate()
        await trio.sleep(1000)

        assert len(other.attempts) == 2
        assert f.bots[1].connected
        if verb != "stop":
            assert f.bots[0].connected
            assert channel.most <= 2
        assert budget.health().in_flight == budget.health().waiting == 0


async def test_the_end_of_the_old_one_does_not_give_back_what_its_successor_holds(
    autojump_clock: MockClock,
) -> None:
    """The successor is under way, so nobody else goes where one may be in flight."""
    channel, other = OverlappingChannel(0.0, 20.0), OverlappingChannel()
    budget = budget_of(attempts_per_second=10.0, in_flight=1)
    async with fleet(budget, channel, other) as f:
        await trio.sleep(100)
        f.bots[0].rotate()
        await trio.sleep(1)
        f.bots[0].reconnect()
        await trio.sleep(1)
        assert (channel.living, budget.health().in_flight) == (1, 1)
        f.bots[1].reconnect()
        await f.bots[1].wait_status("connected")

        assert channel.attempts == [0, 100]
        assert other.attempts[1:] == [120]
        assert budget.health().in_flight == budget.health().waiting == 0


async def test_a_loss_while_the_successor_waits_makes_it_the_attempt(
    autojump_clock: MockClock,
) -> None:
    """It is queued once, not twice, and nothing is begun without a grant."""
    channel, other = OverlappingChannel(), OverlappingChannel()
    budget = budget_of(attempts_per_second=0.01, burst=1)
    async with fleet(budget, other, channel) as f:
        await f.bots[1].wait_status("connected")
        began = trio.current_time()
        f.bots[1].rotate()
        await trio.sleep(1)
        f.bots[1].reconnect()
        await trio.sleep(1000)

        assert f.bots[1].connected
        assert channel.attempts[1:] == [began + 100]
        assert budget.health().in_flight == budget.health().waiting == 0


async def test_a_reconnect_after_a_handover_asks_when_the_old_one_is_closed(
    autojump_clock: MockClock,
) -> None:
    """What was once a successor is closed in a task of its own: no turn is held meanwhile."""
    channel, other = OverlappingChannel(), OverlappingChannel()
    channel.closings[2] = slowly
    budget = budget_of(attempts_per_second=10.0, in_flight=1)
    async with fleet(budget, channel, other) as f:
        await trio.sleep(100)
        f.bots[0].rotate()
        await trio.sleep(100)
        f.bots[0].reconnect()
        await trio.sleep(1)
        assert budget.health().in_flight == 0
        f.bots[1].reconnect()
        await trio.sleep(100)

        assert channel.attempts == [0, 100, 207]
        assert other.attempts[-1] == 201
        assert channel.story[-3:] == [("closed", 2), ("began", 3), ("opened", 3)]
        assert f.bots[0].connected
