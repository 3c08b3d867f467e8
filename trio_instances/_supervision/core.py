"""The state of one supervisor, and what it does about the exits of its children.

Decisions come from `policy.restart`; nothing here decides. Everything is synchronous: the state
changes between two checkpoints, so that nobody ever sees half of a change.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from random import Random
from typing import TYPE_CHECKING, Any, cast, final

import trio

from .._exceptions import (
    ChildNotFound,
    Escalation,
    FatalChildFailure,
    InvalidSpec,
    Mistake,
    RestartLimitExceeded,
    SupervisorNotRunning,
)
from ..policy.failures import (
    Cause,
    Classify,
    classify_failure,
    flatten,
    merge_causes,
    stated_cause,
)
from ..policy.intensity import RestartIntensity, RestartWindow
from ..policy.restart import (
    RETURNED,
    ChildState,
    Decision,
    Exit,
    Move,
    RestartType,
    Verdict,
    decide,
    ends_supervisor,
)
from ..policy.strategies import AutoShutdown, Strategy
from .context import current
from .record import ACTIVE, ChildExit, ChildRecord
from .running import run_child
from .stopping import stop_all

if TYPE_CHECKING:
    from ..policy.backoff import Backoff
    from ..policy.specs import ChildSpec
    from .reporter import Reporter

_CHANCE = Random()
"""Jitter for supervisors that were given no random numbers of their own."""


@final
class Core:
    """One supervisor.

    Args:
        path: Where it is in the tree.
        strategy: What a restart takes along.
        intensity: How many restarts are too many.
        auto_shutdown: When the end of significant children ends it.
        backoff: Delays between restarts; None: at once.
        classify: How an exception becomes a cause.
        reporter: Who is told what happened.
        random: Where chance comes from.
    """

    def __init__(
        self,
        *,
        path: str,
        strategy: Strategy,
        intensity: RestartIntensity,
        auto_shutdown: AutoShutdown,
        backoff: Backoff | None,
        classify: Classify,
        reporter: Reporter,
        random: Random | None,
    ) -> None:
        self.path = path
        self.strategy = strategy
        self.auto_shutdown = auto_shutdown
        self.backoff = backoff
        self.reporter = reporter
        self.random = random or _CHANCE
        self.window = RestartWindow(intensity)
        self.children: dict[str, ChildRecord] = {}
        """In start order; a restart keeps the place."""
        self.parent: ChildRecord | None = None
        """The child within which it is open, if any."""
        self.nursery: trio.Nursery | None = None
        self.body = trio.CancelScope()
        """Around the block's body: cancelled when the supervisor ends by itself."""
        self.closing = False
        self.stopped = trio.Event()
        self.escalation: Escalation | None = None
        self.passed: list[BaseException] = []
        """What no supervisor may keep: Ctrl-C, SystemExit and their like."""
        self.rounds: set[trio.CancelScope] = set()
        """Group restarts under way, or waiting for their turn."""
        self.turn: AbstractAsyncContextManager[object] = (
            nullcontext() if strategy is Strategy.ONE_FOR_ONE else trio.Lock()
        )
        """Held by whoever restarts a group, or changes the children, one after the other."""
        self.on_group_exit: Callable[[ChildRecord, ChildExit], None] | None = None
        self._classify = classify
        self._tasks = 0
        self._idle: trio.Event | None = None

    # --- tasks -----------------------------------------------------------------------------------

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
        if self._tasks == 0 and self._idle is not None:
            self._idle.set()

    async def wait_idle(self) -> None:
        """Wait until no task of the supervisor is left."""
        while self._tasks:
            self._idle = trio.Event()
            await self._idle.wait()

    # --- children --------------------------------------------------------------------------------

    def register(self, spec: ChildSpec) -> ChildRecord:
        """Take in a child, last in start order, with the context that each run of it is to see."""
        self.check_spec(spec)
        path = f"{self.path}/{spec.name}"
        window = self.window if spec.intensity is None else RestartWindow(spec.intensity)
        record = ChildRecord(self, spec, path, window, trio.current_time())
        record.context = contextvars.copy_context()
        record.context.run(current.set, record)
        self.children[spec.name] = record
        return record

    def check_spec(self, spec: ChildSpec) -> None:
        """Refuse a spec that contradicts this supervisor.

        Raises:
            InvalidSpec: Significant children need an `AutoShutdown` other than ``never``.
        """
        if spec.significant and self.auto_shutdown is AutoShutdown.NEVER:
            expected = "needs a supervisor with auto_shutdown, this one has auto_shutdown='never'"
            raise InvalidSpec(
                f"ChildSpec {spec.name!r}", [Mistake("significant", spec.significant, expected)]
            )

    def find(self, name: str) -> ChildRecord:
        """Return the child of a name.

        Raises:
            ChildNotFound: There is none.
        """
        record = self.children.get(name)
        if record is None:
            raise ChildNotFound(f"{self.path}/{name}")

        return record

    def launch(self, record: ChildRecord, *, awaited: bool) -> None:
        """Start a child that is down; `awaited` when the caller settles a start that fails."""
        record.awaited = awaited
        record.stop_asked_at = None
        record.was_soft = False
        record.exit = None
        record.alive = True
        record.launches += 1
        record.move(Move.START, trio.current_time())
        assert record.context is not None
        # The task copies the context that it is spawned in.
        record.context.run(self.spawn, run_child, self, record, name=record.path)

    def remove(self, record: ChildRecord, now: float) -> None:
        """Forget a child."""
        record.move(Move.REMOVE, now)
        record.context = (
            None  # it refers to the record: with it, only the cycle collector frees both
        )
        del self.children[record.spec.name]

    # --- exits -----------------------------------------------------------------------------------

    def after_exit(self, record: ChildRecord, exit_: ChildExit | None) -> float | None:
        """Take in the end of an incarnation.

        Returns:
            Seconds after which the child's own task restarts it, or None when that task ends.
        """
        now = trio.current_time()
        if record.stop_asked_at is not None or exit_ is None:
            self._after_stop(record, exit_, now)
            return None

        self._report_exit(record, exit_, now)
        if exit_.kind is Exit.DECLINED:
            self._rest(record, now)
            return None
        if record.awaited:
            record.exit = exit_
            record.wake()
            return None
        if self.on_group_exit is not None and not self.closing:
            record.exit = exit_
            self.on_group_exit(record, exit_)
            return None

        decision = self.settle(record, exit_)
        return decision.delay if decision.verdict is Verdict.RESTART else None

    def _after_stop(self, record: ChildRecord, exit_: ChildExit | None, now: float) -> None:
        if exit_ is not None:
            scope = record.scope
            forced = record.was_soft and scope is not None and scope.cancel_called
            self.reporter.stopped(record, now, forced=forced, cause=exit_.cause)
        self._rest(record, now)

    def _rest(self, record: ChildRecord, now: float) -> None:
        record.awaited = False
        if record.spec.restart is RestartType.TEMPORARY:
            self.remove(record, now)
        else:
            record.move(Move.REST, now)

    def _report_exit(self, record: ChildRecord, exit_: ChildExit, now: float) -> None:
        if exit_.cause is not None:
            record.last_cause = exit_.cause
        if exit_.kind is Exit.DECLINED:
            self.reporter.declined(record, now)
        elif exit_.kind is Exit.START_FAILED:
            assert exit_.cause is not None
            self.reporter.start_failed(record, now, exit_.cause)
        else:
            self.reporter.exited(record, now, exit_.cause)

    def settle(self, record: ChildRecord, exit_: ChildExit) -> Decision:
        """Decide about an exit, and do what needs no waiting: all but the restart itself."""
        now = trio.current_time()
        record.exit = None
        record.awaited = False
        if self.closing:
            self._rest(record, now)
            return Decision(Verdict.STAY)

        cause = exit_.cause or RETURNED
        decision = self._decide(record, exit_, cause, now)
        match decision.verdict:
            case Verdict.RESTART:
                record.restarts += 1
                record.attempt += 1
                record.ticket += 1
                record.move(Move.RETRY, now)
                self.reporter.restarting(record, now, cause, decision)
            case Verdict.STAY:
                record.move(Move.REST, now)
            case Verdict.FORGET:
                self.remove(record, now)
            case Verdict.PARK:
                record.move(Move.PARK, now)
                self.reporter.parked(record, now, cause)
            case Verdict.ESCALATE:
                record.move(Move.REST, now)
                self._escalate(record, exit_, cause, exceeded=decision.exceeded)
        self._auto_shutdown(record, decision.verdict)
        return decision

    def _decide(self, record: ChildRecord, exit_: ChildExit, cause: Cause, now: float) -> Decision:
        spec = record.spec
        backoff = spec.backoff or self.backoff
        if backoff is not None and exit_.kind is not Exit.START_FAILED:
            proven = now - record.ready_at >= backoff.proven_after(record.attempt)
            record.attempt = 0 if proven else record.attempt

        return decide(
            restart=spec.restart,
            essential=spec.essential,
            exit_kind=exit_.kind,
            cause=cause,
            window=record.window,
            backoff=backoff,
            attempt=record.attempt,
            now=now,
            u=0.0 if backoff is None else self.random.random(),
        )

    def _auto_shutdown(self, record: ChildRecord, verdict: Verdict) -> None:
        if not record.spec.significant:
            return

        others = any(
            other.spec.significant
            and (other.state in ACTIVE or other.state is ChildState.RESTARTING)
            for other in self.children.values()
            if other is not record
        )
        if ends_supervisor(
            self.auto_shutdown, significant=True, verdict=verdict, others_active=others
        ):
            self.end()

    # --- the end ---------------------------------------------------------------------------------

    def _escalate(
        self, record: ChildRecord, exit_: ChildExit, cause: Cause, *, exceeded: bool
    ) -> None:
        failure: Escalation
        if exceeded:
            limit = record.window.intensity
            failure = RestartLimitExceeded(
                self.path, record.path, cause, limit.max_restarts, limit.period
            )
        else:
            failure = FatalChildFailure(self.path, record.path, cause)
        failure.__cause__ = exit_.error
        self.escalation = failure
        self.reporter.escalated(failure, record, exceeded=exceeded)
        self.end()

    def let_pass(self, error: BaseException) -> Exception | None:
        """Keep what must go through a supervisor until its children are stopped.

        Returns:
            The part of the error that is an ordinary failure of the child, if there is one.
        """
        ordinary: Exception | None = None
        passing: BaseException | None = error
        if isinstance(error, BaseExceptionGroup):
            ordinary, passing = error.split(Exception)
        if passing is not None:
            self.passed.append(passing)
            self.end()

        return ordinary

    def end(self) -> None:
        """End the supervisor from within: stop the children in order, and cancel the body."""
        self.begin_stop()
        self.body.cancel()

    def begin_stop(self) -> None:
        """Begin the ordered stop, unless it has begun."""
        if not self.closing and self.nursery is not None:
            self.closing = True
            self.spawn(stop_all, self, name=f"{self.path} (stopping)")

    def classify(self, path: str, error: Exception) -> Cause:
        """Classify a failure, leaf by leaf where it is a group.

        A leaf that states its cause is not asked about. A `classify` that fails itself is reported,
        and the library's own rules are used.
        """
        return merge_causes(self._classify_leaf(path, leaf) for leaf in flatten(error))

    def _classify_leaf(self, path: str, leaf: BaseException) -> Cause:
        stated = stated_cause(leaf)
        if stated is not None:
            return stated

        try:
            cause = self._classify(cast("Exception", leaf))
        except Exception as broken:
            self.reporter.hook_failed("classify", path, broken)
            return classify_failure(leaf)

        if isinstance(cause, Cause):
            return cause

        rubbish = TypeError(f"classify returned {cause!r}, not a Cause")
        self.reporter.hook_failed("classify", path, rubbish)
        return classify_failure(leaf)
