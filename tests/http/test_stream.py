"""``/events``: what happens, as server-sent events; what was missed, and how it ends."""

from __future__ import annotations

import itertools
import socket
import struct

import pytest
import trio
from trio.testing import MockClock

from trio_instances import InstanceStatus, Runtime, open_runtime
from trio_instances.telemetry import event_from_dict, event_to_dict, level_of, one_line
from trio_instances.testing import EventRecorder

from ..instance.scripted import HANGS, ScriptedChannel
from ..runtime.instances import spec_of
from .endpoints import (
    BEARER,
    TOKEN,
    Message,
    fleet,
    read_all,
    request,
    serve,
    served,
    serving,
    until,
)

S = InstanceStatus


async def started(runtime: Runtime, *names: str) -> None:
    """Start instances, and wait until all of them are connected."""
    for name in names:
        bot = await runtime.start_instance(spec_of(name))
        await bot.wait_status(S.CONNECTED)
    await trio.testing.wait_all_tasks_blocked()


def names_of(messages: list[Message]) -> list[str]:
    """Return the events' names."""
    return [message.data["event"] for message in messages]


async def test_events_come_in_order_each_in_its_wire_form() -> None:
    """With its level and a line for people; the id goes up by one, and nothing is left out."""
    log = EventRecorder()
    async with trio.open_nursery() as nursery:
        async with open_runtime() as runtime:
            runtime.events.listen(log)
            endpoint = await nursery.start(serve, runtime)
            reader = await endpoint.follow()
            log.clear()
            await started(runtime, "a", "b")
        told = await reader.rest()
        await reader.aclose()
        endpoint.scope.cancel()
    *events, bye = told
    assert bye.kind == "bye"
    assert names_of(events) == log.names()
    numbers = [int((event.id or "").partition("-")[2]) for event in events]
    assert numbers == list(range(numbers[0], numbers[0] + len(log)))
    for message, event in zip(events, log, strict=True):
        assert message.kind == "message"
        extra = {"level": level_of(event), "line": one_line(event)}
        assert message.data == {**event_to_dict(event), **extra}
        assert event_from_dict(message.data).name == event.name


async def test_a_stream_begins_with_a_sign_of_life_that_has_a_position() -> None:
    """Who reads it knows at once that it works, and where it goes on from."""
    async with served() as endpoint:
        reader = await endpoint.follow()
        first = await reader.next()
        await reader.aclose()
        position = (await endpoint.json("/instances"))["position"]
    assert first is not None
    assert (first.kind, first.id) == ("pulse", position)


async def test_a_quiet_stream_gives_signs_of_life(mock_clock: MockClock) -> None:
    """One every five seconds, so that a lost connection is noticed at both ends."""
    mock_clock.rate = 5.0
    async with served() as endpoint:
        reader = await endpoint.follow()
        times: list[float] = []
        while len(times) < 3:
            message = await reader.next()
            assert message is not None
            if message.kind == "pulse":
                times.append(message.data["at"])
        await reader.aclose()
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(2.5 <= gap <= 12 for gap in gaps), gaps


@pytest.mark.parametrize("way", ["header", "parameter"])
async def test_who_comes_back_with_an_id_gets_what_came_after_it(way: str) -> None:
    """By the header that browsers send, or by the parameter: nothing twice, nothing missing."""
    async with open_runtime() as runtime, serving(runtime) as endpoint:
        await started(runtime, "a")
        reader = await endpoint.follow("/events?after=start")
        whole = [await reader.wait() for _ in range(4)]
        await reader.aclose()
        await started(runtime, "b")

        after = str(whole[1].id)
        if way == "header":
            reader = await endpoint.follow("/events", **{"Last-Event-ID": after})
        else:
            reader = await endpoint.follow(f"/events?after={after}")
        again = [await reader.wait() for _ in range(4)]
        await reader.aclose()
    assert again[:2] == whole[2:]
    numbers = [int((message.id or "").partition("-")[2]) for message in again]
    assert numbers == list(range(numbers[0], numbers[0] + 4))


