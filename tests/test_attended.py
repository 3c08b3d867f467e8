"""A nursery of attendants: they end with the block, and what it raises comes out as it is."""

from __future__ import annotations

import gc
import weakref

import pytest
import trio
from trio.testing import MockClock

from trio_instances._attended import attended


class Bad(Exception):
    """What the block raises."""


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
