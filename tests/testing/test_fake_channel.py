"""`FakeChannel` does what its script says, at the time it says it."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from typing import Any

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

from trio_instances import (
    Backoff,
    Cause,
    ChannelError,
    ChildState,
    Instance,
    InstanceSpec,
    InvalidSpec,
    ReconnectPolicy,
    Runtime,
    open_runtime,
)
from trio_instances.testing import Attempt, FakeChannel, Fault, FaultSchedule, Script

STEADY = ReconnectPolicy(backoff=Backoff(jitter="none"), slow=Backoff(60.0, cap=300.0))
SECOND = ReconnectPolicy(backoff=Backoff(1.0, 1.0, jitter="none"), attempts=1000)
"""A second between attempts, always."""


@asynccontextmanager
async def play(
    channel: FakeChannel, reconnect: ReconnectPolicy = SECOND, **options: Any
) -> AsyncIterator[tuple[Runtime, Instance]]:
    """Run an instance of the fake in a runtime of its own."""
    options = {"probe": None, **options}
    async with open_runtime(random=Random(1)) as runtime:
        spec = InstanceSpec(id="bot", channel=channel, reconnect=reconnect, **options)
        yield runtime, await runtime.start_instance(spec)


def told(channel: FakeChannel) -> list[tuple[float, int, str]]:
    """Return the deeds as plain tuples."""
    return [(deed.at, deed.attempt, str(deed.kind)) for deed in channel.deeds]


async def test_attempts_are_refused_and_a_connection_is_closed(autojump_clock: MockClock) -> None:
    """Three refusals, 90 s of a connection, a close with 4004; then it stays."""
    channel = FakeChannel(3 * Attempt(refused=503) + Attempt(holds=90.0, ends=4004))

    async with play(channel) as (_, bot):
        await trio.sleep(3.5)
        assert bot.connected

        await trio.sleep(90.0)
        cause = bot.health().cause
        assert cause is not None
        assert cause.reason == "close_4004"

        await trio.sleep(1000.0)
        assert channel.times("began") == [0.0, 1.0, 2.0, 3.0, 94.0]
        assert channel.connection.number == 5
    assert told(channel)[:2] == [(0.0, 1, "began"), (0.0, 1, "dropped")]
    assert channel.living == 0


async def test_connecting_takes_its_time(autojump_clock: MockClock) -> None:
    """And one that hangs is given up by the instance."""
    channel = FakeChannel([Attempt(takes=math.inf), Attempt(takes=2.0)])

    async with play(channel) as (_, bot):
        await bot.wait_status("connected")

        assert channel.times("connected") == [30.0 + 1.0 + 2.0]


async def test_a_hanging_close_is_cut_off(autojump_clock: MockClock) -> None:
    """The instance goes on after its ``close_timeout``."""
    channel = FakeChannel(Attempt(close_takes=math.inf))

    async with play(channel) as (_, bot):
        await bot.wait_status("connected")
        bot.reconnect()
        await trio.sleep(20.0)

        assert channel.times("dropped") == [10.0]
        assert channel.most_living == 1


async def test_a_close_can_fail(autojump_clock: MockClock) -> None:
    """Which is told, and changes nothing else."""
    channel = FakeChannel(Attempt(close_takes=1.0, close_fails=Cause("recoverable", "meh")))

    async with play(channel) as (_, bot):
        await bot.wait_status("connected")
        bot.reconnect()
        await trio.sleep(5.0)

        assert channel.times("dropped") == [1.0]
        assert bot.connected


async def test_a_deaf_one_answers_probes_and_sends_nothing(autojump_clock: MockClock) -> None:
    """So that only the silence can tell."""
    channel = FakeChannel(Attempt(deaf_after=40.0))

    async with play(channel) as (runtime, bot):
        await bot.wait_status("connected")
        probing = runtime.list_instances()[0]
        await channel.probe(probing, channel.connection)
        await trio.sleep(100.0)
        await channel.probe(probing, channel.connection)

        assert list(channel.message_times) == [0.0, 30.0]


async def test_a_mute_one_answers_no_probe(autojump_clock: MockClock) -> None:
    """From the time the script says."""
    channel = FakeChannel(Attempt(mute_after=1.0))

    async with play(channel) as (_, bot):
        await bot.wait_status("connected")
        await channel.probe(bot, channel.connection)
        await trio.sleep(1.0)
        with trio.move_on_after(1000.0) as limit:
            await channel.probe(bot, channel.connection)

        assert limit.cancelled_caught


async def test_the_child_crashes_at_the_message_that_the_script_names(
    autojump_clock: MockClock,
) -> None:
    """It is restarted, and goes on with the next one."""
    heard = []

    async def hear(_: Instance, message: object) -> None:
        heard.append(message)

    channel = FakeChannel(Attempt(every=1.0, crashes=[2]), on_message=hear)
    async with play(channel) as (_, bot):
        await trio.sleep(3.5)

        assert heard == [1, 3, 4]
        assert bot.health().restarts == 1


async def test_a_child_can_crash_before_it_is_ready(autojump_clock: MockClock) -> None:
    """The first incarnation's failure is the attempt's, a later one's is a restart more."""
    channel = FakeChannel(
        Attempt(bad_starts=[1]) + Attempt(every=1.0, crashes=[2], bad_starts=[2, 3])
    )

    async with play(channel) as (_, bot):
        await trio.sleep(5.5)

        assert channel.times("connected") == [0.0, 1.0]
        assert channel.connection.child_starts == 4
        assert bot.health().restarts >= 3


