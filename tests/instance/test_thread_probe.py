"""A probe in a thread: within its budget, and with no more threads than one for an instance."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    InstanceSpec,
    ProbePolicy,
    open_runtime,
    telemetry,
    thread_probe,
)
from trio_instances.telemetry import EventBus
from trio_instances.testing import EventRecorder

from .scripted import STEADY, ScriptedChannel, scene

EVEN = ProbePolicy(interval=10.0, jitter=0.0, failures_to_fail=1000)
color: ContextVar[str] = ContextVar("color", default="none")


class Blocking:
    """A function that blocks until the test ends."""

    def __init__(self) -> None:
        self.calls = 0
        self.end = threading.Event()
        self._begun = threading.Semaphore(0)

    def __call__(self) -> None:
        """Block."""
        self.calls += 1
        self._begun.release()
        self.end.wait()

    def wait_begun(self, times: int = 1) -> None:
        """Wait for so many more calls. It blocks, so that no virtual time passes meanwhile."""
        for _ in range(times):
            assert self._begun.acquire(timeout=10)


@pytest.fixture
def blocking() -> Iterator[Blocking]:
    """Return a function that blocks, and let it end after the test."""
    function = Blocking()
    yield function
    function.end.set()


def threaded(function: Callable[[], object], **options: Any) -> ScriptedChannel:
    """Return a channel whose probes call this in a thread."""
    channel = ScriptedChannel()

    async def ask(_: int) -> None:
        await thread_probe(function, **options)

    channel.ask = ask
    return channel


async def test_it_returns_what_the_function_returns_and_raises_what_it_raises() -> None:
    """Also outside of any instance, where a test may call it."""
    assert await thread_probe(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await thread_probe(divmod, 7, 0)


async def test_the_function_runs_in_another_thread_with_the_context_of_the_probe() -> None:
    """It sees the context variables, and what it sets there stays there."""
    color.set("red")

    def look() -> tuple[int, str]:
        seen = color.get()
        color.set("blue")
        return threading.get_ident(), seen

    ident, seen = await thread_probe(look)

    assert ident != threading.get_ident()
    assert seen == "red"
    assert color.get() == "red"


async def test_a_failure_in_the_thread_is_a_verdict() -> None:
    """As one of any probe."""

    def fail() -> None:
        raise ConnectionResetError("gone")

    policy = ProbePolicy(interval=0.001, failures_to_fail=10**6)
    async with scene(threaded(fail), probe=policy) as s:
        completed = await s.log.wait_for(telemetry.ProbeCompleted)

        assert completed.cause is not None
        assert completed.cause.error_type == "ConnectionResetError"


async def test_a_function_that_hangs_is_abandoned_when_the_time_is_up(
    autojump_clock: MockClock, blocking: Blocking
) -> None:
    """The verdict comes after five seconds, though the thread goes on."""
    async with scene(threaded(blocking), probe=EVEN) as s:
        completed = await s.log.wait_for(telemetry.ProbeCompleted)

        assert completed.cause is not None
        assert (completed.cause.reason, completed.latency) == ("probe_timeout", 5)
        blocking.wait_begun()


async def test_functions_that_hang_pile_up_no_threads(
    autojump_clock: MockClock, blocking: Blocking
) -> None:
    """An instance has one; while that hangs, its further probes fail by their own budgets."""
    async with scene(threaded(blocking), probe=EVEN) as s:
        for times in range(1, 4):
            await s.log.wait_for(telemetry.ProbeCompleted, times=5 * times)
            s.bot.reconnect()
            await s.log.wait_for(telemetry.InstanceConnected, times=times + 1)

        blocking.wait_begun()
        verdicts = [(e.verdict, round(e.latency, 6)) for e in s.log.of(telemetry.ProbeCompleted)]
        assert verdicts == [("recoverable", 5)] * 15
        assert blocking.calls == 1


async def test_one_instance_that_hangs_takes_no_thread_from_another(
    autojump_clock: MockClock, blocking: Blocking
) -> None:
    """Where all share two places, the second one stays free, however often the first one hangs."""
    limiter = trio.CapacityLimiter(2)
    log = EventRecorder()
    quick: list[float] = []

    async def ask(_: int) -> None:
        # Time stands still while this thread runs, for it is no task that the clock could see.
        autojump_clock.autojump_threshold = float("inf")
        await thread_probe(quick.append, trio.current_time(), limiter=limiter)
        autojump_clock.autojump_threshold = 0

    well = ScriptedChannel()
    well.ask = ask
    bus = EventBus()
    bus.listen(log)
    async with open_runtime(events=bus) as runtime:
        for name, channel in (("hangs", threaded(blocking, limiter=limiter)), ("well", well)):
            spec = InstanceSpec(id=name, channel=channel, probe=EVEN, reconnect=STEADY)
            await runtime.start_instance(spec)
        await trio.sleep(200)

    verdicts = {
        (event.instance_id, str(event.verdict)) for event in log.of(telemetry.ProbeCompleted)
    }
    blocking.wait_begun()
    assert verdicts == {("hangs", "recoverable"), ("well", "ok")}
    assert blocking.calls == 1
    assert len(quick) >= 19


async def test_a_thread_that_ends_gives_its_place_back(blocking: Blocking) -> None:
    """From then on the instance is probed as before."""
    policy = ProbePolicy(interval=0.01, timeout=0.05, failures_to_fail=10**6)
    async with scene(threaded(blocking), probe=policy) as s:
        await s.log.wait_for(telemetry.ProbeCompleted, times=2)
        blocking.wait_begun()
        assert blocking.calls == 1
        blocking.end.set()
        with trio.fail_after(10):
            while s.bot.health().probe.verdict != "ok":
                times = len(s.log.of(telemetry.ProbeCompleted)) + 1
                await s.log.wait_for(telemetry.ProbeCompleted, times=times)

        assert blocking.calls > 1


async def test_the_function_can_find_out_that_it_was_abandoned(
    autojump_clock: MockClock,
) -> None:
    """By Trio's own means; it may then end early."""
    found = threading.Event()
    abandoned = threading.Event()

    def work() -> None:
        abandoned.wait(30)
        try:
            trio.from_thread.check_cancelled()
        except BaseException:
            found.set()
            raise

    async with scene(threaded(work), probe=EVEN) as s:
        await s.log.wait_for(telemetry.ProbeCompleted)
        abandoned.set()
        autojump_clock.autojump_threshold = float("inf")

        assert await trio.to_thread.run_sync(found.wait, 10)


