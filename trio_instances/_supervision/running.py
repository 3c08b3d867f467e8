"""One child's task: all its incarnations, one after the other.

Under ``one_for_one`` the task of a crashed child also restarts it: a new task for each incarnation
would cost three times as much. What a new task would give is kept: the context of each incarnation
is a fresh copy of the one captured at registration, put in place before the checkpoint that
separates two incarnations, and no exception, and so no frame, of the old one is held when the next
begins.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, final

import trio
from trio.lowlevel import disable_ki_protection, enable_ki_protection

from .._exceptions import ChildDeclined, StartTimedOut
from ..policy.causes.defaults import classify_failure
from ..policy.restart import ChildState, Exit, Move
from .exits import after_exit, let_pass
from .record import ChildExit, ChildRecord

if TYPE_CHECKING:
    from .core import Core


@final
class Readiness:
    """The ``task_status`` of one incarnation.

    Args:
        record: The child.
    """

    __slots__ = ("_incarnation", "_record")

    def __init__(self, record: ChildRecord) -> None:
        self._record = record
        self._incarnation = record.incarnation

    def started(self, value: Any = None) -> None:
        """Say that the child is ready.

        It changes nothing once the child was asked to stop, or its time to start is over: a call
        that comes too late does not undo the cancellation.

        Args:
            value: What ``child.value`` is from now on.

        Raises:
            RuntimeError: When it was called before, or by an earlier incarnation.
        """
        record = self._record
        if record.incarnation != self._incarnation or record.state is ChildState.RUNNING:
            raise RuntimeError(f"child {record.path!r} called started() twice")
        now = trio.current_time()
        if record.state is not ChildState.STARTING or _too_late(record, now):
            return

        become_ready(record, value, now)


def _too_late(record: ChildRecord, now: float) -> bool:
    # Before it is ready its scope's deadline is the end of its `start_timeout`. Whether the scope
    # is cancelled says the same, and costs more to ask.
    return record.scope is not None and now >= record.scope.deadline


def become_ready(record: ChildRecord, value: Any, now: float) -> None:
    """Take note that an incarnation is ready."""
    record.value = value
    record.ready_at = now
    record.awaited = False
    if record.spec.start_timeout != float("inf") and record.scope is not None:
        record.scope.deadline = float("inf")
    record.move(Move.READY, now)
    record.core.reporter.started(record, now)


@enable_ki_protection
async def run_child(core: Core, record: ChildRecord) -> None:
    """Run a child until it is not to be restarted by this very task."""
    record.task = trio.lowlevel.current_task()
    delay: float | None = None
    try:
        while True:
            delay = await _in_one_scope(core, record, delay)
            if delay is None:
                return
    finally:
        record.alive = False
        record.task = None
        record.scope = None
        record.wake()
        core.left()


async def _in_one_scope(core: Core, record: ChildRecord, delay: float | None) -> float | None:
    """Run incarnations until the child is not to be restarted, or its scope is used up.

    A scope for each incarnation would add a fifth to what a restart costs. One that was cancelled,
    or that still has a deadline, is left: its end is the incarnation's, and the next needs another.

    Returns:
        Seconds after which the child is to be restarted in another scope, or None.
    """
    if record.stop_asked_at is not None:
        return after_exit(core, record, None)

    error: BaseException | None = None
    # Shielded: only the supervisor cancels its children, one by one, in order.
    scope = record.scope = trio.CancelScope(shield=True)
    begun = False
    try:
        with scope:
            while True:
                if delay is not None:
                    await pause(record, delay)
                begun = True
                try:
                    await _begin(record, scope)
                except Exception as exc:
                    error = exc
                if scope.cancel_called or scope.deadline != float("inf"):
                    break

                # The error's traceback holds this frame, so this frame must not hold the error.
                exit_, error = _exit_of(core, record, scope, error), None
                begun, delay = False, after_exit(core, record, exit_)
                del exit_
                if delay is None:
                    return None

                _renew_context(record)
    except BaseException as exc:
        error = exc

    try:
        exit_or_none = _exit_of(core, record, scope, error) if begun else None
    finally:
        del error
    delay = after_exit(core, record, exit_or_none)
    if delay is not None:
        _renew_context(record)
    return delay


def _renew_context(record: ChildRecord) -> None:
    assert record.context is not None
    assert record.task is not None
    record.task.context = record.context.copy()


async def pause(record: ChildRecord, delay: float) -> None:
    """Let the delay pass. There is always a checkpoint: a restart loop must not starve the rest."""
    if delay <= 0.0:
        await trio.lowlevel.checkpoint()
        return

    record.retry_now = trio.Event()
    try:
        with trio.move_on_after(delay):
            await record.retry_now.wait()
    finally:
        record.retry_now = None


def _begin(record: ChildRecord, scope: trio.CancelScope) -> Awaitable[object]:
    now = trio.current_time()
    record.incarnation += 1
    record.began_at = now
    spec = record.spec
    if record.state is ChildState.RESTARTING:
        record.move(Move.START, now)
    if not record.takes_status:
        become_ready(record, None, now)
        return _call(spec.run, spec.args)

    if spec.start_timeout != float("inf"):
        scope.deadline = now + spec.start_timeout
    return _call_with_status(spec.run, spec.args, Readiness(record))


# Ctrl-C must not be raised in the middle of this package's bookkeeping, but it must be raised in
# the child's own code, as it would be in a task of any nursery.


@disable_ki_protection
async def _call(run: Callable[..., Awaitable[object]], args: tuple[Any, ...]) -> None:
    await run(*args)


@disable_ki_protection
async def _call_with_status(
    run: Callable[..., Awaitable[object]], args: tuple[Any, ...], status: Readiness
) -> None:
    await run(*args, task_status=status)


def _exit_of(
    core: Core, record: ChildRecord, scope: trio.CancelScope, error: BaseException | None
) -> ChildExit:
    """Say how an incarnation ended, and pass on what no supervisor may keep."""
    if error is not None and not isinstance(error, Exception):
        return _passing_exit(core, record, error)

    if record.stop_asked_at is not None:
        kind = Exit.STOPPED
    elif record.state is ChildState.RUNNING:
        kind = Exit.RETURNED if error is None else Exit.CRASHED
    elif isinstance(error, ChildDeclined):
        return ChildExit(Exit.DECLINED, None, None)
    else:
        kind = Exit.START_FAILED
        error = _why_not_ready(record, scope, error)

    cause = None if error is None else core.classify(record.path, error)
    return ChildExit(kind, error, cause)


def _passing_exit(core: Core, record: ChildRecord, error: BaseException) -> ChildExit:
    """Pass on Ctrl-C and its like; of a group, what else it holds is the child's own failure."""
    if record.stop_asked_at is not None:
        kind = Exit.STOPPED
    elif record.state is ChildState.RUNNING:
        kind = Exit.CRASHED
    else:
        kind = Exit.START_FAILED

    ordinary = let_pass(core, error)
    if ordinary is not None:
        return ChildExit(kind, ordinary, core.classify(record.path, ordinary))

    return ChildExit(kind, None, classify_failure(error))


def _why_not_ready(
    record: ChildRecord, scope: trio.CancelScope, error: Exception | None
) -> Exception:
    if scope.cancel_called:
        late = StartTimedOut(record.path, record.spec.start_timeout)
        late.__cause__ = error
        return late
    if error is not None:
        return error

    return RuntimeError(f"child {record.path!r} returned without calling task_status.started()")
