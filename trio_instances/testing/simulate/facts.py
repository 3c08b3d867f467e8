"""What the simulator itself knows: what it did, what the fakes saw. Laws hear it as events."""

from __future__ import annotations

from typing import final

from attrs import frozen

from ...policy.failures import Cause
from ...policy.health import HealthSnapshot
from ...policy.status import InstanceStatus


@frozen(kw_only=True)
class Fact:
    """Base of all facts."""

    at: float
    instance_id: str = ""


@final
@frozen(kw_only=True)
class Born(Fact):
    """A new instance begins, that has nothing of one that may have had the id before."""


@final
@frozen(kw_only=True)
class Asked(Fact):
    """An operator asks something of an instance, or of all of them."""

    verb: str


@final
@frozen(kw_only=True)
class Entered(Fact):
    """A fake's code is entered: ``connect``, ``probe``, or a child's name."""

    what: str
    number: int
    """Which connection of the channel object it is, or belongs to; 0 for an instance's child."""
    channel: int
    """Which channel object it is."""


@final
@frozen(kw_only=True)
class Opened(Fact):
    """A fake has a connection."""

    number: int
    channel: int


@final
@frozen(kw_only=True)
class Left(Fact):
    """A fake's code is left."""

    what: str
    number: int
    channel: int


@final
@frozen(kw_only=True)
class Cut(Fact):
    """A fake was cancelled while it closed a connection."""

    after: float
    """For how many seconds it had been closing it."""


@final
@frozen(kw_only=True)
class Stale(Fact):
    """Something of an earlier incarnation was found in a later one."""

    what: str


@final
@frozen(kw_only=True)
class Looked(Fact):
    """A snapshot of an instance, made when nothing moved."""

    health: HealthSnapshot


@final
@frozen(kw_only=True)
class Counted(Fact):
    """How many instances a runtime says that it has, when nothing moved."""

    total: int
    by_status: dict[InstanceStatus, int]
    ids: tuple[str, ...]


@final
@frozen(kw_only=True)
class Weighed(Fact):
    """How many objects of the library there are, when nothing moved and all were connected."""

    objects: int
    ids: tuple[str, ...]
    """The instances that there are."""


@final
@frozen(kw_only=True)
class Ending(Fact):
    """The runtime is about to be left."""

    ids: tuple[str, ...]
    """Its instances, in start order."""


@final
@frozen(kw_only=True)
class Over(Fact):
    """The runtime has been left, and the run is about to end."""


@final
@frozen(kw_only=True)
class Raised(Fact):
    """Something was raised that nothing may raise."""

    text: str


def number_of(cause: Cause | None) -> int | None:
    """Return the number of what led to a cause, where its reason says so."""
    if cause is None:
        return None

    _, mark, number = cause.reason.rpartition("#")
    return int(number) if mark and number.isdigit() else None
