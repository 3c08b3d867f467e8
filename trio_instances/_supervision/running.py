"""One child's task: all its incarnations, one after the other.

Under ``one_for_one`` the task of a crashed child also restarts it: a new task for each incarnation
would cost three times as much. What a new task would give is kept: the context of each incarnation
is a fresh copy of the one captured at registration, put in place before the checkpoint that
separates two incarnations, and no exception, and so no frame, of the old one is held when the next
begins.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable
from types import CoroutineType
from typing import TYPE_CHECKING, Any, final

import trio
from trio.lowlevel import disable_ki_protection, enable_ki_protection

from .._exceptions import ChildDeclined, StartTimedOut
from ..policy.causes.defaults import classify_failure
from ..policy.restart import ChildState, Exit, Move
from ..policy.specs import ChildSpec, refuse_misfit, refuse_unawaitable
from .exits import after_exit, let_pass
from .record import ChildExit, ChildRecord
from .scopes import innermost

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

    @enable_ki_protection
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
    if record.spec.start_timeout == math.inf or record.scope is None:
        return False

    return now >= record.scope.deadline


@enable_ki_protection
def become_ready(record: ChildRecord, value: Any, now: float) -> None:
    """Take note that an incarnation is ready."""
    record.value = value
    record.ready_at = now
    record.awaited = False
    if record.spec.start_timeout != math.inf and record.scope is not None:
        record.scope.deadline = math.inf
    record.move(Move.READY, now)
    record.core.reporter.started(record, now)


@enable_ki_protection
async def run_child(record: ChildRecord, delay: float | None = None) -> None:
    """Run a child until it is not to be restarted by this very task.

    One scope serves all incarnations: one for each would add a fifth to what a restart costs. When
    it was cancelled, or still has a deadline, it is used up, and what comes next needs another one:
    it gets a task of its own; and so does what comes after one that has left a scope open in it.

    What it keeps while the child runs weighs twice, as Trio makes a frame object of the coroutine
    of each task: so it has few variables, and its calls few arguments.

    Args:
        record: The child.
        delay: Seconds before the first incarnation here, where that is a restart.
    """
    record.task = trio.lowlevel.current_task()
    # Shielded: only the supervisor cancels its children, one by one, in order.
    scope = record.scope = trio.CancelScope(shield=True)
    error: BaseException | None = None
    begun = False
    try:
        try:
            with scope:
                inside = innermost(record.task)
                if delay is not None:
                    await pause(record, delay)
                while record.stop_asked_at is None:
                    begun = True
                    try:
                        await _begin(record, scope)
                    except Exception as exc:
                        error = exc
                    left_open = innermost(record.task) is not inside
                    if left_open and error is None:
                        error = _left_open(record)
                    delay = _ended(record, error)
                    # The error's traceback holds this frame, which so must not hold the error.
                    error, begun = None, False
                    # A stop that has cancelled the scope leaves no delay, and whatever else has
                    # cancelled it was its deadline.
                    if delay is None or scope.deadline != math.inf or left_open:
                        return

                    await pause(record, delay)
        except BaseException as exc:
            error = exc
        if begun:
            delay = _ended(record, error)
        elif error is None:
            delay = after_exit(record.core, record, None)
        # Or else it has ended before, and the scope was left with another one in it that was open.
        error = None
    finally:
        record.task = None
        record.scope = None
        record.core.task_ended(record, delay)


def _left_open(record: ChildRecord) -> Exception:
    return RuntimeError(f"child {record.path!r} has left a cancel scope or a nursery open")


def _ended(record: ChildRecord, error: BaseException | None) -> float | None:
    """Take in how an incarnation has ended; return as `after_exit` does.

    Where there is to be another one, its context is in place then.
    """
    core = record.core
    delay = after_exit(core, record, _exit_of(core, record, error))
    if delay is not None:
        assert record.context is not None
        assert record.task is not None
        record.task.context = record.context.copy()
    return delay


def pause(record: ChildRecord, delay: float) -> Awaitable[None]:
    """Let the delay pass. Others have their turn also where there is none; the caller awaits it.

    It need not be cancelled then: the caller is to look whether the child was asked to stop.
    """
    if delay <= 0.0:
        return trio.lowlevel.cancel_shielded_checkpoint()  # noqa: ASYNC105 - the caller awaits it

    return _wait_for_retry(record, delay)


async def _wait_for_retry(record: ChildRecord, delay: float) -> None:
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
    if record.state is ChildState.RESTARTING:
        record.move(Move.START, now)
    if not record.takes_status:
        running = _call(record.spec, None)
        become_ready(record, None, now)
        return _run(running)

    if record.spec.start_timeout != math.inf:
        scope.deadline = now + record.spec.start_timeout
    return _run(_call(record.spec, Readiness(record)))


# Ctrl-C must not be raised in the middle of this package's bookkeeping, but it must be raised in
# the child's own code, as it would be in a task of any nursery.
@disable_ki_protection
async def _run(running: Awaitable[object]) -> None:
    await running


@disable_ki_protection
def _call(spec: ChildSpec, status: Readiness | None) -> Awaitable[object]:
    try:
        if status is None:
            running = spec.run(*spec.args)
        else:
            running = spec.run(*spec.args, task_status=status)
    except TypeError as exc:
        refuse_misfit(spec, exc)
        raise
    if type(running) is not CoroutineType:
        refuse_unawaitable(spec, running)
    return running


def _exit_of(core: Core, record: ChildRecord, error: BaseException | None) -> ChildExit:
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
        error = _why_not_ready(record, error)

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


def _why_not_ready(record: ChildRecord, error: Exception | None) -> Exception:
    if record.scope is not None and record.scope.cancel_called:
        late = StartTimedOut(record.path, record.spec.start_timeout)
        late.__cause__ = error
        return late
    if error is not None:
        return error

    return RuntimeError(f"child {record.path!r} returned without calling task_status.started()")
