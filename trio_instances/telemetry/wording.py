"""Events in words: how serious each is, and one line that a person can read."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from ..policy.failures import CLOSE_TIMEOUT, Cause
from ..policy.health import ProbeVerdict
from ..policy.in_words import printable
from ..policy.pressure import PressureLevel
from ..policy.requested import is_failure
from .budget_events import BreakerOpened
from .child_events import (
    ChildExited,
    ChildParked,
    ChildRestarting,
    ChildStartFailed,
    ChildStopped,
    ChildStuck,
)
from .events import (
    HookFailed,
    InstanceDegraded,
    InstanceDisconnected,
    InstanceFailed,
    InstanceNeedsAttention,
    ReconnectExhausted,
    ReconnectFailed,
    SupervisorEscalated,
)
from .health_events import PressureChanged, ProbeCompleted
from .loop_events import LoopStalled
from .runtime_events import RuntimeApplied
from .schema import UNITS, Event

LEVELS: Mapping[type[Event], str] = {
    InstanceFailed: "ERROR",
    InstanceNeedsAttention: "ERROR",
    SupervisorEscalated: "ERROR",
    ChildStuck: "ERROR",
    BreakerOpened: "WARNING",
    InstanceDegraded: "WARNING",
    ChildParked: "WARNING",
    ChildStartFailed: "WARNING",
    ChildRestarting: "WARNING",
    ReconnectFailed: "WARNING",
    ReconnectExhausted: "WARNING",
    LoopStalled: "WARNING",
}
"""The level of each event that always has the same one; ``INFO`` where `level_of` knows no better.

``ERROR`` means that somebody must act or a promise was broken, ``WARNING`` that something failed
and the runtime is dealing with it.
"""

_NOT_SAID_AGAIN = frozenset({"at", "instance_id", "channel_type", "path", "cause"})
_INTENSITY = frozenset({"restarts", "period", "exceeded"})
"""Of an escalation for which it was no reason: there, ``restarts=5`` would read as a count."""


def level_of(event: Event) -> str:
    """Return how serious an event is, as the name of a level that loguru knows."""
    match event:
        case ProbeCompleted():
            return "DEBUG" if event.verdict is ProbeVerdict.OK else "WARNING"
        case InstanceDisconnected():
            bad = is_failure(event.cause)
        case PressureChanged():
            bad = event.level is not PressureLevel.NORMAL
        case ChildExited():
            bad = event.cause is not None
        case ChildStopped():
            bad = event.forced or event.cause is not None
        case RuntimeApplied():
            bad = event.failed > 0
        case HookFailed():
            cut_short = event.hook == "close" and event.cause.reason == CLOSE_TIMEOUT
            return "WARNING" if cut_short else "ERROR"
        case _:
            return LEVELS.get(type(event), "INFO")
    return "WARNING" if bad else "INFO"


def repeats(event: Event) -> bool:
    """Tell whether an event says only that all is as well as it was."""
    return (
        isinstance(event, ProbeCompleted) and event.verdict is ProbeVerdict.OK and event.streak > 1
    )


def one_line(event: Event) -> str:
    """Return an event as one line: its name, what it is about, its fields, and the cause.

    Characters that would break the line or steer a terminal are escaped, for some of the text comes
    from the other side of a connection.
    """
    cause: Cause | None = getattr(event, "cause", None)
    path: str | None = getattr(event, "path", None)
    words = [event.name, *_subject(event.instance_id, path)]
    fatal = isinstance(event, SupervisorEscalated) and not event.exceeded
    unsaid = _NOT_SAID_AGAIN | _INTENSITY if fatal else _NOT_SAID_AGAIN
    for field in attrs.fields(type(event)):
        value = getattr(event, field.name)
        said = field.name in unsaid or (field.name == "child" and value in (path or ""))
        absent = value is None or value == () == field.default
        if not said and not absent:
            words.append(f"{field.name}={_in_words(field.name, value)}")

    line = " ".join(words)
    return printable(line if cause is None else f"{line}: {cause}")


def _subject(instance_id: str | None, path: str | None) -> list[str]:
    """Name what it is about; the path says it alone where it begins with the instance."""
    if instance_id is not None and path is not None and path.split("/")[0] == instance_id:
        return [path]

    return [part for part in (instance_id, path) if part is not None]


def _in_words(name: str, value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value) if name != "stack" else _innermost(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}s" if UNITS.get(name) == "s" else f"{value:.3g}"

    return str(value)


def _innermost(stack: tuple[object, ...]) -> str:
    """Return where a task is; the whole stack is in the event."""
    return str(stack[-1]).strip() if stack else "?"
