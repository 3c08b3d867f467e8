"""What happened: the event catalogue, the bus that carries it, and the sinks it goes to.

The map:

- `events`, `child_events`, `budget_events`, `health_events`, `loop_events`, `runtime_events`,
  `sink_events`, `status_events`: every event, a frozen class with a stable wire name; `catalogue`
  lists them
- `schema`: what they have in common, and `json_schema`, all of them for other programs
- `bus`: `EventBus`, on which a publisher hands each event to every listener, at once
- `subscription`: `Subscription`, a bounded buffer of events for a task of one's own
- `codec`: events and health snapshots as plain data and as JSON, both ways
- `wording`: an event's level, and one line about it for people
- `sinks`: `open_sinks` and where events can go: `LoguruSink`, `JSONLinesSink`; and, imported by
  their own names, as each needs an extra: `sinks.otel`, `sinks.otel_observer`,
  `sinks.prometheus`

A sink of one's own implements `trio_instances.abc.Sink`.

Refer to the events through this package (``telemetry.ChildStarted``): some share their name with
the exception that tells a caller the same.
"""

from __future__ import annotations

import inspect

import attrs

from .budget_events import (
    BreakerCanary,
    BreakerClosed,
    BreakerOpened,
    ReconnectGranted,
    ReconnectQueued,
)
from .bus import (
    EventBus,
    Listener,
    Listening,
)
from .child_events import (
    ChildDeclined,
    ChildExited,
    ChildParked,
    ChildRestarting,
    ChildRevived,
    ChildStarted,
    ChildStartFailed,
    ChildStopped,
    ChildStopping,
    ChildStuck,
)
from .codec import (
    event_from_dict,
    event_to_dict,
    from_json,
    snapshot_from_dict,
    snapshot_from_json,
    snapshot_to_dict,
    snapshot_to_json,
    to_json,
    to_plain,
)
from .events import (
    HookFailed,
    InstanceAsked,
    InstanceConnected,
    InstanceConnecting,
    InstanceCredentialsUpdated,
    InstanceDegraded,
    InstanceDisconnected,
    InstanceDraining,
    InstanceFailed,
    InstanceHandedOver,
    InstanceNeedsAttention,
    InstancePaused,
    InstanceProven,
    InstanceRecovered,
    InstanceResumed,
    InstanceStarted,
    InstanceStopped,
    InstanceStopping,
    ReconnectAttempt,
    ReconnectExhausted,
    ReconnectFailed,
    ReconnectScheduled,
    SupervisorEscalated,
    catalogue,
)
from .health_events import LivenessHeard, LivenessSilent, PressureChanged, ProbeCompleted
from .loop_events import LoopStalled
from .runtime_events import (
    RuntimeApplied,
    RuntimeSlept,
    RuntimeStarted,
    RuntimeStopped,
    RuntimeStopping,
)
from .schema import SCHEMA_VERSION, ChildEvent, Event, json_schema
from .sink_events import SinkRecovered
from .sinks.feed import SinkFeed, SinkStatistics, open_sinks
from .sinks.json_lines import (
    JSONLines,
    JSONLinesSink,
    json_line,
    json_lines_files,
    read_json_lines,
)
from .sinks.loguru_sink import LoguruSink
from .status_events import StatusChanged
from .subscription import (
    Subscription,
    SubscriptionStatistics,
)
from .wording import (
    level_of,
    one_line,
)

__all__ = [
    "SCHEMA_VERSION",
    "BreakerCanary",
    "BreakerClosed",
    "BreakerOpened",
    "ChildDeclined",
    "ChildEvent",
    "ChildExited",
    "ChildParked",
    "ChildRestarting",
    "ChildRevived",
    "ChildStartFailed",
    "ChildStarted",
    "ChildStopped",
    "ChildStopping",
    "ChildStuck",
    "Event",
    "EventBus",
    "HookFailed",
    "InstanceAsked",
    "InstanceConnected",
    "InstanceConnecting",
    "InstanceCredentialsUpdated",
    "InstanceDegraded",
    "InstanceDisconnected",
    "InstanceDraining",
    "InstanceFailed",
    "InstanceHandedOver",
    "InstanceNeedsAttention",
    "InstancePaused",
    "InstanceProven",
    "InstanceRecovered",
    "InstanceResumed",
    "InstanceStarted",
    "InstanceStopped",
    "InstanceStopping",
    "JSONLines",
    "JSONLinesSink",
    "Listener",
    "Listening",
    "LivenessHeard",
    "LivenessSilent",
    "LoguruSink",
    "LoopStalled",
    "PressureChanged",
    "ProbeCompleted",
    "ReconnectAttempt",
    "ReconnectExhausted",
    "ReconnectFailed",
    "ReconnectGranted",
    "ReconnectQueued",
    "ReconnectScheduled",
    "RuntimeApplied",
    "RuntimeSlept",
    "RuntimeStarted",
    "RuntimeStopped",
    "RuntimeStopping",
    "SinkFeed",
    "SinkRecovered",
    "SinkStatistics",
    "StatusChanged",
    "Subscription",
    "SubscriptionStatistics",
    "SupervisorEscalated",
    "catalogue",
    "event_from_dict",
    "event_to_dict",
    "from_json",
    "json_line",
    "json_lines_files",
    "json_schema",
    "level_of",
    "one_line",
    "open_sinks",
    "read_json_lines",
    "snapshot_from_dict",
    "snapshot_from_json",
    "snapshot_to_dict",
    "snapshot_to_json",
    "to_json",
    "to_plain",
]


def _show_the_public_path() -> None:
    """Let tracebacks, reprs and documentation say where a name is imported from."""
    # First, for all of them: afterwards the texts of the annotations would be looked up here.
    for cls in (Event, ChildEvent, *catalogue().values()):
        attrs.resolve_types(cls)
    for name in __all__:
        thing = globals()[name]
        if inspect.isclass(thing) or inspect.isfunction(thing):
            thing.__module__ = __name__


_show_the_public_path()
