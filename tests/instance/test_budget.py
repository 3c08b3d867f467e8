"""A connection budget at work: who attempts when, and what is given back."""

from __future__ import annotations

import math
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    BreakerPhase,
    BudgetHealth,
    BudgetPolicy,
    Cause,
    ChannelError,
    ChildSpec,
    ConnectionBudget,
    InstanceSpec,
    InvalidSpec,
    ReconnectPolicy,
    open_runtime,
    telemetry,
)
from trio_instances.telemetry import Event

from .fleet import begun, budget_of, fail_to_start, fleet, scripted
from .scripted import HANGS, ScriptedChannel, always, fatal, lost

REFUSED = ConnectionRefusedError("no")


# --- whose turn it is


async def test_a_fleet_starts_at_the_rate_of_its_budget(autojump_clock: MockClock) -> None:
    """The burst at once, then one by one, in start order: nothing else staggers the start."""
    channels = scripted(5)
    budget = budget_of(attempts_per_second=2.0, burst=2)
    async with fleet(budget, *channels) as f:
        await f.bots[-1].wait_status("connected")

        assert [c.attempts for c in channels] == [[0.0], [0.0], [0.5], [1.0], [1.5]]


async def test_one_that_has_failed_does_not_overtake_one_that_waits(
    autojump_clock: MockClock,
) -> None:
    """Its next attempt waits behind all that came before it was due."""
    failing, *others = ScriptedChannel(REFUSED), *scripted(3)
    async with fleet(budget_of(), failing, *others) as f:
        await f.bots[0].wait_status("connected")

        assert failing.attempts == [0.0, 4.0]
        assert begun(others) == [1.0, 2.0, 3.0]


async def test_runtimes_share_a_budget(autojump_clock: MockClock) -> None:
    """It is an object of the process, and no runtime has it to itself."""
    budget, one, other = budget_of(), scripted(2), scripted(2)
    async with fleet(budget, *one), fleet(budget, *other) as f:
        await f.bots[-1].wait_status("connected")

        assert begun(one) == [0.0, 1.0]
        assert begun(other) == [2.0, 3.0]


async def test_two_budgets_have_nothing_to_do_with_each_other(autojump_clock: MockClock) -> None:
    """Each key has its own line."""
    one, other = scripted(2), scripted(2)
    async with fleet(budget_of("a"), *one), fleet(budget_of("b"), *other) as f:
        await f.bots[-1].wait_status("connected")

        assert begun(one) == begun(other) == [0.0, 1.0]


async def test_a_hint_is_obeyed_first_and_the_line_after_it(autojump_clock: MockClock) -> None:
    """The attempt is queued when the time has come that the other side asked for."""
    hinted = ScriptedChannel(ChannelError(Cause("recoverable", "http_429", retry_after=2.5)))
    async with fleet(budget_of(attempts_per_second=0.25), hinted, *scripted(1)) as f:
        await f.bots[0].wait_status("connected")

        assert hinted.attempts == [0.0, 8.0]
        queued = [e for e in f.log.of(telemetry.ReconnectQueued) if e.instance_id == "bot-0"]
        assert [(e.place, 2.5 <= e.at <= 2.75) for e in queued] == [(2, True)]


async def test_a_day_that_is_used_up_is_waited_for(autojump_clock: MockClock) -> None:
    """For the whole fleet, and no longer than a minute beyond it."""
    channels = scripted(3)
    async with fleet(budget_of(attempts_per_day=2), *channels) as f:
        await trio.sleep(10)
        health = f.bots[2].health().budget
        assert health is not None
        assert (health.left_today, health.next_slot_at) == (0, 86_460.0)
        await f.bots[2].wait_status("connected")

        assert begun(channels) == [0.0, 1.0, 86_460.0]


async def test_an_attempt_has_its_time_from_its_turn_on(autojump_clock: MockClock) -> None:
    """Waiting in the line is no part of `connect_timeout`."""
    policy = ReconnectPolicy(connect_timeout=5.0)
    async with fleet(
        budget_of(attempts_per_second=0.05), *scripted(2, HANGS), reconnect=policy
    ) as f:
        await f.log.wait_for(telemetry.ReconnectFailed, times=2)

        failed = f.log.of(telemetry.ReconnectFailed)
        assert [(e.at, e.elapsed, e.cause.reason) for e in failed] == [
            (5.0, 5.0, "connect_timeout"),
            (25.0, 5.0, "connect_timeout"),
        ]


