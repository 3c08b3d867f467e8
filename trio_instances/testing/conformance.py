"""What every channel must keep to, as a check that anybody's tests can run.

Each rule is a function of a `_Subject`, and stands alone: it opens what it needs.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from random import Random
from typing import Any, final

import trio

from .._exceptions import ChannelError
from .._instance.handle import Instance
from .._instance.life_signs import LifeSigns
from .._instance.probe_schedule import ProbeSchedule
from .._instance.record import InstanceRecord
from .._instance.spec import InstanceSpec
from .._supervision.opening import open_supervisor
from .._supervision.supervisor import Supervisor
from ..abc import Channel
from ..policy.failures import Cause, FailureClass, flatten
from ..policy.specs import ChildSpec
from ..telemetry.bus import EventBus
from .injection import MOST_CHECKPOINTS, checkpoints, cut_at, cut_everywhere
from .leftovers import leaving_no_garbage, leaving_nothing
from .rules import MAX_HOLD, BrokenRule, said, when

TIMEOUT = 10.0
"""Seconds to connect, and to close; the defaults of `ReconnectPolicy` are no shorter."""
PATIENCE = 2.0
"""Seconds that something may take to end when it is cancelled."""


@final
class _Subject:
    """One channel to be checked, and an instance for it that does nothing."""

    def __init__(self, channel: Channel[Any], limit: float, patience: float) -> None:
        self.channel = channel
        self.limit = limit
        self.patience = patience
        spec = InstanceSpec(id="checked", channel=channel)
        record = InstanceRecord(spec, EventBus(), Random(0), LifeSigns(ProbeSchedule(1)))
        record.handle = self.instance = Instance(record)

    @asynccontextmanager
    async def generation(self) -> AsyncIterator[tuple[Any, Supervisor]]:
        """Open a connection with its children, and close it, as an instance does."""
        async with (
            _checked_context(self.channel.connect(self.instance)) as connection,
            open_supervisor(classify=self.channel.classify) as supervisor,
        ):
            children = _checked_children(self.channel.children(self.instance, connection))
            await supervisor.start_children(children)
            yield connection, supervisor
            await supervisor.stop()

    async def live(self) -> None:
        """Have one connection from its beginning to its end, a probe included."""
        async with self.generation() as (connection, _):
            await self.channel.probe(self.instance, connection)


Rule = Callable[[_Subject], Awaitable[None]]


async def check_channel(
    make_channel: Callable[[], Channel[Any]],
    *,
    limit: float = TIMEOUT,
    patience: float = PATIENCE,
) -> None:
    """Check that a channel keeps to what `Channel` promises.

    It is opened, probed, closed, cancelled at every checkpoint of all that, and looked after for
    what it leaves behind. The far end must be there and accept every connection. It runs in any
    Trio test, under any clock, and needs no pytest. Something that never ends at all, because it
    shields itself for ever, hangs the check as well: give the test a time limit.

    Cancelling it ends it as soon as the channel lets it.

    Args:
        make_channel: Returns a new channel; it is called once for each rule.
        limit: Seconds that connecting, a probe, and closing may take.
        patience: Seconds that any of them may take to end when it is cancelled.

    Raises:
        BrokenRule: With the rule, and what was seen; an `AssertionError`.
    """
    with leaving_no_garbage("a channel closes and awaits what it has made"):
        for rule in RULES:
            subject = _Subject(make_channel(), limit, patience)
            async with leaving_nothing("nothing of a connection is left behind", when(rule)):
                await rule(subject)


# --- the rules -----------------------------------------------------------------------------------


async def _opens_and_closes(subject: _Subject) -> None:
    """It can be connected to, its children get ready, it passes its probe, it closes."""
    rule = "a channel connects, passes its probe, and closes, each in time"
    stage = "connect"
    try:
        with trio.fail_after(subject.limit) as scope:
            async with subject.generation() as (connection, _):
                stage = "probe"
                scope.deadline = trio.current_time() + subject.limit
                await subject.channel.probe(subject.instance, connection)
                stage = "closing"
                scope.deadline = trio.current_time() + subject.limit
    except trio.TooSlowError:
        raise BrokenRule(rule, f"{stage} took longer than {subject.limit:g} s") from None
    except BrokenRule:
        raise
    except Exception as exc:
        raise BrokenRule(rule, f"{stage} raised {said(exc)}") from exc


async def _lets_others_run(subject: _Subject) -> None:
    """No step of a connection's life holds the loop. None is cancelled here."""
    uncut = MOST_CHECKPOINTS
    await cut_at(uncut, "a connection", subject.live, subject.patience, subject.limit)


async def _has_connections_of_its_own(subject: _Subject) -> None:
    """Nothing of a dead connection reaches the next one."""
    async with subject.generation() as (first, _):
        pass
    async with subject.generation() as (second, _):
        if second is first and second is not None:
            raise BrokenRule(
                "each generation has a connection of its own",
                f"connect gave {first!r} twice; make it anew in connect",
            )


async def _bears_two_at_once(subject: _Subject) -> None:
    """One that says it overlaps does: closing the old connection leaves the new one well."""
    if not subject.channel.overlaps:
        return

    rule = "a channel with overlaps=True bears two connections at once"
    try:
        async with subject.generation() as (newer, _):
            async with subject.generation():
                pass
            await subject.channel.probe(subject.instance, newer)
    except Exception as exc:
        raise BrokenRule(rule, f"the one that stays raised {said(exc)}") from exc