async def test_the_id_of_a_browser_wins_over_that_of_its_url() -> None:
    """It comes back by the same URL, and has read on since."""
    async with open_runtime() as runtime, serving(runtime) as endpoint:
        await started(runtime, "a")
        position = (await endpoint.json("/instances"))["position"]
        headers = {"Last-Event-ID": position}
        reader = await endpoint.follow("/events?after=start", **headers)
        first = await reader.next()
        await started(runtime, "b")
        message = await reader.wait()
        await reader.aclose()
    assert first is not None
    assert first.id == position
    assert message.data["instance_id"] == "b"


async def test_who_lists_the_instances_and_then_follows_misses_nothing() -> None:
    """The position of a list is before the list: what happens in between comes again."""
    async with open_runtime() as runtime, serving(runtime) as endpoint:
        await started(runtime, "a")
        position = (await endpoint.json("/instances"))["position"]
        await started(runtime, "b")
        reader = await endpoint.follow(f"/events?after={position}")
        message = await reader.wait(name="instance.connected")
        await reader.aclose()
    assert message.data["instance_id"] == "b"


async def test_the_stream_of_one_instance_has_its_events_alone() -> None:
    """Signs of life move the id on, also where nothing concerned it."""
    async with open_runtime() as runtime, serving(runtime) as endpoint:
        await started(runtime, "a")
        reader = await endpoint.follow("/events?instance=a")
        await started(runtime, "b", "c")
        runtime.instance("a").reconnect()
        message = await reader.wait(name="instance.connected")
        await reader.aclose()
    assert message.data["instance_id"] == "a"
    assert message.data["generation"] == 2


async def test_who_was_away_for_too_long_is_told_how_much_is_missing() -> None:
    """A gap with the number of events, and then what is still kept, without another hole."""
    async with open_runtime() as runtime, serving(runtime, replay=5) as endpoint:
        await started(runtime, "a")
        position = (await endpoint.json("/instances"))["position"]
        await started(runtime, "b", "c", "d")
        newest = (await endpoint.json("/instances"))["position"]
        reader = await endpoint.follow(f"/events?after={position}")
        gap = await reader.wait("gap")
        kept = [await reader.wait() for _ in range(5)]
        await reader.aclose()
    run, _, number = newest.partition("-")
    assert gap.data["missed"] == int(number) - int(position.partition("-")[2]) - 5
    assert gap.data["why"] == "the reader was too slow, or away for too long"
    assert [m.id for m in kept] == [f"{run}-{int(number) - 4 + n}" for n in range(5)]


async def test_an_id_of_another_run_gives_a_gap_and_all_there_is() -> None:
    """After a restart nobody takes its ids for those of the run before."""
    async with open_runtime() as runtime, serving(runtime) as endpoint:
        await started(runtime, "a")
        reader = await endpoint.follow("/events", **{"Last-Event-ID": "cafecafe-999999"})
        gap = await reader.wait("gap")
        first = await reader.wait()
        await reader.aclose()
    assert gap.data == {"missed": None, "why": "these events are of another run than the id"}
    assert (first.id or "").endswith("-1")


@pytest.mark.parametrize("after", ["", "7", "-7", "x-", "x-y", "run-" + 60 * "9", "a-²", "end"])
async def test_what_is_no_id_is_refused(after: str) -> None:
    """400, with what ids look like."""
    async with served() as endpoint:
        told = await endpoint.get("/events", params={"after": after})
    assert (told.status_code, told.json()["error"]) == (400, "bad_event_id")
    assert "is no id of an event: ids look like " in told.json()["detail"]
    assert "'start' gives all that is kept" in told.json()["detail"]


async def test_an_id_that_was_not_given_out_yet_is_refused() -> None:
    """400: it would else wait for events that have long been there."""
    async with served() as endpoint:
        run = (await endpoint.json("/instances"))["position"].partition("-")[0]
        status, error, detail = await endpoint.refusal(f"/events?after={run}-99999")
    assert (status, error) == (400, "bad_event_id")
    assert "is ahead of the newest event" in detail


@pytest.mark.parametrize("query", ["instance=nobody", "since=3", "after=start&x=1"])
async def test_a_wrong_parameter_is_refused_before_the_stream_begins(query: str) -> None:
    """As everywhere else, with a status."""
    async with served() as endpoint:
        assert (await endpoint.refusal(f"/events?{query}"))[0] in (400, 404)


