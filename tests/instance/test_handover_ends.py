"""What an operator, a stop, a crash or a probe does in the middle of a handover."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    Cause,
    ChannelError,
    ChildSpec,
    Instance,
    ProbePolicy,
    RestartIntensity,
    telemetry,
)

from .scripted import HANGS, OverlappingChannel, Scene, Worker, degraded, lost, scene

STAGES = ["asked", "attempt", "children"]
"""How far the successor is: asked for in this very moment, connecting, or starting its children."""


async def slowly() -> None:
    """Be a closing that takes its time."""
    await trio.sleep(7)


def channel_for(stage: str) -> OverlappingChannel:
    """Return a channel whose second connection does not get beyond a stage."""
    channel = OverlappingChannel(0.0, 0.0 if stage == "children" else HANGS)

    async def never(*, task_status: trio.TaskStatus[None]) -> None:
        await trio.sleep_forever()

    def children(_: Instance, number: int) -> list[ChildSpec]:
        reader = channel.readers[number] = Worker()
        late = stage == "children" and number == 2
        return [ChildSpec("reader", never if late else reader.run)]

    channel.give_children = children
    return channel


async def begin(s: Scene, stage: str = "attempt") -> None:
    """Let the first connection be open, and a handover be at a stage, 100 seconds later."""
    await trio.sleep(100)
    assert s.bot.connected
    s.bot.rotate()
    assert s.bot.health().handover
    if stage != "asked":
        await trio.sleep(1)


# --- operators -----------------------------------------------------------------------------------

ENDS: dict[str, Callable[[Scene], object]] = {
    "pause": lambda s: s.bot.pause(),
    "drain": lambda s: s.bot.drain(),
}


@pytest.mark.parametrize("verb", ENDS)
@pytest.mark.parametrize("stage", STAGES)
async def test_a_pause_in_the_middle_of_a_handover_ends_both(
    autojump_clock: MockClock, stage: str, verb: str
) -> None:
    """The old one in peace, the successor as far as it has come; nothing of either is left."""
    channel = channel_for(stage)
    async with scene(channel) as s:
        await begin(s, stage)
        ENDS[verb](s)
        await s.bot.wait_status("paused")
        await trio.sleep(0.1)
        assert channel.living == 0
        assert ("closed", 1) in channel.story
        assert ("opened", 2) not in channel.story or ("closed", 2) in channel.story
        await trio.sleep(1000)
        assert (s.bot.status, channel.living) == ("paused", 0)
        channel.outcomes = []
        s.bot.resume()
        await s.bot.wait_status("connected")

        assert channel.living == 1
        assert s.log.of(telemetry.ReconnectFailed) == []


@pytest.mark.parametrize("stage", STAGES)
async def test_a_reconnect_in_the_middle_of_a_handover_does_not_wait_for_it(
    autojump_clock: MockClock, stage: str
) -> None:
    """The old one is closed at once; the attempt that is under way is the one."""
    channel = channel_for(stage)
    async with scene(channel) as s:
        await begin(s, stage)
        assert s.bot.reconnect() == "reconnecting"
        await trio.sleep(0.1)
        assert ("closed", 1) in channel.story
        assert (s.bot.generation, len(channel.attempts)) == (2, 2)
        await s.bot.wait_status("connected")

        assert channel.living == 1
        assert s.bot.generation == 3


@pytest.mark.parametrize("stage", STAGES)
async def test_a_second_rotation_in_the_middle_of_a_handover_is_the_same(
    autojump_clock: MockClock, stage: str
) -> None:
    """There is one successor."""
    channel = channel_for(stage)
    async with scene(channel) as s:
        await begin(s, stage)
        s.bot.rotate()
        await trio.sleep(1)

        assert len(channel.attempts) == 2


async def test_retry_now_leaves_a_handover_alone(autojump_clock: MockClock) -> None:
    """Nothing waits."""
    channel = channel_for("attempt")
    async with scene(channel) as s:
        await begin(s)
        assert s.bot.retry_now() == "connected"
        assert s.bot.health().handover
        assert not s.log.of(telemetry.InstanceAsked)[-1].changed


# --- stops ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", STAGES)
async def test_a_stop_in_the_middle_of_a_handover_leaves_nothing(
    autojump_clock: MockClock, stage: str
) -> None:
    """The old one is closed in peace, a successor that has no connection yet holds nobody up."""
    channel = channel_for(stage)
    channel.close = slowly
    async with scene(channel) as s:
        await begin(s, stage)
        began = trio.current_time()
        await s.runtime.stop_instance("bot")

        assert trio.current_time() == began + 7
        assert channel.living == 0
        assert ("closed", 1) in channel.story
        assert ("opened", 2) not in channel.story or ("closed", 2) in channel.story
        assert s.log.of(telemetry.ReconnectFailed) == []
        assert s.log.of(telemetry.ChildStuck) == []
        assert s.log.names[-1] == "instance.stopped"


@pytest.mark.parametrize("closing", [0.0, 7.0])
async def test_a_stop_after_a_handover_is_a_stop(autojump_clock: MockClock, closing: float) -> None:
    """The connection was once a successor, and has a task of its own: it is closed as any other."""
    channel = OverlappingChannel()

    async def close() -> None:
        await trio.sleep(closing)

    channel.close = close
    async with scene(channel) as s:
        await begin(s)
        await trio.sleep(100)
        began = trio.current_time()
        with trio.fail_after(20):
            await s.runtime.stop_instance("bot")

        assert trio.current_time() == began + closing
        assert channel.story[-1] == ("closed", 2)
        (end,) = s.log.of(telemetry.InstanceDisconnected)
        assert end.cause.reason == "stop_requested"


async def test_a_stop_waits_for_both_closings(autojump_clock: MockClock) -> None:
    """The one that is left is closed in peace too, and they do not wait for each other."""
    channel = OverlappingChannel()
    channel.close = slowly
    async with scene(channel) as s:
        await begin(s)
        await trio.sleep(1)
        assert channel.living == 2
        await s.runtime.stop_instance("bot")

        assert channel.story[-2:] == [("closed", 1), ("closed", 2)]
        assert trio.current_time() == 102 + 7


async def test_a_stop_waits_for_a_closing_that_hangs_no_longer_than_it_may(
    autojump_clock: MockClock,
) -> None:
    """Both have their own ten seconds."""
    channel = OverlappingChannel()

    async def hang() -> None:
        await trio.sleep_forever()

    channel.close = hang
    async with scene(channel) as s:
        await begin(s)
        await trio.sleep(4)
        await s.runtime.stop_instance("bot")

        assert trio.current_time() == 105 + 10
        assert channel.living == 0
        timeouts = [e.at for e in s.log.of(telemetry.HookFailed)]
        assert timeouts == [110, 115]


async def test_nothing_is_rotated_while_it_stops(autojump_clock: MockClock) -> None:
    """Neither by hand nor by its age, however long the closing takes."""
    channel = OverlappingChannel()
    channel.close = slowly
    async with scene(channel) as s, trio.open_nursery() as nursery:
        await trio.sleep(100)
        nursery.start_soon(s.runtime.stop_instance, "bot")
        await trio.sleep(1)
        s.bot.rotate()
        await trio.sleep(10)

        assert len(channel.attempts) == 1


async def test_a_stop_of_what_has_no_connection_cuts_all_short(autojump_clock: MockClock) -> None:
    """As it does for an attempt alone: a closing that is left over is dropped with it."""
    channel = OverlappingChannel(0.0, HANGS)
    channel.close = slowly
    async with scene(channel) as s:
        await begin(s)
        channel.readers[1].end(lost())
        await trio.sleep(1)
        assert (s.bot.status, channel.living) == ("reconnecting", 2)
        await s.runtime.stop_instance("bot")

        assert trio.current_time() == 102
        assert sorted(channel.story[-2:]) == [("dropped", 1), ("dropped", 2)]


@pytest.mark.parametrize("after", [0.0, 1.0, 3.0, 8.0])
async def test_a_paused_instance_is_stopped_at_once_after_a_handover(
    autojump_clock: MockClock, after: float
) -> None:
    """Whatever is still being closed."""
    channel = OverlappingChannel()
    channel.close = slowly
    async with scene(channel) as s:
        await begin(s)
        await trio.sleep(5)
        s.bot.pause()
        await trio.sleep(after)
        with trio.fail_after(20):
            await s.runtime.stop_instance("bot")

        assert channel.living == 0


async def test_cancelling_the_runtime_in_the_middle_of_a_handover(
    autojump_clock: MockClock,
) -> None:
    """The same ordered stop: the old one is closed in peace, and the successor given up."""
    channel = channel_for("attempt")
    channel.close = slowly
    with trio.move_on_after(110):
        async with scene(channel) as s:
            await begin(s)
            await trio.sleep_forever()

    assert trio.current_time() == 117
    assert channel.living == 0
    assert channel.story[-2:] == [("dropped", 2), ("closed", 1)]


# --- crashes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", STAGES)
async def test_a_crash_of_the_instance_ends_both(autojump_clock: MockClock, stage: str) -> None:
    """Its next run begins with one connection, and with nothing of the two before."""
    channel = channel_for(stage)
    keeper = Worker()
    channel.give_own = lambda _: [ChildSpec("keeper", keeper.run)]
    async with scene(channel, intensity=RestartIntensity(max_restarts=0)) as s:
        await begin(s, stage)
        keeper.end(ValueError("bug"))
        await s.log.wait(telemetry.InstanceConnected, 2)

        assert channel.living == 1
        assert not s.bot.health().handover


async def test_a_crash_of_the_connection_loop_ends_both(autojump_clock: MockClock) -> None:
    """A cause that is rubbish within ends the loop; its next run connects, and has one."""
    rubbish = Cause("recoverable", "odd")
    object.__setattr__(rubbish, "retry_after", "soon")  # the constructor refuses it
    channel = OverlappingChannel(0.0, ChannelError(rubbish))
    async with scene(channel) as s:
        await begin(s, "asked")
        await s.log.wait(telemetry.ChildRestarting)
        await s.bot.wait_status("connected")
        await trio.sleep(1)

        assert channel.living == 1
        assert s.bot.generation == 3


async def test_a_successor_that_ignores_its_end_is_closed_and_not_used(
    autojump_clock: MockClock,
) -> None:
    """One whose `connect` swallows the cancellation has come too late."""

    class Stubborn(OverlappingChannel):
        @asynccontextmanager
        async def connect(self, instance: Instance) -> AsyncIterator[int]:
            if self.attempts:
                with suppress(trio.Cancelled):
                    await trio.sleep(5)
                self.story.append(("swallowed", 2))
                yield 2
            else:
                async with super().connect(instance) as number:
                    yield number

    channel = Stubborn()
    async with scene(channel) as s:
        await begin(s)
        s.bot.pause()
        await trio.sleep(1)

        assert channel.living == 0
        assert ("swallowed", 2) in channel.story
        assert 2 not in channel.readers
        assert s.log.of(telemetry.InstanceHandedOver) == []


# --- children of the same names ------------------------------------------------------------------


class Optionals(OverlappingChannel):
    """Each connection has a child that may be missing; a script says which fail."""

    def __init__(self, *outcomes: float | BaseException, broken: set[int]) -> None:
        super().__init__(*outcomes)
        self.broken = broken
        self.extras: dict[int, Worker] = {}
        self.late: set[int] = set()
        """The connections of which the last child does not get ready."""
        self.give_children = self._both

    def _both(self, _: Instance, number: int) -> list[ChildSpec]:
        async def fail(*, task_status: trio.TaskStatus[None]) -> None:
            raise degraded("no extra")

        async def never(*, task_status: trio.TaskStatus[None]) -> None:
            await trio.sleep_forever()

        extra = self.extras[number] = Worker()
        run = fail if number in self.broken else extra.run
        specs = [ChildSpec("extra", run, essential=False)]
        return [*specs, ChildSpec("never", never)] if number in self.late else specs


def reasons(s: Scene) -> list[str]:
    """Return why the instance is degraded."""
    return [reason.what for reason in s.bot.health().degraded]


async def test_a_parked_child_of_the_successor_counts_when_it_takes_over(
    autojump_clock: MockClock,
) -> None:
    """Not while the old connection, which has such a child, is the connection."""
    channel = Optionals(0.0, 0.0, 5.0, broken={2})
    channel.late = {2}
    async with scene(channel) as s:
        await begin(s)
        assert reasons(s) == []
        channel.late = set()
        channel.broken = {3}
        await s.log.wait(telemetry.InstanceHandedOver)
        await trio.sleep(1)

        assert reasons(s) == ["child:extra"]
        assert s.bot.health().children_parked == 1


async def test_a_child_that_was_parked_is_well_again_with_the_successors(
    autojump_clock: MockClock,
) -> None:
    """What was missing on the old connection is there on the new one; and not sooner."""
    channel = Optionals(0.0, 0.0, 0.0, broken={1})
    channel.late = {2}
    async with scene(channel) as s:
        await s.bot.wait_status("degraded")
        s.bot.rotate()
        await trio.sleep(1)
        assert channel.extras[2].running == 1
        assert reasons(s) == ["child:extra"]
        await s.log.wait(telemetry.InstanceHandedOver)

        assert reasons(s) == []


async def test_the_children_of_a_successor_that_failed_leave_no_mark(
    autojump_clock: MockClock,
) -> None:
    """Neither the one that was parked, nor the one that was well."""
    for broken, expected in (({2}, []), ({1}, ["child:extra"])):
        channel = Optionals(broken=set(broken))
        channel.late = {2, 3, 4}
        async with scene(channel) as s:
            await trio.sleep(100)
            s.bot.rotate()
            await s.log.wait(telemetry.ReconnectFailed)
            await trio.sleep(0.1)

            assert reasons(s) == expected


async def test_the_children_of_a_promoted_attempt_count_at_once(autojump_clock: MockClock) -> None:
    """The old connection's are gone with it."""
    channel = Optionals(broken={2})
    channel.late = {2}
    async with scene(channel) as s:
        await begin(s)
        channel.extras[1].end(lost())
        await trio.sleep(1)

        assert s.bot.generation == 2
        assert reasons(s) == ["child:extra"]


