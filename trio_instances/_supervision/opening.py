"""Opening a supervisor: the block its children live in."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from random import Random
from types import TracebackType
from typing import TypedDict, Unpack, final

import trio
from trio.lowlevel import enable_ki_protection

from .._exceptions import SupervisorNotRunning
from ..policy.backoff import Backoff
from ..policy.causes.defaults import classify_failure
from ..policy.failures import Classify, flatten
from ..policy.intensity import RestartIntensity
from ..policy.mistakes import MistakeList, member_or_given
from ..policy.options import SupervisorOptions
from ..policy.specs import ChildSpec
from ..policy.strategies import AutoShutdown, StopOrder, Strategy
from ..telemetry.bus import EventBus
from .context import current
from .core import Core
from .record import ChildRecord
from .reporter import Reporter
from .rounds import queue_round
from .stopping import cancel_all, stop_all
from .supervisor import Supervisor
from .uninterrupted import AsyncOnly

OTP_INTENSITY = RestartIntensity()


class OpeningOptions(TypedDict, total=False):
    """What `open_supervisor` takes, for calls that hand it on."""

    strategy: Strategy | str
    intensity: RestartIntensity
    auto_shutdown: AutoShutdown | str
    backoff: Backoff | None
    classify: Classify
    max_children: int | None
    stop_order: StopOrder | str
    name: str
    events: EventBus | None
    random: Random | None


def open_supervisor(
    *,
    strategy: Strategy | str = Strategy.ONE_FOR_ONE,
    intensity: RestartIntensity = OTP_INTENSITY,
    auto_shutdown: AutoShutdown | str = AutoShutdown.NEVER,
    backoff: Backoff | None = None,
    classify: Classify = classify_failure,
    max_children: int | None = None,
    stop_order: StopOrder | str = StopOrder.REVERSE,
    name: str = "supervisor",
    events: EventBus | None = None,
    random: Random | None = None,
) -> AbstractAsyncContextManager[Supervisor]:
    """Open a supervisor: a nursery that restarts its children.

    Leaving the block waits for the children, as a nursery does. An exception in the body, a
    cancellation of the surroundings, Ctrl-C, an escalation and ``auto_shutdown`` all lead to the
    same ordered stop: reverse start order, one at a time. Only then does what led to it go on.
    Cancelling it takes as long as its children take to stop, because nothing is abandoned.

    Args:
        strategy: What a restart takes along.
        intensity: How many restarts are too many; OTP's default is 1 in 5 s.
        auto_shutdown: When the end of significant children ends the supervisor.
        backoff: Delays between restarts; None restarts at once, as OTP does.
        classify: How a child's exception becomes a cause; must not block.
        max_children: How many children may be up, those included that are being started, restarted
            or stopped; None sets no limit. A child that is down takes no place.
        stop_order: Whether the end of the supervisor stops the children one after the other, or all
            at once, which suits children that know nothing of one another.
        name: What it is called at the root of a tree; inside a child, the child's path is used.
        events: Where it tells what happens; None takes that of the supervisor around it, if any.
        random: Where the jitter of delays comes from; None takes a generator of the library.

    Returns:
        The block, whose target is the supervisor. It belongs where this was called.

    Raises:
        InvalidSpec: An argument is not what it must be; all of them are listed.
        RestartLimitExceeded: More restarts were due than allowed.
        FatalChildFailure: An essential child failed in a way that no restart can mend.
        Exception: What the body raised, bare.
    """
    options = SupervisorOptions(
        strategy=member_or_given(Strategy, strategy),
        intensity=intensity,
        auto_shutdown=member_or_given(AutoShutdown, auto_shutdown),
        backoff=backoff,
        classify=classify,
        max_children=max_children,
        stop_order=member_or_given(StopOrder, stop_order),
    )
    wrong = MistakeList("open_supervisor")
    options.check(wrong)
    wrong.name("name", name)
    wrong.instance("events", events, EventBus, optional=True)
    wrong.instance("random", random, Random, optional=True)
    wrong.raise_any()

    parent = current.get(None)
    core = Core(
        path=name if parent is None else parent.path,
        options=options,
        reporter=_reporter(events, parent),
        random=random,
    )
    return run_core(core, parent)


def _reporter(events: EventBus | None, parent: ChildRecord | None) -> Reporter:
    if parent is None:
        return Reporter(EventBus() if events is None else events)

    around = parent.core.reporter
    if type(around) is Reporter and events is None:
        return around  # it knows nothing of its supervisor

    bus = around.bus if events is None else events
    instance_id, channel_type = around.labels(parent)
    return Reporter(bus, instance_id, channel_type, around.generation)


@final
class run_core(AsyncOnly):  # noqa: N801 - used as a function is
    """Give a supervisor its nursery, and take it down whatever happens.

    Children never raise through the nursery, and are shielded from its scope, which so is the
    body's alone: the end of the supervisor cancels it. The body's exception is kept until the
    children have stopped, and comes out bare.

    Not a generator: an interrupt in the frames of `contextlib`, which nothing protects, would leave
    the nursery open and its children lost; and it would be a quarter of what a supervisor weighs.
    The block itself is not protected.

    Args:
        core: The supervisor.
        parent: The child within which it is open, if any.
    """

    __slots__ = ("_core", "_nursery")

    opener = "open_supervisor"

    def __init__(self, core: Core, parent: ChildRecord | None) -> None:
        if core.options.strategy is not Strategy.ONE_FOR_ONE:
            core.on_group_exit = partial(queue_round, core)
        core.parent = parent
        self._core = core
        # Strict whatever the program has chosen: so it is certain what to unwrap.
        self._nursery = trio.open_nursery(strict_exception_groups=True)

    @enable_ki_protection
    async def __aenter__(self) -> Supervisor:
        core = self._core
        core.nursery = await self._nursery.__aenter__()
        if core.parent is not None:
            core.parent.nested = (*core.parent.nested, core)
        return Supervisor(core)

    @enable_ki_protection
    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        core = self._core
        failure = outcome = error
        try:
            try:
                while error is None and core.busy:
                    await core.wait_idle()
            except BaseException as exc:
                failure = exc
            await _stop(core)
            if _tells_only_of_the_end(core, failure):
                failure = None
            outcome = outcome_of(core, await self._close(failure))
            if outcome is not None and outcome is not error:
                raise outcome
            return outcome is None
        finally:
            _leave(core)
            # What is raised has this frame in its traceback.
            del error, failure, outcome

    async def _close(self, failure: BaseException | None) -> BaseException | None:
        """Close the nursery; return what is left of a failure without what its scope has caught."""
        # All others stay out of it: it takes every group apart, and makes another one of it.
        caught = failure if failure is not None and _holds_cancelled(failure) else None
        kind = None if caught is None else type(caught)
        try:
            await self._nursery.__aexit__(kind, caught, None)
        except BaseExceptionGroup as group:
            # The nursery's own: no other task in it raises, so there is the failure alone in it.
            return group.exceptions[0] if len(group.exceptions) == 1 else group
        except RuntimeError as misnested:
            # The body has left a scope open. Trio would show what it raised as the context.
            misnested.__context__ = failure
            return misnested
        else:
            return failure if caught is None else None
        finally:
            del failure, caught


def _leave(core: Core) -> None:
    """Take note that nothing of a supervisor is left."""
    core.nursery = None
    if core.parent is not None:
        core.parent.nested = tuple(each for each in core.parent.nested if each is not core)
        core.parent.core.absorb_stop_of(core)


def _holds_cancelled(failure: BaseException) -> bool:
    return any(map(_is_cancelled, flatten(failure)))


def _is_cancelled(leaf: BaseException) -> bool:
    return isinstance(leaf, trio.Cancelled)


async def _stop(core: Core) -> None:
    """Stop the children in order, or wait until that is done; nothing cuts this short.

    Ctrl-C reaches the main task at any checkpoint, also this one. It makes the stop hurry, and goes
    on when the stop is complete.
    """
    mine = core.close()
    with trio.CancelScope(shield=True):
        while core.stop_report is None:
            try:
                await (stop_all(core) if mine else core.stopped.wait())
            except KeyboardInterrupt as exc:
                core.passed = (*core.passed, exc)
                cancel_all(core)


def outcome_of(core: Core, failure: BaseException | None) -> BaseException | None:
    """Return what the block is to raise: what passed through, the escalation, the body's exception.

    Of several, a `trio.Cancelled` of the body gives way, and so does a group of nothing else: the
    scope that it belongs to raises it anew where there is something left to cancel. Ctrl-C twice is
    one interrupt. Any other are raised together, as nothing may be lost.
    """
    outcomes: list[BaseException] = list(core.passed)
    if core.escalation is not None:
        outcomes.append(core.escalation)
    if failure is not None and not (outcomes and all(map(_is_cancelled, flatten(failure)))):
        outcomes.append(failure)
    interrupts = [each for each in outcomes if isinstance(each, KeyboardInterrupt)]
    outcomes = [each for each in outcomes if each not in interrupts[1:]]
    if len(outcomes) > 1:
        message = f"supervisor {core.path!r} ended for several reasons"
        return BaseExceptionGroup(message, outcomes)

    return outcomes[0] if outcomes else None


def _tells_only_of_the_end(core: Core, failure: BaseException | None) -> bool:
    """Tell whether the body failed by asking something of a supervisor that had just ended."""
    ended_itself = core.body.cancel_called
    return ended_itself and isinstance(failure, SupervisorNotRunning) and failure.path == core.path


async def supervise(
    specs: Sequence[ChildSpec],
    *,
    task_status: trio.TaskStatus[Supervisor] = trio.TASK_STATUS_IGNORED,
    **options: Unpack[OpeningOptions],
) -> None:
    """Run a whole supervisor as one async function, so that a subtree is an ordinary child.

    It is ready when all its children are, one started after the other; if an essential one fails to
    start, those before it are stopped in reverse order and it raises. It returns when no child is
    left running, and so at once without any: a pool that begins empty is a function of one's own.

    Cancelling it stops the children in order.

    Args:
        specs: Its children, in start order.
        task_status: Told the supervisor when all children are ready.
        options: What `open_supervisor` takes.

    Raises:
        InvalidSpec: An option or a spec is not what it must be.
        ChildStartFailed: An essential child failed before it was ready.
        RestartLimitExceeded: More restarts were due than allowed.
        FatalChildFailure: An essential child failed in a way that no restart can mend.
    """
    async with open_supervisor(**options) as supervisor:
        await supervisor.start_children(specs)
        task_status.started(supervisor)
