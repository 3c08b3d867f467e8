"""The live tree as values: every child with its state, and where those that run are waiting."""

from __future__ import annotations

import linecache
from collections.abc import Collection, Iterable
from pathlib import PurePath
from typing import TYPE_CHECKING, final

import attrs
import trio
from attrs import frozen

from ..policy.failures import Cause
from ..policy.restart import ChildState
from ..policy.strategies import Strategy
from .record import ACTIVE

if TYPE_CHECKING:
    from types import FrameType

    from .core import Core
    from .record import ChildRecord

# As texts with the separator at their end: this is asked for every frame of every task.
_INNER = tuple(str(PurePath(file).parent / "x")[:-1] for file in (trio.__file__, __file__))


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
    limit = core.window.intensity
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
        waiting_at=_waiting_at(record.task) if waits and record.task is not None else None,
        supervisors=tuple(read_tree(nested) for nested in record.nested),
    )


def _waiting_at(task: trio.lowlevel.Task) -> str:
    """Say where a task is waiting: the innermost frame that is neither Trio's nor ours."""
    if task is trio.lowlevel.current_task():
        return "the call of dump()"

    frames = list(task.iter_await_frames())
    theirs = [place for place in frames if not _is_inner(place[0])]
    frame, number = (theirs or frames)[-1]
    code = frame.f_code
    text = linecache.getline(code.co_filename, number).strip()
    return f"{PurePath(code.co_filename).name}:{number} in {code.co_qualname}: {text}"


def _is_inner(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(_INNER)
