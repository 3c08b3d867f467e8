"""The ring of events, and whose turn it is to write."""

from __future__ import annotations

import itertools
import json

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from trio_instances.http import feed as feed_module
from trio_instances.http.feed import CHUNK, IN_A_PASS, PACE, PULSE, BadPosition, Feed
from trio_instances.telemetry import Event, InstanceConnecting, InstanceStarted


def event(number: int, instance_id: str = "a") -> InstanceStarted:
    """Return an event that can be told from others."""
    return InstanceStarted(at=float(number), instance_id=instance_id, children=())


def filled(capacity: int, count: int) -> Feed:
    """Return a feed of so many events, of two instances in turn."""
    feed = Feed(capacity, "run")
    for number in range(1, count + 1):
        feed.take(event(number, "ab"[number % 2]))
    return feed


def numbers(data: bytes) -> list[int]:
    """Return the numbers of the events in frames."""
    frames = data.decode().split("\n\n")[:-1]
    ids = [int(frame.split("\n")[0].removeprefix("id: run-")) for frame in frames]
    ats = [int(json.loads(frame.split("\ndata: ")[1])["at"]) for frame in frames]
    assert ids == ats
    return ids


@given(capacity=st.integers(1, 20), count=st.integers(0, 50), data=st.data())
def test_a_reader_gets_what_came_after_its_place_and_is_told_of_the_rest(
    capacity: int, count: int, data: st.DataObject
) -> None:
    """What it missed and what it gets together are everything, each once, in order."""
    feed = filled(capacity, count)
    place = data.draw(st.integers(0, count))
    reading = feed.read(place)
    assert numbers(reading.data) == list(range(place + reading.missed + 1, count + 1))
    assert reading.missed == max(count - capacity - place, 0)
    assert (reading.place, reading.full) == (count, False)


@given(capacity=st.integers(1, 20), count=st.integers(0, 50))
def test_a_reader_of_one_instance_moves_on_past_the_others(capacity: int, count: int) -> None:
    """It gets its own, and its place is the newest all the same."""
    feed = filled(capacity, count)
    reading = feed.read(feed.oldest, "a")
    kept = range(max(count - capacity, 0) + 1, count + 1)
    assert numbers(reading.data) == [number for number in kept if number % 2 == 0]
    assert reading.place == count


@given(capacity=st.integers(1, 20), count=st.integers(0, 50), limit=st.integers(1, 10))
def test_the_last_events_of_an_instance_are_the_last_ones(
    capacity: int, count: int, limit: int
) -> None:
    """At most so many, oldest first, as far as they are kept."""
    kept = range(max(count - capacity, 0) + 1, count + 1)
    wanted = [float(number) for number in kept if number % 2 == 0][-limit:]
    assert [each.at for each in filled(capacity, count).recent("a", limit)] == wanted


@given(count=st.integers(0, 30))
def test_every_id_that_was_given_out_leads_back_to_its_place(count: int) -> None:
    """Also those of events that are kept no more: the reader is told of the gap."""
    feed = filled(5, count)
    for place in range(count + 1):
        assert feed.place_of(feed.id_of(place)) == (place, True)
    with pytest.raises(BadPosition, match="is ahead of the newest event"):
        feed.place_of(feed.id_of(count + 1))


@given(st.text())
def test_no_text_whatever_is_more_than_a_place_or_a_bad_position(text: str) -> None:
    """Ids come from outside."""
    feed = filled(5, 9)
    try:
        place, known = feed.place_of(text)
    except BadPosition:
        return
    assert (place, known) == (0, False)


def test_a_reader_that_catches_up_gets_a_chunk_at_a_time() -> None:
    """And together all chunks are everything."""
    feed = filled(2000, 2000)
    place, found, sizes = 0, [], []
    while True:
        reading = feed.read(place)
        found += numbers(reading.data)
        sizes.append(len(reading.data))
        place = reading.place
        if not reading.full:
            break
    assert found == list(range(1, 2001))
    assert len(sizes) > 10
    assert max(sizes) < CHUNK + 1000


