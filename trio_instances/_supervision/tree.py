"""The live tree as values: every child with its state, and where those that run are waiting."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, final

import attrs
import trio
from attrs import frozen

from ..policy.failures import Cause
from ..policy.restart import ChildState
from ..policy.strategies import Strategy
from .frames import waiting_at
from .record import ACTIVE

if TYPE_CHECKING:
    from .core import Core
    from .record import ChildRecord


@final
@frozen(kw_only=True)
class ChildTree:
    """One child of a live tree, and everything under it."""

    name: str
    path: str
    """Where it is in the tree: names joined by ``/``."""
    state: ChildState
    incarnation: int
    """How many runs it has had; the number of the run where it is active."""
    restarts: int
    """How often its supervisor restarted it."""
    since: float
    """Since when it is in this state, in seconds of `trio.current_time`."""
    essential: bool
    last_cause: Cause | None
    """Why it failed last, if it did."""
    waiting_at: str | None
    """Where its task waits, for people; None where none runs, or a supervisor is open within."""
    health: str | None
    """How it is, for people, where it is an instance of a runtime."""
    supervisors: tuple[SupervisorTree, ...]
    """Those that are open within it."""


@final
@frozen(kw_only=True)
class SupervisorTree:
    """One supervisor of a live tree, and everything under it, as it was at one moment."""

    path: str
    """Where it is in the tree: names joined by ``/``."""
    strategy: Strategy
    max_restarts: int
    """How many restarts its intensity allows."""
    period: float
    """... within how many seconds."""
    at: float
    """When this was read, in seconds of `trio.current_time`."""
    children: tuple[ChildTree, ...]
    """In start order."""


for _cls in (ChildTree, SupervisorTree):  # each names the other, which is known only now
    attrs.resolve_types(_cls)


def read_tree(core: Core, names: Collection[str] | None = None) -> SupervisorTree:
    """Return a supervisor and everything under it.

    It is made without an await, from within any task, and changes nothing.

    Args:
        core: The supervisor.
        names: Which of its own children to read; None reads all of them.
    """
    records: Iterable[ChildRecord] = core.children.values()
    if names is not None:
        records = [core.children[name] for name in names if name in core.children]
    limit = core.options.intensity
    now = trio.current_time()
    return SupervisorTree(
        path=core.path,
        strategy=core.options.strategy,
        max_restarts=limit.max_restarts,
        period=limit.period,
        at=now,
        children=tuple(_read(record) for record in records),
    )


def _read(record: ChildRecord) -> ChildTree:
    waits = not record.nested and record.state in ACTIVE and record.task is not None
    return ChildTree(
        name=record.spec.name,
        path=record.path,
        state=record.state,
        incarnation=record.incarnation,
        restarts=record.restarts,
        since=record.since,
        essential=record.spec.essential,
        last_cause=record.last_cause,
        waiting_at=waiting_at(record.task) if waits and record.task is not None else None,
        health=record.core.reporter.health_of(record),
        supervisors=tuple(read_tree(nested) for nested in record.nested),
    )
