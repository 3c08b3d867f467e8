"""What to run and how: the child specification."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import pytest

from trio_instances._exceptions import InvalidSpec
from trio_instances.policy.backoff import Backoff
from trio_instances.policy.intensity import RestartIntensity
from trio_instances.policy.restart import RestartType
from trio_instances.policy.specs import (
    ChildSpec,
    refuse_misfit,
    refuse_unawaitable,
    takes_task_status,
)


async def plain(url: str) -> None:
    """Be ready as soon as it runs."""


async def by_name(url: str, *, task_status: object) -> None:
    """Say itself when it is ready."""


async def by_place(task_status: object, url: str = "") -> None:
    """Take it in any way."""


async def by_local(url: str) -> None:
    """Have a variable of that name, which is no parameter."""
    task_status = url
    del task_status


async def by_keywords(**options: object) -> None:
    """Take anything, and so nothing in particular."""


async def by_arguments(*task_status: object) -> None:
    """Take positional ones of that name, which cannot be passed by it."""


def passing_on(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function and pass everything on."""

    @functools.wraps(function)
    async def wrapper(*args: Any, **options: Any) -> None:
        await function(*args, **options)

    return wrapper


def keeping_back(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function and see to its readiness."""

    @functools.wraps(function)
    async def wrapper(url: str) -> None:
        await function(url, task_status=None)

    return wrapper


def adding(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function and make it say when it is ready."""

    @functools.wraps(function)
    async def wrapper(url: str, *, task_status: Any) -> None:
        task_status.started()
        await function(url)

    return wrapper


class Worker:
    """Something with methods."""

    async def plain(self) -> None:
        """Be ready as soon as it runs."""

    async def by_name(self, *, task_status: object) -> None:
        """Say itself when it is ready."""

    @classmethod
    async def of_class(cls, task_status: object) -> None:
        """Say itself when it is ready."""

    @staticmethod
    async def of_nobody(task_status: object) -> None:
        """Say itself when it is ready."""


class PlainCall:
    """Something that can be called."""

    async def __call__(self) -> None:
        """Be ready as soon as it runs."""


class StatusCall:
    """Something that can be called."""

    async def __call__(self, *, task_status: object) -> None:
        """Say itself when it is ready."""


class NoSignature:
    """Something that can be called and does not say how."""

    __signature__ = "none"

    async def __call__(self) -> None:
        """Be ready as soon as it runs."""


# --- Readiness


@pytest.mark.parametrize(
    "run",
    [
        by_name,
        by_place,
        Worker().by_name,
        Worker.by_name,
        Worker.of_class,
        Worker().of_nobody,
        StatusCall(),
        functools.partial(by_name, "url"),
        functools.partial(functools.partial(by_name, "url")),
        functools.partial(Worker().by_name),
        functools.partial(StatusCall()),
        functools.update_wrapper(functools.partial(by_name, "url"), by_name),
        passing_on(by_name),
        passing_on(passing_on(by_name)),
        passing_on(functools.partial(by_name, "url")),
        passing_on(Worker().by_name),
        functools.partial(passing_on(by_name), "url"),
        adding(plain),
        passing_on(adding(plain)),
    ],
)
def test_a_function_with_the_parameter_says_itself_when_it_is_ready(run: Any) -> None:
    """However it is bound, wrapped or called."""
    assert takes_task_status(run)


@pytest.mark.parametrize(
    "run",
    [
        plain,
        by_local,
        by_keywords,
        by_arguments,
        Worker().plain,
        PlainCall(),
        functools.partial(plain, "url"),
        functools.partial(by_name, task_status=None),
        functools.partial(functools.partial(by_name, task_status=None), "url"),
        passing_on(plain),
        passing_on(by_keywords),
        passing_on(functools.partial(by_name, task_status=None)),
        keeping_back(by_name),
        NoSignature(),
        print,
        "no function",
    ],
)
def test_any_other_is_ready_as_soon_as_it_runs(run: Any) -> None:
    """Nothing is passed to what does not take it, or has it already."""
    assert not takes_task_status(run)


# --- What is accepted


def test_the_defaults_are_those_of_otp() -> None:
    """V19: a permanent worker with five seconds to stop, which is essential and not significant."""
    spec = ChildSpec("poller", plain)

    assert spec.restart is RestartType.PERMANENT
    assert (spec.shutdown, spec.start_timeout) == (5.0, math.inf)
    assert (spec.significant, spec.essential) == (False, True)
    assert (spec.args, spec.backoff, spec.intensity) == ((), None, None)


@pytest.mark.parametrize("member", RestartType)
def test_a_word_is_as_good_as_a_member(member: RestartType) -> None:
    """Code and configuration files say the same."""
    spec = ChildSpec("poller", plain, restart=str(member))

    assert spec.restart is member


@pytest.mark.parametrize("args", [["a", 1], ("a", 1), iter(["a", 1]), {"a": 0, 1: 0}])
def test_arguments_become_a_tuple(args: Any) -> None:
    """Every incarnation gets the same ones, whatever they came in."""
    assert ChildSpec("poller", plain, args).args == ("a", 1)


@pytest.mark.parametrize(
    "options",
    [
        {"shutdown": 0},
        {"shutdown": math.inf},
        {"start_timeout": math.inf},
        {"significant": True, "restart": "transient"},
        {"significant": True, "restart": "temporary"},
        {"backoff": Backoff()},
        {"intensity": RestartIntensity()},
        {"run": functools.partial(plain, "url")},
        {"name": "ein Kind 1.0: ü"},
    ],
)
def test_what_has_a_meaning_is_accepted(options: dict[str, Any]) -> None:
    """V5: no time to stop is a budget, and so is all the time there is."""
    spec = ChildSpec(**{"name": "poller", "run": plain, **options})

    for field, value in options.items():
        assert getattr(spec, field) == value


# --- What is refused

NAME = "name: must be a text that is not empty, is printable and has no '/'"
SIGNIFICANT = "needs restart='transient' or 'temporary': a permanent child never ends"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"name": ""}, f"{NAME}, not ''"),
        ({"name": "a/b"}, f"{NAME}, not 'a/b'"),
        ({"name": "a\n"}, f"{NAME}, not 'a\\n'"),
        ({"name": 7}, f"{NAME}, not 7"),
        ({"run": "poll"}, "run: must be an async function, not 'poll'"),
        ({"args": "url"}, "args: must be a sequence of positional arguments, not 'url'"),
        ({"args": b"url"}, "args: must be a sequence of positional arguments, not b'url'"),
        ({"args": 5}, "args: must be a sequence of positional arguments, not 5"),
        ({"args": None}, "args: must be a sequence of positional arguments, not None"),
        (
            {"restart": "always"},
            "restart: must be one of 'permanent', 'transient', 'temporary', not 'always'",
        ),
        ({"restart": []}, "restart: must be one of 'permanent', 'transient', 'temporary', not []"),
        ({"shutdown": -1}, "shutdown: must be a number at least 0, not -1"),
        ({"shutdown": math.nan}, "shutdown: must be a number at least 0, not nan"),
        ({"shutdown": None}, "shutdown: must be a number at least 0, not None"),
        ({"significant": 1}, "significant: must be True or False, not 1"),
        (
            {"significant": True},
            f"significant: {SIGNIFICANT}, not True",
        ),
        ({"essential": "no"}, "essential: must be True or False, not 'no'"),
        ({"start_timeout": 0}, "start_timeout: must be a number above 0, not 0"),
        ({"backoff": 1.0}, "backoff: must be a Backoff or None, not 1.0"),
        ({"intensity": 3}, "intensity: must be a RestartIntensity or None, not 3"),
    ],
)
def test_a_mistake_is_refused_by_field_and_value(options: dict[str, Any], text: str) -> None:
    """V3, V4, V5, V8: the error says where, what is accepted there, and what was given."""
    fields: dict[str, Any] = {"name": "poller", "run": plain, **options}
    with pytest.raises(InvalidSpec) as caught:
        ChildSpec(**fields)

    assert str(caught.value) == f"ChildSpec {fields['name']!r}: {text}"


