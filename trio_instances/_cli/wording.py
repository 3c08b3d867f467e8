"""What the commands say in the same words: mistakes, warnings, many ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..policy.concerns import ConcernKind
from ..policy.plan import plan

if TYPE_CHECKING:
    from .._exceptions import InvalidSpec
    from .._runtime.config import Config
    from ..policy.concerns import Concern

_LISTED = 10


def mistakes_in_words(exc: InvalidSpec) -> Iterator[str]:
    """Yield a line that counts the mistakes, and one for each."""
    count = len(exc.mistakes)
    yield f"{exc.what}: {count} mistake{'s' if count > 1 else ''}"
    for mistake in exc.mistakes:
        yield f"  {mistake}"


def warnings_in_words(config: Config) -> Iterator[str]:
    """Yield a line for each thing that a file says and probably does not mean.

    That a budget's rate decides in an outage, and not the backoff, is what it is for: the command
    ``plan`` says it of every large fleet, and a process that starts need not.
    """
    for concern in plan(config.instances, config.settings).concerns:
        if concern.kind is not ConcernKind.OVER_BUDGET:
            yield f"warning: {concern_in_words(concern)}"


def concern_in_words(concern: Concern) -> str:
    """Return a concern as one line, with whom it is about."""
    about_budget = concern.budget is not None
    whom = f"budget {concern.budget!r}" if about_budget else listed(concern.instances)
    return f"{whom}: {concern.text}"


def listed(ids: Sequence[str]) -> str:
    """Return some ids in a row, the first ones of many."""
    more = len(ids) - _LISTED
    return ", ".join(ids[:_LISTED]) + (f" and {more} more" if more > 0 else "")
