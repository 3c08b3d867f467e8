"""Opening a runtime, and ending it in order."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from random import Random

import trio

from .._instance.probe_schedule import ProbeSchedule
from .._instance.watching import Lookout
from .._supervision.context import current
from .._supervision.core import Core
from .._supervision.opening import run_core
from .._supervision.record import ChildRecord
from .._supervision.uninterrupted import uninterrupted
from ..abc import Sink
from ..policy.mistakes import MistakeList
from ..policy.options import SupervisorOptions
from ..telemetry.bus import EventBus
from ..telemetry.runtime_events import RuntimeStarted, RuntimeStopped, RuntimeStopping
from ..telemetry.sinks.feed import SinkFeed, open_sinks
from .ending import RuntimeEnding
from .reporter import RuntimeReporter, end_of_runtime
from .runtime import Runtime
from .services import SERVICES, running_lookout, running_services
from .settings import RuntimeSettings


@uninterrupted
async def open_runtime(
    settings: RuntimeSettings | None = None,
    *,
    sinks: Iterable[Sink] = (),
    events: EventBus | None = None,
    random: Random | None = None,
    wall_clock: Callable[[], float] = time.time,
) -> AsyncIterator[Runtime]:
    """Open a runtime of instances.

    However the block is left, normally, by an exception, by a cancellation, by Ctrl-C: all
    instances stop in reverse start order, one after the other, and then the sinks take in what is
    left. Cancelling it takes as long as that.

    Args:
        settings: What holds for the whole runtime; None takes the defaults.
        sinks: Where telemetry goes.
        events: A bus to publish on; None makes one, and closes it at the end.
        random: Where the jitter of every delay comes from; None takes a generator of its own.
        wall_clock: Returns seconds that go on while the machine sleeps. When they have gained 10 s
            on Trio's clock within 5 s, the machine has slept, and every connection is probed. It
            must not block; one that raises is reported, and not asked again.

    Yields:
        The runtime.

    Raises:
        InvalidSpec: An argument is not what it must be; all of them are listed.
        trio.ClosedResourceError: The bus that was given is closed, so that no sink can hear of it.
        Escalation: An instance failed for good, and the settings say that this ends the runtime.
        Exception: What the body raised, bare.
    """
    settings = RuntimeSettings() if settings is None else settings
    if isinstance(sinks, Iterable):
        sinks = tuple(sinks)  # what is looked at here is gone, if it was a generator
    _check(settings, sinks, events, random, wall_clock)
    bus = EventBus() if events is None else events
    random = Random() if random is None else random
    parent = current.get(None)
    core = Core(
        path=settings.name if parent is None else f"{parent.path}/{settings.name}",
        options=SupervisorOptions(intensity=SERVICES, stop_order=settings.stop_order),
        reporter=RuntimeReporter(bus),
        random=random,
    )
    try:
        async with (
            open_sinks(
                bus,
                sinks,
                max_buffer=settings.sink_buffer,
                flush_timeout=settings.sink_timeout,
                write_timeout=settings.sink_write_timeout,
            ) as feeds,
            _running(settings, core, parent, wall_clock, feeds) as runtime,
        ):
            yield runtime
    finally:
        if events is None:
            bus.close()  # nobody else can publish on it: whoever still reads it comes to an end


@asynccontextmanager
async def _running(
    settings: RuntimeSettings,
    core: Core,
    parent: ChildRecord | None,
    wall_clock: Callable[[], float],
    feeds: Sequence[SinkFeed],
) -> AsyncIterator[Runtime]:
    bus = core.reporter.bus
    schedule, lookout = ProbeSchedule(settings.probes_at_once), Lookout()
    asked_at = trio.current_time()
    if bus.listening:
        bus.publish(RuntimeStarted(at=asked_at))
    try:
        async with running_lookout(core, lookout), run_core(core, parent) as supervisor:
            runtime = Runtime(
                settings,
                supervisor,
                core,
                RuntimeEnding(core),
                schedule=schedule,
                lookout=lookout,
                feeds=feeds,
            )
            async with running_services(core, schedule, wall_clock, runtime.sleeps):
                try:
                    yield runtime
                finally:
                    runtime.ending.begin()
                    asked_at = trio.current_time()
                    if bus.listening:
                        count = len(runtime.list_instances())
                        bus.publish(RuntimeStopping(at=asked_at, instances=count))
            await supervisor.stop()
    finally:
        for child in core.children.values():
            end_of_runtime(child)
        if bus.listening:
            now = trio.current_time()
            bus.publish(RuntimeStopped(at=now, elapsed=now - asked_at))


def _check(
    settings: object, sinks: object, bus: object, random: object, wall_clock: object
) -> None:
    wrong = MistakeList("open_runtime")
    wrong.instance("settings", settings, RuntimeSettings)
    if not isinstance(sinks, Sequence):
        wrong.add("sinks", sinks, "must be a sequence of Sinks")
        sinks = ()
    for index, sink in enumerate(sinks):
        wrong.instance(f"sinks[{index}]", sink, Sink)
    wrong.instance("events", bus, EventBus, optional=True)
    wrong.instance("random", random, Random, optional=True)
    if not callable(wall_clock):
        wrong.add("wall_clock", wall_clock, "must be a function that returns seconds")
    wrong.raise_any()
