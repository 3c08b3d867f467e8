"""Starting a child for somebody who waits, and leaving it as it should be when that fails."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, final

import trio

from .._exceptions import (
    ChildRestarting,
    ChildStartFailed,
    SupervisionError,
    SupervisorNotRunning,
)
from ..policy.failures import Cause, FailureClass
from ..policy.mistakes import MistakeList
from ..policy.restart import ChildState, Move, Verdict, after_first_start
from ..policy.specs import ChildSpec
from .context import child_around
from .stopping import stop_one

if TYPE_CHECKING:
    from .core import Core
    from .record import ChildExit, ChildRecord

_STOPPED_ON_THE_WAY = Cause(FailureClass.RECOVERABLE, "stopped", "before it was ready")


@final
class in_turn:  # noqa: N801 - used as a function is; a generator would cost a tenth of a start
    """Hold the supervisor's turn, behind whoever asked for it before.

    Args:
        core: The supervisor.

    Raises:
        SupervisionError: The caller is a child whose own start, or stop, may hold the turn.
        SupervisorNotRunning: The supervisor has ended, or is ending.
    """

    __slots__ = ("_core",)

    def __init__(self, core: Core) -> None:
        self._core = core

    async def __aenter__(self) -> None:
        core = self._core
        core.check_open()
        if core.turn is None:
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
    """Refuse a caller within a child whose start or end is what the turn may be held for.

    Raises:
        SupervisionError: The caller is a child of this supervisor, or within one, that is not ready
            or was asked to stop.
    """
    record = child_around(core)
    if record is None:
        return
    if record.awaited:
        raise SupervisionError(
            f"child {record.path!r} asks its own supervisor for a change before it is ready, and "
            "would wait for itself: call task_status.started() first"
        )
    if record.stop_asked_at is not None:
        raise SupervisionError(
            f"child {record.path!r} asks its own supervisor for a change while it is being "
            "stopped, and would wait for itself: leave that to a task outside of the child"
        )


def check_together(core: Core, specs: Iterable[ChildSpec]) -> Sequence[ChildSpec]:
    """Refuse several specs that cannot be started together.

    Returns:
        The specs.

    Raises:
        InvalidSpec: With every mistake: one is no `ChildSpec` or contradicts the supervisor; or two
            have the same name.
        ChildAlreadyStarted: A running child has one of the names.
        ChildAlreadyPresent: A child that is down has one of the names.
        MaxChildrenReached: There is not room for all of them.
    """
    wrong = MistakeList(f"the children of {core.path!r}")
    if not isinstance(specs, Iterable):
        wrong.add("specs", specs, "must be a sequence of ChildSpecs")
        wrong.raise_any()

    several = list(specs)
    seen: set[str] = set()
    for index, spec in enumerate(several):
        wrong.extend(f"specs[{index}]", core.mistakes_of(spec))
        if isinstance(spec, ChildSpec):
            if spec.name in seen:
                wrong.add(f"specs[{index}].name", spec.name, "must not be the name of another one")
            seen.add(spec.name)
    wrong.raise_any()
    for spec in several:
        core.check_name(spec.name)
    core.check_room(len(several))
    return several


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
