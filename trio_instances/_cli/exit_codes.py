"""The exit codes of ``trio-instances run``, one for each way in which it can end."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """How a run ended.

    69 and 70 are those of BSD's ``sysexits.h``, by whose names systemd shows them. A process that a
    signal has ended has no code of its own; a shell gives 128 and the signal's number.
    """

    STOPPED = 0
    """Stopped in order, as asked by a signal."""
    GAVE_UP = 1
    """An instance failed for good, and the file says that this ends the runtime."""
    REFUSED = 2
    """The file, the arguments or the environment have mistakes. Nothing was started."""
    ALL_DOWN = 69
    """Everything was down for too long, and the file says that this ends the process."""
    BROKEN = 70
    """A failure that nothing was prepared for; the traceback is on standard error."""
    INTERRUPTED = 130
    """SIGINT came before anything was started."""
