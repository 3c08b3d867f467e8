"""What all events have in common: their bases, their names, the version of their schema."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any, ClassVar, TypeVar, cast

from attrs import frozen

SCHEMA_VERSION = 1
"""Raised when a field of an event changes its meaning or goes away.

A new field does not raise it; so a new field has a default, for what was written before it.
"""

UNITS: Mapping[str, str] = {
    "attempts_per_second": "1/s",
    "at": "s",
    "capacity": "{item}",
    "delay": "s",
    "elapsed": "s",
    "latency": "s",
    "next_retry_at": "s",
    "next_slot_at": "s",
    "occupancy": "1",
    "outage": "s",
    "period": "s",
    "refused": "s",
    "retry_after": "s",
    "rotate_at": "s",
    "since": "s",
    "since_event": "s",
    "since_frame": "s",
    "timeout": "s",
    "uptime": "s",
    "waited": "s",
}
"""The unit of every field of this name that can be a fraction, in an event, a snapshot or a part of
them, as UCUM writes it. A name means one thing, so that it has one unit wherever it stands."""

EVENTS: dict[str, type[Event]] = {}
"""Every event class by its wire name."""


@frozen(kw_only=True)
class Event:
    """Base of all events."""

    name: ClassVar[str] = ""

    at: float
    """When it happened, in seconds of `trio.current_time`."""
    instance_id: str | None = None
    """The instance it belongs to, if it belongs to one."""
    channel_type: str | None = None
    """The type of that instance's channel."""


@frozen(kw_only=True)
class ChildEvent(Event):
    """Base of the events about one child of a supervisor."""

    path: str
    """Where it is in the tree: names joined by ``/``."""
    child: str
    """Its name within its supervisor."""
    incarnation: int
    """Which run of it this is about, counted from 1."""
    generation: int | None = None
    """Which connection it lives in; None where it lives in none, such as an instance's own child.

    The children of each connection are new ones, and their incarnations count from 1 again.
    """


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the wire form of events, as ``schema.json`` in the package has it.

    It is draft 2020-12. The wire form of a `HealthSnapshot` is in it as ``#/$defs/HealthSnapshot``.
    It reads a file, so call it once.
    """
    text = (resources.files(__package__) / "schema.json").read_text(encoding="utf-8")
    return cast("dict[str, Any]", json.loads(text))


E = TypeVar("E", bound=type[Event])


def catalogued(name: str) -> Callable[[E], E]:
    """Give an event class its wire name, and list it in the catalogue."""

    def register(cls: E) -> E:
        cls.name = name
        EVENTS[name] = cls
        return cls

    return register
