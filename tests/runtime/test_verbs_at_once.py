"""The runtime's verbs when several are asked at once, or in the middle of one another."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from trio_instances import ChildSpec, InstanceStatus, Runtime, open_runtime, telemetry
from trio_instances.telemetry import EventBus
from trio_instances.testing import EventRecorder

from ..instance.scripted import ScriptedChannel, always, fatal, scene
from .instances import Outcomes, slow_to_start, slow_to_stop, spec_of


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
    instance_runtime: Runtime, autojump_clock: MockClock, verb: str
) -> None:
    """Who waits for the start is told; nothing of it is kept, and the id is free again."""
    start, end = Outcomes(), Outcomes()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(
            start.of, instance_runtime.start_instance, spec_of("bot", slow_to_start())
        )
        await wait_all_tasks_blocked()
        nursery.start_soon(end.of, getattr(instance_runtime, verb), "bot")

    assert start == ["ChildStartFailed"]
    assert end == ["done" if verb == "stop_instance" else "InstanceNotFound"]
    assert instance_runtime.list_instances() == []
    bot = await instance_runtime.start_instance(spec_of("bot"))
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
    bus, log = EventBus(), EventRecorder()
    bus.listen(log)
    async with open_runtime(events=bus) as runtime, trio.open_nursery() as nursery:
        nursery.start_soon(Outcomes().of, runtime.start_instance, spec_of("bot", slow_to_start()))
        await wait_all_tasks_blocked()
        bot = runtime.instance("bot")
        bot.pause()
        await runtime.stop_instance("bot")
        told = len(log)
        bot.resume()

        assert [e.name for e in list(log)[told:]] == ["instance.asked"]
        assert not log.of(telemetry.InstanceAsked)[-1].changed
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


async def test_a_restart_that_is_restarted_before_its_run_begins_connects(
    autojump_clock: MockClock,
) -> None:
    """What verbs had led to by then is over with it, and nothing waits for its end."""
    for checkpoints in range(15):
        async with scene(ScriptedChannel(fatal())) as s, trio.open_nursery() as nursery:
            await s.log.wait_for(telemetry.InstanceFailed)
            nursery.start_soon(Outcomes().of, s.runtime.restart_instance, "bot")
            for _ in range(checkpoints):
                await trio.lowlevel.checkpoint()
            s.bot.pause()
            s.bot.resume()
            await Outcomes().of(s.runtime.restart_instance, "bot")
            await trio.sleep(5)

            assert s.bot.status == "connected"