async def test_a_turn_costs_the_same_however_many_wait(autojump_clock: MockClock) -> None:
    """Nobody is woken for the turn of somebody else, but for the one who is next."""

    class Steps(trio.abc.Instrument):
        count = 0

        def before_task_step(self, task: trio.lowlevel.Task) -> None:
            self.count += 1

    steps = Steps()
    counted = []
    async with fleet(budget_of(), *scripted(300)):
        trio.lowlevel.add_instrument(steps)
        for _ in range(4):
            await trio.sleep(10)
            counted.append(steps.count)
            steps.count = 0

    assert max(counted) < 10 * 30


# --- what is in flight


async def test_attempts_in_flight_are_limited_until_they_are_open(
    autojump_clock: MockClock,
) -> None:
    """One that has its connection makes room for the next one."""
    channels = scripted(3, 10.0)
    async with fleet(budget_of(in_flight=1, burst=9), *channels) as f:
        await f.bots[-1].wait_status("connected")

        assert begun(channels) == [0.0, 10.0, 20.0]


async def test_an_attempt_is_in_flight_while_it_closes(autojump_clock: MockClock) -> None:
    """It has failed, and is to be tried again; but its socket is still there."""
    channels = scripted(2)

    async def close() -> None:
        await trio.sleep(4)

    channels[0].give_children = always(ChildSpec("login", fail_to_start))
    channels[0].close = close
    async with fleet(budget_of(in_flight=1, burst=9), *channels) as f:
        await f.log.wait_for(telemetry.ReconnectFailed)
        assert trio.current_time() == 0
        await f.bots[1].wait_status("connected")

        assert channels[1].attempts == [4.0]


@pytest.mark.parametrize("end", ["pause", "stop", "restart", "fatal", "timeout"])
async def test_whatever_ends_an_attempt_makes_room(autojump_clock: MockClock, end: str) -> None:
    """Once: the next one goes, and the one after it waits for that."""
    outcome: Any = {"fatal": fatal()}.get(end, HANGS)
    channels = [ScriptedChannel(outcome), *scripted(2, HANGS)]
    policy = ReconnectPolicy(connect_timeout=3.0 if end == "timeout" else math.inf)
    budget = budget_of(in_flight=1, burst=9)
    async with fleet(budget, *channels, reconnect=policy) as f:
        await trio.sleep(1)
        match end:
            case "pause":
                f.bots[0].pause()
            case "stop":
                await f.runtime.stop_instance("bot-0")
            case "restart":
                await f.runtime.restart_instance("bot-0")
        await trio.sleep(3)

        assert [len(channel.attempts) for channel in channels] == [1, 1, 0]
        assert budget.health().in_flight == 1
    assert budget.health().in_flight == 0


@pytest.mark.parametrize("kind", [telemetry.InstanceConnecting, telemetry.ReconnectQueued])
@pytest.mark.parametrize("verbs", [["pause"], ["reconnect"], ["pause", "resume"]])
async def test_a_verb_from_a_listener_loses_no_room(
    autojump_clock: MockClock, kind: type[Event], verbs: list[str]
) -> None:
    """At the very moment at which a turn comes, or at which it has to be waited for."""
    budget, channels = budget_of(in_flight=1, attempts_per_second=10.0), scripted(3, 1.0)
    async with fleet(None) as f:
        still: list[str] = [*verbs]

        def interfere(event: Event) -> None:
            if isinstance(event, kind) and event.instance_id == "bot-1":
                while still:
                    getattr(f.runtime.instance("bot-1"), still.pop(0))()

        f.bus.listen(interfere)
        for number, channel in enumerate(channels):
            spec = InstanceSpec(id=f"bot-{number}", channel=channel, budget=budget, probe=None)
            await f.runtime.start_instance(spec)
        await trio.sleep(30)

        assert still == []
        assert (budget.health().in_flight, budget.health().waiting) == (0, 0)
        assert max(channel.most for channel in channels) == 1
        statuses = [bot.status for bot in f.runtime.list_instances()]
        paused = "paused" if verbs == ["pause"] else "connected"
        assert statuses == ["connected", paused, "connected"]


@pytest.mark.parametrize("steps", range(12))
async def test_a_stop_in_any_step_of_a_grant_gives_it_back(
    autojump_clock: MockClock, steps: int
) -> None:
    """Before the turn comes, in the same step, or when the attempt has begun."""
    budget, channels = budget_of(in_flight=1, burst=9), scripted(3, 5.0)
    async with fleet(budget, *channels) as f:
        await trio.sleep(5)  # until the first one has its connection, and the next one's turn comes
        for _ in range(steps):
            await trio.lowlevel.checkpoint()
        await f.runtime.stop_instance("bot-1")
        await f.bots[2].wait_status("connected")

        assert begun(channels)[-1] == channels[2].attempts[0] == 5
        assert (budget.health().in_flight, budget.health().waiting) == (0, 0)


# --- leaving the line


