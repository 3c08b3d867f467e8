"""How many instances there are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

from attrs import frozen

from ..policy.status import InstanceStatus


@final
@frozen
class InstanceCounts:
    """How many instances a runtime has."""

    total: int
    by_status: dict[InstanceStatus, int]
    """For every status how many have it, zero included."""


def count(statuses: Iterable[InstanceStatus]) -> InstanceCounts:
    """Count instances by what is said of each."""
    by_status = dict.fromkeys(InstanceStatus, 0)
    for status in statuses:
        by_status[status] += 1
    return InstanceCounts(sum(by_status.values()), by_status)
