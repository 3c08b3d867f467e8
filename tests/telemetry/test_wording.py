"""Events in words."""

from __future__ import annotations

import attrs
import pytest

from trio_instances.policy.failures import Cause, FailureClass
from trio_instances.policy.health import LivenessSignal, ProbeVerdict
from trio_instances.policy.pressure import PressureLevel
from trio_instances.policy.requested import REQUESTED
from trio_instances.telemetry import (
    BreakerClosed,
    BreakerOpened,
    ChildExited,
    ChildParked,
    ChildRestarting,
    ChildStarted,
    ChildStopped,
    ChildStuck,
    Event,
    HookFailed,
    InstanceConnected,
    InstanceDegraded,
    InstanceDisconnected,
    InstanceFailed,
    LivenessSilent,
    LoopStalled,
    PressureChanged,
    ProbeCompleted,
    ReconnectExhausted,
    RuntimeSlept,
    RuntimeStarted,
    SupervisorEscalated,
    level_of,
    one_line,
)

CAUSE = Cause(FailureClass.RECOVERABLE, "timeout", "too slow", "TimeoutError")


def probe(verdict: ProbeVerdict) -> ProbeCompleted:
    """Return a probe's outcome."""
    return ProbeCompleted(at=0, generation=1, verdict=verdict, latency=0.1234, streak=1, cause=None)


def disconnected(reason: str, *, planned: bool = False) -> InstanceDisconnected:
    """Return the end of a connection."""
    cause = Cause(FailureClass.RECOVERABLE, reason, planned=planned)
    return InstanceDisconnected(at=0, generation=1, cause=cause, uptime=9.0)


def pressure(level: PressureLevel) -> PressureChanged:
    """Return a change of pressure."""
    return PressureChanged(
        at=0, level=level, previous=PressureLevel.NORMAL, queue="outbox", occupancy=0.5
    )


def exited(cause: Cause | None) -> ChildExited:
    """Return the end of a child."""
    return ChildExited(at=0, path="a/b", child="b", incarnation=1, cause=cause, uptime=2.0)


def stopped(*, forced: bool, cause: Cause | None) -> ChildStopped:
    """Return the stop of a child."""
    return ChildStopped(
        at=0, path="a/b", child="b", incarnation=1, elapsed=1.0, forced=forced, cause=cause
    )


def bad_close(reason: str) -> HookFailed:
    """Return what is told of a close that has used up its time, or does not end even then."""
    return HookFailed(at=0, hook="close", path="X", cause=Cause("recoverable", reason))


STUCK = ChildStuck(at=0, path="a/b", child="b", incarnation=1, elapsed=60.0, stack=("x", "  y\n"))
SILENT = LivenessSilent(
    at=0, instance_id="bot", generation=3, signal=LivenessSignal.DATA, elapsed=3600.0
)
ESCALATED = SupervisorEscalated(
    at=0, path="a", child="a/b", cause=CAUSE, restarts=1, period=5.0, exceeded=True
)


