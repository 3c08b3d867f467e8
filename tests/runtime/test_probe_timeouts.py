"""Each probe has its own time, whatever the times of the others in the schedule are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from random import Random

import trio
from trio.testing import MockClock

from trio_instances import InstanceSpec, ProbePolicy, RuntimeSettings, open_runtime, telemetry
from trio_instances.testing import EventRecorder

from ..instance.scripted import STEADY, ScriptedChannel

Answer = Callable[[], Awaitable[None]]
HANGS: Answer = trio.sleep_forever


@asynccontextmanager
async def probing(
    *probes: tuple[str, float, float, Answer], at_once: int
) -> AsyncIterator[EventRecorder]:
    """Have instances that are probed: when first, for how long at most, and how they answer."""
    log = EventRecorder()
    settings = RuntimeSettings(probes_at_once=at_once)
    async with open_runtime(settings, events=log.bus, random=Random(0)) as runtime:
        for name, first, timeout, answer in probes:
            policy = ProbePolicy(interval=1000.0, timeout=timeout, data_silence=first)
            spec = InstanceSpec(id=name, channel=_asked(answer), probe=policy, reconnect=STEADY)
            await (await runtime.start_instance(spec)).wait_status("connected")
        yield log


def _asked(answer: Answer) -> ScriptedChannel:
    async def ask(_: int) -> None:
        await answer()

    channel = ScriptedChannel()
    channel.ask = ask
    return channel


def verdicts(log: EventRecorder) -> list[tuple[str | None, float]]:
    """Return who had a verdict when, in seconds after the tenth."""
    told = log.of(telemetry.ProbeCompleted)
    return sorted((event.instance_id, round(event.at - 10.0, 1)) for event in told)


async def test_probes_that_begin_at_once_end_each_at_its_own_time(
    autojump_clock: MockClock,
) -> None:
    """A short one does not wait for a long one that began before it, nor end it."""
    probes = (("long", 10, 5, HANGS), ("short", 10, 2, HANGS), ("middle", 10, 3, HANGS))
    async with probing(*probes, at_once=10) as log:
        await trio.sleep(15.5)

    assert verdicts(log) == [("long", 5.0), ("middle", 3.0), ("short", 2.0)]


async def test_a_probe_that_gets_its_slot_late_still_ends_at_its_own_time(
    autojump_clock: MockClock,
) -> None:
    """Its time begins with it, and nothing else was to be done then."""
    async with probing(("first", 10, 5, HANGS), ("second", 10, 2, HANGS), at_once=1) as log:
        await trio.sleep(17.5)

    assert verdicts(log) == [("first", 5.0), ("second", 7.0)]


async def test_a_probe_that_begins_while_the_schedule_sleeps_ends_at_its_own_time(
    autojump_clock: MockClock,
) -> None:
    """What was to be done next, before it began, would come too late for it."""
    answers = partial(trio.sleep, 1.0)
    async with probing(("answers", 10, 8, answers), ("hangs", 10, 2, HANGS), at_once=1) as log:
        await trio.sleep(14.5)

    assert verdicts(log) == [("answers", 1.0), ("hangs", 3.0)]


async def test_a_slot_that_a_timeout_gives_back_goes_to_who_waits_in_line(
    autojump_clock: MockClock,
) -> None:
    """And not to one whose probe is due at that very time."""
    probes = (("ends", 10, 5, HANGS), ("waits", 12, 2, HANGS), ("is due", 15, 2, HANGS))
    async with probing(*probes, at_once=1) as log:
        await trio.sleep(19.5)

    assert verdicts(log) == [("ends", 5.0), ("is due", 9.0), ("waits", 7.0)]