async def test_a_probe_that_waits_for_a_place_can_be_cancelled_and_keeps_none(
    autojump_clock: MockClock, blocking: Blocking
) -> None:
    """Of its two places, that of its own is free again, when the other one never came."""
    shared = trio.CapacityLimiter(1)
    channel = threaded(blocking, limiter=shared)
    async with scene(channel, probe=EVEN) as s:
        shared.acquire_on_behalf_of_nowait(blocking)
        await s.log.wait_for(telemetry.ProbeCompleted)
        assert blocking.calls == 0
        shared.release_on_behalf_of(blocking)
        await s.log.wait_for(telemetry.ProbeCompleted, times=2)

        blocking.wait_begun()


async def test_the_places_are_forty_unless_a_limiter_is_given(blocking: Blocking) -> None:
    """All that hang at once outside of instances: the forty-first waits, and others do not."""
    async with trio.open_nursery() as nursery:

        async def hang() -> None:
            with suppress(trio.Cancelled):
                await thread_probe(blocking)

        for _ in range(45):
            nursery.start_soon(hang)
        await trio.testing.wait_all_tasks_blocked()
        blocking.wait_begun(40)
        with trio.move_on_after(0.05) as waited:
            await thread_probe(int)
        assert waited.cancelled_caught
        assert blocking.calls == 40
        assert await thread_probe(int, limiter=trio.CapacityLimiter(1)) == 0
        nursery.cancel_scope.cancel()
