"""Subscriptions: bounded, independent, fair, and clean to leave."""

from __future__ import annotations

import math

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from trio_instances import telemetry
from trio_instances._exceptions import InvalidSpec
from trio_instances.telemetry import Event, EventBus, Subscription


def publish(bus: EventBus, *times: float) -> None:
    """Publish an event for each time."""
    for at in times:
        bus.publish(telemetry.RuntimeStarted(at=at))


async def collect(events: Subscription, into: list[float]) -> None:
    """Note the times of events until the subscription ends."""
    async for event in events:
        into.append(event.at)  # noqa: PERF401  # a comprehension would show nothing until the end


def drain(events: Subscription) -> list[float]:
    """Return the times of everything that is buffered."""
    waiting = events.statistics().current_buffer_used
    return [events.receive_nowait().at for _ in range(waiting)]


async def test_a_subscription_hears_all_events_in_order() -> None:
    """Iterating gives what was published since the subscription was made."""
    bus = EventBus()
    publish(bus, 0)
    async with bus.subscribe() as events:
        publish(bus, 1, 2)
        received = [(await events.receive()).at, (await events.receive()).at]

    assert received == [1, 2]
    assert not bus.listening


async def test_a_full_buffer_drops_the_oldest_and_counts_them() -> None:
    """A receiver that fell behind gets the newest events, without a gap among them."""
    bus = EventBus()
    async with bus.subscribe(max_buffer=3) as events:
        publish(bus, *range(10))

        assert events.dropped == 7
        assert drain(events) == [7, 8, 9]


@given(st.integers(1, 8), st.lists(st.one_of(st.none(), st.floats(0, 1e6)), max_size=40))
def test_a_buffer_is_the_newest_of_what_was_not_received(
    max_buffer: int, steps: list[float | None]
) -> None:
    """Whatever is published and received: bounded, in order, and nothing is lost uncounted."""

    async def law() -> None:
        bus = EventBus()
        published: list[float] = []
        received: list[float] = []
        async with bus.subscribe(max_buffer=max_buffer) as events:
            for step in steps:
                if step is not None:
                    publish(bus, step)
                    published.append(step)
                elif events.statistics().current_buffer_used:
                    received.append(events.receive_nowait().at)

            left = drain(events)
            assert len(left) <= max_buffer
            assert len(received) + len(left) + events.dropped == len(published)
            assert left == published[len(published) - len(left) :]

    trio.run(law)


async def test_subscriptions_are_independent() -> None:
    """One that does not receive costs another one nothing."""
    bus = EventBus()
    async with bus.subscribe(max_buffer=1) as slow, bus.subscribe(max_buffer=5) as quick:
        publish(bus, 1, 2, 3)

        assert (slow.dropped, quick.dropped) == (2, 0)
        assert drain(quick) == [1, 2, 3]


async def test_closing_ends_a_waiting_iteration(nursery: trio.Nursery) -> None:
    """Another task that iterates is ended softly."""
    bus = EventBus()
    events = bus.subscribe()
    heard: list[float] = []
    ended = trio.Event()

    async def reader() -> None:
        await collect(events, heard)
        ended.set()

    nursery.start_soon(reader)
    await wait_all_tasks_blocked()
    publish(bus, 1)
    events.close()
    events.close()
    publish(bus, 2)
    await ended.wait()

    assert heard == [1]


async def test_what_is_buffered_can_be_received_after_closing() -> None:
    """Closing takes in nothing more and throws nothing away."""
    bus = EventBus()
    events = bus.subscribe()
    publish(bus, 1, 2)
    await events.aclose()
    publish(bus, 3)
    heard: list[float] = []
    await collect(events, heard)

    assert heard == [1, 2]
    with pytest.raises(trio.EndOfChannel):
        events.receive_nowait()
    with pytest.raises(trio.EndOfChannel):
        await events.receive()


