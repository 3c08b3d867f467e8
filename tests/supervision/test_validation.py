"""What a specification may say, and what is refused before anything starts."""

from __future__ import annotations

import functools
import math
from collections.abc import AsyncIterator, Callable
from inspect import signature
from itertools import product
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    ChildAlreadyStarted,
    ChildSpec,
    FatalChildFailure,
    InvalidSpec,
    MaxChildrenReached,
    RestartType,
    WhoMustAct,
    open_supervisor,
)
from trio_instances._supervision.opening import OpeningOptions
from trio_instances.policy.specs import ChildOptions

from .conftest import Puppet, Recorder, forever, states, supervised


@pytest.mark.parametrize(
    ("given", "missing"),
    [({"run": forever}, "'name'"), ({"name": "a"}, "'run'"), ({}, "'name' and 'run'")],
)
def test_a_specification_needs_a_name_and_a_function(
    given: dict[str, object], missing: str
) -> None:
    """V2: there is no default for what to run, nor for what it is called."""
    with pytest.raises(TypeError, match=f"missing .*: {missing}$"):
        ChildSpec(**given)  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize("rubbish", [{"name": "a"}, ("a", forever), None, forever])
async def test_what_is_no_specification_is_refused(
    autojump_clock: MockClock, rubbish: Any, recorder: Recorder
) -> None:
    """V1: alone or among others, before anything is started."""
    puppet = Puppet("a")
    async with supervised(recorder) as supervisor:
        with pytest.raises(InvalidSpec, match="must be a ChildSpec"):
            await supervisor.start_child(rubbish)
        with pytest.raises(InvalidSpec, match="must be a ChildSpec"):
            await supervisor.start_children([puppet.spec(), rubbish])
        assert (puppet.attempts, states(supervisor)) == (0, {})


