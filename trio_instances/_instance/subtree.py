"""An instance as one supervised function: its own children, and the loop that connects it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
from attrs import evolve

from .._exceptions import ChannelError, InvalidSpec, Mistake
from .._supervision.context import current, stop_requested
from .._supervision.core import Core
from .._supervision.opening import run_core
from ..policy.connection import Phase, SignalKind
from ..policy.failures import FailureClass
from ..policy.options import SupervisorOptions
from ..policy.specs import ChildSpec
from ..telemetry import events
from .acting import PAUSE_REQUESTED, STOP_REQUESTED
from .generation import ENDED, ask_for_children, run_generation
from .pressure import watch_pressure
from .reporter import InstanceReporter
from .snapshot import CONNECTION

if TYPE_CHECKING:
    from .record import InstanceRecord


async def run_instance(
    record: InstanceRecord, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Run one instance: ready when its own children are, with the first attempt under way.

    Cancelling it stops everything in it, in reverse start order.

    Raises:
        ChildStartFailed: An essential child of the instance failed before it was ready.
        RestartLimitExceeded: More restarts within it were due than its intensity allows.
        FatalChildFailure: An essential child, or the connection, failed fatally.
        InvalidSpec: The channel gave no valid children.
    """
    record.begin()
    spec = record.spec
    parent = current.get()
    core = Core(
        path=parent.path,
        options=SupervisorOptions(
            intensity=spec.intensity, backoff=spec.child_backoff, classify=spec.channel.classify
        ),
        reporter=InstanceReporter(record),
        random=record.random,
    )
    try:
        async with run_core(core, parent) as supervisor:
            record.core, record.supervisor = core, supervisor
            children = _own_children(record)
            await supervisor.start_children(children)
            if record.bus.listening:
                names = tuple(child.name for child in children)
                elapsed = trio.current_time() - parent.began_at
                record.tell(events.InstanceStarted, children=names, elapsed=elapsed)
            # Ready before the loop runs: a first attempt that fails at once is no failed start.
            supervisor.start_soon(keep_connected, record, name=CONNECTION, shutdown=float("inf"))
            _begin_to_connect(record)
            task_status.started()
            await watch_pressure(record)
    finally:
        record.signal(SignalKind.STOP, cause=STOP_REQUESTED)  # if it never came to the connection
        record.core = record.supervisor = None


def _own_children(record: InstanceRecord) -> list[ChildSpec]:
    what = f"instance_children of {record.spec.id!r}"
    children = list(ask_for_children(what, record.spec.channel.instance_children(record.handle)))
    for index, child in enumerate(children):
        if child.name == CONNECTION:
            expected = "must not be the name of the instance's connection loop"
            raise InvalidSpec(what, [Mistake(f"[{index}].name", child.name, expected)])

    return children


async def keep_connected(record: InstanceRecord) -> None:
    """Do what the connection machine says, until the instance stops or the connection has failed.

    Raises:
        ChannelError: The machine has given up; with the cause, which is fatal from then on.
    """
    _begin_to_connect(record)
    try:
        while not stop_requested():
            await _live_in_phase(record)
    finally:
        record.signal(SignalKind.STOP, cause=STOP_REQUESTED)


def _begin_to_connect(record: InstanceRecord) -> None:
    record.rewind()
    if record.paused:
        record.signal(SignalKind.PAUSE, cause=PAUSE_REQUESTED)
    else:
        record.signal(SignalKind.START)


async def _live_in_phase(record: InstanceRecord) -> None:
    state = record.connection
    match state.phase:
        case Phase.CONNECTING:
            await run_generation(record)
        case Phase.WAITING:
            assert state.next_retry_at is not None
            with trio.move_on_at(state.next_retry_at) as wait:
                await record.wakeup.wait()
            if wait.cancelled_caught:
                record.signal(SignalKind.DUE)
        case Phase.FAILED:
            # Only the machine makes connections anew, and it will not: no restart of this loop,
            # nor of the whole instance, may go on trying in its place.
            raise ChannelError(evolve(state.cause or ENDED, failure_class=FailureClass.FATAL))
        case _:
            await record.wakeup.wait()
