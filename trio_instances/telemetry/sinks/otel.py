"""Events as OpenTelemetry metrics and spans.

It needs the extra ``otel``, and is imported by its own name::

    from trio_instances.telemetry.sinks.otel import OpenTelemetrySink

Only the API is needed here; whoever wants something to come of it sets an SDK up, as for any other
instrumentation. The names follow OpenTelemetry's conventions: durations are histograms in seconds,
what failed bears ``error.type``, and everything else is in the namespace ``trio_instances``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, final

import trio

from ...abc import Sink
from ...policy.mistakes import MistakeList
from ...policy.status import InstanceStatus
from ..events import InstanceConnected, InstanceStarted, InstanceStopped, ReconnectFailed
from ..status_events import StatusChanged
from .extras import not_installed
from .otel_instruments import (
    CHANNEL_TYPE,
    INSTANCE_ID,
    INSTRUMENTS,
    SCOPE,
    STATUS,
    VERSION,
    Attributes,
    Instrument,
    Kind,
    by_event,
    failure,
    samples,
)

try:
    from opentelemetry.context import Context
    from opentelemetry.metrics import Meter, MeterProvider, get_meter
    from opentelemetry.trace import SpanKind, Status, StatusCode, TracerProvider, get_tracer
except ModuleNotFoundError as missing:
    raise not_installed("OpenTelemetrySink", "otel", missing) from None

if TYPE_CHECKING:
    from ...policy.failures import Cause
    from ..schema import Event

__all__ = ["OpenTelemetrySink"]

GENERATION = f"{SCOPE}.generation"
ATTEMPT = f"{SCOPE}.attempt"

Record = Callable[[float, Attributes], None]


@final
class OpenTelemetrySink(Sink):
    """Counts events, measures what took time, and makes a span of each connect, start and stop.

    Its metrics are listed in docs/telemetry.md. Those about an instance have the attributes
    ``trio_instances.channel.type`` and ``trio_instances.instance.id``. What no event tells, such as
    what is left of a connection budget, is for
    `~trio_instances.telemetry.sinks.otel_observer.observe_runtime`.

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
        self._tracer = get_tracer(SCOPE, VERSION, tracer_provider=tracer_provider)
        meter = get_meter(SCOPE, VERSION, meter_provider=meter_provider)
        self._instances = meter.create_up_down_counter(
            f"{SCOPE}.instance.count", "{instance}", "Instances by status."
        )
        self._by_event = by_event()
        self._records = {each.name: _made(meter, each) for each in INSTRUMENTS}

    async def write(self, events: Sequence[Event]) -> None:
        """Record the events; when cancelled, those that are left are not recorded."""
        # Monotonic to wall time, which spans need.
        offset = time.time() - trio.current_time()
        for event in events:
            self._measure(event)
            self._trace(event, offset)
            # A burst of events must not keep every other task waiting until it is recorded.
            await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """Count no instance any more: whoever would tell of its end has ended."""
        for attributes in self._counted.values():
            self._instances.add(-1, attributes)
        self._counted.clear()

    # --- metrics ---------------------------------------------------------------------------------

    def _measure(self, event: Event) -> None:
        about = self._about(event)
        if isinstance(event, StatusChanged):
            self._count_instance(event, about)
        for instrument, value, more in samples(event, self._by_event.get(type(event), ())):
            self._records[instrument.name](value, {**about, **more})

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
                **failure(cause),
            },
            start_time=_nanoseconds(end - elapsed),
        )
        if cause is not None:
            span.set_status(Status(StatusCode.ERROR, str(cause)))
        span.end(_nanoseconds(end))


def _made(meter: Meter, instrument: Instrument) -> Record:
    name, unit, said = instrument.full_name, instrument.unit, instrument.help
    if instrument.kind is Kind.COUNTER:
        return meter.create_counter(name, unit, said).add

    return meter.create_histogram(
        name, unit, said, explicit_bucket_boundaries_advisory=instrument.bounds
    ).record


def _named(event: Event) -> Attributes:
    known = {INSTANCE_ID: event.instance_id, CHANNEL_TYPE: event.channel_type}
    return {key: value for key, value in known.items() if value is not None}


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
