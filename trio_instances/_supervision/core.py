"""The state of one supervisor.

Everything is synchronous: the state changes between two checkpoints, so that nobody ever sees half
of a change.
"""

from __future__ import annotations

import contextvars
import math
from collections.abc import Awaitable, Callable
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, final

import trio

from .._exceptions import (
    ChildAlreadyPresent,
    ChildAlreadyStarted,
    ChildNotFound,
    Escalation,
    InvalidSpec,
    MaxChildrenReached,
    Mistake,
    SupervisorNotRunning,
)
from ..policy.failures import Cause
from ..policy.intensity import RestartWindow
from ..policy.mistakes import check_key
from ..policy.restart import Move, RestartType
from ..policy.specs import ChildSpec
from ..policy.strategies import AutoShutdown, Strategy
from .classifying import cause_of
from .context import current
from .record import ACTIVE, ChildExit, ChildRecord
from .running import run_child
from .stop_report import StopLog, StopReport
from .stopping import StopInTurn, stop_in_background

if TYPE_CHECKING:
    from ..policy.options import SupervisorOptions
    from .reporter import Reporter

_CHANCE = Random()
"""Jitter for supervisors that were given no random numbers of their own."""
_NEVER = -math.inf
"""One for all supervisors: each would make a number of its own."""


