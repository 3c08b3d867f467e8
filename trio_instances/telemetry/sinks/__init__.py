"""Where events go: each sink is one file, and `open_sinks` runs them so that none can do harm."""

from __future__ import annotations

from .feed import SinkFeed, SinkStatistics, open_sinks
from .json_lines import JSONLines, JSONLinesSink, read_json_lines
from .loguru_sink import LoguruSink

__all__ = [
    "JSONLines",
    "JSONLinesSink",
    "LoguruSink",
    "SinkFeed",
    "SinkStatistics",
    "open_sinks",
    "read_json_lines",
]
