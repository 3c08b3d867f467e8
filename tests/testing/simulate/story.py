"""Parts of stories that several of them share."""

from __future__ import annotations

from typing import Any

from trio_instances import BudgetPolicy, Cause
from trio_instances.telemetry import (
    InstanceStopped,
    InstanceStopping,
    RuntimeStarted,
    RuntimeStopped,
    SupervisorEscalated,
)
from trio_instances.testing.simulate.facts import (
    Born,
    Weighed,
)
from trio_instances.testing.simulate.world import World

from .streams import (
    GONE,
    connected,
    connecting,
    told,
    world,
)

Story = list[Any]
BORN = Born(at=0.0, instance_id="bot")
STARTED = RuntimeStarted(at=0.0)
ENDED = RuntimeStopped(at=9.0, elapsed=0.0)
OPEN = [connecting(0.0, 1), connected(1.0, 1)]
HINT = Cause("recoverable", "drop#1", retry_after=9.0)


def budgeted(**limits: Any) -> World:
    """Return a world whose provider has a budget."""
    given = {"attempts_per_second": 1.0, "burst": 2, "breaker": None, **limits}
    return world(budget=BudgetPolicy(**given))


def instance_stops(at: float, who: str) -> Any:
    """Return that an instance is asked to stop."""
    return told(InstanceStopping, at, instance_id=who)


def instance_ends(at: float, who: str, elapsed: float = 0.0) -> Any:
    """Return that an instance has ended."""
    return told(InstanceStopped, at, instance_id=who, uptime=1.0, elapsed=elapsed)


def gives_up(at: float) -> Any:
    """Return that the supervisor of the connection's children gives up."""
    return told(
        SupervisorEscalated,
        at,
        path="runtime/bot/connection",
        generation=1,
        child="runtime/bot/connection/worker",
        cause=GONE,
        restarts=2,
        period=10.0,
        exceeded=True,
    )


def weighed(at: float, objects: int) -> Weighed:
    """Return a count of objects."""
    return Weighed(at=at, objects=objects, ids=("bot",))