@pytest.mark.parametrize("way", ["pause", "stop"])
async def test_who_is_taken_out_of_the_line_leaves_it_at_once(
    autojump_clock: MockClock, way: str
) -> None:
    """Those behind it move up in the same moment, and its turn goes to the next one."""
    channels = scripted(4)
    budget = budget_of(attempts_per_second=0.1)
    async with fleet(budget, *channels[:1]) as outer, fleet(budget, *channels[1:]) as f:
        await trio.sleep(1)
        assert place(f.bots[0]) == 1
        if way == "pause":
            f.bots[0].pause()
            assert place(f.bots[0]) is None
        else:
            await f.runtime.stop_instance("bot-0")
        assert [place(bot) for bot in f.bots[1:]] == [1, 2]
        await f.bots[2].wait_status("connected")

        assert [channel.attempts for channel in channels] == [[0.0], [], [10.0], [20.0]]
    assert outer.bots[0].status == "stopped"


async def test_who_comes_back_to_the_line_joins_at_its_end(autojump_clock: MockClock) -> None:
    """A pause gives the place up."""
    channels = scripted(4)
    async with fleet(budget_of(), *channels) as f:
        await trio.sleep(0.5)
        f.bots[1].pause()
        f.bots[1].resume()
        await f.bots[1].wait_status("connected")

        assert [channel.attempts for channel in channels] == [[0.0], [3.0], [1.0], [2.0]]


async def test_a_wish_to_reconnect_keeps_the_place(autojump_clock: MockClock) -> None:
    """It is queued already: the wish neither doubles it nor sends it to the end."""
    channels = scripted(3)
    async with fleet(budget_of(), *channels) as f:
        await trio.sleep(0.5)
        f.bots[1].reconnect()
        await f.bots[2].wait_status("connected")

        assert [channel.attempts for channel in channels] == [[0.0], [1.0], [2.0]]
        assert len(f.log.of(telemetry.ReconnectQueued)) == 2


async def test_a_connection_that_is_made_anew_waits_for_its_turn(
    autojump_clock: MockClock,
) -> None:
    """The old one is closed first; a wish of an operator is inside the budget, too."""
    channels = scripted(2)
    async with fleet(budget_of(attempts_per_second=0.1), *channels) as f:
        await f.bots[0].wait_status("connected")
        f.bots[0].reconnect()
        await trio.sleep(1)
        assert not f.bots[0].connected
        await f.bots[0].wait_status("connected")

        assert channels[0].attempts == [0.0, 20.0]
        assert channels[0].closed == [0.0]


async def test_an_end_of_the_runtime_leaves_nothing_behind(autojump_clock: MockClock) -> None:
    """Whoever is waiting, attempting, connected: nothing of it is counted any more."""
    budget = budget_of(in_flight=2, burst=3)
    with trio.move_on_after(1.5):
        async with fleet(budget, ScriptedChannel(), *scripted(5, HANGS)):
            await trio.sleep_forever()

    assert (budget.health().in_flight, budget.health().waiting) == (0, 0)


# --- what is said of it


def place(bot: Any) -> int | None:
    """Return an instance's place in the line."""
    budget = bot.health().budget
    assert budget is not None
    value: int | None = budget.place
    return value


async def test_the_snapshot_tells_what_is_left_and_when_the_next_one_goes(
    autojump_clock: MockClock,
) -> None:
    """Key, what the rate and the day leave, who is under way, the place, the time of the slot."""
    budget = ConnectionBudget(
        "discord", BudgetPolicy(attempts_per_second=0.5, burst=2, attempts_per_day=9, in_flight=3)
    )
    async with fleet(budget, *scripted(4, 100.0)) as f:
        await trio.sleep(1)
        health = f.bots[3].health()

        assert health.budget == BudgetHealth(
            key="discord",
            attempts_per_second=0.5,
            granted=2,
            left=0,
            left_today=7,
            in_flight=2,
            next_slot_at=2.0,
            waiting=2,
            place=2,
            breaker=BreakerPhase.CLOSED,
        )
        assert telemetry.snapshot_from_json(telemetry.snapshot_to_json(health)) == health
        await trio.sleep(10)
        now = f.bots[3].health().budget
        assert now is not None
        assert (now.in_flight, now.next_slot_at, now.left) == (3, None, 2)
        assert now == attrs.evolve(budget.health(), place=1)


async def test_who_waits_for_the_first_time_is_connecting(autojump_clock: MockClock) -> None:
    """Its own children are ready; later it is reconnecting, as after any loss."""
    channels = scripted(2)
    async with fleet(budget_of(attempts_per_second=0.1), *channels) as f:
        await trio.sleep(1)
        assert f.bots[1].status == "connecting"
        channels[0].reader.end(lost())
        await trio.sleep(1)
        assert f.bots[0].status == "reconnecting"


