"""What a failure means: its class, its reason, its hints, and who must act.

Which failure means what is data, and stands elsewhere: the rule sets of `causes`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import final

from attrs import evolve, field, frozen

from .mistakes import MistakeList, member_or_given


class FailureClass(StrEnum):
    """How bad a failure is. The set is closed.

    - ``recoverable``: transient; a bounded retry mends it.
    - ``degraded``: quality is lost, and the system goes on; nothing crashes.
    - ``fatal``: no retry can mend it; it surfaces at once.
    """

    RECOVERABLE = "recoverable"
    DEGRADED = "degraded"
    FATAL = "fatal"


class WhoMustAct(StrEnum):
    """Who can mend what the runtime cannot."""

    NOBODY = "nobody"
    OPERATOR = "operator"
    CREDENTIALS = "credentials"
    CONFIGURATION = "configuration"
    AUTHOR = "author"


_SEVERITY = {FailureClass.RECOVERABLE: 0, FailureClass.DEGRADED: 1, FailureClass.FATAL: 2}


def _failure_class(value: FailureClass | str) -> FailureClass:
    return member_or_given(FailureClass, value)


def _who_must_act(value: WhoMustAct | str) -> WhoMustAct:
    return member_or_given(WhoMustAct, value)


MAX_DETAIL = 500
"""Characters of a text that are kept."""


def _bounded(text: str) -> str:
    if not isinstance(text, str) or len(text) <= MAX_DETAIL:  # what is no text is refused later
        return text

    return text[: MAX_DETAIL - 1] + "…"


@final
@frozen
class Cause:
    """Why something failed, as data that policies, events and snapshots share.

    Raises:
        InvalidSpec: With every mistake.
    """

    failure_class: FailureClass = field(converter=_failure_class)
    """How bad it is, and so what the policies do about it."""
    reason: str
    """A short, stable word for it, such as ``close_4004`` or ``http_429``; not empty."""
    detail: str = field(default="", converter=_bounded)
    """The error's text, for people; what is beyond 500 characters is cut off."""
    error_type: str = ""
    """The exception's type name, or nothing where there was no exception."""
    retry_after: float | None = None
    """Seconds that the other side asked to wait before the next attempt, if it did; finite.

    0.0 says that it asked for the next attempt at once.
    """
    resumable: bool = False
    """Whether the session that was lost can be resumed by the next connection."""
    lost: bool = False
    """Whether the connection itself is gone, so that restarting a worker on it is useless."""
    planned: bool = False
    """Whether the connection was ended on purpose, in good order, for another to take its place.

    The other side did so (it restarts, it moves its clients, it lets no connection grow old), or
    this side's own rotation. Nothing has failed: it is no sign of trouble, and the next attempt is
    expected. It says neither when that attempt is wanted, which is `retry_after`, nor that the
    session goes on in it, which is `resumable`.
    """
    who_must_act: WhoMustAct = field(default=WhoMustAct.NOBODY, converter=_who_must_act)
    """Who can mend it where a retry cannot.

    Of a fatal cause that is known at once. A recoverable one may name somebody as well: a retry may
    help, and when the quick ones were in vain, health says who else can.
    """

    def __attrs_post_init__(self) -> None:
        hint = self.retry_after
        # One is made at each failure, so what nearly all of them hold is recognised by its exact
        # types. The full check, which alone decides, would add half to the cost of making one.
        if (
            type(self.failure_class) is FailureClass
            and type(self.reason) is str
            and self.reason
            and type(self.detail) is str
            and type(self.error_type) is str
            and (hint is None or (type(hint) is float and 0.0 <= hint < math.inf))
            and type(self.resumable) is bool
            and type(self.lost) is bool
            and type(self.planned) is bool
            and type(self.who_must_act) is WhoMustAct
        ):
            return

        self._check()

    def _check(self) -> None:
        wrong = MistakeList("Cause")
        wrong.member("failure_class", self.failure_class, FailureClass)
        wrong.text("reason", self.reason)
        wrong.text("detail", self.detail, empty=True)
        wrong.text("error_type", self.error_type, empty=True)
        wrong.number("retry_after", self.retry_after, finite=True, optional=True)
        wrong.boolean("resumable", self.resumable)
        wrong.boolean("lost", self.lost)
        wrong.boolean("planned", self.planned)
        wrong.member("who_must_act", self.who_must_act, WhoMustAct)
        wrong.raise_any()

    def __str__(self) -> str:
        text = f"{self.reason} ({self.failure_class})"
        if self.error_type or self.detail:
            text += f": {': '.join(part for part in (self.error_type, self.detail) if part)}"

        return text


CLOSE_TIMEOUT = "close_timeout"
"""The reason of the one cause that says that a closing was cut short: a peer that is gone answers
none."""
PROBE_TIMEOUT = "probe_timeout"
"""The reason of the one cause that says that the other side does not answer any more."""


@final
class ProbeTimedOut(TimeoutError):
    """A probe had no answer within its ``timeout``; a channel's ``classify`` is asked about it.

    It is never raised. The cause is always a recoverable ``probe_timeout``; whether it is
    ``resumable`` is what the channel's rules say of this error.

    Args:
        seconds: The budget that the probe had.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(seconds)

    def __str__(self) -> str:
        return f"no answer within {self.seconds:g} s"


Classify = Callable[[Exception], Cause]
"""How an exception becomes a cause. It is called once per failure and must not block."""


def merge_causes(causes: Iterable[Cause]) -> Cause:
    """Merge several causes of one exit: the worst class wins, hints are kept.

    The longest wait is kept. One cause that has lost the connection has lost it; the session can be
    resumed only if no cause speaks against it, and the end was planned only if all of it was.

    Args:
        causes: At least one cause.
    """
    several = list(causes)
    if len(several) == 1:
        return several[0]

    worst = max(several, key=lambda cause: _SEVERITY[cause.failure_class])
    hints = [cause.retry_after for cause in several if cause.retry_after is not None]
    return evolve(
        worst,
        retry_after=max(hints, default=None),
        resumable=all(cause.resumable for cause in several),
        lost=any(cause.lost for cause in several),
        planned=all(cause.planned for cause in several),
    )


def flatten(exc: BaseException) -> Iterator[BaseException]:
    """Yield the leaves of an exception group, however nested; an exception is its own leaf."""
    waiting = [exc]
    while waiting:
        found = waiting.pop()
        if isinstance(found, BaseExceptionGroup):
            waiting.extend(reversed(found.exceptions))
        else:
            yield found


def stated_cause(exc: BaseException) -> Cause | None:
    """Return the cause that an exception carries in its attribute ``cause``, if it does."""
    try:
        stated = getattr(exc, "cause", None)
    except Exception:
        # Somebody else's property of the same name, and broken: it states nothing.
        return None

    return stated if isinstance(stated, Cause) else None


def text_of(exc: BaseException) -> str:
    """Return an exception's text, bounded, and never raise for a broken ``__str__``."""
    try:
        text = str(exc)
    except Exception as broken:
        text = f"<its __str__ raised {type(broken).__qualname__}>"

    return _bounded(text)
