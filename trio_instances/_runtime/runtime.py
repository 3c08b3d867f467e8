"""Many instances, isolated from each other: start, stop, ask."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from random import Random
from typing import final

import trio
from attrs import frozen

from .._exceptions import (
    ChildNotFound,
    ChildRunning,
    InstanceAlreadyStarted,
    InstanceNotFound,
    SupervisorNotRunning,
)
from .._instance.handle import Instance
from .._instance.record import InstanceRecord
from .._instance.snapshot import make_snapshot
from .._instance.spec import InstanceSpec
from .._instance.subtree import run_instance
from .._supervision.context import current
from .._supervision.core import Core
from .._supervision.opening import run_core
from .._supervision.record import ChildRecord
from .._supervision.supervisor import Supervisor
from .._supervision.uninterrupted import uninterrupted
from ..abc import Sink
from ..policy.health import HealthSnapshot
from ..policy.intensity import RestartIntensity
from ..policy.mistakes import MistakeList
from ..policy.options import SupervisorOptions
from ..policy.specs import ChildSpec
from ..policy.status import Change, InstanceStatus
from ..telemetry.bus import EventBus
from ..telemetry.events import RuntimeStarted, RuntimeStopped, RuntimeStopping
from ..telemetry.sinks.feed import SinkFeed, SinkStatistics, open_sinks
from ..telemetry.subscription import Subscription
from .reporter import RuntimeReporter, end_of_runtime
from .settings import OnInstanceFailure, RuntimeSettings

SERVICES = RestartIntensity(max_restarts=3, period=10.0)
"""Restarts of the runtime's own services; from the mission. Instances count for themselves."""


@final
@frozen
class InstanceCounts:
    """How many instances a runtime has."""

    total: int
    by_status: dict[InstanceStatus, int]
    """For every status how many have it, zero included."""