async def test_closing_the_bus_ends_every_subscription() -> None:
    """No reader waits for a bus that will say nothing more."""
    bus = EventBus()
    heard: list[float] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(collect, bus.subscribe(), heard)
        nursery.start_soon(collect, bus.subscribe(), heard)
        await wait_all_tasks_blocked()
        publish(bus, 1)
        bus.close()

    assert heard == [1, 1]
    with pytest.raises(trio.ClosedResourceError):
        bus.subscribe()


async def test_a_cancelled_receive_loses_no_event(nursery: trio.Nursery) -> None:
    """What is published after the cancellation goes to the next receive."""
    bus = EventBus()
    async with bus.subscribe() as events:
        with trio.CancelScope() as scope:
            nursery.start_soon(wait_all_tasks_blocked)
            scope.cancel()
            await events.receive()
        publish(bus, 1)

        assert scope.cancelled_caught
        assert (await events.receive()).at == 1
        assert events.statistics().tasks_waiting_receive == 0


async def test_leaving_the_block_by_cancellation_takes_it_off_the_bus() -> None:
    """Nobody listens for a reader that is gone."""
    bus = EventBus()
    with trio.CancelScope() as scope:
        async with bus.subscribe() as events:
            scope.cancel()
            await events.receive()

    assert scope.cancelled_caught
    assert not bus.listening


async def test_tasks_that_receive_take_turns(nursery: trio.Nursery) -> None:
    """Who has waited longest gets the next event."""
    bus = EventBus()
    turns: list[str] = []
    async with bus.subscribe() as events:

        async def take(name: str) -> None:
            async for _ in events:
                turns.append(name)  # noqa: PERF401  # as in collect

        for name in ("a", "b", "c"):
            nursery.start_soon(take, name)
            await wait_all_tasks_blocked()
        waiting = events.statistics().tasks_waiting_receive
        for at in range(6):
            publish(bus, at)
            await wait_all_tasks_blocked()

    assert waiting == 3
    assert turns == ["a", "b", "c", "a", "b", "c"]


async def test_a_reader_of_a_full_buffer_lets_others_run() -> None:
    """Each receive is a checkpoint, though it need not wait."""
    bus = EventBus()
    heard: list[float] = []
    async with bus.subscribe(max_buffer=1000) as events, trio.open_nursery() as nursery:
        publish(bus, *range(1000))
        nursery.start_soon(collect, events, heard)
        await trio.lowlevel.checkpoint()
        await trio.lowlevel.checkpoint()

        assert len(heard) < 1000
        nursery.cancel_scope.cancel()


async def test_receive_nowait_says_when_there_is_nothing_yet() -> None:
    """As Trio's channels do."""
    bus = EventBus()
    async with bus.subscribe() as events:
        with pytest.raises(trio.WouldBlock):
            events.receive_nowait()


async def test_statistics_tell_how_it_stands() -> None:
    """How much is buffered, of how much, and what was lost."""
    bus = EventBus()
    async with bus.subscribe(max_buffer=2) as events:
        publish(bus, 1, 2, 3)

        assert events.statistics() == telemetry.SubscriptionStatistics(
            current_buffer_used=2, max_buffer_size=2, tasks_waiting_receive=0, dropped=1
        )


async def test_an_event_published_while_receiving_wakes_the_reader(nursery: trio.Nursery) -> None:
    """A waiting reader gets the event itself, not only a wake-up."""
    bus = EventBus()
    got: list[Event] = []
    async with bus.subscribe(max_buffer=1) as events:

        async def one() -> None:
            got.append(await events.receive())

        nursery.start_soon(one)
        await wait_all_tasks_blocked()
        publish(bus, 1, 2)
        await wait_all_tasks_blocked()

        assert [event.at for event in got] == [1]
        assert drain(events) == [2]


@pytest.mark.parametrize("max_buffer", [0, -1, 1.5, math.inf, True, None, "10"])
def test_a_bad_max_buffer_is_refused(max_buffer: int) -> None:
    """A buffer without a bound, or without room, is refused before anything listens."""
    bus = EventBus()

    with pytest.raises(InvalidSpec, match="max_buffer: must be a whole number of at least 1"):
        bus.subscribe(max_buffer=max_buffer)

    assert not bus.listening
