"""The rules that hold where nobody has better ones."""

from __future__ import annotations

from ..failures import Cause
from ..rule_sets import RuleSet
from .errors import ERRORS
from .http import HTTP
from .rfc6455 import RFC_6455

DEFAULTS = RFC_6455 | HTTP | ERRORS
"""What is asked last, whatever rules a channel has: RFC 6455, HTTP, and exceptions."""


def classify_failure(exc: BaseException, rules: RuleSet = DEFAULTS) -> Cause:
    """Classify an exception by the library's rules.

    An exception that carries a `Cause` in its attribute ``cause`` has stated it itself. One that
    carries seconds in its attribute ``retry_after`` has asked for that wait. Of an exception group
    the worst leaf decides, and the longest ``retry_after`` of all is kept.

    Args:
        exc: What was raised.
        rules: Others than the library's.

    Returns:
        The cause, with the error's text and type filled in; ``unexpected``, recoverable, where no
        rule is for it. Never raises.
    """
    return rules.cause_of_error(exc)
