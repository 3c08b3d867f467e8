"""Telling of what ignores its cancellation: of a probe, of an attempt, of a closing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from .._supervision.frames import stack_of
from ..policy.failures import Cause, FailureClass
from ..telemetry.events import HookFailed

if TYPE_CHECKING:
    from .record import InstanceRecord


def tell_stuck(
    record: InstanceRecord, hook: str, seconds: float, task: trio.lowlevel.Task | None
) -> None:
    """Tell that something of a channel's has not ended, and where it is.

    Args:
        record: Whose channel it is.
        hook: What it is of the channel.
        seconds: For how long it should have ended.
        task: The one that it is stuck in.
    """
    if record.bus.listening:
        where = "".join(stack_of(task)[-1:])
        detail = f"it has not ended within {seconds:g} s of its cancellation: {where}"
        cause = Cause(FailureClass.RECOVERABLE, f"{hook}_stuck", detail)
        record.tell(HookFailed, hook=hook, path=record.spec.id, cause=cause)
