"""Events as OpenTelemetry metrics and spans.

It needs the extra ``otel``, and is imported by its own name::

    from trio_instances.telemetry.sinks.otel import OpenTelemetrySink

Only the API is needed here; whoever wants something to come of it sets an SDK up, as for any other
instrumentation. The names follow OpenTelemetry's conventions: durations are histograms in seconds,
what failed bears ``error.type``, and everything else is in the namespace ``trio_instances``.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, final

import trio

from ...abc import Sink
from ...policy.mistakes import MistakeList
from ...policy.status import InstanceStatus
from ..child_events import ChildRestarting
from ..events import (
    InstanceConnected,
    InstanceStarted,
    InstanceStopped,
    ReconnectAttempt,
    ReconnectFailed,
    SupervisorEscalated,
)
from ..health_events import ProbeCompleted
from ..status_events import StatusChanged
from .extras import not_installed

try:
    from opentelemetry.context import Context
    from opentelemetry.metrics import Histogram, MeterProvider, get_meter
    from opentelemetry.trace import SpanKind, Status, StatusCode, TracerProvider, get_tracer
except ModuleNotFoundError as missing:
    raise not_installed("OpenTelemetrySink", "otel", missing) from None

if TYPE_CHECKING:
    from ...policy.failures import Cause
    from ..schema import Event

__all__ = ["OpenTelemetrySink"]

Attributes = dict[str, str | int]

SCOPE = "trio_instances"
INSTANCE_ID = f"{SCOPE}.instance.id"
CHANNEL_TYPE = f"{SCOPE}.channel.type"
STATUS = f"{SCOPE}.status"
VERDICT = f"{SCOPE}.probe.verdict"
FAILURE_CLASS = f"{SCOPE}.failure.class"
GENERATION = f"{SCOPE}.generation"
ATTEMPT = f"{SCOPE}.attempt"
ERROR_TYPE = "error.type"

QUICK = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Upper bounds in seconds, as the conventions have them for the durations of requests."""
SLOW = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
"""Upper bounds in seconds, up to an outage of an hour."""


