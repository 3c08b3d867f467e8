"""A stop, an interrupt or a crash in the middle of a handover."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    Cause,
    ChannelError,
    ChildSpec,
    Instance,
    RestartIntensity,
    telemetry,
)

from .handovers import STAGES, begin, channel_for, slowly
from .scripted import HANGS, OverlappingChannel, Worker, lost, scene

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
        assert s.log.names()[-1] == "instance.stopped"


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


async def test_a_closing_that_holds_up_a_stop_is_told_though_the_other_one_has_ended(
    autojump_clock: MockClock,
) -> None:
    """Each of the two has its own time, and the end of one says nothing of the other."""
    channel = OverlappingChannel()
    closings = iter([7.0, 100.0])

    async def close() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(next(closings))

    channel.close = close
    async with scene(channel) as s:
        await begin(s)
        began = trio.current_time()
        await s.runtime.stop_instance("bot")

        assert trio.current_time() == began + 100
        stuck = s.log.of(telemetry.ChildStuck)
        assert {event.path for event in stuck} == {"runtime/bot"}
        assert stuck[0].at == began + 10 + 5


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


@pytest.mark.parametrize("stage", ["attempt", "children", "over"])
def test_ctrl_c_twice_drops_both_at_once(stage: str) -> None:
    """The first one asks softly; whoever asks again waits for no closing, of neither."""
    channel = OverlappingChannel() if stage == "over" else channel_for(stage)
    channel.close = trio.sleep_forever
    ended: list[float] = []

    async def interrupt() -> None:
        for seconds in (104, 3):
            await trio.sleep(seconds)
            signal.raise_signal(signal.SIGINT)

    async def main() -> None:
        trio.lowlevel.spawn_system_task(interrupt)  # such a one is never interrupted itself
        try:
            async with scene(channel) as s:
                await begin(s, stage)
                await trio.sleep_forever()
        finally:
            ended.append(trio.current_time())

    with pytest.raises(KeyboardInterrupt):
        trio.run(main, clock=MockClock(autojump_threshold=0))
    assert ended == [107]
    assert channel.living == 0
    assert {word for word, _ in channel.story[-2:]} == {"dropped"}


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
        await s.log.wait_for(telemetry.InstanceConnected, times=2)

        assert channel.living == 1
        assert not s.bot.health().handover


async def test_a_crash_of_the_connection_loop_ends_both(autojump_clock: MockClock) -> None:
    """A cause that is rubbish within ends the loop; its next run connects, and has one."""
    rubbish = Cause("recoverable", "odd")
    object.__setattr__(rubbish, "retry_after", "soon")  # the constructor refuses it
    channel = OverlappingChannel(0.0, ChannelError(rubbish))
    async with scene(channel) as s:
        await begin(s, "asked")
        await s.log.wait_for(telemetry.ChildRestarting)
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
