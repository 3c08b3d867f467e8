"""What a probe leaves open, or behind, harms no other one, and nothing of it is kept."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import copy_context
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from trio_instances import InstanceSpec, Runtime, open_runtime, telemetry
from trio_instances._instance.probe_tasks import ProbeTasks
from trio_instances.testing import EventRecorder

from .askers import OFTEN, Asker
from .scripted import STEADY, ScriptedChannel, scene


async def begin(runtime: Runtime, **asks: Any) -> None:
    """Start an instance for each way to probe."""
    for name, ask in asks.items():
        channel = ScriptedChannel()
        channel.ask = ask
        spec = InstanceSpec(id=name, channel=channel, probe=OFTEN, reconnect=STEADY)
        await (await runtime.start_instance(spec)).wait_status("connected")


@pytest.mark.parametrize("shielded", [False, True])
async def test_a_probe_that_leaves_a_scope_open_has_failed_and_harms_no_other_one(
    autojump_clock: MockClock, *, shielded: bool
) -> None:
    """As an async generator does that is not closed: not even if it is cancelled later."""
    log = EventRecorder()
    scopes: list[trio.CancelScope] = []

    async def leave_open(_: int) -> None:
        scope = trio.CancelScope(shield=shielded)
        scopes.append(scope)
        scope.__enter__()

    async def cancel_them(_: int) -> None:
        for scope in scopes:
            scope.cancel()
        await trio.sleep(0.5)

    async with open_runtime(events=log.bus) as runtime:
        await begin(runtime, one=leave_open, two=cancel_them)
        await trio.sleep(10)
        with trio.fail_after(1):
            await runtime.stop_instance("two")
    told = log.of(telemetry.ProbeCompleted)
    causes = {(e.instance_id, e.cause and e.cause.error_type) for e in told}

    assert causes == {("one", "RuntimeError"), ("two", None)}


async def test_a_probe_that_leaves_a_nursery_open_has_failed_and_harms_no_other_one(
    autojump_clock: MockClock,
) -> None:
    """Nor one that runs at that time, or comes later; what it has left in there is cancelled."""
    log = EventRecorder()
    nurseries: list[Any] = []
    left: list[float] = []

    async def stay() -> None:
        try:
            await trio.sleep_forever()
        finally:
            left.append(trio.current_time())

    async def leave_open(_: int) -> None:
        nurseries.append(trio.open_nursery())
        (await nurseries[-1].__aenter__()).start_soon(stay)
        await trio.sleep(0.1)

    async def be_slow(_: int) -> None:
        await trio.sleep(0.9)

    async with open_runtime(events=log.bus) as runtime:
        await begin(runtime, one=leave_open, two=be_slow)
        await trio.sleep(100)
        statuses = [bot.status for bot in runtime.list_instances()]
        with trio.fail_after(1):
            await runtime.stop_instance("two")
    told = log.of(telemetry.ProbeCompleted)
    causes = {(e.instance_id, e.cause and e.cause.error_type) for e in told}

    assert causes == {("one", "RuntimeError"), ("two", None)}
    assert statuses == ["connected", "connected"]
    assert len(left) == len(nurseries) > 90


def begin_one(tasks: ProbeTasks, answer: Callable[[], Awaitable[object]]) -> weakref.ref[Asker]:
    """Begin a probe that nobody else refers to."""
    asker = Asker(answer)
    tasks.begin(asker, copy_context())
    return weakref.ref(asker)


async def test_nothing_is_kept_of_the_nurseries_that_probes_have_left_open() -> None:
    """Nor of their tasks, nor of what ran beside them: there is as much as before."""

    async def leave_open() -> None:
        with suppress(RuntimeError), trio.CancelScope():
            await trio.open_nursery().__aenter__()

    async def be_slow() -> None:
        with trio.CancelScope(shield=True):
            await answered.wait()

    answered = trio.Event()
    async with trio.open_nursery() as nursery:
        tasks = ProbeTasks()
        await tasks.open(nursery)
        alive = [begin_one(tasks, be_slow)]
        for _ in range(100):
            alive += [begin_one(tasks, each) for each in (leave_open, trio.lowlevel.checkpoint)]
            await trio.testing.wait_all_tasks_blocked()
        answered.set()
        await trio.testing.wait_all_tasks_blocked()
        tasks.forget()
        gc.collect()
        kept = [asker() for asker in alive if asker() is not None]
        rooms = [room for holder in nursery.child_tasks for room in holder.child_nurseries]
        tasks.close()

    assert kept == []
    assert len(rooms) == 1


async def test_a_probe_whose_time_is_up_takes_none_with_it_that_comes_after_it(
    autojump_clock: MockClock,
) -> None:
    """The scope that was cancelled is not that of the next probe in the same task."""
    log = EventRecorder()
    hangs = [True]

    async def hang_once(_: int) -> None:
        if hangs.pop():
            hangs.append(False)
            await trio.sleep_forever()
        hangs.append(False)
        await trio.sleep(0.5)

    async with open_runtime(events=log.bus) as runtime:
        await begin(runtime, one=hang_once)
        await trio.sleep(20)
    told = [e.cause and e.cause.reason for e in log.of(telemetry.ProbeCompleted)]

    assert told == ["probe_timeout", *[None] * (len(told) - 1)]
    assert len(told) >= 8


async def test_what_fails_beside_the_cancellation_of_a_probe_is_no_verdict(
    autojump_clock: MockClock,
) -> None:
    """And Ctrl-C goes through also then, bare."""
    channel = ScriptedChannel()
    log = EventRecorder()

    async def fail_in_cleanup(error: BaseException) -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise error

    async def ask(_: int) -> None:
        async with trio.open_nursery() as nursery:
            for error in (ValueError("own"), KeyboardInterrupt()):
                nursery.start_soon(fail_in_cleanup, error)
            nursery.start_soon(trio.sleep_forever)

    channel.ask = ask
    with pytest.raises(KeyboardInterrupt):
        async with scene(channel, probe=OFTEN, log=log):
            await trio.sleep_forever()

    completed = log.of(telemetry.ProbeCompleted)
    assert [e.cause.reason for e in completed if e.cause is not None] == ["probe_timeout"]
