"""What every channel must keep to, as a check that anybody's tests can run.

Each rule is a function of a `Subject`, and stands alone: it opens what it needs.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from functools import partial
from typing import Any

import trio

from .._exceptions import ChannelError
from .._supervision.record import ChildInfo
from .._supervision.supervisor import Supervisor
from ..abc import Channel
from ..policy.failures import Cause, FailureClass, flatten
from ..policy.restart import ChildState, RestartType
from .conformance_subject import Subject, checked_context
from .injection import MOST_CHECKPOINTS, checkpoints, cut_at, cut_everywhere
from .leftovers import leaving_no_garbage, leaving_nothing
from .lull import settle
from .rules import MAX_HOLD, BrokenRule, Late, check_factory, limited, said, when

TIMEOUT = 10.0
"""Seconds to connect, and to close; the defaults of `ReconnectPolicy` are no shorter."""
PATIENCE = 2.0
"""Seconds that something may take to end when it is cancelled."""


Rule = Callable[[Subject], Awaitable[None]]


async def check_channel(
    make_channel: Callable[[], Channel[Any]],
    *,
    limit: float = TIMEOUT,
    patience: float = PATIENCE,
) -> None:
    """Check that a channel keeps to what `Channel` promises.

    It is opened, probed, closed, cancelled at every checkpoint of all that, and looked after for
    what it leaves behind, while the instance's own children run. The far end must be there and
    accept every connection. It runs in any Trio test, and needs no pytest. Where a channel waits
    for what is outside of Trio, such as a thread or a socket, the clock must be a real one: a
    virtual one leaps over the time that this takes. Something that never ends at all, because it
    shields itself for ever, hangs the check as well: give the test a time limit.

    Cancelling it ends it as soon as the channel lets it.

    Args:
        make_channel: Returns a new channel; it is called once for each rule.
        limit: Seconds that connecting, a probe, and closing may take.
        patience: Seconds that any of them may take to end when it is cancelled.

    Raises:
        InvalidSpec: What is to make them cannot be called.
        BrokenRule: With the rule, and what was seen; an `AssertionError`.
    """
    check_factory("check_channel", "make_channel", make_channel)
    with leaving_no_garbage("a channel closes and awaits what it has made"):
        for rule in RULES:
            subject = Subject(make_channel(), limit, patience)
            async with leaving_nothing("nothing of a connection is left behind", when(rule)):
                await _hold_to(rule, subject)


async def _hold_to(rule: Rule, subject: Subject) -> None:
    """Check one rule, while the instance's own children run."""
    try:
        async with subject.run_own_children():
            await rule(subject)
    except Late as late:
        raise BrokenRule("every step ends in time", f"{when(rule)}: {late}") from None


# --- the rules -----------------------------------------------------------------------------------


async def _opens_and_closes(subject: Subject) -> None:
    """It can be connected to, its children get ready, it passes its probe, it closes."""
    rule = "a channel connects, passes its probe, and closes, each in time"
    step = "connect"
    try:
        async with subject.generation() as (connection, _):
            step = "probe"
            await _pass_probe(subject, connection)
            step = "closing"
    except BrokenRule:
        raise
    except Late as late:
        raise BrokenRule(rule, str(late)) from None
    except Exception as exc:
        raise BrokenRule(rule, f"{step} raised {said(exc)}") from exc


async def _pass_probe(subject: Subject, connection: Any) -> None:
    probe: Callable[..., Awaitable[object]] = subject.channel.probe
    with limited("probe", subject.limit):
        answer = await probe(subject.instance, connection)
    if answer is not None:
        rule = "a probe raises when the connection is not healthy"
        raise BrokenRule(rule, f"it returned {answer!r}, and nobody looks at that")


async def _lets_others_run(subject: Subject) -> None:
    """No step of a connection's life holds the loop. None is cancelled here."""
    uncut = MOST_CHECKPOINTS
    await cut_at(uncut, "a connection", subject.live, subject.patience, subject.whole)


async def _has_connections_of_its_own(subject: Subject) -> None:
    """Nothing of a dead connection reaches the next one, and there can be a next one."""
    async with subject.generation() as (first, _):
        pass
    try:
        async with subject.generation() as (second, _):
            pass
    except Late as late:
        again = "after a connection was closed there can be another one"
        raise BrokenRule(again, str(late)) from None

    if second is first and not _is_plain(first):
        raise BrokenRule(
            "each generation has a connection of its own",
            f"connect gave {first!r} twice; make it anew in connect",
        )


async def _bears_two_at_once(subject: Subject) -> None:
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


async def _survives_cancellation(subject: Subject) -> None:
    """Cancelled at any checkpoint it ends soon, raises nothing else, and connects again."""
    await cut_everywhere("a connection", subject.live, subject.patience, subject.whole)


async def _survives_cancelled_probes(subject: Subject) -> None:
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


async def _lets_failures_pass(subject: Subject) -> None:
    """What the block of connect raises comes out of it."""
    rule = "what the block of connect raises comes out of it"
    failure = _Failure("raised in the block")
    try:
        with limited("connect", subject.limit):
            async with checked_context(subject.channel.connect(subject.instance)):
                _raise(failure)
    except Late:
        raise
    except Exception as exc:
        if failure not in flatten(exc):
            raise BrokenRule(rule, f"it raised {said(exc)} instead") from exc
    else:
        raise BrokenRule(rule, "connect has swallowed it")


async def _has_restartable_children(subject: Subject) -> None:
    """A child that is stopped can be started again on the same connection, and runs."""
    name = ""
    try:
        async with subject.generation() as (_, supervisor):
            await settle()
            for before in supervisor.which_children():
                name = before.name
                if _comes_back(supervisor, before):
                    with limited("its restart", subject.limit):
                        await supervisor.terminate_child(name)
                        stopped = _info(supervisor, name)
                        await supervisor.restart_child(name)
                    await settle()
                    _check_again(supervisor, stopped)
    except BrokenRule:
        raise
    except Exception as exc:
        raise BrokenRule(RESTARTABLE, f"{name!r} raised {said(exc)}") from exc


async def _classifies_everything(subject: Subject) -> None:
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

RESTARTABLE = "a child can be started again on the same connection"


def _comes_back(supervisor: Supervisor, child: ChildInfo) -> bool:
    """Tell whether a child runs that an operator, or its supervisor, may restart."""
    temporary = supervisor.get_childspec(child.name).restart is RestartType.TEMPORARY
    return child.state is ChildState.RUNNING and not temporary


def _info(supervisor: Supervisor, name: str) -> ChildInfo:
    (info,) = (each for each in supervisor.which_children() if each.name == name)
    return info


def _check_again(supervisor: Supervisor, before: ChildInfo) -> None:
    """Check that a child runs again, or has ended well, since it was restarted."""
    now = _info(supervisor, before.name)
    if now.last_cause is not before.last_cause:
        raise BrokenRule(RESTARTABLE, f"{now.name!r} failed at once: {now.last_cause}")
    if now.state in (ChildState.RESTARTING, ChildState.REMOVED):
        raise BrokenRule(RESTARTABLE, f"{now.name!r} is {now.state} at once")


def _is_plain(connection: object) -> bool:
    """Tell whether a connection is a value that has no state, so that two may be one object."""
    if isinstance(connection, tuple | frozenset):
        return all(map(_is_plain, connection))

    return connection is None or isinstance(connection, int | float | complex | str | bytes | Enum)


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
