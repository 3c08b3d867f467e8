"""Verbs that a child calls on its own supervisor, or on one further up: they never hang."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    ChildRunning,
    ChildSpec,
    SupervisionError,
    Supervisor,
    SupervisorNotRunning,
    open_supervisor,
    until_stopped,
)

from .conftest import Puppet, Recorder, forever, quiet, states, supervised

STRATEGIES = pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
GROUPS = pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])


VERBS: dict[str, Callable[[Supervisor], Awaitable[object]]] = {
    "start": lambda supervisor: supervisor.start(forever),
    "start_child": lambda supervisor: supervisor.start_child(ChildSpec("new", forever)),
    "start_children": lambda supervisor: supervisor.start_children([ChildSpec("new", forever)]),
    "terminate_child": lambda supervisor: supervisor.terminate_child("a"),
    "restart_child": lambda supervisor: supervisor.restart_child("a"),
    "delete_child": lambda supervisor: supervisor.delete_child("a"),
}


async def calls(verb: Callable[[], Awaitable[object]], outcome: list[object]) -> None:
    """Be a child that calls a verb and notes what became of the call."""
    await trio.lowlevel.checkpoint()
    try:
        outcome.append(await verb())
    except SupervisionError as exc:
        outcome.append(type(exc))
    except trio.Cancelled:
        outcome.append("cancelled")
        raise
    await trio.sleep_forever()


@STRATEGIES
@pytest.mark.parametrize(
    ("verb", "outcome", "after"),
    [
        ("terminate_child", "cancelled", "stopped"),
        ("restart_child", ChildRunning, "running"),
        ("delete_child", ChildRunning, "running"),
    ],
)
async def test_a_child_may_call_a_verb_on_itself(
    *, autojump_clock: MockClock, strategy: str, verb: str, outcome: object, after: str,
    recorder: Recorder,
) -> None:  # fmt: skip
    """It is carried out, and ends the caller, or is refused; it never waits for itself."""
    got: list[object] = []
    async with supervised(recorder, strategy=strategy) as supervisor:
        supervisor.start_soon(calls, lambda: getattr(supervisor, verb)("me"), got, name="me")
        await quiet()
        assert (got, states(supervisor)) == ([outcome], {"me": after})


@STRATEGIES
async def test_a_child_may_rearrange_its_siblings(
    autojump_clock: MockClock, strategy: str, recorder: Recorder
) -> None:
    """Terminate, restart, delete and start work from within a child as from anywhere."""
    sibling = Puppet("sibling", cleanup=1.0)
    got: list[object] = []

    async with supervised(recorder, sibling.spec(), strategy=strategy) as supervisor:

        async def rearrange() -> str:
            await supervisor.terminate_child("sibling")
            await supervisor.restart_child("sibling")
            await supervisor.terminate_child("sibling")
            await supervisor.delete_child("sibling")
            await supervisor.start_child(Puppet("another").spec())
            return "done"

        supervisor.start_soon(calls, rearrange, got, name="me")
        await trio.sleep(10)
        assert (got, states(supervisor)) == (["done"], {"me": "running", "another": "running"})


@STRATEGIES
async def test_a_child_may_stop_its_supervisor(
    autojump_clock: MockClock, strategy: str, recorder: Recorder
) -> None:
    """T17: the stop goes its way, and the caller is cancelled when its turn comes."""
    a, b = Puppet("a", cleanup=1.0), Puppet("b", cleanup=1.0)
    got: list[object] = []
    go = trio.Event()

    async def stop() -> None:
        await go.wait()
        await supervisor.stop()

    with trio.fail_after(10):
        async with open_supervisor(strategy=strategy, events=recorder.bus) as supervisor:
            await supervisor.start_child(a.spec())
            supervisor.start_soon(calls, stop, got, name="me")
            await supervisor.start_child(b.spec())
            go.set()
    assert got == ["cancelled"]
    assert recorder.take()[-6:] == [
        "stop b#1", "stopped b#1", "stop me#1", "stopped me#1", "stop a#1", "stopped a#1",
    ]  # fmt: skip


@GROUPS
@pytest.mark.parametrize("verb", VERBS)
async def test_a_child_that_is_not_ready_is_refused_what_would_wait_for_itself(
    autojump_clock: MockClock, verb: str, strategy: str, recorder: Recorder
) -> None:
    """Its start holds the turn; so it is told to become ready first, and does not hang."""

    async def impatient(*, task_status: trio.TaskStatus[None]) -> None:
        with pytest.raises(SupervisionError, match=r"call task_status\.started"):
            await VERBS[verb](supervisor)
        task_status.started()
        await trio.sleep_forever()

    async with supervised(recorder, Puppet("a").spec(), strategy=strategy) as supervisor:
        with trio.fail_after(10):
            await supervisor.start(impatient)


@GROUPS
async def test_a_grandchild_is_refused_as_well_while_its_parent_is_not_ready(
    autojump_clock: MockClock, strategy: str, recorder: Recorder
) -> None:
    """The turn of a supervisor further up is held for the same start."""

    async def parent(*, task_status: trio.TaskStatus[None]) -> None:
        async with open_supervisor() as inner:

            async def grandchild(*, task_status: trio.TaskStatus[None]) -> None:
                with pytest.raises(SupervisionError, match=r"call task_status\.started"):
                    await outer.terminate_child("a")
                task_status.started()
                await trio.sleep_forever()

            await inner.start(grandchild)
            task_status.started()

    async with supervised(recorder, Puppet("a").spec(), strategy=strategy) as outer:
        with trio.fail_after(10):
            await outer.start(parent)


@GROUPS
@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("shield", [False, True])
async def test_a_child_that_is_being_stopped_is_refused_what_would_wait_for_itself(
    *, autojump_clock: MockClock, verb: str, strategy: str, shield: bool, recorder: Recorder
) -> None:
    """Whoever stops it holds the turn until it has ended; so it is told, and does not hang."""
    refused = trio.Event()

    async def worker() -> None:
        with until_stopped():
            await trio.sleep_forever()
        with (
            trio.CancelScope(shield=shield),
            pytest.raises(SupervisionError, match="while it is being stopped"),
        ):
            await VERBS[verb](supervisor)
        refused.set()

    specs = (Puppet("a").spec(), ChildSpec("worker", worker, shutdown=math.inf))
    async with supervised(recorder, *specs, strategy=strategy) as supervisor:
        await quiet()
        with trio.fail_after(10):
            await supervisor.terminate_child("worker")
    assert refused.is_set()


@GROUPS
async def test_a_child_that_its_supervisor_stops_at_the_end_hears_that_it_ends(
    autojump_clock: MockClock, strategy: str, recorder: Recorder
) -> None:
    """A supervisor that ends takes no verbs; nobody waits for a turn that does not come."""
    refused = trio.Event()

    async def worker() -> None:
        with until_stopped():
            await trio.sleep_forever()
        with pytest.raises(SupervisorNotRunning):
            await supervisor.terminate_child("a")
        refused.set()

    specs = (Puppet("a").spec(), ChildSpec("worker", worker, shutdown=math.inf))
    async with supervised(recorder, *specs, strategy=strategy) as supervisor:
        await quiet()
        with trio.fail_after(10):
            await supervisor.stop()
    assert refused.is_set()


@GROUPS
async def test_what_is_refused_is_not_done(
    autojump_clock: MockClock, strategy: str, recorder: Recorder
) -> None:
    """A refusal leaves the child that it was about as it is, one that is being started included."""

    async def slow(*, task_status: trio.TaskStatus[None]) -> None:
        await trio.sleep(10)
        task_status.started()
        await trio.sleep_forever()

    async def impatient(*, task_status: trio.TaskStatus[None]) -> None:
        with pytest.raises(SupervisionError):
            await supervisor.terminate_child("slow")
        with pytest.raises(SupervisionError):
            await supervisor.terminate_child("impatient")
        task_status.started()
        await trio.sleep_forever()

    async with supervised(recorder, strategy=strategy) as supervisor:
        supervisor.start_soon(slow, name="slow")
        await quiet()
        await supervisor.start(impatient, name="impatient")
        await trio.sleep(20)
        assert states(supervisor) == {"slow": "running", "impatient": "running"}


@STRATEGIES
async def test_a_child_does_not_wait_for_its_own_end(
    autojump_clock: MockClock, strategy: str, recorder: Recorder
) -> None:
    """It asks for its stop and goes on to its end, whatever its budget: it would wait in vain."""
    said: list[str] = []

    async def worker() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            with until_stopped():
                await trio.sleep_forever()
            said.append("soft part ended")

    async def ask() -> None:
        await supervisor.terminate_child("worker")
        said.append("asked")

    spec = ChildSpec("worker", worker, shutdown=math.inf)
    async with supervised(recorder, spec, strategy=strategy) as supervisor:
        with trio.fail_after(10):
            await quiet()
        assert states(supervisor) == {"worker": "stopped"}
    assert sorted(said) == ["asked", "soft part ended"]