async def test_cancelling_can_be_refused_for_a_while(autojump_clock: MockClock) -> None:
    """By the child, and by the connection; the stop waits for both."""
    channel = FakeChannel(Attempt(child_stays=2.0, close_takes=math.inf, stays=3.0))

    async with play(channel) as (runtime, bot):
        await bot.wait_status("connected")
        await runtime.stop_instance("bot")

        assert trio.current_time() == pytest.approx(2.0 + 10.0 + 3.0)


async def test_a_session_is_resumed_or_refused(autojump_clock: MockClock) -> None:
    """A resumable loss leaves it; a refusal forgets it, and the next attempt makes a new one."""
    resumable = Cause("recoverable", "blip", lost=True, resumable=True)
    lossy = Attempt(holds=1.0, ends=resumable)
    channel = FakeChannel([lossy, lossy, evolve(lossy, refuses_session=True)])

    async with play(channel) as (_, bot):
        await trio.sleep(8.0)

        kinds = [kind for _, _, kind in told(channel) if kind in ("connected", "resumed")]
        assert kinds == ["connected", "connected", "resumed", "connected"]
        assert bot.session == 4


async def test_a_handover_overlaps(autojump_clock: MockClock) -> None:
    """The other side announces its end; the new connection is there before the old one is left."""
    channel = FakeChannel(Attempt(rotates_after=5.0), overlaps=True)

    async with play(channel):
        await trio.sleep(6.0)

        assert channel.most_living == 2
        assert channel.living == 1
        assert [kind for _, _, kind in told(channel)] == [
            *("began", "connected", "began", "connected", "resumed", "closing", "closed")
        ]


async def test_its_repr_says_how_far_it_has_come(autojump_clock: MockClock) -> None:
    """It is what a failed test shows of it."""
    channel = FakeChannel([Attempt(refused=503), Attempt()])
    assert repr(channel) == "<FakeChannel attempts=0 connections=0>"
    async with play(channel) as (_, bot):
        await bot.wait_status("connected")
        assert repr(channel) == "<FakeChannel attempts=2 connections=1>"


async def test_a_test_can_act_itself(autojump_clock: MockClock) -> None:
    """Lose, crash, deliver: now, on the newest connection."""
    heard = []

    async def hear(_: Instance, message: object) -> None:
        heard.append(message)

    channel = FakeChannel(Attempt(deaf_after=0.0), on_message=hear)
    with pytest.raises(RuntimeError, match="not connected"):
        channel.lose()
    async with play(channel) as (_, bot):
        await bot.wait_status("connected")
        channel.deliver("hello")
        await trio.testing.wait_all_tasks_blocked()
        channel.crash()
        await trio.testing.wait_all_tasks_blocked()
        assert bot.health().restarts == 1

        channel.deliver("again")
        await trio.testing.wait_all_tasks_blocked()
        assert heard == ["hello", "again"]

        channel.lose(1012)
        channel.lose(4000)
        await trio.testing.wait_all_tasks_blocked()
        cause = bot.health().cause
        assert cause is not None
        assert cause.reason == "close_1012"


