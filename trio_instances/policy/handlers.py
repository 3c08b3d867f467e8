"""The function of a user that a channel calls with each message."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from .._exceptions import InvalidSpec, Mistake
from .mistakes import MistakeList

Handler = Callable[[Any, Any], Awaitable[None]]
"""What is called with the instance and a message."""


def parse_handler(wrong: MistakeList, handler: Handler | None) -> Handler | None:
    """Return what is to be called; note it when that takes no instance and message.

    What is known to be an async function is called as it is. Anything else could return what cannot
    be awaited; then the call raises `InvalidSpec`, so that the instance fails and names its author.
    """
    if handler is None:
        return None
    if not callable(handler) or not _takes_two(handler):
        expected = "must be an async function that takes the instance and a message, or None"
        wrong.add("on_message", handler, expected)
        return None

    return handler if inspect.iscoroutinefunction(handler) else _checked(handler)


def _takes_two(handler: Handler) -> bool:
    try:
        signature = inspect.signature(handler)
    except Exception:
        return True  # it has none that could be asked, or its annotations name what is not there

    try:
        signature.bind(None, None)
    except TypeError:
        return False
    return True


def _checked(handler: Handler) -> Handler:
    def handle(instance: object, message: object) -> Awaitable[None]:
        returned = handler(instance, message)
        if not isinstance(returned, Awaitable):
            kind = type(returned).__name__
            expected = f"must be an async function (its call returned a value of type {kind})"
            raise InvalidSpec("a message handler", [Mistake("on_message", handler, expected)])

        return returned

    return handle