async def test_each_connection_has_its_own_budget_of_restarts(autojump_clock: MockClock) -> None:
    """A child that crashes on one does not spend what the other has."""
    channel = OverlappingChannel(0.0, 10.0)
    async with scene(channel, intensity=RestartIntensity(max_restarts=2, period=100.0)) as s:
        await begin(s)
        for _ in range(2):
            channel.readers[1].end(ValueError("bug"))
            await trio.sleep(1)
        await s.log.wait(telemetry.InstanceHandedOver)
        for _ in range(2):
            await trio.sleep(1)
            channel.readers[2].end(ValueError("bug"))
        await trio.sleep(1)

        assert s.bot.generation == 2
        assert s.log.of(telemetry.InstanceDisconnected) == []


# --- probes --------------------------------------------------------------------------------------


async def test_a_late_probe_of_the_old_one_does_not_judge_the_new_one(
    autojump_clock: MockClock,
) -> None:
    """A verdict that comes after the handover is not even told of."""
    channel = OverlappingChannel(0.0, 0.0)

    async def ask(connection: int) -> None:
        if connection == 1:
            with trio.CancelScope(shield=True):
                await trio.sleep(4)
            raise degraded("late")

    channel.ask = ask
    policy = ProbePolicy(interval=1.0, jitter=0.0, failures_to_fail=1, timeout=5.0)
    async with scene(channel, probe=policy) as s:
        await trio.sleep(1.5)
        s.bot.rotate()
        await trio.sleep(100)

        probed = s.log.of(telemetry.ProbeCompleted)
        assert {e.generation for e in probed} == {2}
        assert s.bot.health().status == "connected"
        assert s.bot.generation == 2