async def test_significance_alone_is_not_judged_by_a_setting_that_nobody_has_given(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """V13: a specification is made without a supervisor; the one that takes it in judges it."""
    puppet = Puppet("a")
    spec = puppet.spec(restart="transient", significant=True)
    async with supervised(recorder, spec, auto_shutdown="all_significant") as supervisor:
        assert supervisor.get_childspec("a").significant


@pytest.mark.parametrize(
    ("restart", "shutdown", "args"),
    list(product(RestartType, (0, 1.0, math.inf), ((), ("x",), ("x", 2)))),
)
def test_every_restart_type_goes_with_every_budget_and_any_arguments(
    restart: RestartType, shutdown: float, args: tuple[object, ...]
) -> None:
    """V14: these fields know nothing of each other."""
    spec = ChildSpec("a", forever, args, restart=restart, shutdown=shutdown)

    assert (spec.restart, spec.shutdown, spec.args) == (restart, shutdown, args)


@pytest.mark.parametrize("how", ["ChildSpec", "start", "start_soon"])
async def test_an_option_that_nobody_knows_is_refused(
    autojump_clock: MockClock, how: str, recorder: Recorder
) -> None:
    """V15: OTP ignores it; here a misspelt option is no silent default."""
    puppet = Puppet("a")
    async with supervised(recorder) as supervisor:
        with pytest.raises(TypeError, match="shutdwon"):
            match how:
                case "ChildSpec":
                    puppet.spec(shutdwon=1.0)
                case "start":
                    await supervisor.start(puppet.run, name="a", shutdwon=1.0)  # type: ignore[call-arg]  # the point
                case "start_soon":
                    supervisor.start_soon(puppet.run, name="a", shutdwon=1.0)  # type: ignore[call-arg]  # the point
        assert (puppet.attempts, states(supervisor)) == (0, {})


@pytest.mark.parametrize("how", ["start", "start_soon"])
async def test_a_keyword_argument_of_the_function_is_sent_where_it_belongs(
    autojump_clock: MockClock, how: str, recorder: Recorder
) -> None:
    """To `functools.partial`, under the function's name: the error can be copied from."""

    async def poll(*, every: float) -> None:
        await trio.sleep(every)

    said = r"^every: must be a field of ChildSpec .*partial\(poll, every=\.\.\.\), not 1\.5$"
    async with supervised(recorder) as supervisor:
        start: Any = getattr(supervisor, how)
        with pytest.raises(TypeError, match=said):
            result = start(poll, every=1.5)
            await result
        assert states(supervisor) == {}


async def test_every_mistake_of_several_specifications_is_listed(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """Whoever has to mend a list wants to hear of all of it, not only of the first."""
    rubbish: Any = 5
    specs = [
        ChildSpec("a", forever),
        ChildSpec("b", forever, restart="transient", significant=True),
        rubbish,
        ChildSpec("a", forever),
    ]
    async with supervised(recorder) as supervisor:
        with pytest.raises(InvalidSpec) as caught:
            await supervisor.start_children(specs)
        assert states(supervisor) == {}
    places = [mistake.place for mistake in caught.value.mistakes]
    assert places == ["specs[1].significant", "specs[2]", "specs[3].name"]


@pytest.mark.parametrize("rubbish", [None, 5, ChildSpec("a", forever)])
async def test_what_is_no_list_of_specifications_is_refused(
    autojump_clock: MockClock, rubbish: Any, recorder: Recorder
) -> None:
    """A single one is the likely slip; the error names what was given."""
    async with supervised(recorder) as supervisor:
        with pytest.raises(InvalidSpec, match="specs: must be a sequence of ChildSpecs, not"):
            await supervisor.start_children(rubbish)


async def test_several_children_of_which_one_cannot_come_start_none(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """A name that is taken, or a lack of room, is known before the first is started."""
    several = [ChildSpec("a", forever), ChildSpec("x", forever)]
    async with supervised(recorder, ChildSpec("x", forever)) as supervisor:
        with pytest.raises(ChildAlreadyStarted):
            await supervisor.start_children(several)
        assert states(supervisor) == {"x": "running"}
    async with supervised(recorder, max_children=1) as supervisor:
        with pytest.raises(MaxChildrenReached):
            await supervisor.start_children(several)
        assert states(supervisor) == {}


async def one_argument(_: int) -> None:
    """Take exactly one argument."""


def not_async() -> int:
    """Be no async function."""
    return 5


async def generator() -> AsyncIterator[int]:
    """Be an async function that nobody can await."""
    yield 5


class Called:
    """Something that is called, without what it needs."""

    async def __call__(self, _: int) -> None:
        """Take exactly one argument."""


MISFITS = pytest.mark.parametrize(
    ("run", "args", "said"),
    [
        (one_argument, (), "args: must fit what `run` takes .*missing 1 required"),
        (one_argument, (1, 2), "args: must fit what `run` takes .*takes 1 positional argument"),
        (functools.partial(one_argument, 1), (2,), "args: must fit what `run` takes"),
        (Called(), (), "args: must fit what `run` takes"),
        (not_async, (), "run: must be an async function .*type int"),
        (generator, (), "run: must be an async function .*type async_generator"),
    ],
)


@MISFITS
async def test_a_call_that_cannot_even_begin_is_a_mistake_of_the_specification(
    *, autojump_clock: MockClock, run: Callable[..., Any], args: tuple[Any, ...], said: str,
    recorder: Recorder,
) -> None:  # fmt: skip
    """`start` raises it as Trio would, bare; nothing has become ready, nothing is tried again."""
    async with supervised(recorder) as supervisor:
        with pytest.raises(InvalidSpec, match=said):
            await supervisor.start(run, *args, name="a")
        assert (states(supervisor), recorder.take()) == ({}, ["start_failed a#1"])


@MISFITS
async def test_nobody_restarts_a_call_that_cannot_begin(
    *, autojump_clock: MockClock, run: Callable[..., Any], args: tuple[Any, ...], said: str,
    recorder: Recorder,
) -> None:  # fmt: skip
    """With nobody who waits for the start it is fatal, and for the author to mend."""
    with pytest.raises(FatalChildFailure, match="must") as caught:
        async with open_supervisor(events=recorder.bus) as supervisor:
            supervisor.start_soon(run, *args, name="a")
    assert caught.value.cause.who_must_act is WhoMustAct.AUTHOR
    assert recorder.take() == ["start_failed a#1"]


async def test_a_type_error_of_the_child_s_own_is_a_crash(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """Only the call itself can misfit; what the function does with its arguments is its own."""

    async def crashes() -> None:
        await one_argument()  # type: ignore[call-arg]  # that is the point

    async with supervised(recorder) as supervisor:
        await supervisor.start(crashes, name="a", restart="temporary")
        assert recorder.take() == ["started a#1", "crashed a#1"]


async def test_whatever_can_be_awaited_will_do(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """A function may return something of its own to be awaited, as one compiled by Cython does."""

    class Waits:
        def __await__(self) -> Any:
            return trio.sleep(1).__await__()  # noqa: ASYNC105 - whoever awaits this awaits that

    async with supervised(recorder) as supervisor:
        await supervisor.start(Waits, name="a", restart="temporary")
        await trio.sleep(2)
        assert recorder.take() == ["started a#1", "returned a#1"]


def test_type_checkers_know_every_option() -> None:
    """What a call hands on by keyword is listed again for them, and never lacks a field."""
    fields = {each.name for each in attrs.fields(ChildSpec)} - {"name", "run", "args"}
    assert ChildOptions.__annotations__.keys() == fields
    assert OpeningOptions.__annotations__.keys() == signature(open_supervisor).parameters.keys()
