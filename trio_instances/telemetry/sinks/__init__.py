"""Where events go: each sink is one file, and `open_sinks` runs them so that none can do harm."""

from __future__ import annotations

# Without __all__: the public home of these names is the package above.
from .feed import SinkFeed as SinkFeed
from .feed import SinkStatistics as SinkStatistics
from .feed import open_sinks as open_sinks
from .json_lines import JSONLines as JSONLines
from .json_lines import JSONLinesSink as JSONLinesSink
from .json_lines import read_json_lines as read_json_lines
from .loguru_sink import LoguruSink as LoguruSink
