"""What tests of channels and of lifecycle code need: fakes that misbehave on command.

The map:

- `script`: what a fake does, attempt by attempt; `faults`: what goes wrong by the clock. Both are
  values, and are printed as the Python that makes them
- `fake_channel`: `FakeChannel`, without a network; `gateway`: a real WebSocket server that
  plays the same scripts
- `conformance`: `check_channel`, `check_callback`, `check_sink`: what those of authors keep to
- `expectations`, `under_test`: how a test may end; what the fixtures of the plugin are made of
- `recorder`: `EventRecorder`, an ear on what is told; `patterns`: which events are meant
"""

from __future__ import annotations

import attrs as _attrs

from .conformance import check_channel
from .conformance_callbacks import check_callback
from .conformance_sink import check_sink
from .expectations import Expectations
from .fake_channel import SESSION_REFUSED, Deed, DeedKind, FakeChannel
from .fake_connection import FakeConnection
from .faults import Fault, FaultKind, FaultSchedule, draw_faults
from .gateway import Gateway, GatewayStatistics, Refusal, open_gateway
from .gateway_client import GatewayClient, Handshake
from .patterns import EventPattern, event
from .recorder import EventRecorder
from .rules import BrokenRule
from .script import CRASH, Attempt, Script

__all__ = [
    "CRASH",
    "SESSION_REFUSED",
    "Attempt",
    "BrokenRule",
    "Deed",
    "DeedKind",
    "EventPattern",
    "EventRecorder",
    "Expectations",
    "FakeChannel",
    "FakeConnection",
    "Fault",
    "FaultKind",
    "FaultSchedule",
    "Gateway",
    "GatewayClient",
    "GatewayStatistics",
    "Handshake",
    "Refusal",
    "Script",
    "check_callback",
    "check_channel",
    "check_sink",
    "draw_faults",
    "event",
    "open_gateway",
]

# Tracebacks and reprs show the path that a user imports from.
for _name in __all__:
    _public = globals()[_name]
    if isinstance(_public, type) and _attrs.has(_public):
        _attrs.resolve_types(_public)
    if callable(_public):
        _public.__module__ = __name__