class Word(str):
    """A text that is no plain one."""

    __slots__ = ()


PLAIN_AND_ODD: dict[str, list[Any]] = {
    "name": ["poller", "", "a/b", "a\n", 7, Word("poller"), Word("a/b")],
    "run": [plain, None],
    "args": [(), ("url",), "url", None],
    "restart": [*RestartType, "permanent", "always"],
    "shutdown": [5.0, 0.0, 0, -1.0, math.inf, math.nan, True, None],
    "significant": [False, True, 0, 1],
    "essential": [True, False, 0, None],
    "start_timeout": [math.inf, 1.0, 0.0, 1, -1.0, math.nan],
    "backoff": [None, Backoff(), 1.0],
    "intensity": [None, RestartIntensity(), 3],
}


@pytest.mark.parametrize(
    ("field", "value"),
    [(field, value) for field, held in PLAIN_AND_ODD.items() for value in held],
)
def test_one_odd_field_is_not_overlooked(field: str, value: Any) -> None:
    """The quick look accepts nothing that the thorough one refuses."""
    try:
        accepted = ChildSpec(**{"name": "poller", "run": plain, field: value})
    except InvalidSpec:
        return

    accepted._raise_mistakes()  # noqa: SLF001 - the thorough look, which raises at anything wrong


def test_every_mistake_is_listed() -> None:
    """One error names all fields, in the order in which the specification has them."""
    with pytest.raises(InvalidSpec) as caught:
        ChildSpec(
            name="a/b",
            run=None,  # type: ignore[arg-type]  # that is the point
            args=None,  # type: ignore[arg-type]  # ... as well
            restart="x",
            shutdown=-1,
            significant="x",  # type: ignore[arg-type]  # ... as well
            essential="x",  # type: ignore[arg-type]  # ... as well
            start_timeout=-1,
            backoff="x",  # type: ignore[arg-type]  # ... as well
            intensity="x",  # type: ignore[arg-type]  # ... as well
        )

    assert [mistake.place for mistake in caught.value.mistakes] == [
        "name",
        "run",
        "args",
        "restart",
        "shutdown",
        "significant",
        "essential",
        "start_timeout",
        "backoff",
        "intensity",
    ]
    assert str(caught.value).startswith("ChildSpec 'a/b' has 10 mistakes:\n  - name: ")


