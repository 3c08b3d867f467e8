"""Work that a cancellation from outside does not reach, until its owner says so."""

from __future__ import annotations

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from trio_instances.http.work import Work


async def test_work_goes_on_when_whoever_began_it_is_cancelled(autojump_clock: MockClock) -> None:
    """Its owner waits for it."""
    work, done = Work(), []

    async def run() -> None:
        await trio.sleep(5)
        done.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        work.open(nursery)
        work.start_soon(run)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await work.wait_idle()
    assert done == [5.0]


async def test_cancelling_ends_what_is_under_way_and_what_comes_later(
    autojump_clock: MockClock,
) -> None:
    """A connection that was accepted in the last moment does not outlive the others."""
    work = Work()
    async with trio.open_nursery() as nursery:
        work.open(nursery)
        work.start_soon(trio.sleep_forever)
        await wait_all_tasks_blocked()
        work.cancel()
        await work.run(trio.sleep_forever)
    await work.wait_idle()


async def test_waiting_for_idleness_waits_for_all_of_it(autojump_clock: MockClock) -> None:
    """Also for what was begun meanwhile; and not at all where there is nothing."""
    work = Work()
    await work.wait_idle()
    async with trio.open_nursery() as nursery:
        work.open(nursery)
        work.start_soon(trio.sleep, 3)
        await wait_all_tasks_blocked()

        async def add() -> None:
            await trio.sleep(2)
            work.start_soon(trio.sleep, 4)

        nursery.start_soon(add)
        await work.wait_idle()
        assert trio.current_time() == 6.0
