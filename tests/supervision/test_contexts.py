"""What each incarnation sees of context variables, and what is kept of the one before."""

from __future__ import annotations

import gc
import weakref
from contextvars import ContextVar

import pytest
import trio
from trio.testing import MockClock

from trio_instances import ChildSpec, RestartIntensity, current_child_path, open_supervisor

from .conftest import Crash, Recorder, quiet, supervised

MANY = RestartIntensity(max_restarts=10**6, period=1000)
STRATEGIES = pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])

variable: ContextVar[str] = ContextVar("variable", default="unset")


@STRATEGIES
async def test_each_incarnation_sees_the_variables_of_its_registration(
    autojump_clock: MockClock, strategy: str, recorder: Recorder
) -> None:
    """K9, law 5: never what the one before has set, nor what the registrar has set since."""
    seen = []

    async def child() -> None:
        seen.append((variable.get(), current_child_path()))
        variable.set("set by an incarnation")
        await trio.lowlevel.checkpoint()
        if len(seen) < 4:
            raise Crash
        await trio.sleep_forever()

    variable.set("at registration")
    async with supervised(recorder, strategy=strategy, intensity=MANY) as supervisor:
        supervisor.start_soon(child, name="a")
        variable.set("changed since")
        await quiet()
        await supervisor.terminate_child("a")
        await supervisor.restart_child("a")
        await quiet()
    assert seen == [("at registration", "supervisor/a")] * 5


async def test_a_child_does_not_change_the_variables_of_whoever_started_it(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """A child has a context of its own, the first incarnation too."""

    async def child(*, task_status: trio.TaskStatus[None]) -> None:
        variable.set("set by the child")
        task_status.started()

    variable.set("mine")
    async with supervised(recorder) as supervisor:
        await supervisor.start(child, restart="temporary")
        assert variable.get() == "mine"
        assert current_child_path() is None


async def test_tasks_of_a_child_know_whose_they_are(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """The path is inherited by every task that a child starts."""
    paths = []

    async def part() -> None:
        paths.append(current_child_path())

    async def child() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(part)

    async with supervised(recorder) as supervisor:
        await supervisor.start(child, name="a", restart="temporary")
        await quiet()
    assert paths == ["supervisor/a"]


class Resource:
    """Something that an incarnation makes, and that must die with it."""


@STRATEGIES
async def test_nothing_of_a_dead_incarnation_is_kept(
    autojump_clock: MockClock, strategy: str, recorder: Recorder
) -> None:
    """Law 5: no traceback, and so no frame, no context and no resource of it survives."""
    made: list[weakref.ref[Resource]] = []

    async def child() -> None:
        resource = Resource()
        made.append(weakref.ref(resource))
        variable.set(resource)  # type: ignore[arg-type]  # whatever keeps the context keeps it
        await trio.lowlevel.checkpoint()
        if len(made) < 20:
            raise Crash(resource)
        await trio.sleep_forever()

    gc.collect()
    gc.disable()  # what has to wait for the collector is kept
    try:
        async with supervised(recorder, strategy=strategy, intensity=MANY) as supervisor:
            supervisor.start_soon(child, name="a")
            await quiet()
            assert len(made) == 20
            assert [ref() is not None for ref in made] == [False] * 19 + [True]
    finally:
        gc.enable()


async def test_a_removed_child_is_kept_by_nobody(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """R6: what a temporary child was given is free when it has ended, without the collector."""
    given = Resource()
    ref = weakref.ref(given)

    async def child(_: Resource) -> None:
        await trio.lowlevel.checkpoint()

    gc.collect()
    gc.disable()
    try:
        async with open_supervisor() as supervisor:
            supervisor.start_soon(child, given, restart="temporary")
            del given
            await quiet()
            await quiet()
            assert ref() is None
    finally:
        gc.enable()


async def test_every_incarnation_s_task_bears_the_path(
    autojump_clock: MockClock, recorder: Recorder
) -> None:
    """A14: task names are paths, restarts included."""
    names = []

    async def child() -> None:
        names.append(trio.lowlevel.current_task().name)
        await trio.lowlevel.checkpoint()
        if len(names) == 1:
            raise Crash
        await trio.sleep_forever()

    async with supervised(recorder, ChildSpec("a", child)):
        await quiet()
    assert names == ["supervisor/a"] * 2
