"""What to run and how: the child specification."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypedDict, cast, final

from attrs import field, frozen

from .._exceptions import InvalidSpec, Mistake
from .backoff import Backoff
from .intensity import RestartIntensity
from .mistakes import MistakeList, member_or_given
from .restart import RestartType

SHUTDOWN = 5.0
"""Seconds a child that can be asked softly has to finish; OTP's default for workers."""


def _restart_type(value: RestartType | str) -> RestartType:
    return member_or_given(RestartType, value)


def _args(value: Iterable[Any]) -> tuple[Any, ...]:
    if type(value) is tuple:
        return value

    # Anything else stays as it is, to be refused; a text is iterable, and never meant as that.
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return tuple(value)

    return cast("tuple[Any, ...]", value)


@final
@frozen
class ChildSpec:
    """One supervised async function, and how to treat it.

    A `run` that has a parameter ``task_status`` says itself when it is ready, by
    ``task_status.started(value)``; any other is ready as soon as it runs.
    """

    name: str
    """Unique within the supervisor, and a part of the path; so without ``/``."""
    run: Callable[..., Awaitable[object]]
    """The async function. Each call of it is one incarnation.

    A call that cannot even begin (its arguments do not fit, what it returns cannot be awaited) is
    an `InvalidSpec`, and fatal.
    """
    args: tuple[Any, ...] = field(default=(), converter=_args)
    """Its positional arguments, at every incarnation the same."""
    restart: RestartType = field(default=RestartType.PERMANENT, converter=_restart_type)
    """When it is started again: OTP's permanent, transient or temporary."""
    shutdown: float = SHUTDOWN
    """Seconds between being asked to stop, inside `until_stopped`, and being cancelled."""
    significant: bool = False
    """Whether its end can end the supervisor, as `AutoShutdown` says."""
    essential: bool = True
    """Whether its supervisor gives up with it. One that is not essential is parked instead."""
    start_timeout: float = math.inf
    """Seconds to become ready."""
    backoff: Backoff | None = None
    """Delays between its restarts; None takes those of the supervisor."""
    intensity: RestartIntensity | None = None
    """A restart budget of its own; None shares that of the supervisor, as in OTP."""

    def __attrs_post_init__(self) -> None:
        # Every start makes a spec, and asking a list for each field would be a twentieth of it.
        if not self._is_plain():
            self._raise_mistakes()

    def _is_plain(self) -> bool:
        """Tell at a glance that nothing can be wrong; False says nothing."""
        return (
            type(self.name) is str
            and self.name != ""
            and self.name.isprintable()
            and "/" not in self.name
            and callable(self.run)
            and type(self.args) is tuple
            and type(self.restart) is RestartType
            and type(self.shutdown) is float
            and self.shutdown >= 0.0
            and self.significant is False
            and type(self.essential) is bool
            and type(self.start_timeout) is float
            and self.start_timeout > 0.0
            and self.backoff is None
            and self.intensity is None
        )

    def _raise_mistakes(self) -> None:
        wrong = MistakeList(f"ChildSpec {self.name!r}")
        wrong.name("name", self.name)
        if not callable(self.run):
            wrong.add("run", self.run, "must be an async function")
        if not isinstance(self.args, tuple):
            wrong.add("args", self.args, "must be a sequence of positional arguments")
        wrong.member("restart", self.restart, RestartType)
        wrong.number("shutdown", self.shutdown)
        wrong.boolean("significant", self.significant)
        if self.significant is True and self.restart is RestartType.PERMANENT:
            wrong.add(
                "significant",
                True,
                "needs restart='transient' or 'temporary': a permanent child never ends",
            )
        wrong.boolean("essential", self.essential)
        wrong.number("start_timeout", self.start_timeout, above=0.0)
        wrong.instance("backoff", self.backoff, Backoff, optional=True)
        wrong.instance("intensity", self.intensity, RestartIntensity, optional=True)
        wrong.raise_any()


class ChildOptions(TypedDict, total=False):
    """The fields of `ChildSpec` beside name, function and arguments, for calls that take them."""

    restart: RestartType | str
    shutdown: float
    significant: bool
    essential: bool
    start_timeout: float
    backoff: Backoff | None
    intensity: RestartIntensity | None


_OPTIONS = frozenset(ChildOptions.__annotations__)


def refuse_unknown(run: object, options: Mapping[str, object]) -> None:
    """Refuse options that nobody knows, such as the keyword arguments of the function.

    Args:
        run: The function.
        options: What a call that takes `ChildOptions` was given.

    Raises:
        TypeError: One is no field of `ChildSpec`.
    """
    for option, value in options.items():
        if option not in _OPTIONS:
            fields = ", ".join(ChildOptions.__annotations__)
            function = getattr(run, "__name__", "function")
            way_out = f"or go to the function by functools.partial({function}, {option}=...)"
            expected = f"must be a field of ChildSpec ({fields}), {way_out}"
            raise TypeError(str(Mistake(option, value, expected)))


def takes_task_status(run: Callable[..., object]) -> bool:
    """Tell whether a function has a parameter ``task_status``, and so reports its own readiness."""
    code = getattr(run, "__code__", None)
    if code is not None:
        if "task_status" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
            return True

        # A wrapper takes what the function within takes only if it passes every keyword on.
        within = getattr(run, "__wrapped__", None)
        if within is None or not code.co_flags & inspect.CO_VARKEYWORDS:
            return False

        return takes_task_status(within)

    if isinstance(run, functools.partial):
        return "task_status" not in run.keywords and takes_task_status(run.func)

    try:
        return "task_status" in inspect.signature(run).parameters
    except (TypeError, ValueError):  # a callable without a signature
        return False


def refuse_misfit(spec: ChildSpec, error: TypeError) -> None:
    """Refuse a call that could not even begin; an error from within what was called is none.

    Args:
        spec: What was called.
        error: What the call raised, as the caller caught it.

    Raises:
        InvalidSpec: From the error, when no frame of what was called is in its traceback.
    """
    caught = error.__traceback__
    if caught is None or caught.tb_next is None:
        fits = f"must fit what `run` takes ({error})"
        raise _call_refused(spec, Mistake("args", spec.args, fits)) from error


def refuse_unawaitable(spec: ChildSpec, returned: object) -> None:
    """Refuse what no async function returns.

    Args:
        spec: What was called.
        returned: What that returned.

    Raises:
        InvalidSpec: It cannot be awaited.
    """
    if not isinstance(returned, Awaitable):
        kind = type(returned).__name__
        is_async = f"must be an async function (its call returned a value of type {kind})"
        raise _call_refused(spec, Mistake("run", spec.run, is_async))


def _call_refused(spec: ChildSpec, mistake: Mistake) -> InvalidSpec:
    return InvalidSpec(f"ChildSpec {spec.name!r}", [mistake])