@final
class OpenTelemetrySink(Sink):
    """Counts events, measures what took time, and makes a span of each connect, start and stop.

    Metrics, each with the attributes ``trio_instances.channel.type`` and
    ``trio_instances.instance.id``:

    - ``trio_instances.instance.count``: instances by ``trio_instances.status``. One that is stopped
      is not counted.
    - ``trio_instances.restarts``, ``trio_instances.escalations``: by ``error.type``, which is the
      cause's reason, and ``trio_instances.failure.class``.
    - ``trio_instances.reconnect.attempts``, ``trio_instances.reconnects``: attempts, and those that
      led to a connection.
    - ``trio_instances.probes``: by ``trio_instances.probe.verdict``.
    - ``trio_instances.probe.duration``, ``trio_instances.connect.duration``,
      ``trio_instances.recovery.duration`` (from the loss of a connection to the next one),
      ``trio_instances.stop.duration``: histograms in seconds.

    The spans are called ``connect``, ``start`` and ``stop``, followed by the channel's type. Each
    is a trace of its own, as what an instance does is no part of whatever started the runtime.

    It takes events in the Trio thread. So use a span processor that batches, as
    ``SimpleSpanProcessor`` exports within the call. It neither flushes nor shuts down a provider:
    these are the application's, which does that after the runtime has ended.

    Args:
        meter_provider: Where metrics go; the global one if None.
        tracer_provider: Where spans go; the global one if None.
        by_instance: Whether metrics bear the instance's id. Without it there are as many time
            series as channel types, however many instances there are. Spans bear it either way.

    Raises:
        InvalidSpec: `by_instance` is neither True nor False.
    """

    def __init__(
        self,
        *,
        meter_provider: MeterProvider | None = None,
        tracer_provider: TracerProvider | None = None,
        by_instance: bool = True,
    ) -> None:
        wrong = MistakeList("OpenTelemetrySink")
        wrong.boolean("by_instance", by_instance)
        wrong.raise_any()
        self.by_instance = by_instance
        self._counted: dict[str, Attributes] = {}
        """As what each instance that is not stopped is counted."""
        self._tracer = get_tracer(SCOPE, tracer_provider=tracer_provider)
        meter = get_meter(SCOPE, meter_provider=meter_provider)
        self._instances = meter.create_up_down_counter(
            f"{SCOPE}.instance.count", "{instance}", "Instances by status."
        )
        self._restarts = meter.create_counter(
            f"{SCOPE}.restarts", "{restart}", "Restarts of children, and of instances as a whole."
        )
        self._escalations = meter.create_counter(
            f"{SCOPE}.escalations", "{escalation}", "Supervisors that gave up."
        )
        self._attempts = meter.create_counter(
            f"{SCOPE}.reconnect.attempts", "{attempt}", "Attempts to connect after the first one."
        )
        self._reconnects = meter.create_counter(
            f"{SCOPE}.reconnects", "{reconnect}", "Attempts to reconnect that led to a connection."
        )
        self._probes = meter.create_counter(
            f"{SCOPE}.probes", "{probe}", "Health checks by verdict."
        )

        def duration(of: str, description: str, bounds: Sequence[float]) -> Histogram:
            name = f"{SCOPE}.{of}.duration"
            return meter.create_histogram(
                name, "s", description, explicit_bucket_boundaries_advisory=bounds
            )

        self._probe = duration("probe", "How long a health check took.", QUICK)
        self._connect = duration("connect", "How long an attempt to connect took.", QUICK)
        self._recovery = duration("recovery", "How long there was no connection.", SLOW)
        self._stop = duration("stop", "How long the stop of an instance took.", SLOW)

    async def write(self, events: Sequence[Event]) -> None:
        """Record the events; when cancelled, those that are left are not recorded."""
        # Monotonic to wall time, which spans need.
        offset = time.time() - trio.current_time()
        for event in events:
            about = self._about(event)
            self._count(event, about)
            self._measure(event, about)
            self._trace(event, offset)
            # A burst of events must not keep every other task waiting until it is recorded.
            await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """Count no instance any more: whoever would tell of its end has ended."""
        for attributes in self._counted.values():
            self._instances.add(-1, attributes)
        self._counted.clear()

    # --- metrics ---------------------------------------------------------------------------------

    def _count(self, event: Event, about: Attributes) -> None:
        match event:
            case StatusChanged():
                self._count_instance(event, about)
            case ChildRestarting():
                self._restarts.add(1, {**about, **_failure(event.cause)})
            case SupervisorEscalated():
                self._escalations.add(1, {**about, **_failure(event.cause)})
            case ReconnectAttempt():
                self._attempts.add(1, about)
            case InstanceConnected() if event.generation > 1:
                self._reconnects.add(1, about)
            case ProbeCompleted():
                self._probes.add(1, {**about, **_judged(event)})

    def _measure(self, event: Event, about: Attributes) -> None:
        match event:
            case ReconnectFailed():
                self._connect.record(event.elapsed, {**about, **_failure(event.cause)})
            case InstanceConnected():
                self._connect.record(event.elapsed, about)
                if event.outage is not None:
                    self._recovery.record(event.outage, about)
            case ProbeCompleted():
                self._probe.record(event.latency, {**about, **_judged(event)})
            case InstanceStopped(elapsed=float(elapsed)):
                self._stop.record(elapsed, about)

    def _about(self, event: Event) -> Attributes:
        about = _named(event)
        if not self.by_instance:
            about.pop(INSTANCE_ID, None)
        return about

    def _count_instance(self, event: StatusChanged, about: Attributes) -> None:
        # By what was counted, and not by what the event says it was before: a sink may have lost
        # an event, or have come late, and must not drift for ever.
        instance = event.instance_id or ""
        counted = self._counted.pop(instance, None)
        if counted is not None:
            self._instances.add(-1, counted)
        if event.status is not InstanceStatus.STOPPED:
            self._counted[instance] = {**about, STATUS: str(event.status)}
            self._instances.add(1, self._counted[instance])

    # --- spans -----------------------------------------------------------------------------------

    def _trace(self, event: Event, offset: float) -> None:
        match event:
            case InstanceConnected():
                self._span("connect", event, event.elapsed, offset)
            case ReconnectFailed():
                self._span("connect", event, event.elapsed, offset, event.cause)
            case InstanceStarted(elapsed=float(elapsed)):
                self._span("start", event, elapsed, offset)
            case InstanceStopped(elapsed=float(elapsed)):
                self._span("stop", event, elapsed, offset)

    def _span(
        self, what: str, event: Event, elapsed: float, offset: float, cause: Cause | None = None
    ) -> None:
        end = event.at + offset
        numbers = {GENERATION: "generation", ATTEMPT: "attempt"}
        span = self._tracer.start_span(
            f"{what} {event.channel_type}",
            context=Context(),
            kind=SpanKind.CLIENT if what == "connect" else SpanKind.INTERNAL,
            attributes={
                **_named(event),
                **{key: getattr(event, f) for key, f in numbers.items() if hasattr(event, f)},
                **_failure(cause),
            },
            start_time=_nanoseconds(end - elapsed),
        )
        if cause is not None:
            span.set_status(Status(StatusCode.ERROR, str(cause)))
        span.end(_nanoseconds(end))


def _named(event: Event) -> Attributes:
    known = {INSTANCE_ID: event.instance_id, CHANNEL_TYPE: event.channel_type}
    return {key: value for key, value in known.items() if value is not None}


def _failure(cause: Cause | None) -> Attributes:
    if cause is None:
        return {}

    return {ERROR_TYPE: cause.reason, FAILURE_CLASS: str(cause.failure_class)}


def _judged(event: ProbeCompleted) -> Attributes:
    return {VERDICT: str(event.verdict), **_failure(event.cause)}


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