def _caught(run: Callable[..., object], *args: object) -> TypeError:
    """Return the error of a call, as whoever calls it catches it."""
    try:
        run(*args)
    except TypeError as exc:
        return exc

    raise AssertionError("it was to fail")


def test_a_call_that_does_not_fit_is_a_mistake_of_the_arguments() -> None:
    """Nothing of what was called has run, so that nothing else can be wrong."""
    spec = ChildSpec("a", plain, ("x", "y"))
    with pytest.raises(InvalidSpec, match="args: must fit what `run` takes") as caught:
        refuse_misfit(spec, _caught(plain, "x", "y"))

    assert isinstance(caught.value.__cause__, TypeError)


def test_a_type_error_from_within_what_was_called_is_no_mistake_of_the_arguments() -> None:
    """It has begun, and so its arguments did fit."""

    def within() -> object:
        return plain()  # type: ignore[call-arg]  # that is the point

    refuse_misfit(ChildSpec("a", plain), _caught(within))


def test_what_cannot_be_awaited_is_a_mistake_of_the_function() -> None:
    """A coroutine, or anything else that has ``__await__``, is none."""
    spec = ChildSpec("a", plain)
    with pytest.raises(InvalidSpec, match=r"run: must be an async function \(.* type int\)"):
        refuse_unawaitable(spec, 5)

    coroutine = plain("x")
    refuse_unawaitable(spec, coroutine)
    coroutine.close()