async def test_waiting_is_told_once_with_key_and_place(autojump_clock: MockClock) -> None:
    """And not at all by one whose turn comes at once."""
    async with fleet(budget_of("discord"), *scripted(3)) as f:
        await f.bots[2].wait_status("connected")

        queued = f.log.of(telemetry.ReconnectQueued)
        assert [(e.instance_id, e.key, e.place) for e in queued] == [
            ("bot-1", "discord", 1),
            ("bot-2", "discord", 2),
        ]


async def test_a_turn_is_told_by_who_had_to_wait_for_it(autojump_clock: MockClock) -> None:
    """And for how long; who gave up waiting, and waits anew, waits from then on."""
    async with fleet(budget_of("discord"), *scripted(3)) as f:
        await trio.sleep(0.5)
        f.bots[1].pause()
        f.bots[1].resume()
        await f.bots[1].wait_status("connected")

        granted = f.log.of(telemetry.ReconnectGranted)
        assert [(e.instance_id, e.key, e.waited) for e in granted] == [
            ("bot-2", "discord", 1.0),
            ("bot-1", "discord", 1.5),
        ]
        health = f.bots[0].health().budget
        assert health is not None
        assert (health.granted, health.waited) == (3, 2.5)


async def test_an_instance_without_a_budget_says_nothing_of_one(autojump_clock: MockClock) -> None:
    """Its attempts wait for nobody."""
    async with fleet(None, *scripted(2)) as f:
        await f.bots[1].wait_status("connected")

        assert f.bots[0].health().budget is None
        assert f.log.of(telemetry.ReconnectQueued) == []


# --- whose budget it is


async def test_a_channel_may_bring_a_budget(autojump_clock: MockClock) -> None:
    """Of the kind, or of the object; that of the specification goes first."""
    of_kind, of_spec = budget_of("kind"), budget_of("spec")

    class Limited(ScriptedChannel):
        budget = of_kind

    async with fleet(None, Limited()) as one, fleet(of_spec, Limited()) as other:
        keys = [bot.health().budget.key for bot in (one.bots[0], other.bots[0])]  # type: ignore[union-attr]  # it is there

    assert keys == ["kind", "spec"]


def test_what_is_no_budget_is_refused() -> None:
    """In the specification, and on the channel."""
    channel = ScriptedChannel()
    channel.budget = "discord"  # type: ignore[assignment]  # that is the point
    with pytest.raises(InvalidSpec) as caught:
        InstanceSpec(id="bot", channel=channel, budget=5)  # type: ignore[arg-type]  # ... as well

    assert [str(mistake) for mistake in caught.value.mistakes] == [
        "budget: must be a ConnectionBudget or None, not 5",
        "channel.budget: must be a ConnectionBudget or None, not 'discord'",
    ]


def test_a_budget_lists_every_mistake() -> None:
    """One error names every argument."""
    with pytest.raises(InvalidSpec) as caught:
        ConnectionBudget("", 5)  # type: ignore[arg-type]  # that is the point

    assert [mistake.place for mistake in caught.value.mistakes] == ["key", "policy"]


def test_a_budget_shows_its_key() -> None:
    """In a repr, so that an error that names it can be understood."""
    assert repr(budget_of("discord")) == "<ConnectionBudget 'discord'>"


# --- Trio runs


def test_a_budget_begins_anew_in_another_run() -> None:
    """The clock of the run before says nothing: not what is left, and not when the next slot is."""
    budget, channel = budget_of(attempts_per_second=0.001), ScriptedChannel()

    async def attempt() -> list[float]:
        async with fleet(budget, channel) as f:
            await f.bots[0].wait_status("connected")
            assert budget.health().left == 0
        return channel.attempts

    for start in (1000.0, 5.0):
        clock = MockClock(autojump_threshold=0)
        clock.jump(start)
        trio.run(attempt, clock=clock)

    assert channel.attempts == [1000.0, 5.0]


async def test_a_budget_cannot_be_in_two_runs_at_once() -> None:
    """It would be changed by two threads; the error says what to do instead."""
    budget = budget_of()

    async def use_it() -> None:
        spec = InstanceSpec(id="bot", channel=ScriptedChannel(), budget=budget)
        async with open_runtime() as runtime:
            with pytest.raises(RuntimeError, match="make a budget for each run"):
                await runtime.start_instance(spec)
        with pytest.raises(RuntimeError, match="another Trio run"):
            budget.health()

    async with fleet(budget, ScriptedChannel()) as f:
        await f.bots[0].wait_status("connected")
        await trio.to_thread.run_sync(trio.run, use_it)
