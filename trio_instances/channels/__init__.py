"""What an instance talks to: one module per kind of channel.

- `memory`: a far end in the same process; the one to read before writing a channel of your own
- `websocket`: a WebSocket server, by trio-websocket, which is imported there and nowhere else
"""

from __future__ import annotations

from ._options import Headers, OnMessage
from .memory import MemoryChannel, MemoryConnection, MemoryServer
from .websocket import WebSocketChannel, WebSocketConnection

__all__ = [
    "Headers",
    "MemoryChannel",
    "MemoryConnection",
    "MemoryServer",
    "OnMessage",
    "WebSocketChannel",
    "WebSocketConnection",
]

# Tracebacks and reprs show the path that a user imports.
for _name in __all__:
    _public = globals()[_name]
    if isinstance(_public, type):
        _public.__module__ = __name__
