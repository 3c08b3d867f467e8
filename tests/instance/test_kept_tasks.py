"""A task that probed one connection probes another, and nothing of the one comes to the other."""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar, copy_context
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from trio_instances import InstanceSpec, ProbePolicy, open_runtime, telemetry
from trio_instances._instance.probe_tasks import ProbeTasks
from trio_instances.testing import EventRecorder

from .scripted import STEADY, ScriptedChannel, scene

OFTEN = ProbePolicy(interval=1.0, jitter=0.0, timeout=5.0, failures_to_fail=1000)
seen: ContextVar[object] = ContextVar("seen", default=None)


class Asker:
    """A probe, and what is known of it.

    Args:
        answer: What it does.
    """

    def __init__(self, answer: Callable[[], Awaitable[object]]) -> None:
        self.answer = answer
        self.task: trio.lowlevel.Task | None = None
        self.cancelled = False

    async def ask(self) -> bool:
        """Answer, and tell that nothing was left behind, unless it was cancelled."""
        seen.set(self)
        self.task = trio.lowlevel.current_task()
        try:
            await self.answer()
        except trio.Cancelled:
            self.cancelled = True
        return not self.cancelled


@asynccontextmanager
async def ready() -> AsyncIterator[tuple[ProbeTasks, trio.Nursery]]:
    """Open them in a nursery of their own."""
    async with trio.open_nursery() as nursery:
        tasks = ProbeTasks()
        tasks.open(nursery)
        try:
            yield tasks, nursery
        finally:
            tasks.close()


async def test_a_task_that_has_ended_its_probe_takes_the_next_one() -> None:
    """And two that run at once have two tasks."""
    one, two, three = (Asker(trio.lowlevel.checkpoint) for _ in range(3))
    async with ready() as (tasks, _):
        tasks.begin(one.ask, copy_context())
        tasks.begin(two.ask, copy_context())
        await trio.testing.wait_all_tasks_blocked()
        tasks.begin(three.ask, copy_context())

    assert one.task is not two.task
    assert three.task in {one.task, two.task}


async def test_a_cancelled_probe_cancels_none_that_comes_after_it() -> None:
    """A scope that was cancelled is of no more use."""
    hanging, quick = Asker(trio.sleep_forever), Asker(trio.lowlevel.checkpoint)
    async with ready() as (tasks, _):
        scope = tasks.begin(hanging.ask, copy_context())
        await trio.testing.wait_all_tasks_blocked()
        scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        tasks.begin(quick.ask, copy_context())

    assert (hanging.cancelled, quick.cancelled) == (True, False)


async def test_a_task_that_waits_refers_to_nothing_of_its_last_probe() -> None:
    """Its connection may end long before there is another one to be probed."""
    asker = Asker(trio.lowlevel.checkpoint)
    alive = weakref.ref(asker)
    async with ready() as (tasks, nursery):
        tasks.begin(asker.ask, copy_context())
        await trio.testing.wait_all_tasks_blocked()
        del asker
        tasks.forget()

        assert (len(nursery.child_tasks), alive()) == (1, None)


async def test_a_task_that_probes_again_forgets_nothing() -> None:
    """The context variables are those of the probe that runs."""
    answered, found = trio.Event(), []

    async def answer() -> None:
        await answered.wait()
        found.append(seen.get())

    one, two = Asker(trio.lowlevel.checkpoint), Asker(answer)
    async with ready() as (tasks, _):
        for asker in (one, two):
            tasks.begin(asker.ask, copy_context())
            await trio.testing.wait_all_tasks_blocked()
        tasks.forget()
        answered.set()

    assert found == [two]


async def test_what_a_task_waits_with_is_forgotten_when_its_probe_had_to_be_over(
    autojump_clock: MockClock,
) -> None:
    """However long it is until the next probe."""
    channel = ScriptedChannel()
    alive: list[weakref.ref[Asker]] = []
    asked = trio.Event()

    async def ask(_: int) -> None:
        asked.set()
        asker = Asker(trio.lowlevel.checkpoint)
        alive.append(weakref.ref(asker))
        await asker.ask()

    channel.ask = ask
    policy = ProbePolicy(interval=1000.0, jitter=0.0, timeout=5.0)
    async with scene(channel, probe=policy):
        await asked.wait()
        await trio.sleep(5.5)

        assert alive[0]() is None


async def test_after_the_close_no_task_waits() -> None:
    """Those that wait end at once, and those that run end with their probes."""
    answered = trio.Event()
    async with ready() as (tasks, nursery):
        for answer in (trio.lowlevel.checkpoint, answered.wait):
            tasks.begin(Asker(answer).ask, copy_context())
        await trio.testing.wait_all_tasks_blocked()
        tasks.close()
        await trio.testing.wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 1
        answered.set()
        await trio.testing.wait_all_tasks_blocked()

        assert len(nursery.child_tasks) == 0


async def two_bots(ask: Any, other: Any, log: EventRecorder) -> None:
    """Probe two connections for ten seconds, one after the other in each of them."""
    async with open_runtime(events=log.bus) as runtime:
        for name, what in (("one", ask), ("two", other)):
            channel = ScriptedChannel()
            channel.ask = what
            spec = InstanceSpec(id=name, channel=channel, probe=OFTEN, reconnect=STEADY)
            await (await runtime.start_instance(spec)).wait_status("connected")
        await trio.sleep(10)


async def test_a_probe_that_leaves_a_scope_open_has_failed_and_harms_no_other_one(
    autojump_clock: MockClock,
) -> None:
    """An async generator that was not closed leaves its deadline; it is for that probe alone."""
    log = EventRecorder()

    async def leave_open(_: int) -> None:
        trio.move_on_after(0.25).__enter__()

    async def slow(_: int) -> None:
        await trio.sleep(0.5)

    await two_bots(leave_open, slow, log)
    told = log.of(telemetry.ProbeCompleted)
    causes = {(e.instance_id, e.cause and (e.cause.error_type, e.cause.detail)) for e in told}

    assert causes == {
        ("one", ("RuntimeError", "a cancel scope was left open in the probe's task")),
        ("two", None),
    }


async def test_a_scope_left_open_that_is_cancelled_later_fails_a_probe_and_no_more(
    autojump_clock: MockClock,
) -> None:
    """One without a deadline is not seen before; that is no reason for the runtime to end."""
    log = EventRecorder()
    left: list[trio.CancelScope] = []

    async def leave_open(_: int) -> None:
        if not left:
            left.append(trio.CancelScope())
            left[0].__enter__()

    async def cancel_it(_: int) -> None:
        if left:
            left[0].cancel()
        await trio.sleep(0.01)

    await two_bots(leave_open, cancel_it, log)
    told = log.of(telemetry.ProbeCompleted)
    failed = [e.cause.error_type for e in told if e.cause is not None]

    assert failed == ["RuntimeError"]
    assert len(told) > 15


async def test_what_fails_beside_the_cancellation_of_a_probe_is_no_verdict(
    autojump_clock: MockClock,
) -> None:
    """And Ctrl-C goes through also then."""
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
    with pytest.raises(BaseExceptionGroup) as caught:
        async with scene(channel, probe=OFTEN, log=log):
            await trio.sleep_forever()

    assert caught.group_contains(KeyboardInterrupt)
    assert not caught.group_contains((ValueError, trio.Cancelled))
    completed = log.of(telemetry.ProbeCompleted)
    assert [e.cause.reason for e in completed if e.cause is not None] == ["probe_timeout"]
