"""Desired state: what one pass does, and that it does no more than it must."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from trio_instances import (
    Applied,
    ChildSpec,
    ChildStartFailed,
    InstanceSpec,
    InstanceStatus,
    InvalidSpec,
    Runtime,
    SupervisorNotRunning,
    open_runtime,
    telemetry,
)
from trio_instances.channels import WebSocketChannel
from trio_instances.telemetry import EventBus
from trio_instances.testing import EventRecorder

from ..instance.scripted import ScriptedChannel, always, fatal
from .instances import slow_to_start, spec_of

NOTHING: dict[str, Any] = {
    "stopped": (), "restarted": (), "started": (), "unchanged": (), "failed": {},
}  # fmt: skip


def ids(runtime: Runtime) -> list[str]:
    """Return the ids of all instances, in start order."""
    return [instance.id for instance in runtime.list_instances()]


def did(**what: Any) -> Applied:
    """Return what a pass did that did nothing else."""
    return Applied(**{**NOTHING, **what})


def broken(failure: Exception) -> ScriptedChannel:
    """Return a channel whose instance fails to start."""
    channel = ScriptedChannel()

    async def fail(*, task_status: trio.TaskStatus[None]) -> None:
        raise failure

    channel.give_own = always(ChildSpec("own", fail))
    return channel


async def test_one_pass_stops_restarts_and_starts_in_this_order(autojump_clock: MockClock) -> None:
    """Stops newest first; then what differs and what is new, each in the order given."""
    log, bus = EventRecorder(), EventBus()
    old = {each: spec_of(each) for each in "abcde"}
    async with open_runtime(events=bus) as runtime:
        await runtime.apply(old.values())
        with bus.listen(log):
            applied = await runtime.apply(
                [
                    spec_of("new"),
                    evolve(old["d"], failures_to_degrade=3),
                    old["c"],
                    evolve(old["b"], failures_to_degrade=3),
                ]
            )

        assert applied == did(
            stopped=("e", "a"), restarted=("d", "b"), started=("new",), unchanged=("c",)
        )
        assert [event.instance_id for event in log.of(telemetry.InstanceStopped)] == list("eadb")
        started = [event.instance_id for event in log.of(telemetry.InstanceStarted)]
        assert started == ["d", "b", "new"]
        assert ids(runtime) == ["b", "c", "d", "new"]


async def test_the_same_list_twice_does_nothing_the_second_time(autojump_clock: MockClock) -> None:
    """Nothing is stopped, started or told but that the pass was made."""
    log, bus = EventRecorder(), EventBus()
    specs = [spec_of(each) for each in "abc"]
    async with open_runtime(events=bus) as runtime:
        await runtime.apply(specs)
        await runtime.instance("c").wait_status("connected")
        with bus.listen(log):
            assert await runtime.apply(specs) == did(unchanged=("a", "b", "c"))
            await trio.testing.wait_all_tasks_blocked()

        assert log.names() == ["runtime.applied"]


async def test_a_pass_is_told_with_its_counts(autojump_clock: MockClock) -> None:
    """One event for each pass; each instance tells of itself besides."""
    log, bus = EventRecorder(), EventBus()
    async with open_runtime(events=bus) as runtime:
        await runtime.apply([spec_of("a"), spec_of("b")])
        with bus.listen(log):
            await runtime.apply([runtime.instance("a").spec, spec_of("c", broken(fatal()))])

        (event,) = log.of(telemetry.RuntimeApplied)
        counts = event.stopped, event.restarted, event.started, event.unchanged, event.failed
        assert counts == (1, 0, 0, 1, 1)
        assert telemetry.level_of(event) == "WARNING"


async def test_a_restarted_instance_keeps_its_handle_and_its_counters(
    instance_runtime: Runtime, autojump_clock: MockClock
) -> None:
    """It is the same instance, as something else."""
    bot = await instance_runtime.start_instance(spec_of("bot"))
    await bot.wait_status("connected")
    bot.reconnect()
    await bot.wait_status("connected")
    new = spec_of("bot", ScriptedChannel())
    await instance_runtime.apply([new])
    await bot.wait_status("connected")

    assert instance_runtime.instance("bot") is bot
    assert bot.spec is new
    assert bot.health().reconnects == 2
    assert bot.generation == 3


async def test_the_queues_of_a_channel_that_was_replaced_are_forgotten(
    instance_runtime: Runtime, autojump_clock: MockClock
) -> None:
    """Else the occupancy of a dead channel would count for ever."""
    bot = await instance_runtime.start_instance(spec_of("bot"))
    send, _ = trio.open_memory_channel[None](1)
    bot.watch_queue("old", send)
    await instance_runtime.apply([evolve(bot.spec, failures_to_degrade=3)])
    assert [queue.name for queue in bot.health().queues] == ["old"]

    await instance_runtime.apply([spec_of("bot")])
    assert bot.health().queues == ()


async def test_a_parked_instance_stays_parked_until_its_specification_differs(
    autojump_clock: MockClock,
) -> None:
    """What failed for good would fail again; a change is what may have mended it."""
    spec = spec_of("bot", ScriptedChannel(fatal()))
    async with open_runtime() as runtime:
        await runtime.apply([spec])
        bot = runtime.instance("bot")
        await bot.wait_status("failed")

        assert await runtime.apply([spec]) == did(unchanged=("bot",))
        assert bot.status is InstanceStatus.FAILED
        assert await runtime.apply([spec_of("bot")]) == did(restarted=("bot",))
        assert await bot.wait_status("connected") == "connected"


async def test_a_pause_outlasts_a_changed_specification(
    instance_runtime: Runtime, autojump_clock: MockClock
) -> None:
    """An operator's word is not taken back by a file."""
    channel = ScriptedChannel()
    await instance_runtime.apply([spec_of("bot")])
    bot = instance_runtime.instance("bot")
    bot.pause()
    await instance_runtime.apply([spec_of("bot", channel)])
    await trio.sleep(60)
    assert (bot.status, channel.attempts) == ("paused", [])

    bot.resume()
    assert await bot.wait_status("connected") == "connected"