async def _survives_cancellation(subject: _Subject) -> None:
    """Cancelled at any checkpoint it ends soon, raises nothing else, and connects again."""
    await cut_everywhere("a connection", subject.live, subject.patience, subject.limit)


async def _survives_cancelled_probes(subject: _Subject) -> None:
    """A probe whose budget is used up is cancelled; the next one passes, or finds the loss.

    A message that was cut can be the end of a connection. Then the next probe must say so.
    """
    rule = "after a cancelled probe the next one passes, or finds that the connection is lost"
    for checkpoint in checkpoints("a probe"):
        async with subject.generation() as (connection, _):
            probe = partial(subject.channel.probe, subject.instance, connection)
            reached = await cut_at(checkpoint, "a probe", probe, subject.patience, subject.limit)
            try:
                with trio.fail_after(subject.limit):
                    await probe()
            except Exception as exc:
                if not subject.channel.classify(exc).lost:
                    how = f"cancelled at checkpoint {checkpoint}, and it raised {said(exc)}"
                    raise BrokenRule(rule, how) from exc
        if not reached:
            return


async def _lets_failures_pass(subject: _Subject) -> None:
    """What the block of connect raises comes out of it."""
    rule = "what the block of connect raises comes out of it"
    failure = _Failure("raised in the block")
    try:
        async with _checked_context(subject.channel.connect(subject.instance)):
            _raise(failure)
    except Exception as exc:
        if failure not in flatten(exc):
            raise BrokenRule(rule, f"it raised {said(exc)} instead") from exc
    else:
        raise BrokenRule(rule, "connect has swallowed it")


async def _has_restartable_children(subject: _Subject) -> None:
    """A child that is stopped can be started again on the same connection."""
    rule = "a child can be started again on the same connection"
    async with subject.generation() as (_, supervisor):
        for info in supervisor.which_children():
            try:
                with trio.fail_after(subject.limit):
                    await supervisor.terminate_child(info.name)
                    await supervisor.restart_child(info.name)
            except Exception as exc:
                raise BrokenRule(rule, f"{info.name!r} raised {said(exc)}") from exc


async def _classifies_everything(subject: _Subject) -> None:
    """Any exception gives a cause, at once, and nothing is raised for any."""
    rule = "classify gives a Cause for every exception"
    for exc in STRANGE:
        began = time.perf_counter()
        try:
            cause: object = subject.channel.classify(exc)
        except Exception as raised:
            raise BrokenRule(rule, f"for {said(exc)} it raised {said(raised)}") from raised

        seconds = time.perf_counter() - began
        _check_answer(rule, exc, cause, seconds)
    await trio.lowlevel.checkpoint()


RULES: Sequence[Rule] = (
    _opens_and_closes,
    _lets_others_run,
    _has_connections_of_its_own,
    _bears_two_at_once,
    _lets_failures_pass,
    _has_restartable_children,
    _classifies_everything,
    _survives_cancelled_probes,
    _survives_cancellation,
)


# --- what they are made of -----------------------------------------------------------------------


class _Failure(Exception):
    pass


def _raise(failure: Exception) -> None:
    raise failure


class _Wordless(Exception):
    def __str__(self) -> str:
        raise RuntimeError("it has no words")


STRANGE: Sequence[Exception] = (
    *(Exception(), ValueError("x"), KeyError("x"), TimeoutError(), EOFError(), _Wordless()),
    *(OSError(), OSError(104, "reset"), ConnectionRefusedError(111, "refused"), BlockingIOError()),
    *(trio.BrokenResourceError(), trio.ClosedResourceError(), trio.EndOfChannel()),
    *(trio.TooSlowError(), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), RecursionError()),
    ChannelError(Cause(FailureClass.FATAL, "stated")),
    ExceptionGroup("several", [ValueError("one"), ExceptionGroup("inner", [OSError("two")])]),
    Exception("x" * 10_000),
    Exception(b"\xff", object()),
    Exception("\udc80"),
)
"""Exceptions of all sorts; what a channel's own libraries raise is only a part of it."""


def _checked_context(given: object) -> AbstractAsyncContextManager[Any]:
    if isinstance(given, AbstractAsyncContextManager):
        return given

    if inspect.iscoroutine(given):
        given.close()  # or Python would warn that nobody awaits it
    raise BrokenRule(
        "connect returns an async context manager",
        f"it returned {given!r}; is @asynccontextmanager missing?",
    )


def _check_answer(rule: str, exc: Exception, cause: object, seconds: float) -> None:
    if inspect.iscoroutine(cause):
        cause.close()
        raise BrokenRule(rule, "it is async, and must be a plain function")
    if not isinstance(cause, Cause):
        raise BrokenRule(rule, f"for {said(exc)} it returned {cause!r}")
    if seconds > MAX_HOLD:
        raise BrokenRule(
            rule, f"for {said(exc)} it took {seconds:.1f} s, and lets nothing else run"
        )


def _checked_children(given: object) -> Sequence[ChildSpec]:
    rule = "children returns a sequence of ChildSpec, each with a name of its own"
    if inspect.iscoroutine(given):
        given.close()
    if not isinstance(given, Sequence) or not all(isinstance(c, ChildSpec) for c in given):
        raise BrokenRule(rule, f"it returned {given!r}")

    names = [child.name for child in given]
    if len(set(names)) < len(names):
        raise BrokenRule(rule, f"the names are {', '.join(names)}")

    return given
