"""The runtime's verbs, one after the other."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
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
    InstanceStatus,
    InstanceStopped,
    InvalidSpec,
    Runtime,
    SupervisorNotRunning,
    open_runtime,
    telemetry,
)

from ..instance.scripted import ScriptedChannel, fatal, scene
from .instances import Outcomes, slow_to_start, slow_to_stop, spec_of

# --- what is not there, or there already ---------------------------------------------------------


async def test_an_unknown_id_is_a_key_error(
    instance_runtime: Runtime, autojump_clock: MockClock
) -> None:
    """Of every verb and question, and the message says where to look."""
    for ask in (
        instance_runtime.instance,
        instance_runtime.instance_status,
        instance_runtime.instance_health,
    ):
        with pytest.raises(InstanceNotFound, match="no instance 'bot'") as caught:
            ask("bot")
        assert isinstance(caught.value, KeyError)
        assert caught.value.instance_id == "bot"
    with pytest.raises(InstanceNotFound):
        await instance_runtime.stop_instance("bot")
    with pytest.raises(InstanceNotFound):
        await instance_runtime.restart_instance("bot")


async def test_whoever_passes_a_handle_is_asked_for_the_id(
    instance_runtime: Runtime, autojump_clock: MockClock
) -> None:
    """By every verb and question: that there is no such instance would not be true."""
    bot: Any = await instance_runtime.start_instance(spec_of("bot"))
    for ask in (
        instance_runtime.instance,
        instance_runtime.instance_status,
        instance_runtime.instance_health,
    ):
        with pytest.raises(TypeError, match=r"instance_id: must be a text, such as instance\.id"):
            ask(bot)
    for verb in (
        instance_runtime.stop_instance,
        instance_runtime.restart_instance,
        partial(instance_runtime.update_credentials, credentials={}),
    ):
        for given in (bot, bot.spec):
            with pytest.raises(TypeError, match=r"such as instance\.id, not <?Instance"):
                await verb(given)
    assert instance_runtime.list_instances() == [bot]


async def test_who_hears_of_an_instance_can_ask_for_it(autojump_clock: MockClock) -> None:
    """From its first event on: a listener that asks is never told that there is none."""
    bus, asked = telemetry.EventBus(), []
    async with open_runtime(events=bus) as runtime:

        def ask(event: telemetry.Event) -> None:
            if event.instance_id is not None:
                asked.append(runtime.instance_status(event.instance_id))

        with bus.listen(ask):
            await runtime.start_instance(spec_of("one"))
    assert asked[0] == "starting"


@pytest.mark.parametrize("rubbish", ["bot-1", None, {"id": "bot-1"}])
async def test_what_is_no_specification_is_refused(instance_runtime: Runtime, rubbish: Any) -> None:
    """Law 12: with a clear error, and nothing is started."""
    with pytest.raises(InvalidSpec, match="must be an InstanceSpec"):
        await instance_runtime.start_instance(rubbish)
    assert instance_runtime.list_instances() == []


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


async def test_a_channel_object_serves_one_instance(
    instance_runtime: Runtime, autojump_clock: MockClock
) -> None:
    """A second instance with the same object is refused, until the first has been stopped."""
    channel = ScriptedChannel()
    await instance_runtime.start_instance(spec_of("one", channel))
    with pytest.raises(InstanceAlreadyStarted, match="already serves instance 'one'") as caught:
        await instance_runtime.start_instance(spec_of("two", channel))
    assert (caught.value.what, caught.value.instance_id) == ("channel", "one")
    await instance_runtime.stop_instance("one")
    two = await instance_runtime.start_instance(spec_of("two", channel))

    assert await two.wait_status("connected") == "connected"


async def test_a_failed_start_keeps_nothing(
    instance_runtime: Runtime, autojump_clock: MockClock
) -> None:
    """The id and the channel are free again."""
    channel = ScriptedChannel()
    channel.give_own = lambda _: None
    with pytest.raises(ChildStartFailed):
        await instance_runtime.start_instance(spec_of("bot", channel))
    assert instance_runtime.list_instances() == []
    channel.give_own = lambda _: ()
    bot = await instance_runtime.start_instance(spec_of("bot", channel))

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
    instance_runtime: Runtime, autojump_clock: MockClock
) -> None:
    """Its handle says so for ever."""
    old = await instance_runtime.start_instance(spec_of("bot"))
    await instance_runtime.stop_instance("bot")
    with pytest.raises(InstanceNotFound):
        instance_runtime.instance("bot")
    new = await instance_runtime.start_instance(spec_of("bot"))
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


async def test_an_instance_that_several_restart_at_once_is_stopped_at_no_moment(
    autojump_clock: MockClock,
) -> None:
    """Whoever waits for it goes on waiting: the end of one restart is not that of the others."""
    async with scene(ScriptedChannel()) as s:
        await s.bot.wait_status("connected")
        for late in range(30):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(restart, s.runtime, 0)
                nursery.start_soon(restart, s.runtime, late)
                for _ in range(40):
                    await trio.lowlevel.checkpoint()
                    await s.bot.wait_status("connected")


async def restart(runtime: Runtime, late: int) -> None:
    """Restart the instance after some turns, unless somebody else stops its start for a restart."""
    for _ in range(late):
        await trio.lowlevel.checkpoint()
    with suppress(ChildStartFailed):
        await runtime.restart_instance("bot")


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
        told = [name for name in s.log.names() if name.startswith("instance.st")]
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


async def test_an_instance_may_stop_or_restart_another(
    instance_runtime: Runtime, autojump_clock: MockClock
) -> None:
    """From within a child of its own: the verbs are for everybody."""
    channel = ScriptedChannel()

    async def boss() -> None:
        await trio.sleep(1)
        await instance_runtime.restart_instance("other")
        await trio.sleep(1)
        await instance_runtime.stop_instance("other")
        await instance_runtime.start_instance(spec_of("third"))
        await trio.sleep_forever()

    channel.give_own = lambda _: [ChildSpec("boss", boss)]
    other = ScriptedChannel()
    await instance_runtime.start_instance(spec_of("other", other))
    await instance_runtime.start_instance(spec_of("bot", channel))
    await trio.sleep(10)

    assert other.attempts == [0, 1]
    assert [bot.id for bot in instance_runtime.list_instances()] == ["bot", "third"]
    third = instance_runtime.instance("third")
    assert await third.wait_status("connected") == "connected"


@pytest.mark.parametrize("verb", ["stop_instance", "restart_instance"])
async def test_an_instance_that_ends_itself_does_not_wait_for_itself(
    instance_runtime: Runtime, autojump_clock: MockClock, verb: str
) -> None:
    """Its own child is cancelled in the waiting, and the instance ends all the same."""
    channel = ScriptedChannel()

    async def suicidal() -> None:
        await trio.sleep(1)
        await getattr(instance_runtime, verb)("bot")

    channel.give_own = lambda _: [ChildSpec("suicidal", suicidal)]
    bot = await instance_runtime.start_instance(spec_of("bot", channel))
    with pytest.raises(InstanceStopped):
        await bot.wait_status("paused")

    assert instance_runtime.instance_status("bot") == "stopped"
    await instance_runtime.stop_instance("bot")
