"""What a supervisor knows of one child, and the handle that shows it to people."""

from __future__ import annotations

import contextvars
import math
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, final

import trio
from attrs import frozen

from ..policy.failures import Cause
from ..policy.restart import TRANSITIONS, ChildState, Exit, Move
from ..policy.specs import ChildSpec, takes_task_status

if TYPE_CHECKING:
    from ..policy.intensity import RestartIntensity, RestartWindow
    from .core import Core


@final
class ChildExit:
    """How one incarnation ended. It holds the exception, so it is dropped once it is settled."""

    __slots__ = ("cause", "error", "kind")

    def __init__(self, kind: Exit, error: Exception | None, cause: Cause | None) -> None:
        self.kind = kind
        self.error = error
        self.cause = cause


@final
class ChildRecord:
    """One child. The supervisor's own view: plain fields, changed only within this package.

    Invariant: `alive` is true exactly while a task of the nursery runs this child, its delay
    before a restart included, and there is never more than one such task.

    Args:
        core: The supervisor it belongs to.
        spec: What to run.
        path: Where it is in the tree.
        now: When it was registered.
    """

    __slots__ = (
        "_waiting",
        "alive",
        "attempt",
        "awaited",
        "began_at",
        "context",
        "core",
        "exit",
        "gone_by",
        "incarnation",
        "last_cause",
        "launches",
        "nested",
        "owner",
        "path",
        "ready_at",
        "restarts",
        "retry_now",
        "scope",
        "since",
        "soft_scopes",
        "spec",
        "state",
        "stop_asked_at",
        "takes_status",
        "task",
        "value",
        "was_soft",
        "was_stuck",
        "window",
    )

    def __init__(self, core: Core, spec: ChildSpec, path: str, now: float) -> None:
        self.core = core
        self.spec = spec
        self.path = path
        self.window: RestartWindow | None = None
        """The restarts that count with its own, once an exit is settled: few children have any."""
        self.state = ChildState.STOPPED
        self.since = now
        self.context: contextvars.Context | None = None
        self.takes_status = takes_task_status(spec.run)
        self.alive = False
        self.launches = 0
        """How many tasks were made for it, so that whoever made one can tell it is not the last."""
        self.task: trio.lowlevel.Task | None = None
        self.scope: trio.CancelScope | None = None
        # Tuples, as most children have none of either, and an empty list is not free.
        self.soft_scopes: tuple[trio.CancelScope, ...] = ()
        self.nested: tuple[Core, ...] = ()
        """The supervisors that are open within it."""
        self.owner: str | None = None
        """The id of its instance, or an empty text, once the meter of the loop has asked."""
        self.value: Any = None
        """What it passed to ``started()``."""
        self.incarnation = 0
        self.restarts = 0
        """Counted when each falls due, so that a stale one can tell that it is stale."""
        self.attempt = 0
        """Restarts in a row, for the backoff."""
        self.last_cause: Cause | None = None
        self.began_at = now
        self.ready_at = now
        self.stop_asked_at: float | None = None
        self.gone_by = math.inf
        """Until when it is to have ended, where it knows that itself; its `shutdown` is longer."""
        self.was_soft = False
        self.was_stuck = False
        self.awaited = False
        """Whether somebody waits for its start, and so decides about a start that fails."""
        self.exit: ChildExit | None = None
        """An exit that nobody has settled yet."""
        self.retry_now: trio.Event | None = None
        """Set to cut a delay short; there only while a delay passes."""
        self._waiting: tuple[trio.lowlevel.Task, ...] = ()

    @property
    def intensity(self) -> RestartIntensity:
        """How many restarts are too many, of those that count with its own."""
        return self.spec.intensity or self.core.options.intensity

    def move(self, move: Move, now: float) -> None:
        """Change the state, by the table alone."""
        before = self.state
        after = self.state = TRANSITIONS[before][move]
        if after in _DOWN or before in _DOWN:
            self.core.up += (before in _DOWN) - (after in _DOWN)
        self.since = now
        if self._waiting:
            self.wake()

    @property
    def is_down(self) -> bool:
        """Whether nothing of it runs, and nothing is going to by itself."""
        return self.state in _DOWN

    def wake(self) -> None:
        """Wake everybody who waits for a change."""
        for task in self._waiting:
            trio.lowlevel.reschedule(task)
        self._waiting = ()

    def wait_change(self) -> Awaitable[None]:
        """Wait until the state changes, an exit is to be settled, or the task has ended.

        It begins at the call, so await what it returns at once.
        """
        # Not an event: each start and each stop waits for one change, and this is a tenth cheaper.
        task = trio.lowlevel.current_task()
        self._waiting = (*self._waiting, task)

        def leave(_: object) -> trio.lowlevel.Abort:
            self._waiting = tuple(each for each in self._waiting if each is not task)
            return trio.lowlevel.Abort.SUCCEEDED

        return trio.lowlevel.wait_task_rescheduled(leave)  # noqa: ASYNC105 - the caller awaits it

    def lasts(self, launch: int) -> bool:
        """Whether a task that was made for it has not ended, whoever may have started another.

        Args:
            launch: What `launches` was after it was made.
        """
        return self.alive and self.launches == launch

    def is_unsettled(self, launch: int) -> bool:
        """Whether a start has neither succeeded, nor failed, nor been overtaken by a stop.

        Args:
            launch: What `launches` was after it.
        """
        return self.state in _ON_ITS_WAY and self.exit is None and self.launches == launch

    def take_failed_start(self) -> ChildExit | None:
        """Take over the exit of a start that failed, to settle it.

        Not the exit of an incarnation that was ready before it crashed: a round does that. And not
        that of one that has ended the supervisor: it has no error to settle.
        """
        exit_ = self.exit
        if exit_ is None or exit_.kind is not Exit.START_FAILED or exit_.error is None:
            return None

        self.exit = None
        return exit_


