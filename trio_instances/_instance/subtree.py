"""An instance as one supervised function: its own children, and the loop that connects it.

One that has no children of its own needs no supervisor for them, nor a task beside the loop: that
is a third of what an instance weighs, and most instances have none.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING

import trio
from attrs import evolve

from .._exceptions import ChannelError, InvalidSpec, Mistake
from .._supervision.context import current, stop_requested
from .._supervision.opening import run_core
from ..policy.failures import FailureClass
from ..policy.requested import STOP_REQUESTED
from ..policy.signals import Phase, SignalKind
from ..policy.specs import ChildSpec, takes_task_status
from ..telemetry import events
from .cores import own_core
from .generation import ENDED, check_children, run_generation
from .life import life_of
from .snapshot import CONNECTION

if TYPE_CHECKING:
    from .._supervision.record import ChildRecord
    from .life import Life
    from .record import InstanceRecord

OWN_START_TIMEOUT = 30.0
"""Seconds that an instance's own child has to become ready, where its spec gives it no time.

Whoever starts the instance waits for it, and so does all that an `apply` has left to do.
"""


async def run_instance(
    record: InstanceRecord, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Run one instance: ready when its own children are, with the first attempt under way.

    Cancelling it stops everything in it, in reverse start order.

    Raises:
        ChannelError: The connection failed fatally.
        ChildStartFailed: An essential child of the instance failed before it was ready.
        RestartLimitExceeded: More restarts within it were due than its intensity allows.
        FatalChildFailure: An essential child failed fatally, or the connection beside any.
        InvalidSpec: The channel gave no valid children.
    """
    record.begin()
    parent = current.get()
    record.child = parent
    try:
        children = _own_children(record)
        if children:
            await _run_beside(record, children, parent, task_status)
        else:
            record.lookout.add(record)
            _tell_started(record, children, parent)
            _begin_to_connect(record)
            task_status.started()
            # Who waited for the start goes on first: a pause that he asks for comes in time.
            await trio.lowlevel.checkpoint()
            await keep_connected(record)
    finally:
        record.lookout.remove(record)
        record.signal(SignalKind.STOP, cause=STOP_REQUESTED)  # if it never came to the connection
        record.child = record.supervisor = None


async def _run_beside(
    record: InstanceRecord,
    children: Sequence[ChildSpec],
    parent: ChildRecord,
    task_status: trio.TaskStatus[None],
) -> None:
    """Run the loop as the last of an instance's own children, so that it is stopped before them."""
    core = own_core(record, parent.path)
    async with run_core(core, parent) as record.supervisor:
        await record.supervisor.start_children(children)
        _tell_started(record, children, parent)
        # Ready before the loop runs: a first attempt that fails at once is no failed start.
        record.supervisor.start_soon(keep_connected, record, name=CONNECTION, shutdown=float("inf"))
        _begin_to_connect(record)
        task_status.started()
        record.lookout.add(record)
        await trio.sleep_forever()


def _tell_started(
    record: InstanceRecord, children: Sequence[ChildSpec], parent: ChildRecord
) -> None:
    if record.bus.listening:
        names = tuple(child.name for child in children)
        elapsed = trio.current_time() - parent.began_at
        record.tell(events.InstanceStarted, children=names, elapsed=elapsed)


def _own_children(record: InstanceRecord) -> tuple[ChildSpec, ...]:
    what = f"instance_children of {record.spec.id!r}"
    children = check_children(what, record.spec.channel.instance_children(record.handle))
    for index, child in enumerate(children):
        if child.name == CONNECTION:
            expected = "must not be the name of the instance's connection loop"
            raise InvalidSpec(what, [Mistake(f"[{index}].name", child.name, expected)])

    return tuple(_bounded(child) for child in children)


def _bounded(child: ChildSpec) -> ChildSpec:
    """Give a child that says itself when it is ready a time for that, unless it has one."""
    if math.isinf(child.start_timeout) and takes_task_status(child.run):
        return evolve(child, start_timeout=OWN_START_TIMEOUT)

    return child


async def keep_connected(record: InstanceRecord) -> None:
    """Do what the connection machine says, until the instance stops or the connection has failed.

    Raises:
        ChannelError: The machine has given up; with the cause, which is fatal from then on.
    """
    _begin_to_connect(record)
    try:
        if record.spec.channel.overlaps:
            await _keep_connected_overlapping(record)
        else:
            while _goes_on(record):
                await _step(record)
    finally:
        record.handovers = None
        record.signal(SignalKind.STOP, cause=STOP_REQUESTED)
        if record.seat is not None:
            record.seat.leave()
    if record.connection.phase is Phase.FAILED:
        # Only the machine makes connections anew, and it will not: no restart of this loop, nor of
        # the whole instance, may go on trying in its place.
        cause = record.connection.cause or ENDED
        raise ChannelError(evolve(cause, failure_class=FailureClass.FATAL))


async def _keep_connected_overlapping(record: InstanceRecord) -> None:
    context = current.get().context
    assert context is not None
    # A nursery costs an instance more memory than the rest of its loop: only those pay who need it.
    async with trio.open_nursery() as nursery:

        def beside(life: Life) -> None:
            context.run(nursery.start_soon, run_generation, record, life)

        record.handovers = beside
        while _goes_on(record):
            await _step(record)


def _begin_to_connect(record: InstanceRecord) -> None:
    record.rewind()
    record.signal(SignalKind.START)


def _goes_on(record: InstanceRecord) -> bool:
    return not stop_requested() and record.connection.phase is not Phase.FAILED


def _step(record: InstanceRecord) -> Awaitable[object]:
    """Begin what the machine wants now; await what it returns at once.

    Not a coroutine: it would be there for as long as a connection is.
    """
    match record.connection.phase:
        case Phase.QUEUED:
            return _queue(record)
        case Phase.CONNECTING:
            life = life_of(record, record.connection.generation)
            assert life is not None
            if not life.runs:  # else it began beside another, and runs in a task of its own
                return run_generation(record, life)
        case Phase.WAITING:
            return _wait(record)
    return record.wakeup.wait()


async def _queue(record: InstanceRecord) -> None:
    """Wait for a turn in the connection budget, and use it."""
    seat = record.seat
    assert seat is not None
    for life in record.lives:
        # What is being closed may hold a place in the budget, and an instance has one at a time.
        await life.wait_left()
        return
    if not await seat.wait_turn():
        return

    record.signal(SignalKind.GRANTED)
    if record.connection.phase is not Phase.CONNECTING:
        seat.end_attempt()  # whoever was told that it connects wants something else
        return

    given = life_of(record, record.connection.generation)
    assert given is not None
    given.granted = True  # its own, for a successor may hold one when this one ends
    await run_generation(record, given)


async def _wait(record: InstanceRecord) -> None:
    due = record.connection.next_retry_at
    assert due is not None
    with trio.move_on_at(due) as wait:
        await record.wakeup.wait()
    if wait.cancelled_caught:
        record.signal(SignalKind.DUE)