# --- faults by the clock -------------------------------------------------------------------------


async def test_an_outage_drops_and_refuses(autojump_clock: MockClock) -> None:
    """Until it is over."""
    channel = FakeChannel(faults=[Fault("outage", at=10.0, lasts=2.5)])

    async with play(channel):
        await trio.sleep(20.0)

        assert channel.times("began") == [0.0, 11.0, 12.0, 13.0]
        assert channel.times("connected") == [0.0, 13.0]


async def test_the_end_that_comes_first_is_the_one(autojump_clock: MockClock) -> None:
    """Of a script and a schedule that both end a connection."""
    early = FakeChannel(Attempt(holds=5.0, ends=4000), faults=[Fault("drop", at=10.0)])
    late = FakeChannel(Attempt(holds=15.0, ends=4000), faults=[Fault("drop", at=10.0)])

    for channel, reason in ((early, "close_4000"), (late, "close_1006")):
        async with play(channel) as (_, bot):
            await bot.wait_status("reconnecting")
            cause = bot.health().cause
            assert cause is not None
            assert cause.reason == reason


async def test_schedules_are_added_up(autojump_clock: MockClock) -> None:
    """Of a provider and of a single client, say; a probe after the loss finds it."""
    provider = FaultSchedule([Fault("outage", at=10.0, lasts=1.0)])
    channel = FakeChannel(faults=provider + FaultSchedule([Fault("crash", at=5.0)]))

    async with play(channel) as (_, bot):
        await bot.wait_status("connected")
        connection = channel.connection
        await trio.sleep(10.0)
        with pytest.raises(ChannelError, match="http_503"):
            await channel.probe(bot, connection)

        assert channel.times("failed") == [5.0, 10.0]


async def test_a_schedule_can_begin_before_the_fake(autojump_clock: MockClock) -> None:
    """So that many have one and the same."""
    await trio.sleep(5.0)
    channel = FakeChannel(faults=[Fault("drop", at=10.0)], since=0.0)

    async with play(channel):
        await trio.sleep(20.0)

        assert channel.times("connected") == [5.0, 11.0]


async def test_attempts_hang_while_the_fault_lasts(autojump_clock: MockClock) -> None:
    """And go on after it."""
    channel = FakeChannel(faults=[Fault("hang", at=0.0, lasts=7.0)])

    async with play(channel):
        await trio.sleep(20.0)

        assert channel.times("connected") == [7.0]


async def test_nothing_comes_from_a_deaf_one_until_it_is_over(autojump_clock: MockClock) -> None:
    """What was due meanwhile comes once, after it."""
    channel = FakeChannel(faults=[Fault("deaf", at=20.0, lasts=50.0)])

    async with play(channel):
        await trio.sleep(101.0)

        assert list(channel.message_times) == [0.0, 70.0, 100.0]


async def test_a_mute_one_answers_probes_again_when_it_is_over(autojump_clock: MockClock) -> None:
    """A probe that has the patience is answered then."""
    channel = FakeChannel(faults=[Fault("mute", at=1.0, lasts=5.0)])

    async with play(channel) as (_, bot):
        await trio.sleep(2.0)
        await channel.probe(bot, channel.connection)

        assert trio.current_time() == 6.0


async def test_the_child_crashes_by_the_clock(autojump_clock: MockClock) -> None:
    """Once for each fault."""
    channel = FakeChannel(faults=[Fault("crash", at=1.0), Fault("crash", at=2.0)])

    async with play(channel) as (_, bot):
        await trio.sleep(10.0)

        assert channel.times("failed") == [1.0, 2.0]
        (reader,) = bot.health().children
        assert reader.state is ChildState.RUNNING


