"""One task that looks at all instances: each in its time, and none in the way of another."""

from __future__ import annotations

import gc
from functools import partial
from weakref import ref

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

from trio_instances import ChildSpec, InstanceSpec, open_runtime, telemetry
from trio_instances._instance import watching
from trio_instances._instance.pressure import look_at_queues
from trio_instances._instance.record import InstanceRecord
from trio_instances._instance.watching import Lookout
from trio_instances.testing import EventRecorder

from .scripted import STEADY, Scene, ScriptedChannel, always, scene


class Planted(Exception):
    """A bug of the library, put there by a test."""


def lookout_of(s: Scene) -> Lookout:
    """Return who looks at the instances of a runtime."""
    return s.bot._record.lookout  # noqa: SLF001 - nothing public tells


def tasks_of(s: Scene) -> set[str]:
    """Return the names of all tasks of the instance."""
    left, found = [trio.lowlevel.current_root_task()], set()
    while left:
        task = left.pop()
        assert task is not None
        found.add(task.name)
        left += [child for nursery in task.child_nurseries for child in nursery.child_tasks]
    return {name for name in found if name.startswith(f"runtime/{s.bot.id}")}


@pytest.mark.parametrize(
    ("own", "more"),
    [((), set()), ((ChildSpec("own", trio.sleep_forever),), {"/own", "/connection"})],
    ids=["alone", "beside children"],
)
async def test_the_loop_has_a_task_of_its_own_only_beside_other_children(
    autojump_clock: MockClock, own: tuple[ChildSpec, ...], more: set[str]
) -> None:
    """An instance without any is its own task, and those of its connection's children."""
    channel = ScriptedChannel()
    channel.give_own = always(*own)
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        wanted = {"", "/connection/reader", *more}
        assert tasks_of(s) == {f"runtime/bot{name}" for name in wanted}


@pytest.mark.parametrize("own", [(), (ChildSpec("own", trio.sleep_forever),)], ids=len)
async def test_nothing_is_looked_at_that_does_not_run(
    autojump_clock: MockClock, own: tuple[ChildSpec, ...]
) -> None:
    """Once an instance is stopped, whatever was due of it is called off."""
    channel = ScriptedChannel()
    channel.give_own = always(*own)
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        assert lookout_of(s)._instances == 1  # noqa: SLF001 - nothing public tells
        await s.runtime.stop_instance("bot")
        await trio.sleep(1000)
        lookout = lookout_of(s)
        assert (lookout._instances, len(lookout._soon)) == (0, 0)  # noqa: SLF001 - nothing public tells what it keeps
        due = [(at, reference()) for at, _, reference in lookout._times]  # noqa: SLF001 - see above
        assert all(record is None or at != record.look_at for at, record in due)


async def test_a_look_that_fails_is_no_other_instances_failure(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law 9: it is told of that instance, which is looked at again after a minute."""
    failed: list[float] = []

    def fail_twice(record: InstanceRecord) -> None:
        if record.spec.id == "bot" and record.connected and len(failed) < 2:
            failed.append(trio.current_time())
            raise Planted

        look_at_queues(record)

    monkeypatch.setattr(watching, "look_at_queues", fail_twice)
    channel = ScriptedChannel()
    async with scene(channel) as s:
        other = InstanceSpec(id="other", channel=ScriptedChannel(), reconnect=STEADY, probe=None)
        await s.runtime.start_instance(other)
        await trio.sleep(1000)
        told = s.log.of(telemetry.HookFailed)
        assert [(e.hook, e.instance_id, e.cause.error_type) for e in told] == [
            ("look", "bot", "Planted")
        ] * 2
        assert failed[1] - failed[0] == watching.LOOK_AGAIN
        assert s.log.of(telemetry.ChildRestarting) == []
        assert {e.instance_id for e in s.log.of(telemetry.InstanceProven)} == {"bot", "other"}


async def test_an_instance_that_is_gone_is_not_kept_until_its_time(
    autojump_clock: MockClock,
) -> None:
    """Its channel, with whatever secrets that has, goes with it."""
    channel = ScriptedChannel()
    gone = ref(channel)
    daily = evolve(STEADY, max_age=86_400.0)
    async with open_runtime() as runtime:
        await runtime.apply([InstanceSpec(id="bot", channel=channel, reconnect=daily, probe=None)])
        del channel
        await trio.sleep(100)
        await runtime.apply([])
        gc.collect()
        assert gone() is None


async def test_what_waits_for_its_turn_to_be_stopped_is_looked_at_all_the_same(
    autojump_clock: MockClock,
) -> None:
    """An ordered stop of a fleet takes its time, and until then each goes on as before."""
    slow = ScriptedChannel()
    slow.close = partial(trio.sleep, 20.0)
    log = EventRecorder()
    proven_after = evolve(STEADY, stable_after=10.0, close_timeout=100.0)
    async with open_runtime(events=log.bus) as runtime:
        for name, channel in (("first", ScriptedChannel()), ("last", slow)):
            spec = InstanceSpec(id=name, channel=channel, reconnect=proven_after, probe=None)
            await (await runtime.start_instance(spec)).wait_status("connected")
    assert [e.instance_id for e in log.of(telemetry.InstanceProven)] == ["first"]


async def test_times_that_are_called_off_are_forgotten(autojump_clock: MockClock) -> None:
    """Law 11: however often there is another one, what is kept is bounded by what is looked at."""
    channel = ScriptedChannel()
    send, _receive = trio.open_memory_channel[int](10)
    send.send_nowait(1)
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        for _ in range(1000):
            s.bot._record.wake()  # noqa: SLF001 - there are many reasons for that
            await trio.sleep(0.001)
        assert len(lookout_of(s)._times) < 100  # noqa: SLF001 - nothing public tells
        s.bot.watch_queue("outbox", send)
        for _ in range(1000):
            s.bot.drain(1000)
            await trio.sleep(0.001)
            s.bot.resume()
            await trio.sleep(0.001)
        assert len(lookout_of(s)._times) < 100  # noqa: SLF001 - nothing public tells


async def test_a_look_that_makes_another_one_due_starves_nobody(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law 7 goes for it as well: between two looks others have their turn."""
    looks = [0]

    def again(record: InstanceRecord) -> None:
        look_at_queues(record)
        looks[0] += 1
        if looks[0] < 10_000:
            record.wake()

    monkeypatch.setattr(watching, "look_at_queues", again)
    async with scene(ScriptedChannel()) as s:
        await s.bot.wait_status("connected")
        assert looks[0] < 100
