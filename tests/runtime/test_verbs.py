"""The runtime's verbs and questions, also when several are asked at once."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from trio_instances import (
    ChildSpec,
    ChildStartFailed,
    InstanceAlreadyStarted,
    InstanceFailed,
    InstanceNotFound,
    InstanceSpec,
    InstanceStatus,
    InstanceStopped,
    InvalidSpec,
    Runtime,
    SupervisorNotRunning,
    current_child_path,
    open_runtime,
    open_supervisor,
    telemetry,
)
from trio_instances.telemetry import EventBus

from ..instance.scripted import HANGS, STEADY, Log, ScriptedChannel, always, fatal, scene


def spec_of(instance_id: str, channel: ScriptedChannel | None = None) -> InstanceSpec:
    """Return a steady spec without probes."""
    channel = ScriptedChannel() if channel is None else channel
    return InstanceSpec(id=instance_id, channel=channel, reconnect=STEADY, probe=None)


def slow_to_start(*, seconds: float = HANGS) -> ScriptedChannel:
    """Return a channel with an instance child that takes its time to get ready."""
    channel = ScriptedChannel()

    async def slow(*, task_status: trio.TaskStatus[None]) -> None:
        await trio.sleep(seconds)
        task_status.started()
        await trio.sleep_forever()

    channel.give_own = lambda _: [ChildSpec("slow", slow)]
    return channel


def slow_to_stop(seconds: float = 3.0) -> ScriptedChannel:
    """Return a channel whose closing takes its time."""
    channel = ScriptedChannel()

    async def close() -> None:
        await trio.sleep(seconds)

    channel.close = close
    return channel


class Outcomes(list[Any]):
    """What several calls came to, each as a word."""

    async def of(self, verb: Any, *args: Any) -> None:
        """Call, and note the outcome."""
        try:
            result = await verb(*args)
        except Exception as exc:
            self.append(type(exc).__name__)
        else:
            self.append("done" if result is None else getattr(result, "id", result))


# --- what is not there, or there already ---------------------------------------------------------


async def test_an_unknown_id_is_a_key_error(autojump_clock: MockClock) -> None:
    """Of every verb and question, and the message says where to look."""
    async with open_runtime() as runtime:
        for ask in (runtime.instance, runtime.instance_status, runtime.instance_health):
            with pytest.raises(InstanceNotFound, match="no instance 'bot'") as caught:
                ask("bot")
            assert isinstance(caught.value, KeyError)
            assert caught.value.instance_id == "bot"
        with pytest.raises(InstanceNotFound):
            await runtime.stop_instance("bot")
        with pytest.raises(InstanceNotFound):
            await runtime.restart_instance("bot")


async def test_an_id_in_use_is_refused(autojump_clock: MockClock) -> None:
    """Running, starting or failed: and the one that is there is not touched."""
    async with open_runtime() as runtime, trio.open_nursery() as nursery:
        bot = await runtime.start_instance(spec_of("bot"))
        await bot.wait_status("connected")
        failed = await runtime.start_instance(spec_of("failed", ScriptedChannel(fatal())))
        await failed.wait_status("failed")
        nursery.start_soon(Outcomes().of, runtime.start_instance, spec_of("new", slow_to_start()))
        await wait_all_tasks_blocked()
        for instance_id in ("bot", "failed", "new"):
            with pytest.raises(InstanceAlreadyStarted, match="choose another id") as caught:
                await runtime.start_instance(spec_of(instance_id))
            assert caught.value.what == "id"

        assert bot.status == "connected"
        assert failed.status == "failed"
        assert runtime.instance_status("new") == "starting"
        await runtime.stop_instance("new")


async def test_a_channel_object_serves_one_instance(autojump_clock: MockClock) -> None:
    """A second instance with the same object is refused, until the first has been stopped."""
    channel = ScriptedChannel()
    async with open_runtime() as runtime:
        await runtime.start_instance(spec_of("one", channel))
        with pytest.raises(InstanceAlreadyStarted, match="already serves instance 'one'") as caught:
            await runtime.start_instance(spec_of("two", channel))
        assert (caught.value.what, caught.value.instance_id) == ("channel", "one")
        await runtime.stop_instance("one")
        two = await runtime.start_instance(spec_of("two", channel))

        assert await two.wait_status("connected") == "connected"


async def test_a_failed_start_keeps_nothing(autojump_clock: MockClock) -> None:
    """The id and the channel are free again."""
    channel = ScriptedChannel()
    channel.give_own = lambda _: None
    async with open_runtime() as runtime:
        with pytest.raises(ChildStartFailed):
            await runtime.start_instance(spec_of("bot", channel))
        assert runtime.list_instances() == []
        channel.give_own = lambda _: ()
        bot = await runtime.start_instance(spec_of("bot", channel))

        assert await bot.wait_status("connected") == "connected"


async def test_a_connection_that_fails_for_good_at_once_is_no_failed_start(
    autojump_clock: MockClock,
) -> None:
    """However fast: the instance is there, failed, and can be asked why. Again and again."""
    async with open_runtime() as runtime:
        for number in range(20):
            spec = spec_of(f"bot-{number}", ScriptedChannel(fatal()))
            bot = await runtime.start_instance(spec)
            assert await bot.wait_status("failed") == "failed"

        assert runtime.count_instances().by_status[InstanceStatus.FAILED] == 20


# --- questions -----------------------------------------------------------------------------------


async def test_lists_and_counts_are_in_start_order_and_complete(autojump_clock: MockClock) -> None:
    """Whatever became of them; a restart keeps the place."""
    async with open_runtime() as runtime:
        for number, channel in enumerate(
            [ScriptedChannel(HANGS), ScriptedChannel(fatal()), ScriptedChannel(), ScriptedChannel()]
        ):
            await runtime.start_instance(spec_of(f"bot-{number}", channel))
        runtime.instance("bot-3").pause()
        await trio.sleep(1)
        await runtime.restart_instance("bot-0")
        await trio.sleep(1)

        ids = ["bot-0", "bot-1", "bot-2", "bot-3"]
        assert [bot.id for bot in runtime.list_instances()] == ids
        assert [health.instance_id for health in runtime.list_instance_health()] == ids
        counts = runtime.count_instances()
        assert counts.total == 4
        assert set(counts.by_status) == set(InstanceStatus)
        assert {word: n for word, n in counts.by_status.items() if n} == {
            "connected": 2,
            "failed": 1,
            "paused": 1,
        }
        assert "instances=4" in repr(runtime)
        assert runtime.instance_health("bot-1").status == runtime.instance_status("bot-1")


async def test_a_subscriber_gets_what_happens_from_then_on(autojump_clock: MockClock) -> None:
    """Until the runtime ends, which ends the iteration."""
    names: list[str] = []

    async def read(runtime: Runtime, *, task_status: trio.TaskStatus[None]) -> None:
        async with runtime.subscribe(max_buffer=100) as events:
            task_status.started()
            names.extend([event.name async for event in events])

    async with trio.open_nursery() as nursery, open_runtime() as runtime:
        await nursery.start(read, runtime)
        await runtime.start_instance(spec_of("bot"))
        await runtime.instance("bot").wait_status("connected")

    assert names.count("instance.connected") == 1
    assert names[-1] == "runtime.stopped"


async def test_a_bad_buffer_is_refused(autojump_clock: MockClock) -> None:
    """At the door."""
    async with open_runtime() as runtime:
        with pytest.raises(InvalidSpec, match="max_buffer"):
            runtime.subscribe(0)


@pytest.mark.parametrize(
    ("field", "value"),
    [("settings", 5), ("sinks", [None]), ("events", 5), ("random", 5)],
)
async def test_arguments_are_checked_before_anything_runs(field: str, value: Any) -> None:
    """Each mistake names its argument."""
    with pytest.raises(InvalidSpec, match=field):
        async with open_runtime(**{field: value}):
            pass


# --- stop and restart ----------------------------------------------------------------------------


async def test_a_stopped_instance_is_forgotten_and_its_id_is_free(
    autojump_clock: MockClock,
) -> None:
    """Its handle says so for ever."""
    async with open_runtime() as runtime:
        old = await runtime.start_instance(spec_of("bot"))
        await runtime.stop_instance("bot")
        with pytest.raises(InstanceNotFound):
            runtime.instance("bot")
        new = await runtime.start_instance(spec_of("bot"))
        await new.wait_status("connected")

        assert old.status is InstanceStatus.STOPPED
        with pytest.raises(InstanceStopped):
            await old.wait_status("connected")


async def test_a_failed_instance_can_be_stopped(autojump_clock: MockClock) -> None:
    """Then it is gone, and the handle says stopped."""
    async with open_runtime() as runtime:
        bot = await runtime.start_instance(spec_of("bot", ScriptedChannel(fatal())))
        await bot.wait_status("failed")
        await runtime.stop_instance("bot")

        assert bot.status is InstanceStatus.STOPPED
        assert runtime.list_instances() == []


async def test_restart_wakes_an_instance_that_has_failed(autojump_clock: MockClock) -> None:
    """With the same handle; if it fails again, it has failed again."""
    channel = ScriptedChannel(fatal(), fatal())
    async with scene(channel) as s:
        await s.bot.wait_status("failed")
        assert await s.runtime.restart_instance("bot") is s.bot
        with pytest.raises(InstanceFailed):
            await s.bot.wait_status("connected")
        await s.runtime.restart_instance("bot")
        await s.bot.wait_status("connected")

        assert len(s.log.of(telemetry.InstanceFailed)) == 2
        assert len(channel.attempts) == 3
        assert s.bot.health().who_must_act == "nobody"


async def test_restart_gives_the_whole_restart_budget_back(autojump_clock: MockClock) -> None:
    """Who restarts by hand has mended something: six more restarts are allowed."""
    channel = ScriptedChannel()

    async def crashes() -> None:
        raise ValueError("bug")

    channel.give_own = lambda _: [ChildSpec("keeper", crashes)]
    async with scene(channel) as s:
        await s.bot.wait_status("failed")
        first = s.bot.health().restarts
        await s.runtime.restart_instance("bot")
        await s.bot.wait_status("failed")

        assert s.bot.health().restarts == 2 * first


async def test_restart_ends_a_pause(autojump_clock: MockClock) -> None:
    """It is what an operator wants who starts something anew."""
    async with scene(ScriptedChannel()) as s:
        await s.bot.wait_status("connected")
        s.bot.pause()
        await trio.sleep(1)
        await s.runtime.restart_instance("bot")

        assert await s.bot.wait_status("connected") == "connected"


async def test_restart_of_a_running_instance_stops_it_in_order_first(
    autojump_clock: MockClock,
) -> None:
    """Never two runs of one instance; `instance.stopping` and `stopped` are told."""
    channel = slow_to_stop()
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        await s.runtime.restart_instance("bot")
        await s.bot.wait_status("connected")

        assert channel.closed == [3]
        assert channel.most == 1
        told = [name for name in s.log.names if name.startswith("instance.st")]
        assert told == [
            "instance.started",
            "instance.stopping",
            "instance.stopped",
            "instance.started",
        ]


async def test_a_restart_that_fails_leaves_it_stopped_and_can_be_tried_again(
    autojump_clock: MockClock,
) -> None:
    """The error is raised to who asked; one that had failed before is failed again."""
    channel = ScriptedChannel()
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        channel.give_own = lambda _: None
        with pytest.raises(ChildStartFailed):
            await s.runtime.restart_instance("bot")
        assert s.bot.status is InstanceStatus.STOPPED
        with pytest.raises(InstanceStopped):
            await s.bot.wait_status("connected")
        channel.give_own = lambda _: ()
        await s.runtime.restart_instance("bot")

        assert await s.bot.wait_status("connected") == "connected"


async def test_a_restart_that_fails_of_one_that_was_paused_meanwhile_leaves_it_stopped(
    autojump_clock: MockClock,
) -> None:
    """Nothing runs, so it is not called paused."""
    channel = ScriptedChannel()
    async with scene(channel) as s:
        await s.bot.wait_status("connected")

        async def fails(*, task_status: trio.TaskStatus[None]) -> None:
            s.bot.pause()
            raise ValueError("bug")

        channel.give_own = lambda _: [ChildSpec("keeper", fails)]
        with pytest.raises(ChildStartFailed):
            await s.runtime.restart_instance("bot")

        assert s.bot.status is InstanceStatus.STOPPED


@pytest.mark.parametrize("attempt", range(8))
async def test_two_stops_at_once_both_return(autojump_clock: MockClock, attempt: int) -> None:
    """When it has ended; which of the two tasks Trio wakes first does not matter."""
    async with scene(slow_to_stop()) as s:
        await s.bot.wait_status("connected")
        outcomes = Outcomes()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outcomes.of, s.runtime.stop_instance, "bot")
            nursery.start_soon(outcomes.of, s.runtime.stop_instance, "bot")

        assert outcomes == ["done", "done"]
        assert trio.current_time() == 3
        assert len(s.log.of(telemetry.InstanceStopped)) == 1


@pytest.mark.parametrize("attempt", range(8))
async def test_two_restarts_at_once_restart_it_once(
    autojump_clock: MockClock, attempt: int
) -> None:
    """Both return the handle."""
    channel = slow_to_stop()
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        outcomes = Outcomes()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outcomes.of, s.runtime.restart_instance, "bot")
            nursery.start_soon(outcomes.of, s.runtime.restart_instance, "bot")
        await s.bot.wait_status("connected")
        await trio.sleep(10)

        assert outcomes == ["bot", "bot"]
        assert channel.attempts == [0, 3]


@pytest.mark.parametrize("attempt", range(8))
async def test_a_stop_beside_a_restart_stops_it(autojump_clock: MockClock, attempt: int) -> None:
    """The stop wins whichever comes first; the restart tells that it is not there any more."""
    channel = slow_to_stop()
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        stop, restart = Outcomes(), Outcomes()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(restart.of, s.runtime.restart_instance, "bot")
            nursery.start_soon(stop.of, s.runtime.stop_instance, "bot")

        assert stop == ["done"]
        assert restart == ["InstanceNotFound"]
        assert s.runtime.list_instances() == []
        assert s.bot.status is InstanceStatus.STOPPED
        assert channel.living == 0


@pytest.mark.parametrize("attempt", range(8))
async def test_a_stop_beside_another_one_that_starts_the_id_anew_stops_the_old_one_only(
    autojump_clock: MockClock, attempt: int
) -> None:
    """What was asked to stop is the instance there was, not its successor."""
    async with scene(slow_to_stop()) as s:
        await s.bot.wait_status("connected")
        outcomes = Outcomes()

        async def replace() -> None:
            await s.runtime.stop_instance("bot")
            await s.runtime.start_instance(spec_of("bot"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(replace)
            nursery.start_soon(outcomes.of, s.runtime.stop_instance, "bot")
        await trio.sleep(1)

        assert outcomes == ["done"]
        assert s.runtime.instance_status("bot") == "connected"
        assert s.runtime.instance("bot") is not s.bot


@pytest.mark.parametrize("verb", ["stop_instance", "restart_instance"])
async def test_a_start_that_hangs_can_be_ended_by_a_verb(
    autojump_clock: MockClock, verb: str
) -> None:
    """Who waits for the start is told; nothing of it is kept, and the id is free again."""
    async with open_runtime() as runtime:
        start, end = Outcomes(), Outcomes()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(start.of, runtime.start_instance, spec_of("bot", slow_to_start()))
            await wait_all_tasks_blocked()
            nursery.start_soon(end.of, getattr(runtime, verb), "bot")

        assert start == ["ChildStartFailed"]
        assert end == ["done" if verb == "stop_instance" else "InstanceNotFound"]
        assert runtime.list_instances() == []
        bot = await runtime.start_instance(spec_of("bot"))
        assert await bot.wait_status("connected") == "connected"


async def test_a_start_that_is_being_stopped_by_somebody_who_gives_up_waiting_keeps_nothing(
    autojump_clock: MockClock,
) -> None:
    """The stop goes on without him, and the id is free again."""
    channel = ScriptedChannel()

    async def stubborn(*, task_status: trio.TaskStatus[None]) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(5)
        await trio.sleep_forever()

    channel.give_own = lambda _: [ChildSpec("stubborn", stubborn)]
    async with open_runtime() as runtime:
        start = Outcomes()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(start.of, runtime.start_instance, spec_of("bot", channel))
            await wait_all_tasks_blocked()
            with trio.move_on_after(1):
                await runtime.stop_instance("bot")

        assert start == ["ChildStartFailed"]
        assert runtime.list_instances() == []
        bot = await runtime.start_instance(spec_of("bot"))
        assert await bot.wait_status("connected") == "connected"


async def test_a_stop_at_any_moment_of_a_restart_that_fails_forgets_it(
    autojump_clock: MockClock,
) -> None:
    """Also between the failure and its settlement; the id is free again."""
    for checkpoints in range(30):
        channel = ScriptedChannel()

        async def fails(*, task_status: trio.TaskStatus[None]) -> None:
            await trio.sleep(1)
            raise ValueError("bug")

        async with scene(channel) as s, trio.open_nursery() as nursery:
            await s.bot.wait_status("connected")
            channel.give_own = always(ChildSpec("keeper", fails))
            nursery.start_soon(Outcomes().of, s.runtime.restart_instance, "bot")
            await trio.sleep(1)
            for _ in range(checkpoints):
                await trio.lowlevel.checkpoint()
            await s.runtime.stop_instance("bot")
            assert s.runtime.list_instances() == []
            bot = await s.runtime.start_instance(spec_of("bot"))
            assert await bot.wait_status("connected") == "connected"


async def test_a_paused_start_that_is_stopped_cannot_be_resumed(autojump_clock: MockClock) -> None:
    """The machine of an instance that never came to connect is stopped as well."""
    bus, log = EventBus(), Log()
    bus.listen(log)
    async with open_runtime(events=bus) as runtime, trio.open_nursery() as nursery:
        nursery.start_soon(Outcomes().of, runtime.start_instance, spec_of("bot", slow_to_start()))
        await wait_all_tasks_blocked()
        bot = runtime.instance("bot")
        bot.pause()
        await runtime.stop_instance("bot")
        told = len(log)
        bot.resume()

        assert len(log) == told
        assert bot.status is InstanceStatus.STOPPED
        assert bot.generation == 0


async def test_an_instance_can_be_stopped_between_its_own_restarts(
    autojump_clock: MockClock,
) -> None:
    """A crash loop is no hindrance."""
    channel = ScriptedChannel()

    async def crashes() -> None:
        await trio.lowlevel.checkpoint()
        raise ValueError("bug")

    channel.give_own = lambda _: [ChildSpec("keeper", crashes)]
    for checkpoints in range(25):
        async with scene(channel) as s:
            for _ in range(checkpoints):
                await trio.lowlevel.checkpoint()
            await s.runtime.stop_instance("bot")

            assert s.bot.status is InstanceStatus.STOPPED
            assert s.runtime.list_instances() == []


async def test_a_runtime_that_has_ended_refuses(autojump_clock: MockClock) -> None:
    """Every verb, at once; questions are still answered."""
    async with open_runtime() as runtime:
        await runtime.start_instance(spec_of("bot"))

    with pytest.raises(SupervisorNotRunning):
        await runtime.start_instance(spec_of("two"))
    with pytest.raises(SupervisorNotRunning):
        await runtime.stop_instance("bot")
    with pytest.raises(SupervisorNotRunning):
        await runtime.restart_instance("bot")
    with pytest.raises(trio.ClosedResourceError, match="the event bus is closed: "):
        runtime.subscribe()
    assert runtime.instance_status("bot") is InstanceStatus.STOPPED
    assert [bot.id for bot in runtime.list_instances()] == ["bot"]


async def test_an_instance_may_stop_or_restart_another(autojump_clock: MockClock) -> None:
    """From within a child of its own: the verbs are for everybody."""
    async with open_runtime() as runtime:
        channel = ScriptedChannel()

        async def boss() -> None:
            await trio.sleep(1)
            await runtime.restart_instance("other")
            await trio.sleep(1)
            await runtime.stop_instance("other")
            await runtime.start_instance(spec_of("third"))
            await trio.sleep_forever()

        channel.give_own = lambda _: [ChildSpec("boss", boss)]
        other = ScriptedChannel()
        await runtime.start_instance(spec_of("other", other))
        await runtime.start_instance(spec_of("bot", channel))
        await trio.sleep(10)

        assert other.attempts == [0, 1]
        assert [bot.id for bot in runtime.list_instances()] == ["bot", "third"]
        third = runtime.instance("third")
        assert await third.wait_status("connected") == "connected"


@pytest.mark.parametrize("verb", ["stop_instance", "restart_instance"])
async def test_an_instance_that_ends_itself_does_not_wait_for_itself(
    autojump_clock: MockClock, verb: str
) -> None:
    """Its own child is cancelled in the waiting, and the instance ends all the same."""
    async with open_runtime() as runtime:
        channel = ScriptedChannel()

        async def suicidal() -> None:
            await trio.sleep(1)
            await getattr(runtime, verb)("bot")

        channel.give_own = lambda _: [ChildSpec("suicidal", suicidal)]
        bot = await runtime.start_instance(spec_of("bot", channel))
        with pytest.raises(InstanceStopped):
            await bot.wait_status("paused")

        assert runtime.instance_status("bot") == "stopped"
        await runtime.stop_instance("bot")


# --- where it can be -----------------------------------------------------------------------------


async def test_a_runtime_lives_within_a_child_of_a_supervisor(autojump_clock: MockClock) -> None:
    """Its paths begin with the child's, and the supervisor's stop ends it in order."""
    channel = slow_to_stop()
    paths: list[str | None] = []
    log = Log()

    async def reader() -> None:
        paths.append(current_child_path())
        await trio.sleep_forever()

    channel.give_children = lambda *_: [ChildSpec("reader", reader)]

    async def fleet(*, task_status: trio.TaskStatus[None]) -> None:
        bus = EventBus()
        bus.listen(log)
        async with open_runtime(events=bus) as runtime:
            bot = await runtime.start_instance(spec_of("bot", channel))
            await bot.wait_status("connected")
            task_status.started()
            await trio.sleep_forever()

    async with open_supervisor(name="app") as supervisor:
        await supervisor.start(fleet, name="fleet")
        await supervisor.terminate_child("fleet")

    assert paths == ["app/fleet/runtime/bot/connection/reader"]
    assert channel.closed == [3]
    assert log.names[-1] == "runtime.stopped"


async def test_runtimes_side_by_side_know_nothing_of_each_other(autojump_clock: MockClock) -> None:
    """The same ids, other instances; each has events of its own."""
    channels = [ScriptedChannel(), ScriptedChannel(fatal())]
    logs = [Log(), Log()]
    buses = [EventBus(), EventBus()]
    for bus, log in zip(buses, logs, strict=True):
        bus.listen(log)
    async with open_runtime(events=buses[0]) as one, open_runtime(events=buses[1]) as two:
        await one.start_instance(spec_of("bot", channels[0]))
        await two.start_instance(spec_of("bot", channels[1]))
        await trio.sleep(100)

        assert (one.instance_status("bot"), two.instance_status("bot")) == ("connected", "failed")

    assert logs[0].of(telemetry.InstanceFailed) == []
    assert len(logs[1].of(telemetry.InstanceFailed)) == 1
    assert [log.names.count("runtime.stopped") for log in logs] == [1, 1]


async def test_a_seed_replays_every_delay(autojump_clock: MockClock) -> None:
    """Chance is the generator that the runtime was given, and nothing else."""

    async def delays(seed: int) -> list[float]:
        channel = ScriptedChannel(*[OSError("no")] * 6)
        spec = InstanceSpec(id="bot", channel=channel)
        async with open_runtime(random=Random(seed)) as runtime:
            await runtime.start_instance(spec)
            await trio.sleep(1000)
            return channel.gaps

    assert await delays(1) == pytest.approx(await delays(1))
    assert await delays(1) != pytest.approx(await delays(2))
