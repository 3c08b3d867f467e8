"""Whose a sign of life is: what one connection hears is no sign of another."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

from trio_instances import Instance, InstanceSpec, ProbePolicy, telemetry

from .scripted import HANGS, STEADY, OverlappingChannel, ScriptedChannel, scene

NEEDS_DATA = evolve(STEADY, needs_data=True, stable_after=10.0, close_timeout=100.0)
RARE = ProbePolicy(interval=10_000, jitter=0.0)


class Talkative(OverlappingChannel):
    """Its first connection takes 50 seconds to close, and hears something each second.

    Args:
        sign: How it says so.
        overlaps: Whether a successor is made before.
    """

    def __init__(self, sign: Callable[[Instance], None], *, overlaps: bool = True) -> None:
        super().__init__()
        self.sign = sign
        self.overlaps = overlaps

    @asynccontextmanager
    async def connect(self, instance: Instance) -> AsyncIterator[int]:
        """Connect at once."""
        async with super().connect(instance) as number:
            yield number
            for _ in range(50 if number == 1 else 0):
                await trio.sleep(1)
                self.sign(instance)


class Greeted(OverlappingChannel):
    """Its successors hear something before they are open.

    Args:
        delay: Seconds until a successor opens.
    """

    def __init__(self, delay: float) -> None:
        super().__init__(0.0, delay)

    @asynccontextmanager
    async def connect(self, instance: Instance) -> AsyncIterator[int]:
        """Connect once."""
        if self.attempts:
            instance.saw_event()
        async with super().connect(instance) as number:
            yield number


@pytest.mark.parametrize("overlaps", [False, True])
async def test_what_the_old_connection_hears_does_not_prove_the_new_one(
    autojump_clock: MockClock, *, overlaps: bool
) -> None:
    """An event that came while it was closed is no data of its successor."""
    channel = Talkative(Instance.saw_event, overlaps=overlaps)
    async with scene(channel, reconnect=NEEDS_DATA) as s:
        await trio.sleep(20)
        if overlaps:
            s.bot.rotate()
        else:
            s.bot.reconnect()
        await trio.sleep(1000)

        assert (s.bot.generation, s.bot.connected) == (2, True)
        assert s.log.of(telemetry.InstanceProven) == []
        s.bot.saw_event()
        assert [each.generation for each in s.log.of(telemetry.InstanceProven)] == [2]


@pytest.mark.parametrize("sign", [Instance.saw_event, Instance.saw_frame])
async def test_what_the_old_connection_hears_breaks_no_silence_of_the_new_one(
    autojump_clock: MockClock, sign: Callable[[Instance], None]
) -> None:
    """One that is deaf is found out in its own time, while the old one is still being closed."""
    policy = evolve(RARE, transport_silence=5.0)
    async with scene(Talkative(sign), reconnect=NEEDS_DATA, probe=policy) as s:
        await trio.sleep(1)
        s.bot.rotate()
        await trio.sleep(20)

        told = [(each.at, each.generation) for each in s.log.of(telemetry.LivenessSilent)]
        assert told == [(6, 2)]
        assert s.log.of(telemetry.LivenessHeard) == []


async def test_what_a_successor_hears_is_no_sign_of_the_old_connection(
    autojump_clock: MockClock,
) -> None:
    """An attempt beside may well be greeted, while the connection that it is to replace is deaf."""
    policy = evolve(RARE, data_silence=5.0)
    async with scene(Greeted(HANGS), reconnect=NEEDS_DATA, probe=policy) as s:
        await trio.sleep(20)
        s.bot.rotate()
        await trio.sleep(5)

        assert s.bot.health().handover
        assert len(s.log.of(telemetry.LivenessSilent)) == 1
        assert s.log.of(telemetry.LivenessHeard) == []
        assert not s.bot.health().proven


@pytest.mark.parametrize("lost", [False, True])
async def test_what_greets_a_successor_is_its_own_data_once_it_has_taken_over(
    autojump_clock: MockClock, *, lost: bool
) -> None:
    """Many a platform greets in the middle of a login, and then says nothing for a long time."""
    async with scene(Greeted(5.0), reconnect=NEEDS_DATA) as s:
        await trio.sleep(20)
        s.bot.rotate()
        await trio.sleep(1)
        if lost:
            s.bot.reconnect()  # so that the successor is the attempt that there is
        await trio.sleep(1000)

        assert [each.generation for each in s.log.of(telemetry.InstanceProven)] == [2]


async def test_what_outlives_its_connection_speaks_of_the_one_there_is(
    autojump_clock: MockClock,
) -> None:
    """A task that was started in an old connection, and lives elsewhere, is none of its own."""
    channel = ScriptedChannel()
    heard = trio.Event()

    async def tell(instance: Instance) -> None:
        await heard.wait()
        instance.saw_event()

    def children(instance: Instance, number: int) -> tuple[()]:
        if number == 1:
            nursery.start_soon(tell, instance)  # in the context of this connection
        return ()

    channel.give_children = children
    async with trio.open_nursery() as nursery, scene(channel, reconnect=NEEDS_DATA) as s:
        await trio.sleep(20)
        s.bot.reconnect()
        await trio.sleep(20)
        heard.set()
        await trio.sleep(1)

        assert [each.generation for each in s.log.of(telemetry.InstanceProven)] == [2]


async def test_a_connection_may_speak_of_another_instance(autojump_clock: MockClock) -> None:
    """Then it is about the connection that the other one has; their numbers mean nothing."""
    channel, bridge = ScriptedChannel(), ScriptedChannel()
    async with scene(channel, reconnect=NEEDS_DATA) as s:
        await trio.sleep(20)
        s.bot.reconnect()
        await trio.sleep(20)

        def children(_: Instance, __: int) -> tuple[()]:
            s.bot.saw_event()
            return ()

        bridge.give_children = children
        spec = InstanceSpec(id="bridge", channel=bridge, reconnect=STEADY)
        await s.runtime.start_instance(spec)
        await trio.sleep(1)

        assert s.log.of(telemetry.InstanceProven)[0].instance_id == "bot"
