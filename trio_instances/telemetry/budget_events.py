"""Events about connection budgets; a part of the catalogue in `events`.

Those of a breaker concern every instance of the budget, so each runtime that has one of them hears
of it.
"""

from __future__ import annotations

from attrs import frozen

from .schema import Event, catalogued


@catalogued("reconnect.queued")
@frozen(kw_only=True)
class ReconnectQueued(Event):
    """An attempt is due, the first one too, and waits for its turn in a connection budget."""

    key: str
    """The budget's key."""
    place: int
    """Its place in the line, counted from 1."""


@catalogued("reconnect.granted")
@frozen(kw_only=True)
class ReconnectGranted(Event):
    """An attempt that was queued has its turn in the connection budget."""

    key: str
    """The budget's key."""
    waited: float
    """How long it waited for it."""


@catalogued("breaker.opened")
@frozen(kw_only=True)
class BreakerOpened(Event):
    """Most instances of a budget have failed: one attempts from now on, and the others wait."""

    key: str
    """The budget's key."""
    failed: int
    """How many have failed within the breaker's window."""
    connected: int
    """How many are connected nevertheless."""
    delay: float
    """Seconds until the first one attempts."""


@catalogued("breaker.canary")
@frozen(kw_only=True)
class BreakerCanary(Event):
    """An instance attempts while the others wait: the one that the event belongs to."""

    key: str
    """The budget's key."""
    canaries: int
    """How many went first since the breaker opened, this one included."""


@catalogued("breaker.closed")
@frozen(kw_only=True)
class BreakerClosed(Event):
    """A canary's connection has lasted, and the others follow at the budget's rate."""

    key: str
    """The budget's key."""
    elapsed: float
    """How long the breaker was open."""
    canaries: int
    """How many went first."""
