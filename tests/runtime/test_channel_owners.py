"""Whose a channel object is, whatever was started, exchanged and stopped before."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Sequence

import pytest
import trio
from attrs import define
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from trio_instances import InstanceAlreadyStarted, Runtime, open_runtime

from ..instance.scripted import ScriptedChannel
from .instances import slow_to_start, slow_to_stop, spec_of

owners = st.permutations(range(4)).flatmap(
    lambda channels: st.lists(st.sampled_from("abcd"), unique=True).map(
        lambda names: list(zip(names, channels, strict=False))
    )
)
"""Which instances there are to be, each with one of four channel objects."""


async def owner(runtime: Runtime, channel: ScriptedChannel) -> str | None:
    """Return the instance that a channel object serves, by what is said to one more."""
    try:
        await runtime.start_instance(spec_of("another", channel))
    except InstanceAlreadyStarted as exc:
        return exc.instance_id if exc.what == "channel" else exc.what
    await runtime.stop_instance("another")
    return None


@settings(max_examples=50)
@given(st.lists(owners, max_size=5))
def test_a_channel_object_is_free_exactly_when_no_instance_has_it(
    lists: Sequence[Sequence[tuple[str, int]]],
) -> None:
    """After any passes that start, stop and restart instances, with channels changing hands."""

    async def play() -> None:
        channels = [ScriptedChannel() for _ in range(4)]
        async with open_runtime() as runtime:
            for wanted in lists:
                await runtime.apply([spec_of(name, channels[index]) for name, index in wanted])
                names = {index: name for name, index in wanted}
                for index, channel in enumerate(channels):
                    assert await owner(runtime, channel) == names.get(index)

    trio.run(play, clock=MockClock(autojump_threshold=0))


async def test_a_channel_that_was_lent_is_free_when_both_have_let_go(
    instance_runtime: Runtime, autojump_clock: MockClock
) -> None:
    """A pass that is cancelled between the two leaves it with both, and refused to a third."""
    first, second = ScriptedChannel(), ScriptedChannel()
    await instance_runtime.apply([spec_of("a", first), spec_of("b", second)])
    first.give_own = slow_to_start().give_own
    with trio.move_on_after(1):
        await instance_runtime.apply([spec_of("b", first), spec_of("a", second)])
    holders = [bot.id for bot in instance_runtime.list_instances() if bot.spec.channel is first]
    assert holders == ["a", "b"]
    assert [bot.status for bot in instance_runtime.list_instances()] == ["stopped", "stopped"]

    first.give_own = lambda _: ()
    assert await owner(instance_runtime, first) == "a"
    await instance_runtime.stop_instance("a")
    assert await owner(instance_runtime, first) == "b"
    await instance_runtime.stop_instance("b")
    assert await owner(instance_runtime, first) is None


async def test_a_restart_does_not_take_back_a_channel_that_another_one_runs_on(
    autojump_clock: MockClock,
) -> None:
    """A pass that was cancelled has left the old owner stopped; the next one gives it its own."""
    moved, own = ScriptedChannel(), ScriptedChannel()
    async with open_runtime() as runtime:
        await runtime.apply([spec_of("x", moved), spec_of("y"), spec_of("z", slow_to_stop())])
        wanted = [spec_of("y", moved), spec_of("z"), spec_of("x", own)]
        with trio.move_on_after(1):
            await runtime.apply(wanted)
        with pytest.raises(InstanceAlreadyStarted, match="'y'"):
            await runtime.restart_instance("x")
        assert (moved.most, runtime.instance_status("x")) == (1, "stopped")

        await runtime.apply(wanted)
        await runtime.instance("x").wait_status("connected")
        assert own.living == moved.living == moved.most == 1


async def test_a_channel_that_its_lender_was_restarted_on_is_not_given_away(
    autojump_clock: MockClock,
) -> None:
    """While a pass waits for somebody an operator may be faster; the next pass goes on."""
    moved = ScriptedChannel()
    async with open_runtime() as runtime, trio.open_nursery() as nursery:
        await runtime.apply([spec_of("x", moved), spec_of("y", slow_to_stop())])
        await runtime.instance("y").wait_status("connected")
        wanted = [spec_of("y", moved), spec_of("x")]
        nursery.start_soon(runtime.apply, wanted)
        await trio.sleep(1)
        await runtime.restart_instance("x")
        await trio.sleep(10)
        assert moved.most == 1

        applied = await runtime.apply(wanted)
        assert (applied.failed, applied.restarted) == ({}, ("y",))
        await runtime.instance("y").wait_status("connected")
        assert moved.living == moved.most == 1


async def test_a_channel_object_serves_one_runtime_at_a_time(autojump_clock: MockClock) -> None:
    """Another one refuses it as its own does, until the instance is no more, or its runtime."""
    channel = ScriptedChannel()
    async with open_runtime() as other:
        async with open_runtime() as runtime:
            await runtime.start_instance(spec_of("a", channel))
            assert await owner(other, channel) == "a"
            await runtime.stop_instance("a")
            assert await owner(other, channel) is None

            await runtime.start_instance(spec_of("a", channel))
        assert await owner(other, channel) is None
        assert channel.most == 1


async def test_a_pass_that_wants_a_channel_of_another_runtime_leaves_the_instance_alone(
    autojump_clock: MockClock,
) -> None:
    """It is said with what failed, as nothing is stopped in vain; the next pass tries again."""
    channel, own = ScriptedChannel(), ScriptedChannel()
    async with open_runtime() as other, open_runtime() as runtime:
        await runtime.start_instance(spec_of("a", channel))
        bot = await other.start_instance(spec_of("b", own))
        await bot.wait_status("connected")
        applied = await other.apply([spec_of("b", channel)])
        assert (list(applied.failed), bot.status, own.closed) == (["b"], "connected", [])

        await runtime.stop_instance("a")
        assert (await other.apply([spec_of("b", channel)])).restarted == ("b",)


async def test_a_channel_that_another_runtime_took_meanwhile_is_not_given_away(
    autojump_clock: MockClock,
) -> None:
    """While a pass waits for the end of what the instance was; that is then all there is."""
    channel = ScriptedChannel()
    async with open_runtime() as other, open_runtime() as runtime, trio.open_nursery() as nursery:
        await other.start_instance(spec_of("b", slow_to_stop()))
        await other.instance("b").wait_status("connected")
        nursery.start_soon(other.apply, [spec_of("b", channel)])
        await trio.sleep(1)
        await runtime.start_instance(spec_of("a", channel))
        await trio.sleep(10)

        assert (other.instance_status("b"), channel.most) == ("stopped", 1)


@define
class Valued(ScriptedChannel):
    """A channel that equals others, and so has no hash."""

    name: str = ""

    def __attrs_post_init__(self) -> None:
        super().__init__()


async def test_a_channel_that_equals_one_of_another_runtime_is_free(
    autojump_clock: MockClock,
) -> None:
    """Objects are compared by identity, as they need not have a hash."""
    first, second = Valued("x"), Valued("x")
    with pytest.raises(TypeError, match="unhashable"):
        hash(first)
    async with open_runtime() as other, open_runtime() as runtime:
        await runtime.start_instance(spec_of("a", first))
        assert first == second
        assert (await owner(other, second), await owner(other, first)) == (None, "a")


async def test_nothing_is_kept_of_a_runtime_for_the_sake_of_its_channels(
    autojump_clock: MockClock,
) -> None:
    """Whoever drops a runtime that has ended drops its channels, and what they refer to."""
    channel = ScriptedChannel()
    async with open_runtime() as runtime:
        await runtime.start_instance(spec_of("a", channel))
    left = weakref.ref(channel)
    del channel, runtime
    gc.collect()

    assert left() is None
