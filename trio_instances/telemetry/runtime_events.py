"""The part of the event catalogue that tells of a runtime as a whole."""

from __future__ import annotations

from attrs import frozen

from .schema import Event, catalogued


@catalogued("runtime.started")
@frozen(kw_only=True)
class RuntimeStarted(Event):
    """A runtime takes instances from now on."""


@catalogued("runtime.applied")
@frozen(kw_only=True)
class RuntimeApplied(Event):
    """One pass of `Runtime.apply` is done; each instance tells of itself besides."""

    stopped: int
    """How many instances were stopped, as they are not wanted."""
    restarted: int
    """... restarted, as they are wanted otherwise."""
    started: int
    """... started, as they were not there."""
    unchanged: int
    """... left alone."""
    failed: int
    """... could not be started or restarted."""
    elapsed: float
    """How long the pass took, waiting for earlier ones included."""


@catalogued("runtime.slept")
@frozen(kw_only=True)
class RuntimeSlept(Event):
    """The machine slept, as far as its clocks can tell; so every connection is probed now."""

    elapsed: float
    """How long it slept."""
    connections: int
    """How many are probed."""


@catalogued("runtime.stopping")
@frozen(kw_only=True)
class RuntimeStopping(Event):
    """A runtime has begun to stop its instances, in reverse start order."""

    instances: int
    """How many there are to stop."""


@catalogued("runtime.stopped")
@frozen(kw_only=True)
class RuntimeStopped(Event):
    """The last instance of a runtime has ended."""

    elapsed: float
    """How long the stop took."""
