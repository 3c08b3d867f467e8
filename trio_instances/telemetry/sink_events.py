"""The event about a sink; a part of the catalogue in `events`. Its failures are ``hook.failed``."""

from __future__ import annotations

from attrs import frozen

from .schema import Event, catalogued


@catalogued("sink.recovered")
@frozen(kw_only=True)
class SinkRecovered(Event):
    """A sink that had failed takes events again."""

    sink: str
    """The name of its type."""
    elapsed: float
    """How long it did not."""
    failures: int
    """How often in a row it failed."""
    lost: int
    """Events that it did not get meanwhile."""