def test_a_frame_is_made_once_for_all_readers_and_never_without_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two readers get the very same bytes; an event that nobody reads costs a place in a list."""
    counted, told = [], feed_module.told

    def count(event: Event) -> dict[str, object]:
        counted.append(event)
        return told(event)

    monkeypatch.setattr(feed_module, "told", count)
    feed = filled(10, 3)
    assert counted == []
    assert feed.read(0) == feed.read(0)
    assert len(counted) == 3


@pytest.mark.parametrize(("capacity", "expected"), [(1000, 5.0), (10, 5.0)])
def test_the_rate_of_attempts_is_that_of_the_last_seconds(capacity: int, expected: float) -> None:
    """Of ten seconds, or of as much as is kept where that is less."""
    feed = Feed(capacity, "run")
    for number in range(100):
        feed.take(InstanceConnecting(at=number / 5, instance_id="a", attempt=1, generation=1))
    assert feed.attempts_per_second(19.8) == pytest.approx(expected, rel=0.2)
    assert feed.attempts_per_second(100.0) == 0.0
    assert Feed(5, "run").attempts_per_second(0.0) == 0.0


async def run_reader(feed: Feed, got: list[tuple[float, int]], place: int = 0) -> None:
    """Read as a stream does, and note when how much came."""
    while not (feed.ended and place == feed.last):
        reading = feed.read(place)
        place = reading.place
        got.append((trio.current_time(), place))
        if reading.full:
            await feed.wait_turn()
        else:
            await feed.wait_news(place)


async def test_news_are_gathered_for_a_moment_and_then_given_to_all(
    autojump_clock: MockClock,
) -> None:
    """A burst wakes a reader once, a tenth of a second apart at the most often."""
    feed, scope = Feed(1000, "run"), trio.CancelScope()
    got: list[tuple[float, int]] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(feed.keep_pace, scope)
        nursery.start_soon(run_reader, feed, got)
        for number in range(100):
            feed.take(event(number))
            await trio.sleep(PACE / 10)
        feed.end()
        await trio.sleep(1)
        scope.cancel()
    assert got[-1][1] == 100
    assert len(got) <= 15


async def test_a_quiet_feed_wakes_its_readers_for_a_sign_of_life(autojump_clock: MockClock) -> None:
    """After five seconds, with nothing new."""
    feed, scope = Feed(1000, "run"), trio.CancelScope()
    got: list[tuple[float, int]] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(feed.keep_pace, scope)
        nursery.start_soon(run_reader, feed, got)
        await trio.sleep(4 * PULSE)
        feed.end()
        await trio.sleep(1)
        scope.cancel()
    times = [at for at, _ in got]
    assert 3 <= len(times) <= 6
    assert max(b - a for a, b in itertools.pairwise(times)) <= PULSE + 2 * PACE


async def test_readers_take_turns_a_few_in_each_pass(autojump_clock: MockClock) -> None:
    """Between two steps of anybody else no more than that many write."""
    feed, scope, most, lately = Feed(1000, "run"), trio.CancelScope(), 0, 0

    async def read() -> None:
        nonlocal lately
        while not feed.ended:
            await feed.wait_news(feed.last)
            lately += 1

    async def live() -> None:
        nonlocal most, lately
        while not feed.ended:
            most, lately = max(most, lately), 0
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(feed.keep_pace, scope)
        for _ in range(500):
            nursery.start_soon(read)
        await wait_all_tasks_blocked()
        nursery.start_soon(live)
        feed.take(event(1))
        for _ in range(1000):
            await trio.lowlevel.checkpoint()
        feed.end()
        await trio.sleep(1)
        scope.cancel()
    assert 1 <= most <= 2 * IN_A_PASS


async def test_news_that_come_while_a_reader_writes_are_not_forgotten(
    autojump_clock: MockClock,
) -> None:
    """Nothing has to happen afterwards for it to hear of them."""
    feed, scope, got = Feed(1000, "run"), trio.CancelScope(), []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(feed.keep_pace, scope)
        place = feed.last
        feed.take(event(1))
        await trio.sleep(1)  # the news were given to whoever waited, and this one wrote
        began_at = trio.current_time()
        await feed.wait_news(place)
        got.append(trio.current_time() - began_at)
        scope.cancel()
    assert got[0] <= 2 * PACE


async def test_an_end_while_a_reader_writes_is_not_forgotten(autojump_clock: MockClock) -> None:
    """It comes to its goodbye at once, and not at the next sign of life."""
    feed, scope = Feed(10, "run"), trio.CancelScope()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(feed.keep_pace, scope)
        feed.end()
        feed.end()
        await trio.sleep(1)
        began_at = trio.current_time()
        await feed.wait_news(0)
        assert trio.current_time() - began_at <= 2 * PACE
        scope.cancel()
