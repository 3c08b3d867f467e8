"""`reconnect`, `retry_now`, `pause` and `resume`: at any time, and twice."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from trio_instances import ChildSpec, InstanceFailed, InstanceSpec, RestartIntensity, telemetry
from trio_instances.testing import EventRecorder

from .scripted import HANGS, STEADY, ScriptedChannel, Worker, fatal, lost, scene

REFUSED = ConnectionRefusedError("no")
VERBS = ["reconnect", "retry_now", "pause", "resume", "drain"]


def asked(told: list[telemetry.Event]) -> list[tuple[str, bool]]:
    """Return the verbs that were answered, and whether each has changed anything.

    Nothing else may have been told.
    """
    answers = [event for event in told if isinstance(event, telemetry.InstanceAsked)]
    assert answers == told
    return [(answer.verb, answer.changed) for answer in answers]


# --- reconnect -----------------------------------------------------------------------------------


@pytest.mark.parametrize("uptime", [1, 100])
async def test_reconnect_makes_an_open_connection_anew_at_once(
    autojump_clock: MockClock, uptime: float
) -> None:
    """Connected or proven: it is closed in peace, and made again without a delay."""
    channel = ScriptedChannel()
    async with scene(channel) as s:
        await trio.sleep(uptime)
        s.bot.reconnect()
        await s.log.wait_for(telemetry.InstanceConnected, times=2)

        assert channel.attempts == [0, uptime]
        assert channel.closed == [uptime]
        (end,) = s.log.of(telemetry.InstanceDisconnected)
        assert end.cause.reason == "reconnect_requested"
        assert s.bot.health().cause is None


async def test_reconnect_wakes_a_retry_that_waits(autojump_clock: MockClock) -> None:
    """The delay is cut short; the retry that it was for is not made a second time."""
    channel = ScriptedChannel(lost(retry_after=50.0))
    async with scene(channel) as s:
        await trio.sleep(10)
        s.bot.reconnect()
        await trio.sleep(100)

        assert channel.attempts == [0, 10]
        assert s.bot.connected


async def test_reconnect_leaves_an_attempt_alone(autojump_clock: MockClock) -> None:
    """One that is under way is what was asked for."""
    channel = ScriptedChannel(10.0)
    async with scene(channel) as s:
        for _ in range(9):
            await trio.sleep(1)
            s.bot.reconnect()
        await s.bot.wait_status("connected")

        assert channel.attempts == [0]


async def test_reconnect_twice_is_once(autojump_clock: MockClock) -> None:
    """The second one finds an attempt under way."""
    channel = ScriptedChannel()
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        s.bot.reconnect()
        s.bot.reconnect()
        await trio.sleep(10)

        assert channel.attempts == [0, 0]
        assert s.bot.generation == 2


async def test_reconnect_does_not_end_a_pause(autojump_clock: MockClock) -> None:
    """Only `resume` does."""
    channel = ScriptedChannel()
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        s.bot.pause()
        s.bot.reconnect()
        await trio.sleep(10)

        assert s.bot.status == "paused"
        assert channel.attempts == [0]


async def test_reconnect_does_not_make_the_attempts_count_anew(
    autojump_clock: MockClock,
) -> None:
    """Whoever presses the button all the time does not thereby hammer the server for ever."""
    channel = ScriptedChannel(*[REFUSED] * 6)
    async with scene(channel) as s:
        for _ in range(4):
            await trio.sleep(0.1)
            s.bot.reconnect()
        await s.bot.wait_status("degraded")

        assert channel.attempts == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])


# --- retry_now -----------------------------------------------------------------------------------


async def test_retry_now_wakes_a_retry_that_waits(autojump_clock: MockClock) -> None:
    """The delay is cut short, a hint too; the retry is not made a second time."""
    channel = ScriptedChannel(lost(retry_after=50.0))
    async with scene(channel) as s:
        await trio.sleep(10)
        assert s.bot.retry_now() == "reconnecting"
        s.bot.retry_now()
        await trio.sleep(100)

        assert channel.attempts == [0, 10]


async def test_retry_now_leaves_alone_what_is_open_or_under_way(autojump_clock: MockClock) -> None:
    """So it may be sent to a whole fleet, and only those are woken that wait."""
    channel = ScriptedChannel(5.0)
    async with scene(channel) as s:
        await trio.sleep(1)
        assert s.bot.retry_now() == "connecting"
        await trio.sleep(10)
        assert s.bot.retry_now() == "connected"
        await trio.sleep(100)
        assert s.bot.health().proven
        s.bot.retry_now()
        s.bot.pause()
        assert s.bot.retry_now() == "paused"
        await trio.sleep(100)

        assert channel.attempts == [0]


async def test_retry_now_does_not_make_the_attempts_count_anew(autojump_clock: MockClock) -> None:
    """An attempt that was hurried is an attempt: five of them are used up as quickly as asked."""
    channel = ScriptedChannel(*[REFUSED] * 6)
    async with scene(channel) as s:
        for _ in range(4):
            await trio.sleep(0.1)
            s.bot.retry_now()
        await s.bot.wait_status("degraded")

        assert channel.attempts == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])


# --- what each answers ---------------------------------------------------------------------------


async def test_each_verb_is_answered_by_an_event_and_a_status(autojump_clock: MockClock) -> None:
    """After all that it led to: whether it has changed anything, and the status that follows."""
    channel = ScriptedChannel(HANGS)
    async with scene(channel) as s:
        await trio.sleep(1)
        told = len(s.log)
        answers = [
            s.bot.reconnect(),
            s.bot.retry_now(),
            s.bot.drain(),
            s.bot.resume(),
            s.bot.resume(),
            s.bot.pause(),
            s.bot.pause(),
            s.bot.resume(),
        ]

        assert answers == [*["connecting"] * 5, "paused", "paused", "reconnecting"]
        verbs = [
            (event.verb, event.changed)
            if isinstance(event, telemetry.InstanceAsked)
            else event.name
            for event in list(s.log)[told:]
        ]
        assert verbs == [
            ("reconnect", False),
            ("retry_now", False),
            "instance.draining",
            ("drain", True),
            "instance.resumed",
            ("resume", True),
            ("resume", False),
            "status.changed",
            "status.changed",
            "instance.paused",
            ("pause", True),
            ("pause", False),
            "status.changed",
            "instance.resumed",
            "instance.connecting",
            "reconnect.attempt",
            ("resume", True),
        ]


# --- pause and resume ----------------------------------------------------------------------------


async def test_a_pause_lasts_until_resume_and_the_instances_own_children_go_on(
    autojump_clock: MockClock,
) -> None:
    """The connection is closed in peace and stays closed, however long."""
    channel = ScriptedChannel()
    keeper = Worker()
    channel.give_own = lambda _: [ChildSpec("keeper", keeper.run)]
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        s.bot.pause()
        assert s.bot.status == "paused"
        await trio.sleep(10_000)
        assert channel.closed == [0]
        assert (keeper.running, channel.reader.running) == (1, 0)
        s.bot.resume()
        await s.bot.wait_status("connected")

        assert channel.attempts == [0, 10_000]
        assert len(keeper.began_at) == 1
        assert len(s.log.of(telemetry.InstancePaused)) == 1
        assert len(s.log.of(telemetry.InstanceResumed)) == 1
        assert s.log.of(telemetry.InstanceConnected)[1].outage == 10_000


async def test_a_pause_gives_an_attempt_up(autojump_clock: MockClock) -> None:
    """That is no failed attempt."""
    channel = ScriptedChannel(HANGS)
    async with scene(channel) as s:
        await trio.sleep(3)
        s.bot.pause()
        await trio.sleep(1)
        assert channel.living == 0
        assert s.log.of(telemetry.ReconnectFailed) == []
        assert s.log.of(telemetry.HookFailed) == []
        s.bot.resume()
        await s.bot.wait_status("connected")

        assert channel.attempts == [0, 4]


async def test_a_pause_calls_a_retry_off(autojump_clock: MockClock) -> None:
    """What was due is not done."""
    channel = ScriptedChannel(lost(retry_after=5.0))
    async with scene(channel) as s:
        await trio.sleep(1)
        s.bot.pause()
        await trio.sleep(100)

        assert channel.attempts == [0]
        assert s.bot.health().next_retry_at is None


async def test_a_resume_starts_the_attempts_anew(autojump_clock: MockClock) -> None:
    """Who resumes says that things are well: the quick attempts are there again."""
    channel = ScriptedChannel(*[REFUSED] * 6)
    async with scene(channel) as s:
        await s.bot.wait_status("degraded")
        s.bot.pause()
        assert s.bot.status == "paused"
        s.bot.resume()
        assert s.bot.status == "reconnecting"
        await s.bot.wait_status("connected")

        assert channel.gaps == pytest.approx([0.5, 1, 2, 4, 0, 0.5])


async def test_pause_and_resume_twice_are_once(autojump_clock: MockClock) -> None:
    """The second one of each finds its wish in force."""
    channel = ScriptedChannel()
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        s.bot.pause()
        s.bot.pause()
        await trio.sleep(1)
        s.bot.resume()
        s.bot.resume()
        await trio.sleep(1)

        assert channel.attempts == [0, 1]
        assert len(s.log.of(telemetry.InstancePaused)) == 1
        assert len(s.log.of(telemetry.InstanceResumed)) == 1


async def test_a_resume_without_a_pause_changes_nothing(autojump_clock: MockClock) -> None:
    """Neither while it is connected nor while a retry waits."""
    channel = ScriptedChannel(REFUSED)
    async with scene(channel) as s:
        await s.bot.wait_status("reconnecting")
        s.bot.resume()
        await s.bot.wait_status("connected")
        s.bot.resume()
        await trio.sleep(10)

        assert channel.attempts == [0, 0.5]


async def test_a_pause_survives_a_crash_of_the_whole_instance(autojump_clock: MockClock) -> None:
    """The next run of the instance does not connect either, until it is resumed."""
    channel = ScriptedChannel()
    keeper = Worker()
    channel.give_own = lambda _: [ChildSpec("keeper", keeper.run)]
    async with scene(channel, intensity=RestartIntensity(max_restarts=0)) as s:
        await s.bot.wait_status("connected")
        s.bot.pause()
        keeper.end(ValueError("bug"))
        await s.bot.wait_status("starting")
        await trio.sleep(10)
        assert s.bot.status == "paused"
        assert channel.attempts == [0]
        s.bot.resume()
        await s.bot.wait_status("connected")

        assert len(keeper.began_at) == 2


async def test_an_instance_may_be_paused_while_its_own_children_start(
    autojump_clock: MockClock,
) -> None:
    """It then begins paused, and `start_instance` returns."""
    channel = ScriptedChannel()

    async def slow(*, task_status: trio.TaskStatus[None]) -> None:
        await trio.sleep(5)
        task_status.started()
        await trio.sleep_forever()

    channel.give_own = lambda _: [ChildSpec("slow", slow)]
    log = EventRecorder()

    def pause(event: telemetry.Event) -> None:
        if isinstance(event, telemetry.ChildStarted) and event.child == "slow":
            bots[0].pause()

    bots: list[Any] = []

    class Known(ScriptedChannel):
        def instance_children(self, instance: Any) -> Any:
            bots.append(instance)
            return channel.instance_children(instance)

    bus = telemetry.EventBus()
    bus.listen(pause)
    known = Known()
    async with scene(known, log=log, bus=bus) as s:
        await trio.sleep(10)
        assert s.bot.status == "paused"
        assert known.attempts == []
        s.bot.resume()
        await s.bot.wait_status("connected")

        assert known.attempts == [15]


@pytest.mark.parametrize("verb", VERBS)
async def test_verbs_change_nothing_of_an_instance_that_has_failed(
    autojump_clock: MockClock, verb: str
) -> None:
    """Only `restart_instance` wakes it."""
    channel = ScriptedChannel(fatal())
    async with scene(channel) as s:
        with pytest.raises(InstanceFailed):
            await s.bot.wait_status("connected")
        told = len(s.log)
        getattr(s.bot, verb)()
        await trio.sleep(10)

        assert s.bot.status == "failed"
        assert asked(list(s.log)[told:]) == [(verb, False)]
        await s.runtime.restart_instance("bot")
        assert await s.bot.wait_status("connected") == "connected"


@pytest.mark.parametrize("paused", [True, False])
@pytest.mark.parametrize("verb", VERBS)
async def test_verbs_change_nothing_of_an_instance_that_was_stopped(
    autojump_clock: MockClock, verb: str, *, paused: bool
) -> None:
    """Its handle stays, and does nothing any more."""
    channel = ScriptedChannel()
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        if paused:
            s.bot.pause()
        await s.runtime.stop_instance("bot")
        told = len(s.log)
        getattr(s.bot, verb)()
        await trio.sleep(10)

        assert s.bot.status == "stopped"
        assert asked(list(s.log)[told:]) == [(verb, False)]
        assert len(channel.attempts) == 1


async def test_verbs_of_one_instance_do_not_touch_another(autojump_clock: MockClock) -> None:
    """Each has a machine of its own."""
    channel, other = ScriptedChannel(), ScriptedChannel()
    async with scene(channel) as s:
        spec = InstanceSpec(id="other", channel=other, reconnect=STEADY)
        neighbour = await s.runtime.start_instance(spec)
        await neighbour.wait_status("connected")
        s.bot.pause()
        s.bot.resume()
        s.bot.reconnect()
        await trio.sleep(100)

        assert other.attempts == [0]
        assert neighbour.health().proven
