"""What can be told of one small world: the events and facts that laws are fed with."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from trio_instances import (
    BudgetPolicy,
    Cause,
    Exhausted,
    HealthSnapshot,
    InstanceStatus,
    Jitter,
    ProbePolicy,
    ReconnectPolicy,
    RestartIntensity,
    StopOrder,
)
from trio_instances.policy.backoff import Backoff
from trio_instances.policy.health import ProbeVerdict
from trio_instances.policy.status import DegradedReason
from trio_instances.telemetry import (
    ChildExited,
    ChildParked,
    ChildRestarting,
    ChildStarted,
    ChildStopped,
    ChildStopping,
    Event,
    InstanceConnected,
    InstanceConnecting,
    InstanceDisconnected,
    InstanceProven,
    ProbeCompleted,
    ReconnectAttempt,
    ReconnectFailed,
    ReconnectScheduled,
    StatusChanged,
)
from trio_instances.testing.simulate.facts import Entered, Left, Looked
from trio_instances.testing.simulate.world import Happening, Member, Provider, What, Worker, World

GONE = Cause("recoverable", "drop#1", lost=True)
FATAL = Cause("fatal", "drop#1", lost=True)

PLAIN = Member(
    id="bot",
    provider="site",
    reconnect=ReconnectPolicy(
        attempts=2,
        backoff=Backoff(initial=1.0, cap=4.0, jitter=Jitter.NONE),
        slow=Backoff(initial=60.0, cap=300.0, jitter=Jitter.EQUAL),
        stable_after=60.0,
    ),
    probe=ProbePolicy(interval=60.0, jitter=0.0, failures_to_fail=2),
    intensity=RestartIntensity(max_restarts=2, period=10.0),
    own=(Worker(name="own"),),
    workers=(Worker(name="worker"),),
)
ESCALATING = evolve(PLAIN, reconnect=evolve(PLAIN.reconnect, exhausted=Exhausted.ESCALATE))
DROP = Happening(number=1, at=100.0, what=What.DROP, target="bot", cause=GONE)


def world(
    *members: Member,
    schedule: tuple[Happening, ...] = (DROP,),
    budget: BudgetPolicy | None = None,
    stop_order: StopOrder = StopOrder.REVERSE,
) -> World:
    """Return a world of one provider, with the plain member where none is given."""
    return World(
        seed=1,
        seconds=10_000.0,
        stop_order=stop_order,
        providers=(Provider(name="site", budget=budget),),
        members=members or (PLAIN,),
        schedule=schedule,
    )


def told(kind: type[Event], at: float, **fields: Any) -> Any:
    """Return an event of the instance "bot", unless another one is named."""
    return kind(at=at, **{"instance_id": "bot", "channel_type": "fake", **fields})


# --- its connection ------------------------------------------------------------------------------


def status(at: float, previous: str, new: str, elapsed: float = 0.0, who: str = "bot") -> Any:
    """Return a change of the status."""
    return told(
        StatusChanged,
        at,
        instance_id=who,
        previous=InstanceStatus(previous),
        status=InstanceStatus(new),
        elapsed=elapsed,
    )


def connecting(at: float, generation: int, attempt: int = 1) -> Any:
    """Return the beginning of an attempt."""
    return told(InstanceConnecting, at, generation=generation, attempt=attempt)


def again(at: float, generation: int, attempt: int = 1) -> Any:
    """Return what is told of an attempt that is not the first one, besides."""
    return told(ReconnectAttempt, at, generation=generation, attempt=attempt)


def connected(at: float, generation: int, attempt: int = 1, elapsed: float = 0.0) -> Any:
    """Return the opening of a connection."""
    return told(
        InstanceConnected,
        at,
        generation=generation,
        attempt=attempt,
        elapsed=elapsed,
        children=("reader", "worker"),
        outage=None,
    )


def lost(at: float, generation: int, cause: Cause = GONE, uptime: float = 50.0) -> Any:
    """Return the loss of a connection."""
    return told(InstanceDisconnected, at, generation=generation, cause=cause, uptime=uptime)


def failed(at: float, generation: int, cause: Cause = GONE, elapsed: float = 1.0) -> Any:
    """Return the failure of an attempt."""
    return told(ReconnectFailed, at, generation=generation, attempt=1, cause=cause, elapsed=elapsed)


def proven(at: float, generation: int) -> Any:
    """Return the proof of a connection."""
    return told(InstanceProven, at, generation=generation, uptime=60.0)


def scheduled(
    at: float, delay: float, attempt: int = 1, *, quick: bool = True, cause: Cause = GONE
) -> Any:
    """Return the announcement of an attempt."""
    return told(ReconnectScheduled, at, attempt=attempt, delay=delay, quick=quick, cause=cause)


def probed(at: float, streak: int, cause: Cause | None = None, **other: Any) -> Any:
    """Return the verdict of a probe."""
    verdict = ProbeVerdict.OK if cause is None else ProbeVerdict(cause.failure_class)
    fields = {"generation": 1, "verdict": verdict, "latency": 0.0, **other}
    return told(ProbeCompleted, at, streak=streak, cause=cause, **fields)


# --- children ------------------------------------------------------------------------------------


def child(kind: type[Event], at: float, name: str, **fields: Any) -> Any:
    """Return an event about a child of the first connection, or of another owner."""
    path = f"runtime/bot/connection/{name}"
    return told(
        kind, at, **{"path": path, "child": name, "incarnation": 1, "generation": 1} | fields
    )


def up(at: float, name: str = "worker", **fields: Any) -> Any:
    """Return the readiness of a child."""
    return child(ChildStarted, at, name, elapsed=0.0, **fields)


def down(at: float, name: str = "worker", **fields: Any) -> Any:
    """Return the end of a child by itself."""
    return child(ChildExited, at, name, **{"cause": GONE, "uptime": 1.0} | fields)


def restarting(at: float, name: str = "worker", **fields: Any) -> Any:
    """Return the announcement of a child's restart."""
    fields = {"cause": GONE, "delay": 0.0, "restarts": 1, **fields}
    return child(ChildRestarting, at, name, **fields)