@final
class Core:
    """One supervisor.

    Args:
        path: Where it is in the tree.
        options: How it behaves.
        reporter: Who is told what happened.
        random: Where chance comes from.
    """

    __slots__ = (
        "_idler",
        "_stopped",
        "_tasks",
        "children",
        "closing",
        "ended_at",
        "escalation",
        "numbers",
        "nursery",
        "on_group_exit",
        "options",
        "parent",
        "passed",
        "path",
        "random",
        "reporter",
        "rounds",
        "stop_in_turn",
        "stop_log",
        "stop_report",
        "turn",
        "up",
        "waits",
        "window",
    )

    def __init__(
        self,
        *,
        path: str,
        options: SupervisorOptions,
        reporter: Reporter,
        random: Random | None,
    ) -> None:
        self.path = path
        self.options = options
        self.reporter = reporter
        self.random = random or _CHANCE
        self.window: RestartWindow | None = None
        """Of all children that have no intensity of their own, once an exit of one is settled."""
        self.children: dict[str, ChildRecord] = {}
        """In start order; a restart keeps the place."""
        self.numbers: dict[str, int] | None = None
        """By a function's name, the last number that made a child's name of it, if any has."""
        self.up = 0
        """How many of them are not down; `ChildRecord.move` counts."""
        self.parent: ChildRecord | None = None
        """The child within which it is open, if any."""
        self.nursery: trio.Nursery | None = None
        self.waits = True
        """Whether leaving the block waits until the children have ended by themselves."""
        self.closing = False
        self.ended_at = _NEVER
        """When its last child had ended, once it has."""
        self._stopped: trio.Event | None = None
        self.stop_report: StopReport | None = None
        """There once `stopped` is set."""
        self.escalation: Escalation | None = None
        self.passed: tuple[BaseException, ...] = ()
        """What no supervisor may keep: Ctrl-C, SystemExit and their like."""
        self.rounds: tuple[trio.CancelScope, ...] = ()
        """Group restarts under way, or waiting for their turn."""
        self.turn = None if options.strategy is Strategy.ONE_FOR_ONE else trio.Lock()
        """Held by whoever restarts a group, or changes the children, one after the other."""
        self.on_group_exit: Callable[[ChildRecord, ChildExit], None] | None = None
        self.stop_log: StopLog | None = None
        self.stop_in_turn: StopInTurn | None = None
        """There while children are stopped one after the other."""
        self._tasks = 0
        self._idler: trio.lowlevel.Task | None = None
        """Who waits until none is left."""

    # --- tasks -----------------------------------------------------------------------------------

    @property
    def body(self) -> trio.CancelScope:
        """Around the block's body: cancelled when the supervisor ends by itself.

        It is the nursery's own scope, from which every task in the nursery is shielded.
        """
        assert self.nursery is not None
        return self.nursery.cancel_scope

    def check_open(self) -> None:
        """Refuse what needs a running supervisor.

        Raises:
            SupervisorNotRunning: When its block has ended, or is ending.
        """
        if self.closing or self.nursery is None:
            raise SupervisorNotRunning(self.path)

    def spawn(self, function: Callable[..., Any], *args: Any, name: str) -> None:
        """Start a task of the supervisor; it must call `left` when it ends, and never raise."""
        assert self.nursery is not None
        self._tasks += 1
        self.nursery.start_soon(function, *args, name=name)

    def left(self) -> None:
        """Take note that a task of the supervisor has ended."""
        self._tasks -= 1
        if self._tasks == 0:
            self._end_waiting()

    def stop_waiting(self) -> None:
        """Have the end of the block stop the children, and not wait until they end by themselves.

        For whoever was asked to stop softly: the block can no longer be left by cancelling it.
        """
        self.waits = False
        self._end_waiting()

    @property
    def busy(self) -> bool:
        """Whether a task of the supervisor is left, and somebody wants to wait for it."""
        return self.waits and self._tasks > 0

    def wait_idle(self) -> Awaitable[None]:
        """Wait until it may be busy no more. It begins at the call: await what it returns at once.

        One task at a time can wait.
        """
        # Neither a coroutine nor an event: they are a twentieth of what a supervisor weighs.
        self._idler = trio.lowlevel.current_task()
        return trio.lowlevel.wait_task_rescheduled(self._give_up_waiting)  # noqa: ASYNC105 - the caller awaits it

    def _end_waiting(self) -> None:
        if self._idler is not None:
            trio.lowlevel.reschedule(self._idler)
            self._idler = None

    def _give_up_waiting(self, _: object) -> trio.lowlevel.Abort:
        self._idler = None
        return trio.lowlevel.Abort.SUCCEEDED

    # --- children --------------------------------------------------------------------------------

    def register(self, spec: ChildSpec) -> ChildRecord:
        """Take in a child, last in start order, with the context that each run of it is to see."""
        self.check_room()
        path = f"{self.path}/{spec.name}"
        record = ChildRecord(self, spec, path, trio.current_time())
        record.context = contextvars.copy_context()
        record.context.run(current.set, record)
        self.children[spec.name] = record
        return record

    def name_for(self, run: Callable[..., object], name: str | None) -> str:
        """Return the name that a child was given, or one of its function's, numbered if need be."""
        if name is not None:
            return name

        while isinstance(run, partial):
            run = run.func
        base = candidate = getattr(run, "__name__", type(run).__name__).strip("<>")
        # Counting goes on from the last number: from 1 it would take ever longer.
        while candidate in self.children:
            if self.numbers is None:
                self.numbers = {}
            number = self.numbers[base] = self.numbers.get(base, 1) + 1
            candidate = f"{base}-{number}"
        return candidate

    def mistakes_of(self, spec: ChildSpec) -> tuple[Mistake, ...]:
        """Return what contradicts this supervisor, if it is a specification at all."""
        if not isinstance(spec, ChildSpec):
            return (Mistake("", spec, "must be a ChildSpec"),)
        if spec.significant and self.options.auto_shutdown is AutoShutdown.NEVER:
            expected = "needs a supervisor with auto_shutdown, this one has auto_shutdown='never'"
            return (Mistake("significant", spec.significant, expected),)

        return ()

    def check_spec(self, spec: ChildSpec) -> None:
        """Refuse a spec that contradicts this supervisor.

        Raises:
            InvalidSpec: It is no `ChildSpec`; or the child is significant, which needs an
                `AutoShutdown` other than ``never``.
        """
        mistakes = self.mistakes_of(spec)
        if mistakes:
            name = getattr(spec, "name", None)
            what = f"a child of {self.path!r}" if name is None else f"ChildSpec {name!r}"
            raise InvalidSpec(what, mistakes)

    def check_name(self, name: str) -> None:
        """Refuse a name that is taken.

        Raises:
            ChildAlreadyStarted: A running child has it.
            ChildAlreadyPresent: A child that is down has it.
        """
        there = self.children.get(name)
        if there is None:
            return
        if there.state in ACTIVE:
            raise ChildAlreadyStarted(there.path)

        raise ChildAlreadyPresent(there.path)

    def check_room(self, wanted: int = 1) -> None:
        """Refuse to start more children than allowed.

        Raises:
            MaxChildrenReached: With those that are wanted, more than ``max_children`` would be up.
        """
        limit = self.options.max_children
        if limit is not None and self.up + wanted > limit:
            raise MaxChildrenReached(self.path, limit)

    def find(self, name: str) -> ChildRecord:
        """Return the child of a name.

        Raises:
            TypeError: It is no name, but a handle for instance.
            ChildNotFound: There is none.
        """
        check_key("name", name, "child.name")
        record = self.children.get(name)
        if record is None:
            raise ChildNotFound(f"{self.path}/{name}")

        return record

    def launch(self, record: ChildRecord, *, awaited: bool) -> None:
        """Start a child that is down; `awaited` when the caller settles a start that fails."""
        record.awaited = awaited
        record.stop_asked_at = None
        record.gone_by = math.inf
        record.was_soft = False
        record.was_stuck = False
        record.exit = None
        record.alive = True
        record.launches += 1
        record.move(Move.START, trio.current_time())
        self._spawn_child(record, None)

    def _spawn_child(self, record: ChildRecord, delay: float | None) -> None:
        assert record.context is not None
        # The task copies the context that it is spawned in.
        record.context.run(self.spawn, run_child, record, delay, name=record.path)

    def task_ended(self, record: ChildRecord, delay: float | None) -> None:
        """Take note of the end of a child's task.

        Args:
            record: The child.
            delay: Seconds after which it is to be restarted in another task, or None.
        """
        if delay is None:
            record.alive = False
            record.wake()
            if self.stop_in_turn is not None:
                self.stop_in_turn.go_on()
        else:
            self._spawn_child(record, delay)
        self.left()

    def window_for(self, spec: ChildSpec) -> RestartWindow:
        """Return the restarts that those of a child count with."""
        if spec.intensity is not None:
            return RestartWindow(spec.intensity)

        if self.window is None:
            self.window = RestartWindow(self.options.intensity)
        return self.window

    def remove(self, record: ChildRecord, now: float) -> None:
        """Forget a child."""
        record.move(Move.REMOVE, now)
        # It refers to the record: with it, only the cycle collector would free both.
        record.context = None
        del self.children[record.spec.name]

    def rest(self, record: ChildRecord, now: float) -> None:
        """Leave a child down whose run, or whose restart, is over for good."""
        record.awaited = False
        if record.spec.restart is RestartType.TEMPORARY:
            self.remove(record, now)
        else:
            record.move(Move.REST, now)

    # --- the end ---------------------------------------------------------------------------------

    @property
    def stopped(self) -> trio.Event:
        """Set once the last child has ended."""
        # Made when it is asked for: it weighs as much as the rest of an idle supervisor's own.
        if self._stopped is None:
            self._stopped = trio.Event()
        return self._stopped

    def end(self) -> None:
        """End the supervisor from within: stop the children in order, and cancel the body."""
        self.begin_stop()
        if self.nursery is not None:
            self.body.cancel()

    def begin_stop(self) -> None:
        """Begin the ordered stop, unless it has begun."""
        if self.nursery is not None and self.close():
            self.spawn(stop_in_background, self, name=f"{self.path} (stopping)")

    def close(self) -> bool:
        """Take no more children; tell whether it is for the caller to stop those there are."""
        if self.closing:
            return False

        self.closing = True
        self.stop_log = StopLog(trio.current_time())
        return True

    def end_stop(self) -> None:
        """Take note that the last child has ended."""
        assert self.stop_log is not None
        self.ended_at = trio.current_time()
        self.stop_report = self.stop_log.report(self.ended_at)
        self.stop_log = None
        self.stopped.set()

    def absorb_stop_of(self, inner: Core) -> None:
        """Take what stopped within a child into the report of this stop, if there is one."""
        if self.stop_log is not None and inner.stop_report is not None:
            self.stop_log.absorb(inner.stop_report)

    def classify(self, path: str, error: Exception) -> Cause:
        """Classify a failure of a child, or of what is in it."""
        return cause_of(self.options.classify, self.reporter, path, error)
