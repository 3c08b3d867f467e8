"""Waiting until something is so of an instance: never missed, never for ever."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, final

import trio

from .._exceptions import InstanceFailed, InstanceStopped
from ..policy.failures import Cause, FailureClass
from ..policy.status import InstanceStatus

if TYPE_CHECKING:
    from .record import InstanceRecord

DEAD_ENDS = frozenset({InstanceStatus.FAILED, InstanceStatus.STOPPED})
_UNKNOWN = Cause(FailureClass.FATAL, "unknown")


@final
class Waiter:
    """Who waits until something is so of an instance.

    Args:
        is_so: Tells whether it is; from plain fields, and raises nothing.
    """

    __slots__ = ("_is_so", "over", "so", "status")

    def __init__(self, is_so: Callable[[InstanceRecord], bool]) -> None:
        self._is_so = is_so
        self.over = trio.Event()
        """Set when it is so, or never will be."""
        self.so = False
        """Whether it is so, or was when the waiting was over."""
        self.status: InstanceStatus
        """What was said of the instance then."""

    def look(self, record: InstanceRecord) -> None:
        """Have the waiting end at the first moment at which it can."""
        if self.over.is_set():
            return

        self.so, self.status = self._is_so(record), record.status.status
        if self.so or self.status in DEAD_ENDS:
            self.over.set()


def tell_waiters(record: InstanceRecord) -> None:
    """Have all who wait look; call it after every change, before anything can follow it."""
    for waiter in record.waiters:
        waiter.look(record)


async def wait_until(
    record: InstanceRecord, is_so: Callable[[InstanceRecord], bool]
) -> InstanceStatus:
    """Wait until something is so, for however short a moment; return the status of that moment.

    Cancelling it changes nothing.

    Raises:
        InstanceFailed: It failed for good, and it was not so.
        InstanceStopped: It was stopped, and it was not so.
    """
    waiter = Waiter(is_so)
    record.waiters = (*record.waiters, waiter)
    try:
        waiter.look(record)
        await waiter.over.wait()  # a checkpoint, also where it is over already
    finally:
        record.waiters = tuple(each for each in record.waiters if each is not waiter)
    if waiter.so:
        return waiter.status
    if waiter.status is InstanceStatus.FAILED:
        raise InstanceFailed(record.spec.id, record.cause or _UNKNOWN)

    raise InstanceStopped(record.spec.id)
