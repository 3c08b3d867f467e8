"""What tests of channels and of lifecycle code need: fakes that misbehave on command.

The map:

- `script`: what a fake does, attempt by attempt; `faults`: what goes wrong by the clock. Both are
  values, and are printed as the Python that makes them
- `fake_channel`: `FakeChannel`, without a network; `gateway`: a real WebSocket server
"""

from __future__ import annotations

from .fake_channel import SESSION_REFUSED, Deed, DeedKind, FakeChannel
from .fake_connection import FakeConnection
from .faults import Fault, FaultKind, FaultSchedule
from .script import CRASH, Attempt, Script

__all__ = [
    "CRASH",
    "SESSION_REFUSED",
    "Attempt",
    "Deed",
    "DeedKind",
    "FakeChannel",
    "FakeConnection",
    "Fault",
    "FaultKind",
    "FaultSchedule",
    "Script",
]

# Tracebacks and reprs show the path that a user imports from.
for _name in __all__:
    _public = globals()[_name]
    if isinstance(_public, type):
        _public.__module__ = __name__