async def test_there_are_no_more_readers_than_allowed() -> None:
    """503 for one more, with when to come again; a place that is given up is free at once."""
    async with served(max_readers=2) as endpoint:
        first, second = [await endpoint.follow() for _ in range(2)]
        answer = await endpoint.get("/events")
        assert answer.status_code == 503
        assert answer.json()["error"] == "too_many_readers"
        assert answer.headers["retry-after"] == "10"
        assert (await endpoint.get("/instances")).status_code == 200
        await first.aclose()
        with trio.fail_after(10):
            await until(endpoint.has_room)
        third = await endpoint.follow()
        await second.aclose()
        await third.aclose()


async def test_a_crowd_that_comes_at_once_does_not_get_in() -> None:
    """The limit holds from the moment of the request on."""
    async with served(max_readers=3) as endpoint:
        streams = [await endpoint.connect() for _ in range(20)]
        for stream in streams:
            await stream.send_all(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        heads = [await stream.receive_some() for stream in streams]
        for stream in streams:
            await stream.aclose()
    assert sum(bytes(head).startswith(b"HTTP/1.1 200 ") for head in heads) == 3
    assert sum(bytes(head).startswith(b"HTTP/1.1 503 ") for head in heads) == 17


async def test_too_many_connections_are_turned_away_politely() -> None:
    """Those beyond the readers and a hundred more get an answer without being asked."""
    async with served(max_readers=1) as endpoint:
        streams = [await endpoint.connect() for _ in range(101)]
        for stream in streams:
            await stream.send_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert bytes(await stream.receive_some()).startswith(b"HTTP/1.1 200 ")

        async def is_served() -> bool:
            return (await endpoint.say(request())).startswith(b"HTTP/1.1 200 ")

        gone = await endpoint.connect()
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await gone.aclose()  # a reset, which must disturb nobody either
        said = await endpoint.say(request())
        for stream in streams:
            await stream.aclose()
        assert said.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 5\r\n" in said
        assert said.endswith(
            b'{"error":"busy","detail":"too many connections: try again in 5 seconds"}\n'
        )
        with trio.fail_after(5):  # half of what an idle connection has
            await until(is_served)


async def test_the_end_of_the_endpoint_is_told_to_readers() -> None:
    """A goodbye after the last event, and the whole end of the answer."""
    async with served() as endpoint:
        reader = await endpoint.follow()
        endpoint.scope.cancel()
        told = await reader.rest()
        assert await read_all(reader.stream) == b""
        await reader.aclose()
    assert told[-1].kind == "bye"
    assert told[-1].data == {"why": "the endpoint stops, or its runtime has ended"}


async def test_the_end_of_the_runtime_is_told_to_readers_after_its_last_event() -> None:
    """Readers see how the instances stop; then the stream ends, and the endpoint does not."""
    async with trio.open_nursery() as nursery:
        async with open_runtime() as runtime:
            endpoint = await nursery.start(serve, runtime)
            await started(runtime, "a")
            reader = await endpoint.follow()
        told = await reader.rest()
        await reader.aclose()
        assert told[-1].kind == "bye"
        assert names_of(told[:-1])[-1] == "runtime.stopped"
        assert "instance.stopped" in names_of(told[:-1])
        assert not endpoint.ended.is_set()

        late = await endpoint.follow("/events?after=start")  # what is kept can still be read
        again = await late.rest()
        await late.aclose()
        assert names_of(again[:-1])[-1] == "runtime.stopped"
        assert again[-1].kind == "bye"
        endpoint.scope.cancel()


async def test_readers_with_the_token_only_beyond_loopback() -> None:
    """Events are reading, too."""
    async with served(host="0.0.0.0", token=TOKEN) as endpoint:  # noqa: S104 - what is tested
        assert (await endpoint.refusal("/events"))[0] == 401
        reader = await endpoint.follow("/events", **BEARER)
        await reader.aclose()


async def test_a_reader_that_goes_away_gives_up_its_place(mock_clock: MockClock) -> None:
    """However it goes, and whether anything happens or not."""
    mock_clock.rate = 10.0
    async with (
        fleet(ScriptedChannel(HANGS)) as (runtime, _),
        serving(runtime, max_readers=1) as served,
    ):
        for _ in range(5):
            reader = await served.follow()
            await reader.aclose()
            with trio.fail_after(50):
                await until(served.has_room, pause=0.1)