@final
class Runtime:
    """The authority over many instances. `open_runtime` makes it.

    What happens in one instance changes nothing in another: each has a subtree, counters and a
    restart intensity of its own.
    """

    def __init__(
        self,
        settings: RuntimeSettings,
        supervisor: Supervisor,
        core: Core,
        random: Random,
        feeds: Sequence[SinkFeed] = (),
    ) -> None:
        self.settings = settings
        self._supervisor = supervisor
        self._core = core
        self._bus = core.reporter.bus
        self._random = random
        self._feeds = feeds
        self._records: dict[str, InstanceRecord] = {}

    def __repr__(self) -> str:
        return f"<Runtime {self.settings.name!r} instances={len(self._records)}>"

    # --- verbs -----------------------------------------------------------------------------------

    async def start_instance(self, spec: InstanceSpec) -> Instance:
        """Start an instance, and wait until its own children are ready and it begins to connect.

        Whether it gets a connection is told by its status; see `Instance.wait_status`.

        Cancelling it stops what was begun, waits for its end, and keeps nothing.

        Args:
            spec: What it is.

        Returns:
            Its handle.

        Raises:
            InstanceAlreadyStarted: The id, or the channel object, is in use.
            ChildStartFailed: An essential child of the instance failed before it was ready, or the
                instance was stopped before; nothing is kept.
            SupervisorNotRunning: The runtime has ended, or ends meanwhile.
        """
        self._check_free(spec)
        record = InstanceRecord(spec, self._bus, self._random)
        record.handle = Instance(record)
        record.change(Change.START)
        self._records[spec.id] = record
        try:
            await self._supervisor.start_child(self._child_spec(record))
        except BaseException:
            await self._forget(record)
            raise

        return record.handle

    async def stop_instance(self, instance_id: str) -> None:
        """Stop an instance and forget it. Everything in it ends first, in reverse start order.

        Cancelling it ends the waiting: the instance stops, and stays listed as stopped until this
        is called again.

        Args:
            instance_id: Its id.

        Raises:
            InstanceNotFound: There is none of this id.
            SupervisorNotRunning: The runtime has ended, or is ending.
        """
        record = self._find(instance_id)
        # Again and again, because somebody else may restart it, or forget it and start another one.
        while self._records.get(instance_id) is record:
            await self._supervisor.terminate_child(instance_id)
            await self._forget(record)
            await trio.lowlevel.checkpoint()

    async def restart_instance(self, instance_id: str) -> Instance:
        """Stop an instance if it runs, and start it anew; this also wakes one that has failed.

        Its counters are kept; its attempts count from nothing, and a pause is over.

        Of two at once, one restarts it, and the other returns when that has begun.

        Cancelling it while the instance stops leaves it stopped; while it starts, the start is
        undone.

        Args:
            instance_id: Its id.

        Raises:
            InstanceNotFound: There is none of this id, or it was stopped meanwhile.
            ChildStartFailed: An essential child of the instance failed before it was ready, or the
                instance was stopped before.
            SupervisorNotRunning: The runtime has ended, or ends meanwhile.
        """
        record = self._find(instance_id)
        record.restarting = True
        try:
            await self._supervisor.terminate_child(instance_id)
            # Whoever else waits for this end has to see it before the next run begins.
            await trio.lowlevel.checkpoint()
            if self._records.get(instance_id) is not record:
                raise InstanceNotFound(instance_id)

            if not self._runs(record):
                record.renew()
                await self._supervisor.restart_child(instance_id)
        finally:
            record.restarting = False
            if not self._runs(record) and record.status.link is not InstanceStatus.FAILED:
                record.end()
        return record.handle

    # --- questions -------------------------------------------------------------------------------

    def instance(self, instance_id: str) -> Instance:
        """Return the handle of an instance.

        Raises:
            InstanceNotFound: There is none of this id.
        """
        return self._find(instance_id).handle

    def instance_status(self, instance_id: str) -> InstanceStatus:
        """Return what is said of an instance now.

        Raises:
            InstanceNotFound: There is none of this id.
        """
        return self._find(instance_id).status.status

    def instance_health(self, instance_id: str) -> HealthSnapshot:
        """Return everything there is to know about an instance now.

        Raises:
            InstanceNotFound: There is none of this id.
        """
        return make_snapshot(self._find(instance_id))

    def list_instances(self) -> list[Instance]:
        """Return all instances, in start order."""
        return [record.handle for record in self._records.values()]

    def count_instances(self) -> InstanceCounts:
        """Return how many instances there are, by status."""
        by_status = dict.fromkeys(InstanceStatus, 0)
        for record in self._records.values():
            by_status[record.status.status] += 1
        return InstanceCounts(len(self._records), by_status)

    def list_instance_health(self) -> list[HealthSnapshot]:
        """Return everything there is to know about every instance, in start order."""
        return [make_snapshot(record) for record in self._records.values()]

    def sink_statistics(self) -> list[SinkStatistics]:
        """Return how each sink fares, in the order in which they were given."""
        return [feed.statistics() for feed in self._feeds]

    def subscribe(self, max_buffer: int = 1000) -> AbstractAsyncContextManager[Subscription]:
        """Subscribe to everything that happens from now on.

        Args:
            max_buffer: Events that the subscriber may lag behind before it loses some.

        Returns:
            A context manager whose value is an async iterable of events.

        Raises:
            InvalidSpec: The buffer's size is not a whole number of at least 1.
            trio.ClosedResourceError: The bus is closed, as a runtime's own is once it has ended.
        """
        return self._bus.subscribe(max_buffer=max_buffer)

    # --- inside ----------------------------------------------------------------------------------

    def _find(self, instance_id: str) -> InstanceRecord:
        try:
            return self._records[instance_id]
        except KeyError:
            raise InstanceNotFound(instance_id) from None

    def _check_free(self, spec: InstanceSpec) -> None:
        if spec.id in self._records:
            raise InstanceAlreadyStarted(spec.id)

        for other in self._records.values():
            if other.spec.channel is spec.channel:
                raise InstanceAlreadyStarted(other.spec.id, "channel")

    async def _forget(self, record: InstanceRecord) -> None:
        """Forget an instance that is down, unless somebody has forgotten or restarted it."""
        instance_id = record.spec.id
        if self._records.get(instance_id) is not record:
            return

        try:
            await self._supervisor.delete_child(instance_id)
        except ChildRunning:
            return
        except (ChildNotFound, SupervisorNotRunning):
            pass  # there is nothing left to forget but the record
        del self._records[instance_id]
        record.end()

    def _runs(self, record: InstanceRecord) -> bool:
        child = self._core.children.get(record.spec.id)
        return self._records.get(record.spec.id) is record and child is not None and child.alive

    def _child_spec(self, record: InstanceRecord) -> ChildSpec:
        return ChildSpec(
            name=record.spec.id,
            run=run_instance,
            args=(record,),
            shutdown=float("inf"),
            essential=self.settings.on_instance_failure is OnInstanceFailure.ESCALATE,
            intensity=self.settings.instance_intensity,
        )


@uninterrupted
async def open_runtime(
    settings: RuntimeSettings | None = None,
    *,
    sinks: Sequence[Sink] = (),
    events: EventBus | None = None,
    random: Random | None = None,
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

    Yields:
        The runtime.

    Raises:
        InvalidSpec: An argument is not what it must be; all of them are listed.
        trio.ClosedResourceError: The bus that was given is closed, so that no sink can hear of it.
        Escalation: An instance failed for good, and the settings say that this ends the runtime.
        Exception: What the body raised, bare.
    """
    settings = RuntimeSettings() if settings is None else settings
    _check(settings, sinks, events, random)
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
            _running(settings, core, parent, feeds) as runtime,
        ):
            yield runtime
    finally:
        if events is None:
            bus.close()  # nobody else can publish on it: whoever still reads it comes to an end


@asynccontextmanager
async def _running(
    settings: RuntimeSettings, core: Core, parent: ChildRecord | None, feeds: Sequence[SinkFeed]
) -> AsyncIterator[Runtime]:
    bus = core.reporter.bus
    asked_at = trio.current_time()
    if bus.listening:
        bus.publish(RuntimeStarted(at=asked_at))
    try:
        async with run_core(core, parent) as supervisor:
            runtime = Runtime(settings, supervisor, core, core.random, feeds)
            try:
                yield runtime
            finally:
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


def _check(settings: object, sinks: Sequence[object], bus: object, random: object) -> None:
    wrong = MistakeList("open_runtime")
    wrong.instance("settings", settings, RuntimeSettings)
    for index, sink in enumerate(sinks):
        wrong.instance(f"sinks[{index}]", sink, Sink)
    wrong.instance("events", bus, EventBus, optional=True)
    wrong.instance("random", random, Random, optional=True)
    wrong.raise_any()