async def test_what_the_probes_said_of_the_old_one_ends_with_it(autojump_clock: MockClock) -> None:
    """The new one begins with no verdict, and no row of failures."""
    channel = OverlappingChannel()

    async def ask(connection: int) -> None:
        if connection == 1:
            raise degraded("meh")

    channel.ask = ask
    async with scene(channel, probe=ProbePolicy(interval=10.0, jitter=0.0)) as s:
        await s.bot.wait_status("degraded")
        s.bot.rotate()
        await s.log.wait(telemetry.InstanceHandedOver)

        assert s.bot.health().probe.verdict is None
        assert await s.bot.wait_status("connected") == "connected"


async def test_a_probe_that_fails_the_old_one_promotes_the_successor(
    autojump_clock: MockClock,
) -> None:
    """That is a loss like any other."""
    channel = OverlappingChannel(0.0, HANGS)

    async def ask(connection: int) -> None:
        raise TimeoutError

    channel.ask = ask
    policy = ProbePolicy(interval=1.0, jitter=0.0, failures_to_fail=3)
    async with scene(channel, probe=policy) as s:
        await s.bot.wait_status("connected")
        s.bot.rotate()
        await s.bot.wait_status("reconnecting")

        assert s.bot.generation == 2
        assert len(channel.attempts) == 2
