"""Events about the event loop itself, which all instances share."""

from __future__ import annotations

from attrs import frozen

from .schema import Event, catalogued


@catalogued("loop.stalled")
@frozen(kw_only=True)
class LoopStalled(Event):
    """A step of a task blocked the event loop, and so everything else, for too long."""

    elapsed: float
    """For how long."""
    path: str | None
    """The child that the task belongs to; None where it belongs to none."""
    task: str
    """The task's name: the path again, or the function's name in a nursery of the child's own."""
    stack: tuple[str, ...]
    """Where it was when it was seen last, outermost first; empty where it could not be seen."""
