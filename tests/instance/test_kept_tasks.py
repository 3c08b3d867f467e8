"""A task that probed one connection probes another, and nothing of the one comes to the other."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextvars import copy_context

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from trio_instances import ProbePolicy
from trio_instances._instance.probe_tasks import ProbeTask, ProbeTasks
from trio_instances._supervision import scopes
from trio_instances.policy.failures import flatten

from .askers import Asker, ready, seen
from .scripted import ScriptedChannel, scene


async def test_a_task_that_has_ended_its_probe_takes_the_next_one() -> None:
    """And two that run at once have two tasks."""
    one, two, three = (Asker(trio.lowlevel.checkpoint) for _ in range(3))
    async with ready() as (tasks, _):
        tasks.begin(one, copy_context())
        tasks.begin(two, copy_context())
        await trio.testing.wait_all_tasks_blocked()
        tasks.begin(three, copy_context())

    assert one.task is not two.task
    assert three.task in {one.task, two.task}


async def test_a_task_that_waits_refers_to_nothing_of_its_last_probe() -> None:
    """Its connection may end long before there is another one to be probed."""
    asker = Asker(trio.lowlevel.checkpoint)
    alive = weakref.ref(asker)
    async with ready() as (tasks, nursery):
        tasks.begin(asker, copy_context())
        await trio.testing.wait_all_tasks_blocked()
        del asker
        tasks.forget()

        assert (len(nursery.child_tasks), alive()) == (1, None)


async def test_a_task_that_probes_again_forgets_nothing() -> None:
    """The context variables are those of the probe that runs."""
    answered, found = trio.Event(), []

    async def answer() -> None:
        await answered.wait()
        found.append(seen.get())

    one, two = Asker(trio.lowlevel.checkpoint), Asker(answer)
    async with ready() as (tasks, _):
        for asker in (one, two):
            tasks.begin(asker, copy_context())
            await trio.testing.wait_all_tasks_blocked()
        tasks.forget()
        answered.set()

    assert found == [two]


async def test_what_a_task_waits_with_is_forgotten_when_its_probe_had_to_be_over(
    autojump_clock: MockClock,
) -> None:
    """However long it is until the next probe."""
    channel = ScriptedChannel()
    alive: list[weakref.ref[Asker]] = []
    asked = trio.Event()

    async def ask(_: int) -> None:
        asked.set()
        asker = Asker(trio.lowlevel.checkpoint)
        alive.append(weakref.ref(asker))
        await asker.ask()

    channel.ask = ask
    policy = ProbePolicy(interval=1000.0, jitter=0.0, timeout=5.0)
    async with scene(channel, probe=policy):
        await asked.wait()
        await trio.sleep(5.5)

        assert alive[0]() is None


async def test_after_the_close_no_task_waits() -> None:
    """Those that wait end at once, and those that run end with their probes."""
    answered = trio.Event()
    async with ready() as (tasks, nursery):
        for answer in (trio.lowlevel.checkpoint, answered.wait):
            tasks.begin(Asker(answer), copy_context())
        await trio.testing.wait_all_tasks_blocked()
        tasks.close()
        await trio.testing.wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 1
        answered.set()
        await trio.testing.wait_all_tasks_blocked()

        assert len(nursery.child_tasks) == 0


async def scopes_of_two(first: Asker, then: Callable[[ProbeTask], object] = id) -> list[object]:
    """Return the scopes of a probe, to which something is done, and of the next in its task."""
    async with ready() as (tasks, _):
        place = tasks.begin(first, copy_context())
        one = place.scope
        await trio.testing.wait_all_tasks_blocked()
        then(place)
        await trio.testing.wait_all_tasks_blocked()
        answered: list[object] = []

        async def answer() -> None:
            await trio.lowlevel.checkpoint()
            answered.append(place.scope)

        assert tasks.begin(Asker(answer), copy_context()) is place
        await trio.testing.wait_all_tasks_blocked()
        return [one, *answered]


async def test_a_probe_that_has_passed_leaves_its_scope_to_the_next_one() -> None:
    """If nothing is open in it; one for each would be a third of what all of a probe costs."""
    one, two = await scopes_of_two(Asker(trio.lowlevel.checkpoint))

    assert one is two


async def test_a_probe_that_has_failed_leaves_no_scope_to_the_next_one() -> None:
    """It goes with what was raised in it."""

    async def fail() -> None:
        raise ValueError("own")

    asker = Asker(fail)
    one, two = await scopes_of_two(asker)

    assert one is not two
    assert [type(each) for each in asker.failures] == [ValueError]


@pytest.mark.parametrize("shielded", [False, True])
async def test_a_probe_that_was_cancelled_leaves_no_scope_to_the_next_one(
    *, shielded: bool
) -> None:
    """Nor does one that took no notice of it: the next would be cancelled as it begins."""
    told = trio.Event()

    async def wait() -> None:
        with trio.CancelScope(shield=shielded):
            await told.wait()

    def cancel(place: ProbeTask) -> None:
        place.cancel()
        told.set()

    asker = Asker(wait)
    one, two = await scopes_of_two(asker, cancel)

    assert one is not two
    assert asker.failures == [None]


async def test_a_probe_that_leaves_a_scope_open_leaves_none_to_the_next_one() -> None:
    """Also one that nobody can see from within, as it has neither a deadline nor a shield."""

    async def leave_open() -> None:
        trio.CancelScope().__enter__()

    asker = Asker(leave_open)
    one, two = await scopes_of_two(asker)

    assert one is not two
    assert [type(each) for each in asker.failures] == [RuntimeError]


async def test_a_task_in_which_a_nursery_was_left_open_probes_no_more() -> None:
    """The next one has another."""
    left: list[object] = []

    async def leave_open() -> None:
        left.append(opened := trio.open_nursery())
        await opened.__aenter__()

    bad, good = Asker(leave_open), Asker(trio.lowlevel.checkpoint)
    async with ready() as (tasks, _):
        for asker in (bad, good):
            tasks.begin(asker, copy_context())
            await trio.testing.wait_all_tasks_blocked()

    assert bad.task is not good.task
    assert [type(each) for each in bad.failures] == [RuntimeError]
    assert good.failures == [None]


async def test_where_trio_does_not_tell_what_is_open_no_scope_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each probe has one of its own then."""
    monkeypatch.setattr(scopes, "INNERMOST", "_gone")
    one, two = await scopes_of_two(Asker(trio.lowlevel.checkpoint))

    assert one is not two


