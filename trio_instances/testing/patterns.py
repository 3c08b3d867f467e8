"""Which events are meant: by kind, by instance, by child, by what their fields hold."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from typing import Any, final

from attrs import frozen

from ..policy.failures import Cause
from ..policy.mistakes import MistakeList
from ..telemetry.schema import EVENTS, Event

Kind = type[Event] | str
"""An event's class, its wire name such as ``"child.exited"``, or a pattern such as ``"child.*"``"""


@final
@frozen
class EventPattern:
    """Which events are meant. Made by `event`."""

    kind: Kind
    instance: str | None
    child: str | None
    fields: Mapping[str, Any]

    def __str__(self) -> str:
        kind = self.kind if isinstance(self.kind, str) else self.kind.name or self.kind.__name__
        about = {"instance": self.instance, "child": self.child, **self.fields}
        words = [f"{name}={value!r}" for name, value in about.items() if value is not None]
        return " ".join([kind, *words])

    def matches(self, event: Event) -> bool:
        """Tell whether an event is one of those meant."""
        return (
            self._is_kind(event)
            and self.instance in (None, event.instance_id)
            and (self.child is None or _is_child(event, self.child))
            and all(_value(event, name) == value for name, value in self.fields.items())
        )

    def _is_kind(self, event: Event) -> bool:
        if isinstance(self.kind, str):
            return fnmatch.fnmatchcase(event.name, self.kind)

        return isinstance(event, self.kind)


def event(
    kind: Kind = "*", *, instance: str | None = None, child: str | None = None, **fields: Any
) -> EventPattern:
    """Say which events are meant.

    Args:
        kind: The class of an event (subclasses included), its wire name such as
            ``"child.exited"``, or a pattern of it such as ``"child.*"``.
        instance: The id of the instance; None: any.
        child: The name of the child, or its path in the tree; None: any.
        fields: What other fields hold; ``reason`` and ``failure_class`` are those of the cause,
            where the event has one.

    Raises:
        InvalidSpec: There is no such kind of event.
    """
    wrong = MistakeList("event")
    if isinstance(kind, str):
        if not fnmatch.filter(EVENTS, kind):
            wrong.add("kind", kind, "must be the name of an event, such as 'instance.connected'")
    elif not isinstance(kind, type) or not issubclass(kind, Event):
        wrong.add("kind", kind, "must be a class of events, or the name of one")
    wrong.raise_any()
    return EventPattern(kind, instance, child, fields)


def _is_child(event: Event, child: str) -> bool:
    return child in (getattr(event, "child", None), getattr(event, "path", None))


_MISSING = object()


def _value(event: Event, name: str) -> object:
    cause = getattr(event, "cause", None)
    if name in ("reason", "failure_class") and isinstance(cause, Cause):
        return getattr(cause, name)

    return getattr(event, name, _MISSING)
