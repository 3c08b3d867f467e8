"""What every sink must keep to, as a check that anybody's tests can run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import final

from ..abc import Sink
from ..policy.failures import Cause, FailureClass
from ..policy.status import InstanceStatus
from ..telemetry.child_events import ChildExited
from ..telemetry.events import HookFailed, InstanceFailed
from ..telemetry.runtime_events import RuntimeStarted, RuntimeStopped
from ..telemetry.schema import Event
from ..telemetry.sinks.feed import FLUSH_TIMEOUT, MAX_BATCH
from ..telemetry.status_events import StatusChanged
from .conformance import PATIENCE
from .injection import cut_everywhere
from .leftovers import leaving_no_garbage, leaving_nothing
from .rules import BrokenRule, Late, check_factory, limited, said, when

_STRANGE = Cause(
    FailureClass.FATAL,
    "banned",
    'two\nlines, a "quote", \x1b[31m, {braces}, <tags>, ünïcödé, \udc80',
    "Error",
    retry_after=1.5,
)
_BOT = {"instance_id": "bot", "channel_type": "fake"}

BATCH: Sequence[Event] = (
    RuntimeStarted(at=0.0),
    StatusChanged(
        at=0.5,
        status=InstanceStatus.CONNECTED,
        previous=InstanceStatus.CONNECTING,
        elapsed=0.5,
        **_BOT,
    ),
    ChildExited(
        at=1.0,
        path="runtime/bot/reader",
        child="reader",
        incarnation=1,
        generation=1,
        uptime=0.5,
        cause=_STRANGE,
        stack=("feed.py:7 in parse: raise KeyError('é\u2028')",),
        **_BOT,
    ),
    InstanceFailed(at=2.0, cause=_STRANGE, **_BOT),
    HookFailed(at=3.0, hook="close", path="bot", cause=_STRANGE),
    RuntimeStopped(at=4.0, elapsed=1.0),
)
"""Events with and without an instance, a child and a cause, whose text is what texts can be."""


@final
class _Subject:
    """Sinks to be checked, and what they may take."""

    def __init__(self, make_sink: Callable[[], Sink], limit: float, patience: float) -> None:
        self.make = make_sink
        self.limit = limit
        self.patience = patience

    async def try_out(self, what: str, call: Callable[[], Awaitable[object]]) -> None:
        """Let a sink do one thing in time.

        Raises:
            BrokenRule: It raised something, or was late.
        """
        rule = "a sink takes in any events, and closes, each in time"
        try:
            with limited(what, self.limit):
                await call()
        except Late as late:
            raise BrokenRule(rule, str(late)) from None
        except Exception as exc:
            raise BrokenRule(rule, f"{what} raised {said(exc)}") from exc


async def check_sink(
    make_sink: Callable[[], Sink],
    *,
    limit: float = FLUSH_TIMEOUT,
    patience: float = PATIENCE,
) -> None:
    """Check that a sink keeps to what `Sink` promises.

    It is given events of many kinds, a full batch of them, is cancelled at every checkpoint of a
    write and of its closing, and looked after for what it leaves behind. Where it writes to must be
    there. It runs in any Trio test, and needs no pytest.

    Args:
        make_sink: Returns a new sink; it is called several times.
        limit: Seconds that a write, and the closing, may take.
        patience: Seconds that either may take to end when it is cancelled.

    Raises:
        InvalidSpec: What is to make them cannot be called.
        BrokenRule: With the rule, and what was seen; an `AssertionError`.
    """
    check_factory("check_sink", "make_sink", make_sink)
    subject = _Subject(make_sink, limit, patience)
    with leaving_no_garbage("a sink closes and awaits what it has made"):
        for rule in RULES:
            async with leaving_nothing("nothing of a sink is left behind", when(rule)):
                await _hold_to(rule, subject)


async def _hold_to(rule: Callable[[_Subject], Awaitable[None]], subject: _Subject) -> None:
    try:
        await rule(subject)
    except Late as late:
        raise BrokenRule("every step ends in time", f"{when(rule)}: {late}") from None


# --- the rules -----------------------------------------------------------------------------------


async def _takes_in_any_event(subject: _Subject) -> None:
    """One by one, together, and as many as one write can have."""
    sink = subject.make()
    for event in BATCH:
        await subject.try_out(f"write of {event.name}", partial(sink.write, [event]))
    many = [BATCH[number % len(BATCH)] for number in range(MAX_BATCH)]
    await subject.try_out(f"write of {MAX_BATCH} events", partial(sink.write, many))
    await subject.try_out("aclose", sink.aclose)


async def _closes_unused(subject: _Subject) -> None:
    """A runtime that ends at once closes a sink that was never written to."""
    await subject.try_out("aclose without a write", subject.make().aclose)


async def _survives_cancelled_writes(subject: _Subject) -> None:
    """A write that takes too long is cancelled; the next one is taken in all the same."""
    sink = subject.make()
    await cut_everywhere("a write", partial(sink.write, BATCH), subject.patience, subject.limit)
    await subject.try_out("write after one that was cancelled", partial(sink.write, BATCH))
    await subject.try_out("aclose", sink.aclose)


async def _survives_a_cancelled_closing(subject: _Subject) -> None:
    """A closing that takes too long is cancelled, and has released what it can."""

    async def use() -> None:
        sink = subject.make()
        try:
            await sink.write(BATCH)
        finally:
            await sink.aclose()

    await cut_everywhere("a closing", use, subject.patience, 2 * subject.limit)


RULES: Sequence[Callable[[_Subject], Awaitable[None]]] = (
    _takes_in_any_event,
    _closes_unused,
    _survives_cancelled_writes,
    _survives_a_cancelled_closing,
)