async def test_an_instance_that_was_left_stopped_is_started(
    instance_runtime: Runtime, autojump_clock: MockClock
) -> None:
    """It is wanted, and nothing is wrong with it; unlike one that is parked, it only does not run.

    So a pass also goes on where one that was cancelled had come to.
    """
    spec = spec_of("bot")
    await instance_runtime.apply([spec])
    with trio.CancelScope() as scope:
        scope.cancel()
        await instance_runtime.stop_instance("bot")
    await trio.sleep(1)
    assert instance_runtime.instance_status("bot") == "stopped"

    assert await instance_runtime.apply([spec]) == did(restarted=("bot",))
    assert await instance_runtime.instance("bot").wait_status("connected") == "connected"


async def test_one_that_fails_to_start_does_not_end_the_pass(
    instance_runtime: Runtime, autojump_clock: MockClock
) -> None:
    """The others are started; it is told with its error, and the next pass tries again."""
    channel = broken(fatal("no_money"))
    specs = [spec_of("a"), spec_of("bad", channel), spec_of("z")]
    applied = await instance_runtime.apply(specs)
    assert applied.started == ("a", "z")
    failure = applied.failed["bad"]
    assert isinstance(failure, ChildStartFailed)
    assert failure.cause.reason == "no_money"
    assert ids(instance_runtime) == ["a", "z"]

    channel.give_own = lambda _: ()
    assert await instance_runtime.apply(specs) == did(started=("bad",), unchanged=("a", "z"))


async def test_one_that_fails_to_restart_is_left_stopped_and_tried_again(
    instance_runtime: Runtime, autojump_clock: MockClock
) -> None:
    """It is wanted as it is now, so nothing of what it was runs any more."""
    await instance_runtime.apply([spec_of("bot"), spec_of("other")])
    channel = broken(fatal())
    new = spec_of("bot", channel)
    specs = [new, instance_runtime.instance("other").spec]
    applied = await instance_runtime.apply(specs)
    assert (applied.restarted, list(applied.failed)) == ((), ["bot"])
    assert instance_runtime.instance_status("bot") == "stopped"

    channel.give_own = lambda _: ()
    assert (await instance_runtime.apply(specs)).restarted == ("bot",)
    assert instance_runtime.instance("bot").spec is new


async def test_every_mistake_is_listed_and_nothing_is_changed(
    instance_runtime: Runtime, autojump_clock: MockClock
) -> None:
    """Ids twice, channel objects twice, and what is no specification at all."""
    await instance_runtime.apply([spec_of("bot")])
    one, two = spec_of("one"), spec_of("two")
    wrong: list[Any] = [one, two, evolve(one, channel=two.channel), "three"]
    with pytest.raises(InvalidSpec) as refused:
        await instance_runtime.apply(wrong)

    assert [mistake.place for mistake in refused.value.mistakes] == [
        "specs[2].id",
        "specs[2].channel",
        "specs[3]",
    ]
    assert "must be unique (specs[0] has it), not 'one'" in str(refused.value)
    assert ids(instance_runtime) == ["bot"]


