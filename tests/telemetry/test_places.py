"""Where an exception was raised: what is told of it, and what is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import pytest

from trio_instances import RestartIntensity
from trio_instances.telemetry.places import MOST_LINES, raised_at


def caught(call: Callable[[], object]) -> Exception:
    """Return what a call raises, without the frame of whoever has called it."""
    with pytest.raises(Exception) as failed:
        call()
    assert failed.value.__traceback__ is not None
    return failed.value.with_traceback(failed.value.__traceback__.tb_next)


def fail() -> None:
    """Fail here."""
    raise ValueError("no")


def test_the_place_is_the_stack_outermost_first_with_file_line_function_and_text() -> None:
    """So the last line is where it was raised."""

    def outer() -> None:
        fail()

    *_, calls, raises = raised_at(caught(outer))
    number = fail.__code__.co_firstlineno + 2
    assert raises == f'{__file__}:{number} in fail: raise ValueError("no")'
    assert calls.endswith(".outer: fail()")


def test_what_calls_the_code_of_a_user_is_left_out() -> None:
    """The library, Trio, and `contextlib` between them and a context manager of the user's."""

    @contextmanager
    def broken() -> Iterator[None]:
        fail()
        yield

    manager: AbstractContextManager[None] = broken()
    outermost, innermost = raised_at(caught(manager.__enter__))
    assert outermost.endswith(".broken: fail()")
    assert " in fail: " in innermost


def test_what_was_raised_by_the_library_itself_has_no_place() -> None:
    """Its lines help nobody: what was wrong is in the message."""
    assert raised_at(caught(partial(RestartIntensity, -1))) == ()


def test_a_group_is_where_its_first_leaf_was_raised() -> None:
    """However deep that is; a cause of several has room for one place."""
    inner = ExceptionGroup("inner", [caught(fail), KeyError("other")])
    assert raised_at(ExceptionGroup("outer", [inner])) == raised_at(caught(fail))


def test_of_a_deep_recursion_the_innermost_frames_are_told() -> None:
    """An event is bounded."""

    def recurse(depth: int) -> None:
        if depth == 0:
            fail()
        recurse(depth - 1)

    stack = raised_at(caught(lambda: recurse(500)))
    assert len(stack) == MOST_LINES
    assert " in fail: " in stack[-1]


def test_what_was_never_raised_has_no_place() -> None:
    """An exception that a hook returned or made, say."""
    assert raised_at(ValueError("made")) == ()
