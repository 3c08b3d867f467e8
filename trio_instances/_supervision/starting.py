"""Starting a child for somebody who waits, and leaving it as it should be when that fails."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, final

import trio

from .._exceptions import (
    ChildRestarting,
    ChildStartFailed,
    InvalidSpec,
    Mistake,
    SupervisionError,
    SupervisorNotRunning,
)
from ..policy.failures import Cause, FailureClass
from ..policy.restart import ChildState, Move, Verdict, after_first_start
from .context import current
from .stopping import stop_one

if TYPE_CHECKING:
    from ..policy.specs import ChildSpec
    from .core import Core
    from .record import ChildExit, ChildRecord

_STOPPED_ON_THE_WAY = Cause(FailureClass.RECOVERABLE, "stopped", "before it was ready")


@final
class in_turn:  # noqa: N801 - used as a function is; a generator would cost a tenth of a start
    """Hold the supervisor's turn, behind whoever asked for it before.

    Args:
        core: The supervisor.

    Raises:
        SupervisionError: The caller is a child whose own start holds the turn, or runs in one.
        SupervisorNotRunning: The supervisor has ended, or is ending.
    """

    __slots__ = ("_core",)

    def __init__(self, core: Core) -> None:
        self._core = core

    async def __aenter__(self) -> None:
        core = self._core
        if core.turn is None:
            core.check_open()
            return

        refuse_to_wait_for_itself(core)
        await core.turn.acquire()
        try:
            core.check_open()  # it may have ended while this waited
        except SupervisorNotRunning:
            core.turn.release()
            raise

    async def __aexit__(self, *_: object) -> None:
        if self._core.turn is not None:
            self._core.turn.release()


def refuse_to_wait_for_itself(core: Core) -> None:
    """Refuse a caller within a child that somebody who is at it already waits for.

    Raises:
        SupervisionError: The caller is a child of this supervisor that is not ready, or in one.
    """
    record = current.get(None)
    while record is not None and record.core is not core:
        record = record.core.parent
    if record is not None and record.awaited:
        raise SupervisionError(
            f"child {record.path!r} asks its own supervisor for a change before it is ready, and "
            "would wait for itself: call task_status.started() first"
        )


def check_together(core: Core, specs: Sequence[ChildSpec]) -> None:
    """Refuse several specs that cannot be started together.

    Raises:
        InvalidSpec: One is no `ChildSpec` or contradicts the supervisor; or two have the same name.
    """
    mistakes = []
    seen: set[str] = set()
    for index, spec in enumerate(specs):
        core.check_spec(spec)
        if spec.name in seen:
            place = f"[{index}].name"
            mistakes.append(Mistake(place, spec.name, "must not be the name of another one"))
        seen.add(spec.name)
    if mistakes:
        raise InvalidSpec(f"the children of {core.path!r}", mistakes)


async def launch_and_wait(core: Core, record: ChildRecord, down: Move) -> ChildExit | None:
    """Start a child that is down, and wait for the outcome.

    Args:
        core: Its supervisor.
        record: The child.
        down: What becomes of it when the caller is cancelled.

    Returns:
        The exit of a start that failed, for the caller to settle; its task has ended.

    Raises:
        SupervisorNotRunning: The supervisor was stopped meanwhile.
        ChildStartFailed: Somebody stopped the child meanwhile.
    """
    core.launch(record, awaited=True)
    launch = record.launches
    try:
        while record.is_unsettled(launch):
            await record.wait_change()
    except BaseException:
        # Cancelled: as nursery.start does, take the child down before the caller goes on.
        if record.launches == launch:
            with trio.CancelScope(shield=True):
                await stop_one(core, record)
            leave_down(core, record, down, None)
        raise

    if record.launches != launch:
        raise ChildStartFailed(record.path, _STOPPED_ON_THE_WAY)

    exit_ = record.take_failed_start()
    if exit_ is None and record.state is not ChildState.RUNNING:
        if core.closing:
            raise SupervisorNotRunning(core.path)
        if record.stop_asked_at is not None:
            raise ChildStartFailed(record.path, _STOPPED_ON_THE_WAY)
    return exit_


def settle_first_start(core: Core, record: ChildRecord, exit_: ChildExit) -> None:
    """Park a child whose first start failed, or forget it and raise, as the policy says.

    Raises:
        ChildStartFailed: From what the child raised.
    """
    assert exit_.cause is not None
    if after_first_start(exit_.cause, essential=record.spec.essential) is Verdict.PARK:
        leave_down(core, record, Move.PARK, exit_)
    else:
        leave_down(core, record, Move.REMOVE, exit_)
        raise start_failed(record, exit_)


def leave_down(core: Core, record: ChildRecord, down: Move, exit_: ChildExit | None) -> None:
    """Make a child that did not come up stopped, parked or forgotten."""
    if record.state is ChildState.REMOVED or record.alive:
        return  # somebody else has removed it, or has started it again

    now = trio.current_time()
    record.awaited = False
    record.exit = None
    if down is Move.REMOVE:
        core.remove(record, now)
    elif down is Move.PARK or record.state is not ChildState.STOPPED:
        record.move(down, now)
    if down is Move.PARK and exit_ is not None and exit_.cause is not None:
        core.reporter.parked(record, now, exit_.cause)


async def hurry(record: ChildRecord) -> None:
    """Cut the delay before a restart short. The restart stays the supervisor's own.

    Raises:
        ChildRestarting: There is no delay to cut short.
        ChildStartFailed: The restart has failed.
        SupervisorNotRunning: The supervisor has ended meanwhile, of this restart perhaps.
    """
    if record.retry_now is None:
        raise ChildRestarting(record.path)

    before = record.incarnation
    record.retry_now.set()
    while record.state is ChildState.RESTARTING and record.incarnation == before:
        await record.wait_change()
    while record.state is ChildState.STARTING:
        await record.wait_change()
    if record.core.closing:
        raise SupervisorNotRunning(record.core.path)
    if record.state is not ChildState.RUNNING:
        raise ChildStartFailed(record.path, record.last_cause or _STOPPED_ON_THE_WAY)


def start_failed(record: ChildRecord, exit_: ChildExit) -> ChildStartFailed:
    """Return the error that tells a caller of a start that failed."""
    assert exit_.cause is not None
    failure = ChildStartFailed(record.path, exit_.cause)
    failure.__cause__ = exit_.error
    return failure