async def test_channels_can_change_hands(
    instance_runtime: Runtime, autojump_clock: MockClock
) -> None:
    """Two that swap their objects are both down before either is what it is to be."""
    one, two = ScriptedChannel(), ScriptedChannel()
    await instance_runtime.apply([spec_of("a", one), spec_of("b", two)])
    await instance_runtime.instance("a").wait_status("connected")
    await instance_runtime.instance("b").wait_status("connected")
    applied = await instance_runtime.apply([spec_of("a", two), spec_of("b", one)])
    await instance_runtime.instance("b").wait_status("connected")

    assert applied == did(restarted=("a", "b"))
    assert (one.most, two.most) == (1, 1)
    assert instance_runtime.instance("a").spec.channel is two


async def test_a_channel_that_was_made_anew_from_the_same_options_is_no_difference(
    autojump_clock: MockClock,
) -> None:
    """The instance keeps the object it has, with what waits in its outbox."""
    first, second = (WebSocketChannel("ws://127.0.0.1:9/") for _ in range(2))
    async with open_runtime() as runtime:
        await runtime.apply([InstanceSpec(id="bot", channel=first)])
        applied = await runtime.apply([InstanceSpec(id="bot", channel=second)])

        assert applied == did(unchanged=("bot",))
        assert runtime.instance("bot").spec.channel is first


async def test_a_runtime_that_has_ended_refuses(autojump_clock: MockClock) -> None:
    """Whether or not there would be anything to do."""
    async with open_runtime() as runtime:
        pass

    for specs in ([], [spec_of("bot")]):
        with pytest.raises(SupervisorNotRunning):
            await runtime.apply(specs)


wanted = st.lists(st.sampled_from("abcd"), unique=True).flatmap(
    lambda names: st.tuples(*[st.tuples(st.just(name), st.integers(1, 2)) for name in names])
)


@settings(max_examples=50)
@given(st.lists(wanted, max_size=5))
def test_any_row_of_lists_leads_to_exactly_what_is_wanted(
    lists: list[tuple[tuple[str, int], ...]],
) -> None:
    """After each one: those ids with those policies, connected, and stopped in reverse order."""

    async def play() -> None:
        bus, log = EventBus(), EventRecorder()
        channels = {name: ScriptedChannel() for name in "abcd"}
        async with open_runtime(events=bus) as runtime:
            for wishes in lists:
                specs = [
                    evolve(spec_of(name, channels[name]), failures_to_degrade=policy)
                    for name, policy in wishes
                ]
                before = ids(runtime)
                log.clear()
                with bus.listen(log):
                    applied = await runtime.apply(specs)
                await trio.sleep(1)

                assert sorted(ids(runtime)) == sorted(spec.id for spec in specs)
                assert all(runtime.instance(spec.id).spec == spec for spec in specs)
                assert all(bot.status == "connected" for bot in runtime.list_instances())
                gone = tuple(each for each in reversed(before) if each not in ids(runtime))
                ends = [event.instance_id for event in log.of(telemetry.InstanceStopped)]
                assert applied.stopped == gone
                assert ends == [*gone, *applied.restarted]
                assert await runtime.apply(specs) == did(unchanged=tuple(s.id for s in specs))
        assert all(channel.most <= 1 and channel.living == 0 for channel in channels.values())

    trio.run(play, clock=MockClock(autojump_threshold=0))


async def test_what_is_not_several_specifications_is_refused(autojump_clock: MockClock) -> None:
    """One alone, say; nothing is changed."""
    async with open_runtime() as runtime:
        one: Any = spec_of("bot")
        with pytest.raises(InvalidSpec, match="specs: must be several InstanceSpecs, not Instance"):
            await runtime.apply(one)


async def test_an_instance_that_never_gets_ready_does_not_hold_up_a_pass(
    autojump_clock: MockClock,
) -> None:
    """Its own child has 30 s, and more only where its spec says so; then it is among the failed."""
    patient = slow_to_start(seconds=100.0)
    give = patient.give_own
    patient.give_own = lambda bot: [evolve(each, start_timeout=200.0) for each in give(bot)]
    async with open_runtime() as runtime:
        specs = [spec_of("hangs", slow_to_start()), spec_of("slow", patient), spec_of("well")]
        applied = await runtime.apply(specs)

        assert trio.current_time() == 130
        assert (list(applied.failed), applied.started) == (["hangs"], ("slow", "well"))
        assert "30 s" in str(applied.failed["hangs"])
