"""The live tree as text: every child with its state, and where those that run are waiting."""

from __future__ import annotations

import linecache
from collections.abc import Iterator
from pathlib import PurePath
from typing import TYPE_CHECKING

import trio

from .record import ACTIVE

if TYPE_CHECKING:
    from types import FrameType

    from .core import Core
    from .record import ChildRecord

_TRIO = PurePath(trio.__file__).parent
_HERE = PurePath(__file__).parent


def dump_tree(core: Core) -> str:
    """Return a supervisor and everything under it, a line each.

    It is made without an await, from within any task, and changes nothing.
    """
    return "\n".join([f"{core.path}  {_about(core)}", *_children(core, "", trio.current_time())])


def _about(core: Core) -> str:
    limit = core.window.intensity
    restarts = f"{limit.max_restarts} restart{'' if limit.max_restarts == 1 else 's'}"
    return f"{core.options.strategy}, at most {restarts} in {limit.period:g} s"


def _children(core: Core, indent: str, now: float) -> Iterator[str]:
    records = list(core.children.values())
    for record in records:
        last = record is records[-1]
        yield f"{indent}{'└─' if last else '├─'} {_describe(record, now)}"
        for nested in record.nested:
            yield from _children(nested, f"{indent}{'   ' if last else '│  '}", now)


def _describe(record: ChildRecord, now: float) -> str:
    parts = [f"{record.spec.name}  {record.state}"]
    if record.incarnation:
        parts[0] += f" #{record.incarnation}"
    parts[0] += f" for {now - record.since:.1f} s"
    if record.restarts:
        parts.append(f"{record.restarts} restart{'s' if record.restarts > 1 else ''}")
    if record.last_cause is not None:
        parts.append(f"last failure: {record.last_cause}")
    if record.nested:
        parts += [_about(nested) for nested in record.nested]
    elif record.state in ACTIVE and record.task is not None:
        parts.append(f"at {_waiting_at(record.task)}")
    return ", ".join(parts)


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
    file = PurePath(frame.f_code.co_filename)
    return file.is_relative_to(_TRIO) or file.is_relative_to(_HERE)