async def test_expired_credentials_are_fatal_until_there_are_new_ones(
    autojump_clock: MockClock,
) -> None:
    """Whatever else is tried."""
    channel = FakeChannel(faults=[Fault("expire", at=5.0, lasts=math.inf)])

    async with play(channel) as (runtime, bot):
        await trio.sleep(10.0)
        assert bot.status == "failed"

        await runtime.restart_instance("bot")
        await trio.sleep(10.0)
        assert bot.status == "failed"

        await runtime.update_credentials("bot", "new")
        await bot.wait_status("connected")
        assert channel.credentials == "new"


async def test_a_closing_is_slow_while_the_fault_lasts(autojump_clock: MockClock) -> None:
    """Within the instance's patience it ends in order."""
    channel = FakeChannel(faults=[Fault("slow_close", at=0.0, lasts=4.0)])

    async with play(channel) as (_, bot):
        await bot.wait_status("connected")
        bot.reconnect()
        await trio.sleep(10.0)

        assert channel.times("closed") == [4.0]


# --- values --------------------------------------------------------------------------------------

VALUES = [
    Script(),
    Attempt(),
    3 * Attempt(refused=503) + Attempt(holds=90.0, ends=4004),
    Attempt(takes=math.inf) + Script((Attempt(crashes=[3]),), then=Attempt(holds=1.0)) * 2,
    Script(then=Attempt(refused=Cause("fatal", "banned", who_must_act="credentials"))),
    FaultSchedule(),
    FaultSchedule([Fault("outage", 10.0, math.inf), Fault("crash", at=2.0)]),
]


@pytest.mark.parametrize("value", VALUES)
def test_what_is_printed_makes_the_value_again(value: object) -> None:
    """So that a counterexample can be pasted."""
    names = {
        "Attempt": Attempt,
        "Cause": Cause,
        "Fault": Fault,
        "FaultSchedule": FaultSchedule,
        "Script": Script,
        "math": math,
    }

    assert eval(repr(value), names) == value  # noqa: S307 - our own text


def test_a_value_is_printed_without_its_defaults() -> None:
    """So that what is told apart is what is read."""
    script = 2 * Attempt(refused=503)

    assert repr(script) == "Script((Attempt(refused=503), Attempt(refused=503)))"
    assert repr(Fault("crash", 2.0)) == "Fault(kind='crash', at=2.0)"


@pytest.mark.parametrize("given", [Attempt(refused=503), [Attempt(refused=503)]])
def test_a_script_that_is_set_is_made_of_what_may_be_given(given: Any) -> None:
    """As the argument is, so that nothing else is found by an attempt, later."""
    channel = FakeChannel()
    channel.script = given

    assert channel.script == Script((Attempt(refused=503),))
    with pytest.raises(InvalidSpec):
        channel.script = [503]  # type: ignore[list-item]  # the mistake


def test_every_mistake_of_an_attempt_is_listed() -> None:
    """Before anything runs."""
    with pytest.raises(InvalidSpec) as raised:
        Attempt(takes=-1.0, refused=200, ends=42, crashes=[0], stays=math.inf, crash="x")  # type: ignore[arg-type]  # the mistakes

    places = [mistake.place for mistake in raised.value.mistakes]
    assert places == ["takes", "stays", "refused", "ends", "crashes[0]", "crash"]


def test_every_mistake_of_a_channel_is_listed() -> None:
    """Those of its script and of its faults too, each with its place."""
    with pytest.raises(InvalidSpec) as raised:
        FakeChannel([5, Attempt()], faults="x", since=math.nan, on_message=5, overlaps=1)  # type: ignore[list-item,arg-type]  # the mistakes

    places = [mistake.place for mistake in raised.value.mistakes]
    assert places == ["script.attempts[0]", "faults", "since", "on_message", "overlaps"]


@pytest.mark.parametrize(
    ("make", "given"),
    [
        (Script, 5),
        (Script, [5]),
        (FaultSchedule, "x"),
        (partial(Fault, "drop", 1.0), 5.0),
        (partial(Fault, "typo"), 1.0),
        (lambda crashes: Attempt(crashes=crashes), "12"),
        (lambda ends: Attempt(ends=ends), None),
        (lambda call: FakeChannel(on_message=call), 5),
    ],
)
def test_what_cannot_be_meant_is_refused(make: Any, given: object) -> None:
    """With a message, and not by chance later."""
    with pytest.raises(InvalidSpec):
        make(given)
