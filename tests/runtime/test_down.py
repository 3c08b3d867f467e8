"""Waiting until everything has been down for too long."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from trio_instances import InvalidSpec, Runtime, open_runtime, wait_all_down

from ..instance.scripted import ScriptedChannel, fatal, lost
from .instances import spec_of


async def seconds_until_down(runtime: Runtime, after: float = 300.0, *, limit: float) -> float:
    """Return after how many seconds all was down; the limit where it was not."""
    began = trio.current_time()
    with trio.move_on_after(limit):
        await wait_all_down(runtime, after)
    return trio.current_time() - began


async def test_what_never_connects_is_down_after_the_time(autojump_clock: MockClock) -> None:
    """It counts from the beginning; a failure for good is no reason to hurry."""
    async with open_runtime() as runtime:
        await runtime.start_instance(spec_of("a", ScriptedChannel(*[OSError()] * 100)))
        await runtime.start_instance(spec_of("b", ScriptedChannel(fatal())))

        assert await seconds_until_down(runtime, limit=900) == pytest.approx(300, abs=5.1)


async def test_one_that_is_connected_is_enough(autojump_clock: MockClock) -> None:
    """Whatever became of the others."""
    async with open_runtime() as runtime:
        await runtime.start_instance(spec_of("a"))
        await runtime.start_instance(spec_of("b", ScriptedChannel(fatal())))

        assert await seconds_until_down(runtime, limit=9000) == 9000


async def test_the_time_counts_from_the_loss_of_the_last_steady_connection(
    autojump_clock: MockClock,
) -> None:
    """Not from when somebody began to wait."""
    channel = ScriptedChannel(0.0, *[OSError()] * 100)
    async with open_runtime() as runtime:
        await runtime.start_instance(spec_of("a", channel))
        await trio.sleep(1000)
        channel.reader.end(lost())

        assert await seconds_until_down(runtime, limit=900) == pytest.approx(300, abs=5.1)


async def test_connections_that_are_lost_at_once_do_not_make_it_up(
    autojump_clock: MockClock,
) -> None:
    """A server that accepts and then closes keeps nobody well."""
    channel = ScriptedChannel(*[0.0] * 100)

    async def die() -> None:
        await trio.sleep(5)
        raise lost()

    channel.reader.run = die  # type: ignore[method-assign]  # the worker's body is the test's to give
    async with open_runtime() as runtime:
        await runtime.start_instance(spec_of("a", channel))

        assert await seconds_until_down(runtime, limit=900) == pytest.approx(300, abs=10.1)


async def test_nobody_is_given_up_while_connected(autojump_clock: MockClock) -> None:
    """One that has come back after the time, and is not steady yet, has its chance."""
    channel = ScriptedChannel(15.0)
    async with open_runtime() as runtime:
        spec = spec_of("a", channel)
        await runtime.start_instance(spec)

        assert await seconds_until_down(runtime, 20.0, limit=60) == 60


async def test_what_is_paused_is_not_down(autojump_clock: MockClock) -> None:
    """An operator is at work; once resumed it has all its time."""
    async with open_runtime() as runtime:
        bot = await runtime.start_instance(spec_of("a", ScriptedChannel(*[OSError()] * 100)))
        bot.pause()
        assert await seconds_until_down(runtime, limit=9000) == 9000

        async with trio.open_nursery() as nursery:

            async def resume() -> None:
                await trio.sleep(1000)
                bot.resume()

            nursery.start_soon(resume)
            down = await seconds_until_down(runtime, limit=9000)
        assert down == pytest.approx(1300, abs=10.1)


async def test_no_instance_at_all_is_not_down(autojump_clock: MockClock) -> None:
    """There is nothing to mend."""
    async with open_runtime() as runtime:
        assert await seconds_until_down(runtime, limit=9000) == 9000


@pytest.mark.parametrize("after", [0.0, float("inf"), float("nan")])
async def test_a_bad_time_is_refused(after: float, autojump_clock: MockClock) -> None:
    """At the door."""
    async with open_runtime() as runtime:
        with pytest.raises(InvalidSpec, match="after"):
            await wait_all_down(runtime, after)


async def test_how_an_instance_stands_is_asked_of_it_or_of_the_runtime(
    autojump_clock: MockClock,
) -> None:
    """The same is said by both."""
    async with open_runtime() as runtime:
        bot = await runtime.start_instance(spec_of("a"))
        await trio.sleep(1)
        assert (bot.standing().connected, bot.standing().steady) == (True, False)
        await trio.sleep(60)
        assert [bot.standing()] == runtime.list_standings()
        assert (bot.standing().proven, bot.standing().steady) == (True, True)
