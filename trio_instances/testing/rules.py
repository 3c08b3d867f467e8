"""Rules that the conformance checks hold channels and sinks to, and how a broken one is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import trio

from ..policy.mistakes import MistakeList

MAX_HOLD = 1.0
"""Real seconds for which a channel or a sink may let nothing else run. Instances feel it long
before; a busy machine must not be taken for a bad channel, though."""


class BrokenRule(AssertionError):
    """A channel or a sink breaks a rule; the message says which, and how.

    Args:
        rule: The rule.
        how: What was seen.
    """

    def __init__(self, rule: str, how: str) -> None:
        self.rule = rule
        super().__init__(f"{rule}: {how}")


class Late(Exception):
    """A step took longer than it may; a rule is told of it."""

    def __init__(self, step: str, seconds: float) -> None:
        super().__init__(f"{step} took longer than {seconds:g} s")


@contextmanager
def limited(step: str, seconds: float) -> Iterator[None]:
    """Run one step, which is cancelled when it takes too long.

    Args:
        step: What it is, for people.
        seconds: How long it may take.

    Raises:
        Late: It was too slow, also where it has swallowed its cancellation.
    """
    with trio.CancelScope(deadline=trio.current_time() + seconds) as scope:
        yield
    if scope.cancel_called:
        raise Late(step, seconds)


def check_factory(check: str, field: str, make: object) -> None:
    """Refuse one object in place of a function that makes them.

    Args:
        check: The function that was called.
        field: The argument that it was given as.
        make: What was given.

    Raises:
        InvalidSpec: It cannot be called.
    """
    wrong = MistakeList(check)
    if not callable(make):
        wrong.add(field, make, "must return a new one at each call, as a class or a lambda does")
    wrong.raise_any()


def said(exc: BaseException) -> str:
    """Return an exception as a message shows it, whatever its ``__repr__`` does."""
    try:
        return repr(exc)
    except Exception:
        return type(exc).__qualname__


def when(rule: Callable[..., object]) -> str:
    """Return what was being checked, by the name of its function."""
    return rule.__name__.strip("_").replace("_", " ")
