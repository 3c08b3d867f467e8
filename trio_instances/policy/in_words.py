"""How an instance is, in one line for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .failures import WhoMustAct
from .status import InstanceStatus

if TYPE_CHECKING:
    from .health import HealthSnapshot


def printable(text: str) -> str:
    """Return a text with its unprintable characters escaped: one line, that steers no terminal."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def health_line(health: HealthSnapshot) -> str:
    """Return what matters most of a snapshot, and why where it is not well."""
    return printable(f"{health.instance_id} ({health.channel_type}): {', '.join(_parts(health))}")


def health_words(health: HealthSnapshot) -> str:
    """Return the same for where it is known whose it is."""
    return printable(", ".join(_parts(health)))


def _parts(health: HealthSnapshot) -> Iterator[str]:
    degraded = health.status is InstanceStatus.DEGRADED
    by = f" by {' and '.join(each.what for each in health.degraded)}" if degraded else ""
    yield f"{health.status}{by} for {health.at - health.since:.1f} s"
    if health.connected:
        yield "connection proven" if health.proven else "connection not proven yet"
    elif degraded:
        yield "not connected"
    if health.generation:
        yield f"generation {health.generation}"
    if health.children_total:
        yield f"{health.children_running} of {health.children_total} children running"
    if health.next_retry_at is not None:
        wait = max(0.0, health.next_retry_at - health.at)
        yield f"attempt {health.attempt + 1} in {wait:.1f} s"
    if health.who_must_act is not WhoMustAct.NOBODY:
        yield f"to act: {health.who_must_act}"
    why = health.cause
    if health.connected:  # then the last failure is past, but not what it is degraded by
        why = health.degraded[-1].why if degraded else None
    if why is not None:
        yield f"last failure: {why}"
