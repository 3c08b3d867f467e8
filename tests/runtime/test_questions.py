"""What a runtime can be asked."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    ConnectionBudget,
    InstanceStatus,
    InvalidSpec,
    Runtime,
    RuntimeSettings,
    open_runtime,
)
from trio_instances.abc import Sink
from trio_instances.telemetry import Event

from ..instance.scripted import HANGS, ScriptedChannel, fatal
from .instances import spec_of


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


async def test_the_live_tree_is_there_as_text(autojump_clock: MockClock) -> None:
    """Instances as a supervisor's children are, and all of them unless some are named."""
    async with open_runtime() as runtime:
        for name in "ab":
            await runtime.start_instance(spec_of(name, ScriptedChannel(HANGS)))
        lines = runtime.dump().splitlines()
        one = runtime.dump(["b"]).splitlines()

    assert lines[0].startswith("runtime  one_for_one, at most ")
    assert [line for line in lines if line.startswith(("├─ a  running", "└─ b  running"))]
    assert one[0] == lines[0]
    assert one[1].startswith("└─ b  running #1 for 0.0 s")


async def test_the_live_tree_says_how_each_instance_is(autojump_clock: MockClock) -> None:
    """And not where in the library its task waits, which would say nothing."""
    async with open_runtime() as runtime:
        failing = ScriptedChannel(OSError("no"), HANGS)
        await runtime.start_instance(spec_of("bot", failing))
        await trio.sleep(0.1)
        (_, line) = runtime.dump().splitlines()
        _, words = str(runtime.instance_health("bot")).split(": ", 1)

    assert words.startswith("reconnecting for 0.1 s")
    assert line == f"└─ bot  running #1 for 0.1 s, {words}"


async def test_it_says_how_its_sinks_fare(autojump_clock: MockClock) -> None:
    """In the order in which they were given, now and after its end."""

    class Broken(Sink):
        async def write(self, events: Sequence[Event]) -> None:
            raise OSError("no space left")

    class Hanging(Sink):
        async def write(self, events: Sequence[Event]) -> None:
            await trio.sleep_forever()

    settings = RuntimeSettings(sink_write_timeout=2.5)
    async with open_runtime(settings, sinks=[Broken(), Hanging()]) as runtime:
        await trio.sleep(2.8)
        broken, hanging = runtime.sink_statistics()

    assert (broken.sink, broken.failures, broken.blocked, broken.failing) == ("Broken", 2, 0, True)
    assert (hanging.sink, hanging.failures, hanging.blocked) == ("Hanging", 0, 1)
    assert [sink.buffered for sink in runtime.sink_statistics()] == [0, 0]


async def test_a_bad_buffer_is_refused(
    instance_runtime: Runtime, autojump_clock: MockClock
) -> None:
    """At the door."""
    with pytest.raises(InvalidSpec, match="max_buffer"):
        instance_runtime.subscribe(0)


async def test_the_budgets_in_use_are_listed_once_each(autojump_clock: MockClock) -> None:
    """However many instances share one; in the order in which the first of them was started."""
    shared, own = ConnectionBudget("shared"), ConnectionBudget("own")
    async with open_runtime() as runtime:
        assert runtime.list_budget_health() == []
        for number, budget in enumerate([shared, None, own, shared]):
            spec = spec_of(f"bot-{number}", ScriptedChannel())
            await runtime.start_instance(attrs.evolve(spec, budget=budget))
        assert [health.key for health in runtime.list_budget_health()] == ["shared", "own"]
