"""The event about an instance's status; a part of the catalogue in `events`."""

from __future__ import annotations

from attrs import frozen

from ..policy.status import InstanceStatus
from .schema import Event, catalogued


@catalogued("status.changed")
@frozen(kw_only=True)
class StatusChanged(Event):
    """Another thing is said of an instance.

    It comes before the event that says why. One that begins comes from ``stopped``, and one that is
    gone for good ends there.
    """

    status: InstanceStatus
    """The status from now on."""
    previous: InstanceStatus
    """The status until now."""
    elapsed: float
    """How long it was that."""
