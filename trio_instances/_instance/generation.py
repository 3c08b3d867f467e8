"""One generation of a connection: opened, lived in, closed.

::

    scope                    deadline: connect_timeout until open, close_timeout while closing
      async with channel.connect(instance)
        the connection's supervisor, its children
          life.body          a loss, a reconnect or a pause ends the body; so does a stop, softly

However the body ends, ``connect``'s block is left normally, so that it can close in peace, within
its budget. A hard cancellation from outside passes through all of it, and so does the end of the
attempt's own budget.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import trio
from attrs import evolve

from .._exceptions import InvalidSpec, Mistake
from .._supervision.context import current, stop_requested
from .._supervision.opening import run_core
from ..policy.failures import CLOSE_TIMEOUT, Cause, FailureClass
from ..policy.requested import STOP_REQUESTED
from ..policy.signals import Phase, SignalKind
from ..policy.specs import ChildSpec
from ..telemetry import events
from ..telemetry.places import raised_at
from .cores import connection_core
from .life import drop, lived_in
from .probing import begin_to_probe
from .reporter import judge_children

if TYPE_CHECKING:
    from .._supervision.core import Core
    from .life import Life
    from .record import InstanceRecord
    from .turns import Seat

CONNECT_TIMEOUT = Cause(FailureClass.RECOVERABLE, "connect_timeout")
ENDED = Cause(FailureClass.RECOVERABLE, "connection_ended", lost=True)
_CUT_SHORT = Cause(FailureClass.RECOVERABLE, CLOSE_TIMEOUT)


async def run_generation(record: InstanceRecord, life: Life) -> None:
    """Make one connection, keep it, close it; return when nothing of it is left.

    Failures are signals to the connection machine, never exceptions. Cancelling it drops the
    connection at once.
    """
    life.runs, life.task = True, trio.lowlevel.current_task()
    scope = life.whole
    cause: Cause | None = None
    try:
        try:
            with scope:
                await _enter_fresh_context(life)
                await _wait_for_room(record, life)
                if life.beside and record.seat is not None:
                    await _wait_for_grant(life, record.seat)
                scope.deadline = trio.current_time() + record.spec.reconnect.connect_timeout
                record.wake()  # for whoever is to tell when that is over
                await _open_and_hold(record, life)
        except Exception as exc:
            cause = _cause_of(record, life, exc)
        finally:
            life.attempt = None
        # By its deadline, that is, and not by a loss or a pause during the attempt.
        late = scope.cancel_called and trio.current_time() >= scope.deadline
        _tell_end(record, life, cause, timed_out=late)
    finally:
        _leave(record, life)


def _cause_of(record: InstanceRecord, life: Life, error: Exception) -> Cause:
    cause = record.classify(error)
    if record.bus.listening:
        life.stack = raised_at(error, cause)
    return cause


def _leave(record: InstanceRecord, life: Life) -> None:
    """Take note that nothing of it is left."""
    drop(record, life)
    # In a handover there is another one, which may be closing too.
    closing = [each.whole.deadline for each in record.lives if each.closing]
    current.get().gone_by = min(closing, default=math.inf)
    if life.granted and record.seat is not None:
        record.seat.end_attempt()
    life.leave()


async def _enter_fresh_context(life: Life) -> None:
    """Drop what an earlier generation may have left in this task's context variables.

    There is a checkpoint, as a new context needs one; and a loop of attempts that fail at once must
    have one, or it would starve the rest.
    """
    context = current.get().context
    assert context is not None
    fresh = context.copy()
    fresh.run(lived_in.set, life)
    trio.lowlevel.current_task().context = fresh
    await trio.lowlevel.checkpoint()


async def _wait_for_room(record: InstanceRecord, life: Life) -> None:
    """Wait until nothing is left of older ones, but for the one that this one is to replace.

    So there are never two at once, and in a handover never three, however slowly they are closed.
    """
    while others := _in_the_way(record, life):
        await others[0].wait_left()


async def _wait_for_grant(life: Life, seat: Seat) -> None:
    """Wait for a turn in the connection budget. Every other attempt begins with one."""
    while not life.granted:
        await trio.lowlevel.checkpoint_if_cancelled()  # or it would take a place once more
        life.granted = await seat.wait_turn()


def _in_the_way(record: InstanceRecord, life: Life) -> list[Life]:
    present = record.connection.generation  # a successor's predecessor, or its own
    return [
        other
        for other in record.lives
        if other.generation < life.generation and other.generation != present
    ]


def _tell_end(record: InstanceRecord, life: Life, cause: Cause | None, *, timed_out: bool) -> None:
    """Say why it ended, where the machine does not know yet; else what went wrong in closing."""
    state, generation = record.connection, life.generation
    mine = state.generation == generation
    if state.successor == generation or (mine and state.phase is Phase.CONNECTING):
        budget = f"not connected within {record.spec.reconnect.connect_timeout:g} s"
        late = evolve(CONNECT_TIMEOUT, detail=budget) if timed_out else ENDED
        record.signal(SignalKind.LOST, cause=cause or late, generation=generation)
    elif mine and record.connected and not stop_requested():
        record.signal(SignalKind.LOST, cause=cause or ENDED, generation=generation)
    elif timed_out or (cause is not None and not cause.lost):
        _tell_bad_close(record, life, cause)


def _close_timeout(record: InstanceRecord, life: Life) -> Cause:
    spec = record.spec
    budget = f"{spec.reconnect.closing(life.cause):g} s"
    kind = spec.channel.channel_type
    return evolve(_CUT_SHORT, detail=f"the channel, a {kind} one, did not close within {budget}")


def _tell_bad_close(record: InstanceRecord, life: Life, raised: Cause | None) -> None:
    if record.bus.listening:
        record.tell(
            events.HookFailed,
            hook="close",
            path=record.spec.id,
            cause=raised or _close_timeout(record, life),
            stack=() if raised is None else life.stack,
        )


async def _open_and_hold(record: InstanceRecord, life: Life) -> None:
    async with _ask_to_connect(record) as connection:
        assert record.child is not None
        core = connection_core(record, record.child.path, life.generation)
        try:
            async with run_core(core, current.get()) as life.supervisor:
                _begin_to_hold(life, core.body)
                # A channel may have swallowed the end of its attempt.
                await trio.lowlevel.checkpoint_if_cancelled()
                await life.supervisor.start_children(_ask_for_children(record, connection))
                # ... and so may a child have.
                await trio.lowlevel.checkpoint_if_cancelled()
                life.whole.deadline = math.inf
                record.signal(SignalKind.OPENED, generation=life.generation)
                if life.greeted:
                    record.signal(SignalKind.DATA, generation=life.generation)
                watch = begin_to_probe(record, life.generation, connection, core)
                try:
                    await _wait_for_end()
                finally:
                    # From here on, as neither a probe nor a child may take notice of it.
                    ending = record.spec.reconnect.ending(_shutdowns(core))
                    life.gone_by = trio.current_time() + ending
                    if watch is not None:
                        await watch.end()
        except Exception as exc:
            # Decided now, and not after the closing, which can be slow, or lose the failure.
            if not stop_requested():
                cause = _cause_of(record, life, exc)
                record.signal(SignalKind.LOST, cause=cause, generation=life.generation)
        finally:
            _begin_to_close(record, life, core)


def _wait_for_end() -> Awaitable[object]:
    """Wait until cancelled; await what it returns at once.

    `trio.sleep_forever` would add a coroutine and a function to each connection that is open.
    """
    return trio.lowlevel.wait_task_rescheduled(_give_up_waiting)  # noqa: ASYNC105 - the caller awaits it


def _give_up_waiting(_: object) -> trio.lowlevel.Abort:
    return trio.lowlevel.Abort.SUCCEEDED


def _begin_to_hold(life: Life, body: trio.CancelScope) -> None:
    """Have the attempt end softly from now on, in peace: whoever ends it, and also a stop."""
    parent = current.get()
    life.attempt, life.body = None, body
    parent.soft_scopes = (*parent.soft_scopes, body)


def _begin_to_close(record: InstanceRecord, life: Life, core: Core) -> None:
    parent = current.get()
    parent.soft_scopes = tuple(each for each in parent.soft_scopes if each is not life.body)
    life.body = life.supervisor = None
    for name in core.children:
        if record.status.reasons:
            judge_children(record, name)
    if stop_requested():
        # Told now, as what else there is of the instance has not heard of a soft stop: the
        # connection loop, and an attempt beside.
        record.signal(SignalKind.STOP, cause=STOP_REQUESTED)
    scope = life.whole
    if not scope.cancel_called:
        scope.deadline = trio.current_time() + record.spec.reconnect.closing(life.cause)
        life.gone_by = parent.gone_by = scope.deadline
        record.wake()


def _ask_to_connect(record: InstanceRecord) -> AbstractAsyncContextManager[Any]:
    given: object = record.spec.channel.connect(record.handle)
    if isinstance(given, AbstractAsyncContextManager):
        return given

    if inspect.iscoroutine(given):
        given.close()  # or Python would warn that nobody awaits it
    expected = "must be an async context manager; is @asynccontextmanager missing?"
    raise InvalidSpec(f"connect of {record.spec.id!r}", [Mistake("", given, expected)])


def _ask_for_children(record: InstanceRecord, connection: Any) -> Sequence[ChildSpec]:
    given = record.spec.channel.children(record.handle, connection)
    return check_children(f"children of {record.spec.id!r}", given)


def _shutdowns(core: Core) -> float:
    """Return for how many seconds its children may take to stop, and theirs, one after another."""
    return sum(
        child.spec.shutdown + sum(map(_shutdowns, child.nested)) for child in core.children.values()
    )


def check_children(what: str, given: object) -> Sequence[ChildSpec]:
    """Check what a channel gave as its children.

    Raises:
        InvalidSpec: It is no sequence of `ChildSpec`.
    """
    if not isinstance(given, Sequence):
        if inspect.iscoroutine(given):
            given.close()  # or Python would warn that nobody awaits it
        expected = "must be a sequence of ChildSpec"
        raise InvalidSpec(what, [Mistake("", given, expected)])

    mistakes = [
        Mistake(f"[{index}]", child, "must be a ChildSpec")
        for index, child in enumerate(given)
        if not isinstance(child, ChildSpec)
    ]
    if mistakes:
        raise InvalidSpec(what, mistakes)

    return given
