"""What all events have in common: their bases, their names, the version of their schema."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, TypeVar

from attrs import frozen

SCHEMA_VERSION = 1
"""Raised when a field of an event changes its meaning or goes away.

A new field does not raise it; so a new field has a default, for what was written before it.
"""

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


E = TypeVar("E", bound=type[Event])


def catalogued(name: str) -> Callable[[E], E]:
    """Give an event class its wire name, and list it in the catalogue."""

    def register(cls: E) -> E:
        cls.name = name
        EVENTS[name] = cls
        return cls

    return register
