"""Where a runtime can be: within a child, beside another one, in a replay."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    ChildSpec,
    InstanceSpec,
    InvalidSpec,
    current_child_path,
    open_runtime,
    open_supervisor,
    telemetry,
)
from trio_instances.telemetry import EventBus
from trio_instances.testing import EventRecorder

from ..instance.scripted import ScriptedChannel, fatal
from .instances import slow_to_stop, spec_of


async def test_a_sink_that_is_not_in_a_sequence_is_refused(autojump_clock: MockClock) -> None:
    """By field and value, before anything is opened."""
    sink: Any = object()
    with pytest.raises(InvalidSpec, match="sinks: must be a sequence of Sinks, not <object"):
        async with open_runtime(sinks=sink):
            pass


@pytest.mark.parametrize("opener", [open_runtime, open_supervisor])
async def test_a_block_without_its_async_says_that_it_is_missing(opener: Callable[[], Any]) -> None:
    """Trio's nurseries do so too; Python would name a class that nobody has heard of."""
    name = opener.__name__
    said = rf"use 'async with {name}\(\.\.\.\)', not 'with {name}"
    with pytest.raises(RuntimeError, match=said), opener():
        pass


async def test_a_runtime_lives_within_a_child_of_a_supervisor(autojump_clock: MockClock) -> None:
    """Its paths begin with the child's, and the supervisor's stop ends it in order."""
    channel = slow_to_stop()
    paths: list[str | None] = []
    log = EventRecorder()

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
    assert log.names()[-1] == "runtime.stopped"


async def test_runtimes_side_by_side_know_nothing_of_each_other(autojump_clock: MockClock) -> None:
    """The same ids, other instances; each has events of its own."""
    channels = [ScriptedChannel(), ScriptedChannel(fatal())]
    logs = [EventRecorder(), EventRecorder()]
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
    assert [log.names().count("runtime.stopped") for log in logs] == [1, 1]


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
