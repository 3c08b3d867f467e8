"""A nursery of attendants: they end with the block, and what it raises comes out as it is."""

from __future__ import annotations

import gc
import weakref

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from trio_instances._attended import attended


class Bad(Exception):
    """What the block raises."""


class Worse(Exception):
    """What an attendant raises."""


async def fail_in_cleanup() -> None:
    """Attend until the end, and fail then."""
    try:
        await trio.sleep_forever()
    finally:
        raise Worse


async def test_attendants_are_cancelled_when_the_block_is_left(autojump_clock: MockClock) -> None:
    """Also after it was left by an exception, which comes out bare."""
    ended = []

    async def attend() -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.append(trio.current_time())

    async with attended() as nursery:
        nursery.start_soon(attend)
        await trio.sleep(1)
    with pytest.raises(Bad):
        async with attended() as nursery:
            nursery.start_soon(attend)
            await trio.sleep(1)
            raise Bad
    assert [at - ended[0] for at in ended] == [0.0, 1.0]


async def test_an_attendant_that_fails_cancels_the_block(autojump_clock: MockClock) -> None:
    """And comes out in a group."""

    async def fail() -> None:
        raise Bad

    with pytest.raises(ExceptionGroup) as failed:
        async with attended() as nursery:
            nursery.start_soon(fail)
            await trio.sleep_forever()
    assert [type(exc) for exc in failed.value.exceptions] == [Bad]


async def test_what_the_block_raised_is_kept_beside_an_attendant_that_fails_later() -> None:
    """Neither hides the other: a plain nursery says both as well."""
    bad = Bad()
    with pytest.raises(ExceptionGroup) as failed:
        async with attended() as nursery:
            nursery.start_soon(fail_in_cleanup)
            await wait_all_tasks_blocked()
            raise bad
    assert {type(exc) for exc in failed.value.exceptions} == {Bad, Worse}
    assert bad in failed.value.exceptions


async def test_what_the_block_raised_is_kept_beside_the_attendant_that_cancelled_it() -> None:
    """Here in the block's cleanup; the Cancelled that it began with was the nursery's own."""

    async def fail() -> None:
        raise Worse

    with pytest.raises(ExceptionGroup) as failed:
        async with attended() as nursery:
            nursery.start_soon(fail)
            try:
                await trio.sleep_forever()
            finally:
                raise Bad
    assert {type(exc) for exc in failed.value.exceptions} == {Bad, Worse}


async def test_no_cancelled_of_its_own_comes_out_within_a_group() -> None:
    """The block's own nursery raised one beside a failure."""

    async def fail_while_cancelled() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise Bad

    with pytest.raises(ExceptionGroup) as failed:  # with a Cancelled it would be no ExceptionGroup
        async with attended() as attendants, trio.open_nursery() as nursery:
            nursery.start_soon(fail_while_cancelled)
            nursery.start_soon(trio.sleep_forever)
            await wait_all_tasks_blocked()
            attendants.cancel_scope.cancel()
    assert failed.group_contains(Bad)


async def test_a_group_that_the_block_raised_is_that_group() -> None:
    """And no copy of it, nor one around it."""
    group = ExceptionGroup("several", [Bad(), ExceptionGroup("more", [Bad()])])
    with pytest.raises(ExceptionGroup) as failed:
        async with attended() as nursery:
            nursery.start_soon(trio.sleep_forever)
            await wait_all_tasks_blocked()
            raise group
    assert failed.value is group


async def test_what_cancels_the_nursery_ends_the_block_and_nothing_else() -> None:
    """As with any nursery."""
    async with attended() as nursery:
        nursery.start_soon(trio.sleep_forever)
        nursery.cancel_scope.cancel()
        await trio.sleep_forever()
    assert nursery.cancel_scope.cancelled_caught


async def test_a_block_that_fails_while_it_is_cancelled_from_outside_comes_out_bare(
    autojump_clock: MockClock,
) -> None:
    """It is not lost in the attendants' cancellation, nor wrapped for its sake."""
    with pytest.raises(Bad), trio.move_on_after(1) as scope:
        async with attended() as nursery:
            nursery.start_soon(trio.sleep_forever)
            try:
                await trio.sleep_forever()
            finally:
                raise Bad
    assert scope.cancel_called


async def test_a_cancellation_from_outside_stays_one(autojump_clock: MockClock) -> None:
    """It reaches the block and the attendants, and ends where it came from."""
    with trio.move_on_after(1) as scope:
        async with attended() as nursery:
            nursery.start_soon(trio.sleep_forever)
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert trio.current_time() == scope.deadline


async def test_nothing_is_left_of_a_failure() -> None:
    """No frame keeps the exception, and through it all that the block had."""
    with pytest.raises(Bad) as failed:
        async with attended():
            raise Bad
    gone = weakref.ref(failed.value)
    gc.disable()
    try:
        del failed
        assert gone() is None
    finally:
        gc.enable()
