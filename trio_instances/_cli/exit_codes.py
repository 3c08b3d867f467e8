"""The exit codes: one for each way in which a command can end."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """How ``trio-instances run`` ended.

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


class AskedCode(IntEnum):
    """How a command ended that asks a running process: ``top``, ``tree``, ``events``."""

    WELL = 0
    """It was told; and for ``top --once``, every instance that it shows is proven."""
    NOT_WELL = 1
    """``top --once``: an instance that it shows is not proven, or it shows none."""
    REFUSED = 2
    """The arguments have mistakes. Nothing was asked."""
    UNAVAILABLE = 69
    """The endpoint cannot be reached, does not answer in time, or has no place at the moment."""
    OUTPUT = 74
    """Standard output takes no more, and not because its reader has stopped to read."""
    PROTOCOL = 76
    """What answers is no operations endpoint, or one of another version."""
    NOT_ALLOWED = 77
    """It wants a token, or another one."""
    INTERRUPTED = 130
    """SIGINT or SIGTERM ended it."""
