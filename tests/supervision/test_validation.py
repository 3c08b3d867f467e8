"""What a specification may say, and what is refused before anything starts."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import pytest
from trio.testing import MockClock

from trio_instances import ChildSpec, InvalidSpec, RestartType

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
                    await supervisor.start(puppet.run, name="a", shutdwon=1.0)
                case "start_soon":
                    supervisor.start_soon(puppet.run, name="a", shutdwon=1.0)
        assert (puppet.attempts, states(supervisor)) == (0, {})