async def test_trio_tells_what_is_open() -> None:
    """By no public way: if this fails, think of another; until then, each probe has its scope."""
    task = trio.lowlevel.current_task()
    outside = getattr(task, scopes.INNERMOST, None)
    with trio.CancelScope():
        await trio.lowlevel.checkpoint()
        inside = getattr(task, scopes.INNERMOST, None)

    assert outside is not None
    assert inside not in {None, outside}
    assert getattr(task, scopes.INNERMOST, None) is outside


async def test_what_comes_out_of_a_verdict_is_no_failure_of_its_probe() -> None:
    """It goes through the task, and the verdict is not asked for again."""

    class Exiting(Asker):
        def ended(self, failure: BaseException | None) -> None:
            super().ended(failure)
            raise SystemExit(3)

    asker = Exiting(trio.lowlevel.checkpoint)

    async def probe() -> None:
        async with ready() as (tasks, _):
            tasks.begin(asker, copy_context())
            await trio.sleep(1)

    with pytest.raises(BaseExceptionGroup) as caught:
        await probe()

    assert [type(leaf) for leaf in flatten(caught.value)] == [SystemExit]
    assert asker.failures == [None]


async def test_what_else_fails_in_a_task_is_not_kept_quiet() -> None:
    """Whoever takes in what a probe says never raises, so that would be a mistake of ours."""

    class Mistaken(Asker):
        def ended(self, failure: BaseException | None) -> None:
            raise RuntimeError("ours")

    async def play() -> None:
        async with ready() as (tasks, _):
            tasks.begin(Mistaken(trio.lowlevel.checkpoint), copy_context())

    with pytest.raises(ExceptionGroup) as caught:
        await play()
    assert [str(leaf) for leaf in flatten(caught.value)] == ["ours"]


async def test_a_close_before_there_is_a_nursery_leaves_nothing_to_wait_for() -> None:
    """Cancelled while it opens, it ends, whichever task comes first."""
    for _ in range(20):
        tasks = ProbeTasks()
        async with trio.open_nursery() as nursery:
            with trio.CancelScope() as scope:
                scope.cancel()
                await tasks.open(nursery)
            tasks.close()

        assert scope.cancelled_caught
        assert not tasks.ready