_DOWN = frozenset({ChildState.STOPPED, ChildState.PARKED, ChildState.REMOVED})

_ON_ITS_WAY = frozenset({ChildState.STARTING, ChildState.STOPPING})

ACTIVE = frozenset({ChildState.STARTING, ChildState.RUNNING, ChildState.STOPPING})
"""States in which an incarnation runs."""


@final
@frozen
class ChildInfo:
    """One child as it was at one moment."""

    name: str
    path: str
    state: ChildState
    incarnation: int
    """How many runs it has had; the number of the run where it is active."""
    restarts: int
    """How often its supervisor restarted it."""
    since: float
    """Since when it is in this state, in seconds of `trio.current_time`."""
    essential: bool
    last_cause: Cause | None
    """Why it failed last, if it did."""


@final
@frozen
class ChildCounts:
    """How many children a supervisor has, as OTP counts them."""

    specs: int
    """All of them."""
    active: int
    """Those that run: not the stopped, parked or restarting ones."""
    supervisors: int
    """Those within which a supervisor is open."""
    workers: int
    """All others."""


@final
class Child:
    """A child, as its supervisor hands it out. It stays the same through every restart."""

    __slots__ = ("_record",)

    def __init__(self, record: ChildRecord) -> None:
        self._record = record

    def __repr__(self) -> str:
        record = self._record
        return f"<Child {record.path!r} {record.state} #{record.incarnation}>"

    @property
    def name(self) -> str:
        """Its name, unique within its supervisor."""
        return self._record.spec.name

    @property
    def path(self) -> str:
        """Where it is in the tree: names joined by ``/``. Its task has the same name."""
        return self._record.path

    @property
    def spec(self) -> ChildSpec:
        """What it runs, and how it is treated."""
        return self._record.spec

    @property
    def state(self) -> ChildState:
        """Where it is now."""
        return self._record.state

    @property
    def value(self) -> Any:
        """What its newest ready incarnation passed to ``task_status.started()``."""
        return self._record.value

    @property
    def incarnation(self) -> int:
        """How many runs it has had."""
        return self._record.incarnation

    @property
    def restarts(self) -> int:
        """How often its supervisor restarted it."""
        return self._record.restarts

    @property
    def last_cause(self) -> Cause | None:
        """Why it failed last, if it did."""
        return self._record.last_cause


def info_of(record: ChildRecord) -> ChildInfo:
    """Return what there is to know about a child now."""
    return ChildInfo(
        name=record.spec.name,
        path=record.path,
        state=record.state,
        incarnation=record.incarnation,
        restarts=record.restarts,
        since=record.since,
        essential=record.spec.essential,
        last_cause=record.last_cause,
    )