def parked(at: float, name: str = "worker", **fields: Any) -> Any:
    """Return the parking of a child."""
    return child(ChildParked, at, name, **{"cause": GONE} | fields)


def stopping(at: float, name: str = "worker", **fields: Any) -> Any:
    """Return that a child was asked to stop."""
    return child(ChildStopping, at, name, **fields)


def stopped(at: float, name: str = "worker", **fields: Any) -> Any:
    """Return the end of a child that was asked for."""
    return child(ChildStopped, at, name, elapsed=0.0, forced=False, cause=None, **fields)


# --- what the simulator knows --------------------------------------------------------------------


def enter(at: float, what: str, number: int = 1, who: str = "bot") -> Entered:
    """Return that a fake's code is entered."""
    return Entered(at=at, instance_id=who, what=what, number=number, channel=1)


def leave(at: float, what: str, number: int = 1, who: str = "bot") -> Left:
    """Return that a fake's code is left."""
    return Left(at=at, instance_id=who, what=what, number=number, channel=1)


def looked(at: float, new: str = "connected", **fields: Any) -> Looked:
    """Return a snapshot of the instance "bot"."""
    given: dict[str, Any] = {
        "instance_id": "bot",
        "name": "bot",
        "channel_type": "fake",
        "at": at,
        "status": InstanceStatus(new),
        "since": 0.0,
        "connected": new == "connected",
        "proven": False,
        "generation": 1,
        "uptime": at,
        **fields,
    }
    return Looked(at=at, instance_id="bot", health=HealthSnapshot(**given))


def because(what: str) -> tuple[DegradedReason, ...]:
    """Return one reason to be called degraded."""
    return (DegradedReason(what, GONE, 0.0),)
