"""What the children of a supervisor have to do with one another."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TypeVar, assert_never

T = TypeVar("T")


class Strategy(StrEnum):
    """What else is restarted when a child is, in OTP's words.

    - ``one_for_one``: nothing else.
    - ``one_for_all``: every sibling.
    - ``rest_for_one``: the siblings that were started after it.
    """

    ONE_FOR_ONE = "one_for_one"
    ONE_FOR_ALL = "one_for_all"
    REST_FOR_ONE = "rest_for_one"


class AutoShutdown(StrEnum):
    """When the end of significant children ends their supervisor, in OTP's words.

    - ``never``: it does not.
    - ``any_significant``: when one of them ends by itself, for good.
    - ``all_significant``: when one of them does, and no other one is active.
    """

    NEVER = "never"
    ANY_SIGNIFICANT = "any_significant"
    ALL_SIGNIFICANT = "all_significant"


class StopOrder(StrEnum):
    """How a supervisor stops its children when it ends itself.

    - ``reverse``: in reverse start order, each fully ended before the next is asked.
    - ``concurrent``: all are asked at once, the last started first, and each has its own budget:
      so the whole takes as long as the slowest, not as long as all of them together.
    """

    REVERSE = "reverse"
    CONCURRENT = "concurrent"


def affected(strategy: Strategy, order: Sequence[T], failed: T) -> Sequence[T]:
    """Return who is restarted with a failed child, itself included, in start order.

    Args:
        strategy: The supervisor's strategy.
        order: All children in start order.
        failed: The child that is to be restarted; it stands in `order`.
    """
    match strategy:
        case Strategy.ONE_FOR_ONE:
            return (failed,)
        case Strategy.ONE_FOR_ALL:
            return order
        case Strategy.REST_FOR_ONE:
            return order[order.index(failed) :]
        case _:
            assert_never(strategy)
