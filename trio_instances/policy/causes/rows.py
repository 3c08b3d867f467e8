"""The short form in which the shipped rule sets are written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar, final

from attrs import frozen

from ..failures import Cause, FailureClass, WhoMustAct
from ..rules import Rule, on_close, on_error, on_status, on_word

K = TypeVar("K")

NOBODY = WhoMustAct.NOBODY
OPERATOR = WhoMustAct.OPERATOR
CREDENTIALS = WhoMustAct.CREDENTIALS
CONFIGURATION = WhoMustAct.CONFIGURATION
AUTHOR = WhoMustAct.AUTHOR


@final
@frozen
class Rows(Generic[K]):
    """Writes rules of one kind that have one source."""

    on: Callable[[K, Cause, str], Rule]
    source: str
    reason: str
    lost: bool

    def again(
        self,
        key: K,
        detail: str = "",
        *,
        who_must_act: WhoMustAct = NOBODY,
        retry_after: float | None = None,
        resumable: bool = False,
        planned: bool = False,
        lost: bool | None = None,
        reason: str = "",
    ) -> Rule:
        """Write a rule for what a bounded retry mends."""
        cause = Cause(
            FailureClass.RECOVERABLE,
            reason or self.reason,
            detail,
            retry_after=retry_after,
            resumable=resumable,
            planned=planned,
            lost=self.lost if lost is None else lost,
            who_must_act=who_must_act,
        )
        return self.on(key, cause, self.source)

    def never(
        self, key: K, who_must_act: WhoMustAct, detail: str = "", *, reason: str = ""
    ) -> Rule:
        """Write a rule for what no retry mends."""
        cause = Cause(
            FailureClass.FATAL,
            reason or self.reason,
            detail,
            lost=self.lost,
            who_must_act=who_must_act,
        )
        return self.on(key, cause, self.source)


def close_rows(source: str) -> Rows[int | range]:
    """Return what writes rules for close codes."""
    return Rows(on_close, source, "close_{}", lost=True)


def status_rows(source: str) -> Rows[int | range]:
    """Return what writes rules for HTTP statuses."""
    return Rows(on_status, source, "http_{}", lost=False)


def word_rows(source: str) -> Rows[str]:
    """Return what writes rules for a platform's words, each of which ends the connection."""
    return Rows(on_word, source, "{}", lost=True)


def error_rows(source: str) -> Rows[str]:
    """Return what writes rules for exceptions; each row has a reason of its own."""
    return Rows(on_error, source, "", lost=False)
