"""Why a connection ends where somebody asked for it, or its own policy: no failures.

They are told of like every other cause. What differs is looked up here, and never read from the
spelling of a reason: those of authors may be spelled alike.
"""

from __future__ import annotations

from .failures import Cause, FailureClass

RECONNECT_REQUESTED = Cause(FailureClass.RECOVERABLE, "reconnect_requested")
PAUSE_REQUESTED = Cause(FailureClass.RECOVERABLE, "pause_requested")
STOP_REQUESTED = Cause(FailureClass.RECOVERABLE, "stop_requested")
DRAIN_REQUESTED = Cause(FailureClass.RECOVERABLE, "drain_requested")
ROTATION = Cause(FailureClass.RECOVERABLE, "rotation_requested", resumable=True, planned=True)

REQUESTED = frozenset(
    {RECONNECT_REQUESTED, PAUSE_REQUESTED, STOP_REQUESTED, DRAIN_REQUESTED, ROTATION}
)


def is_failure(cause: Cause) -> bool:
    """Tell whether something failed: nobody asked for it, on this side or on the other."""
    return not cause.planned and cause not in REQUESTED
