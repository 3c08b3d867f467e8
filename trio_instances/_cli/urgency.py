"""Who is shown, and who comes first. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import final

from attrs import frozen

from ..policy.failures import WhoMustAct
from ..policy.pressure import PressureLevel
from ..policy.status import InstanceStatus
from .answer import Row


class Urgency(IntEnum):
    """How soon somebody should look at an instance; the smallest first."""

    ATTENTION = 0
    """It waits for people: it has failed, or has been away for too long."""
    DEGRADED = 1
    DOWN = 2
    """It has no connection, and goes on trying."""
    FULL = 3
    """It is connected, and its queues fill up."""
    SETTLING = 4
    """It starts, stops, or is not proven yet."""
    AT_REST = 5
    """Somebody wants it to be down."""
    WELL = 6


_BY_STATUS: Mapping[str, Urgency] = {
    InstanceStatus.FAILED: Urgency.ATTENTION,
    InstanceStatus.DEGRADED: Urgency.DEGRADED,
    InstanceStatus.RECONNECTING: Urgency.DOWN,
    InstanceStatus.PAUSED: Urgency.AT_REST,
    InstanceStatus.STOPPED: Urgency.AT_REST,
}


def urgency_of(row: Row) -> Urgency:
    """Return how soon somebody should look at an instance."""
    status = row.status
    if row.needs_attention or row.who_must_act != WhoMustAct.NOBODY:
        return Urgency.ATTENTION
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if row.attempt > 1 and not row.connected:
        return Urgency.DOWN
    if row.pressure != PressureLevel.NORMAL:
        return Urgency.FULL

    return Urgency.WELL if row.proven else Urgency.SETTLING


def by_urgency(rows: Iterable[Row]) -> list[Row]:
    """Return instances in the order in which to look at them: the longest in its state first."""
    return sorted(rows, key=lambda row: (urgency_of(row), row.since, row.instance_id))


@final
@frozen
class Wanted:
    """Which instances a user wants to see."""

    text: str = ""
    """A part of the id, the channel type, the status or the cause; in any case."""
    statuses: frozenset[str] = frozenset()
    """None at all means every one."""

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return not self.text and not self.statuses

    def takes(self, row: Row) -> bool:
        """Tell whether an instance is wanted."""
        if self.statuses and row.status not in self.statuses:
            return False

        words = [row.instance_id, row.channel_type, row.status, why_in_words(row)]
        wanted = self.text.casefold()
        return any(wanted in word.casefold() for word in words)


def why_in_words(row: Row) -> str:
    """Return why an instance is not well; nothing where it is."""
    if row.draining:
        return "sends what is left before a pause"

    parts = []
    if row.cause is not None and not row.connected:
        cause = row.cause
        detail = ", ".join(part for part in (cause.error_type, cause.detail) if part)
        parts.append(f"{cause.reason}: {detail}" if detail else cause.reason)
    parts += [
        f"{reason.what}: {reason.why.reason}"
        for reason in row.degraded
        if row.connected or reason.what != "reconnect"  # the cause says that one already
    ]
    told = any(reason.what == "pressure" for reason in row.degraded)
    if row.pressure != PressureLevel.NORMAL and not told:
        parts.append(f"pressure: {row.pressure}")
    if not parts and row.budget is not None and row.budget.place is not None:
        parts.append(f"in the line of budget {row.budget.key}")
    return "; ".join(parts)
