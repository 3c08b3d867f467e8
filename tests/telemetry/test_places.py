"""Where an exception was raised: what is told of it, and what is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import pytest

from trio_instances import Cause, ChannelError, RestartIntensity, StartTimedOut, classify_failure
from trio_instances.telemetry.places import MOST_LINES, raised_at


def caught(call: Callable[[], object]) -> Exception:
    """Return what a call raises, without the frame of whoever has called it."""
    with pytest.raises(Exception) as failed:
        call()
    assert failed.value.__traceback__ is not None
    return failed.value.with_traceback(failed.value.__traceback__.tb_next)


def place_of(error: Exception) -> tuple[str, ...]:
    """Return where it was raised, as what it means by the library's rules."""
    return raised_at(error, classify_failure(error))


def fail() -> None:
    """Fail here."""
    raise ValueError("no")


def test_the_place_is_the_stack_outermost_first_with_file_line_function_and_text() -> None:
    """So the last line is where it was raised."""

    def outer() -> None:
        fail()

    *_, calls, raises = place_of(caught(outer))
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
    outermost, innermost = place_of(caught(manager.__enter__))
    assert outermost.endswith(".broken: fail()")
    assert " in fail: " in innermost


def test_what_was_raised_by_the_library_itself_has_no_place() -> None:
    """Its lines help nobody: what was wrong is in the message."""
    assert place_of(caught(partial(RestartIntensity, -1))) == ()


def revoke() -> None:
    """Fail for good."""
    raise ChannelError(Cause("fatal", "revoked"))


@pytest.mark.parametrize("order", [(fail, revoke), (revoke, fail)])
def test_a_group_is_where_that_was_raised_which_has_decided_about_it(
    order: tuple[Callable[[], None], ...],
) -> None:
    """The cause is that of its worst leaf, and the place is not that of another one."""
    inner = ExceptionGroup("inner", [caught(call) for call in order])
    (line,) = place_of(ExceptionGroup("outer", [inner]))
    assert " in revoke: " in line


def test_of_two_leaves_of_one_type_the_text_tells_which_it_is() -> None:
    """A cause has the text of the one that it is of."""

    def miss(key: str) -> None:
        raise KeyError(key)

    one, two = (caught(partial(miss, key)) for key in ("one", "two"))
    group = ExceptionGroup("both", [one, caught(fail), two])
    assert raised_at(group, classify_failure(two)) == place_of(two)


def test_files_that_are_copies_of_one_another_are_not_mistaken() -> None:
    """Python calls two functions equal that differ in nothing but their file."""
    places: list[str] = []
    for name in ("one.py", "two.py"):
        namespace: dict[str, Callable[[], object]] = {}
        exec(compile("def run():\n    raise ValueError", name, "exec"), namespace)  # noqa: S102 - a file would do the same
        places += place_of(caught(namespace["run"]))
    assert [place.split(" ")[0] for place in places] == ["one.py:2", "two.py:2"]


def test_what_was_not_raised_itself_is_where_that_was_which_it_comes_from() -> None:
    """A start that is timed out, and whose cleanup fails, fails in the cleanup."""
    late = StartTimedOut("supervisor/late", 1.0)
    late.__cause__ = caught(fail)
    assert place_of(late) == place_of(caught(fail))


def test_it_ends_where_code_of_the_user_s_has_called_what_raises() -> None:
    """Whoever reads the innermost line looks there first."""

    def careless() -> None:
        RestartIntensity(-1)

    (line,) = place_of(caught(careless))
    assert line.endswith(".careless: RestartIntensity(-1)")


def test_of_a_deep_recursion_the_innermost_frames_are_told() -> None:
    """An event is bounded."""

    def recurse(depth: int) -> None:
        if depth == 0:
            fail()
        recurse(depth - 1)

    stack = place_of(caught(lambda: recurse(500)))
    assert len(stack) == MOST_LINES
    assert " in fail: " in stack[-1]


def test_what_was_never_raised_has_no_place() -> None:
    """An exception that a hook returned or made, say."""
    assert place_of(ValueError("made")) == ()