@pytest.mark.parametrize(
    ("event", "level"),
    [
        (InstanceFailed(at=0, cause=CAUSE), "ERROR"),
        (ESCALATED, "ERROR"),
        (STUCK, "ERROR"),
        (HookFailed(at=0, hook="sink", path="X", cause=CAUSE), "ERROR"),
        (HookFailed(at=0, hook="close", path="X", cause=CAUSE), "ERROR"),
        (bad_close("close_timeout"), "WARNING"),
        (bad_close("close_stuck"), "ERROR"),
        (InstanceDegraded(at=0, what="probe", cause=CAUSE), "WARNING"),
        (ChildParked(at=0, path="a/b", child="b", incarnation=1, cause=CAUSE), "WARNING"),
        (ReconnectExhausted(at=0, attempts=5, cause=CAUSE), "WARNING"),
        (probe(ProbeVerdict.OK), "DEBUG"),
        (probe(ProbeVerdict.DEGRADED), "WARNING"),
        (pressure(PressureLevel.NORMAL), "INFO"),
        (pressure(PressureLevel.SHED), "WARNING"),
        (exited(None), "INFO"),
        (exited(CAUSE), "WARNING"),
        (stopped(forced=False, cause=None), "INFO"),
        (stopped(forced=True, cause=None), "WARNING"),
        (stopped(forced=False, cause=CAUSE), "WARNING"),
        (disconnected("close_1006"), "WARNING"),
        *(
            (InstanceDisconnected(at=0, generation=1, cause=cause, uptime=9.0), "INFO")
            for cause in REQUESTED
        ),
        (disconnected("close_1012", planned=True), "INFO"),
        (disconnected("approval_requested"), "WARNING"),
        (BreakerOpened(at=0, key="k", failed=5, connected=2, delay=1.0), "WARNING"),
        (BreakerClosed(at=0, key="k", elapsed=9.0, canaries=2), "INFO"),
        (RuntimeStarted(at=0), "INFO"),
        (RuntimeSlept(at=0, elapsed=60.0, connections=3), "INFO"),
        (SILENT, "INFO"),
    ],
)
def test_an_event_is_as_serious_as_what_it_says(event: Event, level: str) -> None:
    """Errors need somebody, warnings are being dealt with, the rest is news."""
    assert level_of(event) == level


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (RuntimeStarted(at=5), "runtime.started"),
        (SILENT, "liveness.silent bot generation=3 signal=data elapsed=3.6e+03s"),
        (
            InstanceConnected(
                at=0,
                instance_id="bot",
                channel_type="memory",
                generation=2,
                attempt=3,
                elapsed=0.12345,
                children=("reader", "writer"),
                outage=None,
            ),
            "instance.connected bot generation=2 attempt=3 elapsed=0.123s children=reader,writer",
        ),
        (
            ChildStarted(
                at=0, instance_id="bot", path="bot/b", child="b", incarnation=1, elapsed=0.0
            ),
            "child.started bot/b incarnation=1 elapsed=0s",
        ),
        (
            ChildRestarting(
                at=0,
                instance_id="bot",
                path="elsewhere/b",
                child="b",
                incarnation=1,
                cause=CAUSE,
                delay=0.25,
                restarts=1,
            ),
            (
                "child.restarting bot elsewhere/b incarnation=1 delay=0.25s restarts=1: "
                "timeout (recoverable): TimeoutError: too slow"
            ),
        ),
        (STUCK, "child.stuck a/b incarnation=1 elapsed=60s stack=y"),
        (
            ESCALATED,
            (
                "supervisor.escalated a child=a/b restarts=1 period=5s exceeded=yes: "
                "timeout (recoverable): TimeoutError: too slow"
            ),
        ),
        (
            pressure(PressureLevel.WARN),
            "pressure.changed level=warn previous=normal queue=outbox occupancy=0.5",
        ),
        (stopped(forced=False, cause=None), "child.stopped a/b incarnation=1 elapsed=1s forced=no"),
    ],
)
def test_a_line_says_what_happened_to_what_and_why(event: Event, line: str) -> None:
    """The name, the subject once, the fields with their units, the cause."""
    assert one_line(event) == line


def test_a_stall_is_a_warning_with_its_path_and_its_innermost_frame() -> None:
    """Of a task in no child, only its name is known."""
    stalled = LoopStalled(
        at=0, instance_id="a", elapsed=0.25, path="r/a/b", task="inner", stack=("x", "y")
    )
    nobodys = LoopStalled(at=0, elapsed=0.25, path=None, task="main", stack=())

    assert level_of(stalled) == "WARNING"
    assert one_line(stalled) == "loop.stalled a r/a/b elapsed=0.25s task=inner stack=y"
    assert one_line(nobodys) == "loop.stalled elapsed=0.25s task=main stack=?"


def test_an_unknown_place_is_said_so() -> None:
    """A stuck task without a stack is still one line."""
    stuck = ChildStuck(at=0, path="b", child="b", incarnation=1, elapsed=1.0, stack=())

    assert one_line(stuck) == "child.stuck b incarnation=1 elapsed=1s stack=?"


def test_an_escalation_tells_of_the_intensity_only_where_it_was_the_reason() -> None:
    """A fatal failure gives up at once: restarts that might have been would read as restarts."""
    fatal = attrs.evolve(ESCALATED, exceeded=False)

    assert " restarts=1 period=5s exceeded=yes: " in one_line(ESCALATED)
    assert one_line(fatal).startswith("supervisor.escalated a child=a/b: timeout")
