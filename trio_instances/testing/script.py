"""What a fake does, attempt by attempt: the script language of `FakeChannel` and of the gateway.

A script is a value. It is put together, compared, drawn by hypothesis, and printed as the Python
that makes it::

    script = 3 * Attempt(refused=503) + Attempt(holds=90.0, ends=4004)

The first three attempts are refused with HTTP status 503; the fourth one connects, holds for 90 s,
and is closed with 4004; every later one does as `Script.then` says, which is to connect and stay.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TypeVar, cast, final

from attrs import field, frozen

from ..policy.causes.defaults import DEFAULTS
from ..policy.failures import Cause, FailureClass
from ..policy.mistakes import MistakeList
from .written import written, written_fields

T = TypeVar("T")

CRASH = Cause(FailureClass.RECOVERABLE, "crash", "as the script says")
"""What a child crashes with."""

Ending = Cause | int
"""Why something ends: a cause, or the number that a server says it with."""

_ABNORMAL = 1006
_CODES = range(1000, 5000)
_STATUSES = range(400, 600)


def as_tuple(value: Iterable[T]) -> tuple[T, ...]:
    """Return what is meant as a sequence as a tuple; anything else as it is, to be refused."""
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return tuple(value)

    return cast("tuple[T, ...]", value)


def _numbers(value: Iterable[int]) -> tuple[int, ...]:
    return as_tuple(value)


def _attempts(value: Iterable[Attempt]) -> tuple[Attempt, ...]:
    return as_tuple(value)


def check_each(wrong: MistakeList, name: str, values: object, kind: type) -> None:
    """Check that a field is a tuple of one kind of thing."""
    if not isinstance(values, tuple):
        wrong.add(name, values, f"must be a sequence of {kind.__name__}")
        return

    for index, value in enumerate(values):
        wrong.instance(f"{name}[{index}]", value, kind)


def _check_ending(
    wrong: MistakeList, name: str, value: Ending | None, numbers: range, what: str
) -> None:
    if value is None or isinstance(value, Cause):
        return

    if isinstance(value, bool) or not isinstance(value, int) or value not in numbers:
        wrong.add(name, value, f"must be a Cause or {what}")


def _check_numbers(wrong: MistakeList, name: str, value: object) -> None:
    if not isinstance(value, tuple):
        wrong.add(name, value, "must be a sequence of whole numbers of at least 1")
        return

    for index, number in enumerate(value):
        wrong.whole(f"{name}[{index}]", number, at_least=1)


@final
@frozen(kw_only=True, repr=False)
class Attempt:
    """One attempt to connect, and what becomes of the connection.

    Without arguments it connects at once, holds, sends a message now and then, answers probes, and
    closes in peace. Each field is one thing that goes wrong, and they can be combined. All times
    are in seconds.

    Attempts are added up to a `Script`, and multiplied: ``2 * Attempt(refused=503) + Attempt()``.

    Raises:
        InvalidSpec: With every mistake.
    """

    takes: float = 0.0
    """Until it is decided; ``math.inf``: it hangs until it is cancelled."""
    refused: Ending | None = None
    """Why it fails then: a cause, or an HTTP status; None: it is connected."""
    refuses_session: bool = False
    """Whether it fails where the instance brings a session, which is then forgotten."""
    holds: float = math.inf
    """From being connected to the loss."""
    ends: Ending = _ABNORMAL
    """Why it is lost then: a cause, which should say ``lost``, or a close code."""
    every: float = 30.0
    """From one message to the next; the first one comes at once."""
    deaf_after: float = math.inf
    """From being connected until no more messages come; 0.0: none ever does."""
    mute_after: float = math.inf
    """From being connected until probes are not answered any more."""
    rotates_after: float = math.inf
    """From being connected until the other side announces that it will end, and asks to be left;
    see `Instance.rotate`."""
    crashes: tuple[int, ...] = field(default=(), converter=_numbers)
    """The messages, counted from 1, at which the child that reads them crashes."""
    crash: Cause = CRASH
    """What it crashes with."""
    bad_starts: tuple[int, ...] = field(default=(), converter=_numbers)
    """The incarnations of that child, counted from 1, that crash before they are ready. The first
    one's failure is the attempt's."""
    child_stays: float = 0.0
    """For which that child does not let itself be cancelled."""
    close_takes: float = 0.0
    """For an orderly closing; ``math.inf``: it hangs until it is cancelled."""
    close_fails: Cause | None = None
    """What the closing raises in the end."""
    stays: float = 0.0
    """For which the connection, or the attempt, does not let itself be cancelled."""

    def __attrs_post_init__(self) -> None:
        wrong = MistakeList("Attempt")
        for name in ("takes", "holds", "deaf_after", "mute_after", "rotates_after", "close_takes"):
            wrong.number(name, getattr(self, name))
        wrong.number("every", self.every, above=0.0)
        for name in ("child_stays", "stays"):
            wrong.number(name, getattr(self, name), finite=True)
        _check_ending(wrong, "refused", self.refused, _STATUSES, "an HTTP status of 400 to 599")
        _check_ending(wrong, "ends", self.ends, _CODES, "a close code of 1000 to 4999")
        if self.ends is None:
            wrong.add("ends", None, "must be a Cause or a close code")
        wrong.boolean("refuses_session", self.refuses_session)
        for name in ("crashes", "bad_starts"):
            _check_numbers(wrong, name, getattr(self, name))
        wrong.instance("crash", self.crash, Cause)
        wrong.instance("close_fails", self.close_fails, Cause, optional=True)
        wrong.raise_any()

    def __repr__(self) -> str:
        return written_fields(self)

    def __add__(self, other: Attempt | Script) -> Script:
        return Script((self,)) + other

    def __mul__(self, times: int) -> Script:
        return Script((self,)) * times

    __rmul__ = __mul__


@final
@frozen(repr=False)
class Script:
    """Attempt after attempt: what the far end of one instance does.

    ``+`` puts scripts and attempts one after the other, the right one's `then` is kept; ``*``
    repeats. ``repr`` is the expression that makes it.

    Raises:
        InvalidSpec: With every mistake.
    """

    attempts: tuple[Attempt, ...] = field(default=(), converter=_attempts)
    """The first ones, in order."""
    then: Attempt = Attempt()
    """What every attempt after them does."""

    def __attrs_post_init__(self) -> None:
        wrong = MistakeList("Script")
        check_each(wrong, "attempts", self.attempts, Attempt)
        wrong.instance("then", self.then, Attempt)
        wrong.raise_any()

    def __getitem__(self, number: int) -> Attempt:
        """Return what attempt number `number` does, counted from 1."""
        return self.attempts[number - 1] if number <= len(self.attempts) else self.then

    def __add__(self, other: Attempt | Script) -> Script:
        tail = Script((other,)) if isinstance(other, Attempt) else other
        return Script(self.attempts + tail.attempts, tail.then)

    def __mul__(self, times: int) -> Script:
        return Script(self.attempts * times, self.then)

    __rmul__ = __mul__

    def __repr__(self) -> str:
        then = "" if self.then == Attempt() else f", then={self.then!r}"
        return f"Script({written(self.attempts)}{then})" if self.attempts or then else "Script()"


def cause_of_refusal(refused: Ending) -> Cause:
    """Return why an attempt fails, by the library's own rules where it is an HTTP status."""
    return DEFAULTS.cause_of_status(refused) if isinstance(refused, int) else refused


def cause_of_end(ends: Ending) -> Cause:
    """Return why a connection is lost, by the library's own rules where it is a close code."""
    return DEFAULTS.cause_of_close(ends) if isinstance(ends, int) else ends


def as_script(given: Script | Attempt | Iterable[Attempt]) -> Script:
    """Return a script of what a fake was given: a script, one attempt, or several."""
    if isinstance(given, Attempt):
        return Script((given,))

    return given if isinstance(given, Script) else Script(given)
