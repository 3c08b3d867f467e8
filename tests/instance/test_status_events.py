"""Changes of status, as they are told: in a chain, each with how long it was the one before."""

from __future__ import annotations

from itertools import pairwise

import pytest
import trio
from hypothesis import example, given
from hypothesis import strategies as st
from trio.testing import MockClock

from trio_instances import ChildSpec, InstanceStatus, Strategy, telemetry
from trio_instances.telemetry import StatusChanged
from trio_instances.testing import EventRecorder

from .scripted import ScriptedChannel, Worker, always, degraded, fatal, scene
from .test_times import DEEDS, TickingClock, live

S = InstanceStatus


def told(log: EventRecorder) -> list[tuple[S, S]]:
    """Return from where to where each change led."""
    return [(event.previous, event.status) for event in log.of(StatusChanged)]


async def test_a_life_is_a_chain_of_changes(autojump_clock: MockClock) -> None:
    """From its start to its end, with the cause told right after each."""
    channel = ScriptedChannel()
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        await trio.sleep(10)
        s.bot.pause()
        await trio.sleep(5)
        s.bot.resume()
        await s.log.wait_for(telemetry.InstanceConnected, times=2)

    assert told(s.log) == [
        (S.STOPPED, S.STARTING),
        (S.STARTING, S.CONNECTING),
        (S.CONNECTING, S.CONNECTED),
        (S.CONNECTED, S.RECONNECTING),
        (S.RECONNECTING, S.PAUSED),
        (S.PAUSED, S.RECONNECTING),
        (S.RECONNECTING, S.CONNECTED),
        (S.CONNECTED, S.STOPPING),
        (S.STOPPING, S.STOPPED),
    ]
    assert [event.elapsed for event in s.log.of(StatusChanged)][3:6] == pytest.approx([10, 0, 5])
    assert {(e.instance_id, e.channel_type) for e in s.log.of(StatusChanged)} == {
        ("bot", "scripted")
    }


async def test_reasons_to_be_degraded_change_the_status_and_back(
    autojump_clock: MockClock,
) -> None:
    """The first reason does, and the end of the last one."""
    channel = ScriptedChannel()
    helper = Worker()
    channel.give_own = always(ChildSpec("helper", helper.run, essential=False))
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        helper.end(degraded())
        await trio.sleep(3)
        await s.bot.restart_child("helper")

        assert told(s.log)[-2:] == [(S.CONNECTED, S.DEGRADED), (S.DEGRADED, S.CONNECTED)]
        assert s.log.of(StatusChanged)[-1].elapsed == pytest.approx(3)


async def test_an_instance_that_fails_ends_as_failed(autojump_clock: MockClock) -> None:
    """It stays so: the end of the runtime does not make it a stopped one."""
    async with scene(ScriptedChannel(fatal())) as s:
        await s.log.wait_for(telemetry.InstanceFailed)
        names = s.log.names()

    assert told(s.log)[-1] == (S.RECONNECTING, S.FAILED)
    assert names.index("status.changed") < names.index("instance.failed")


async def test_a_listener_may_change_the_status_again(autojump_clock: MockClock) -> None:
    """What comes of that is told after, and the chain holds."""
    channel = ScriptedChannel()
    log = EventRecorder()
    async with scene(channel, log=log) as s:

        def pause_once(event: telemetry.Event) -> None:
            if isinstance(event, StatusChanged) and event.status is S.CONNECTED and s.log:
                s.bot.pause()

        with s.bus.listen(pause_once):
            await s.bot.wait_status("paused")

    chain = told(log)
    assert all(left[1] is right[0] for left, right in pairwise(chain))


@given(
    st.lists(st.tuples(st.sampled_from(DEEDS), st.sampled_from([0.0, 0.5, 5.0, 100.0]))),
    st.sampled_from(Strategy),
)
@example([(deed, 100.0) for deed in DEEDS], Strategy.ONE_FOR_ONE)
def test_the_changes_that_are_told_make_one_chain(
    deeds: list[tuple[str, float]], strategy: Strategy
) -> None:
    """Whatever happens, each begins where the last one ended, and its time is that since then."""
    log = EventRecorder()
    trio.run(live, deeds, strategy, log, clock=TickingClock())

    changes = log.of(StatusChanged)
    statuses = [S.STOPPED, *(change.status for change in changes)]
    assert [change.previous for change in changes] == statuses[:-1]
    assert all(change.previous is not change.status for change in changes)
    spans = [later.at - earlier.at for earlier, later in pairwise(changes)]
    assert [change.elapsed for change in changes[1:]] == pytest.approx(spans)


async def test_the_start_and_the_stop_of_an_instance_say_how_long_they_took(
    autojump_clock: MockClock,
) -> None:
    """From the beginning of its run to its readiness, and from the request to the end."""
    channel = ScriptedChannel()

    async def slow(*, task_status: trio.TaskStatus[None]) -> None:
        await trio.sleep(2)
        task_status.started()
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(3)

    channel.give_own = always(ChildSpec("slow", slow))
    async with scene(channel) as s:
        await s.bot.wait_status("connected")

    (started,) = s.log.of(telemetry.InstanceStarted)
    (stopped,) = s.log.of(telemetry.InstanceStopped)
    assert started.elapsed == pytest.approx(2)
    assert stopped.elapsed == pytest.approx(3)


async def test_events_of_children_say_in_which_connection_they_live(
    autojump_clock: MockClock,
) -> None:
    """The same child of the next connection is another one; an instance's own has none."""
    channel = ScriptedChannel()
    channel.give_own = always(ChildSpec("own", Worker().run))
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        s.bot.reconnect()
        await s.log.wait_for(telemetry.InstanceConnected, times=2)

    started = [
        (e.child, e.incarnation, e.generation)
        for e in s.log.of(telemetry.ChildStarted)
        if e.instance_id == "bot"
    ]
    assert started == [
        ("own", 1, None),
        ("bot", 1, None),
        ("connection", 1, None),
        ("reader", 1, 1),
        ("reader", 1, 2),
    ]


async def test_an_escalation_says_of_which_connection(autojump_clock: MockClock) -> None:
    """Of the connection's supervisor; that of the instance has none."""
    channel = ScriptedChannel()
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        channel.reader.end(fatal())
        await s.log.wait_for(telemetry.InstanceFailed)

    first = s.log.of(telemetry.SupervisorEscalated)[0]
    assert (first.path, first.generation) == ("runtime/bot/connection", 1)
