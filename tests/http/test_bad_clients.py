"""Clients that say nonsense, take their time, or never read: told so where they can be told."""

from __future__ import annotations

import logging
import re
import socket
import struct

import hpack
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from trio_instances import InstanceStatus, Runtime
from trio_instances.telemetry import InstanceStarted

from ..instance.scripted import ScriptedChannel
from .endpoints import Endpoint, fleet, read_all, request, served, serving, until

S = InstanceStatus
MANY = 10_000
"""Events that fill every buffer between the endpoint and a reader that takes none."""


@pytest.mark.parametrize(
    "said",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"HELO there\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: nine\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\nno colon\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"GET /" + 20_000 * b"x",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + 100_000 * b"x" + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS, by a client that was told https
    ],
)
async def test_malformed_requests_are_refused(
    said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """4xx and the end of the connection; not a line in the log; everybody else is served."""
    async with served() as endpoint:
        answer = await endpoint.say(said)
        assert answer[:10] == b"HTTP/1.1 4", answer
        assert (await endpoint.get("/livez")).status_code == 200
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chunks=st.lists(st.binary(min_size=1, max_size=200), max_size=40))
async def test_no_bytes_whatever_disturb_the_endpoint(chunks: list[bytes]) -> None:
    """Each kind of noise on a connection of its own; afterwards it answers as before."""
    async with served() as endpoint:
        for chunk in chunks:
            async with await endpoint.connect() as stream:
                await stream.send_all(chunk)
        assert (await endpoint.get("/readyz")).status_code == 503


@pytest.mark.parametrize(
    "target", ["/%", "/%zz", "/%ff%fe", "/instances/%00", "/instances/%2e%2e", "*"]
)
async def test_odd_targets_are_not_found(target: str) -> None:
    """404 or 400, never a failure of ours."""
    async with served() as endpoint:
        answer = await endpoint.say(request(target))
    assert answer.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 400 ")), answer


async def test_a_request_that_never_comes_to_its_end_is_given_up(mock_clock: MockClock) -> None:
    """A header now and then does not keep a connection: ten seconds are all there is."""
    mock_clock.rate = 10.0
    async with served() as endpoint, await endpoint.connect() as stream:
        began_at = trio.current_time()
        await stream.send_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_drip, stream)
            assert await read_all(stream) == b""
            nursery.cancel_scope.cancel()
        assert 9 < trio.current_time() - began_at < 30


async def _drip(stream: trio.SocketStream) -> None:
    for number in range(1000):
        try:
            await stream.send_all(f"X-{number}: x\r\n".encode())
        except trio.BrokenResourceError:
            return
        await trio.sleep(1)


async def test_a_connection_that_says_nothing_is_closed(mock_clock: MockClock) -> None:
    """After the same ten seconds."""
    mock_clock.rate = 10.0
    async with served() as endpoint, await endpoint.connect() as stream:
        began_at = trio.current_time()
        assert await read_all(stream) == b""
        assert 9 < trio.current_time() - began_at < 30


async def test_a_client_that_resets_its_connection_leaves_nothing_behind(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """In the middle of a request, of an answer, of a stream: no failure, no place taken."""
    async with served(max_readers=1) as endpoint:
        for said in (b"GET /in", request("/instances"), request("/events"), request("/tree")):
            for _ in range(120):  # more than there are places
                stream = await endpoint.connect()
                await stream.send_all(said)
                linger = struct.pack("ii", 1, 0)
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                await stream.aclose()
        with trio.fail_after(10):
            await until(endpoint.has_room)
            assert await endpoint.status("/instances") == 200
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_requests_that_are_sent_ahead_are_answered_in_their_order() -> None:
    """Pipelining, which some clients still do."""
    async with served() as endpoint:
        ahead = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
        said = await endpoint.say(ahead + ahead + request("/nothing"))
    assert re.findall(rb"HTTP/1.1 (\d+) ", said) == [b"200", b"200", b"404"]


def flood(runtime: Runtime) -> None:
    """Publish more events than fit into the buffers of a reader."""
    for number in range(MANY):
        event = InstanceStarted(at=0.0, instance_id=f"{number}", children=tuple("abcdefgh"))
        runtime.events.publish(event)


async def stalled(endpoint: Endpoint, path: str, buffer: int = 4096) -> trio.SocketStream:
    """Return a connection that asks for something, and then takes none of it."""
    stream = await endpoint.connect(receive_buffer=buffer)
    await stream.send_all(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return stream


async def test_a_reader_that_takes_nothing_is_given_up(mock_clock: MockClock) -> None:
    """After half a minute; its place is free then, and nobody else has waited for it."""
    mock_clock.rate = 10.0
    async with (
        fleet(ScriptedChannel()) as (runtime, [bot]),
        serving(runtime, max_readers=1, replay=MANY) as endpoint,
    ):
        await bot.wait_status(S.CONNECTED)
        flood(runtime)
        stream = await stalled(endpoint, "/events?after=start")
        began_at = trio.current_time()
        await stream.receive_some(100)  # it is let in
        assert not await endpoint.has_room()
        await until(endpoint.has_room, pause=0.5)
        assert 25 < trio.current_time() - began_at < 60
        assert bot.status is S.CONNECTED
        await stream.aclose()


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""How a client begins that takes for granted that HTTP/2 is spoken."""
WINDOW_OF_NOTHING = b"\x00\x00\x06\x04\x00\x00\x00\x00\x00" + b"\x00\x04\x00\x00\x00\x00"
"""Its settings: nobody may send it any data."""

VERSION_NOT_SUPPORTED = hpack.Encoder().encode([(":status", "505")])


def asking_by_http2(path: str, streams: int) -> bytes:
    """Return the requests of a client that lets no answer come."""
    encoder, said = hpack.Encoder(), PREFACE + WINDOW_OF_NOTHING
    fields = [(":method", "GET"), (":path", path), (":scheme", "http"), (":authority", "localhost")]
    for number in range(streams):
        block = encoder.encode(fields)
        head = struct.pack("!I", len(block))[1:] + b"\x01\x05" + struct.pack("!I", 2 * number + 1)
        said += head + block
    return said


async def test_http2_takes_no_readers_place_and_is_given_up(mock_clock: MockClock) -> None:
    """Its streams wait for a window that never opens: 505 before there is anything to wait for."""
    mock_clock.rate = 10.0
    async with served(max_readers=2) as endpoint, await endpoint.connect() as stream:
        await stream.send_all(asking_by_http2("/events", streams=10))
        began_at = trio.current_time()
        said = bytearray()
        async with trio.open_nursery() as nursery:

            async def read() -> None:
                said.extend(await read_all(stream))
                nursery.cancel_scope.cancel()

            nursery.start_soon(read)
            while True:
                assert await endpoint.has_room()
                await trio.sleep(1)
        assert trio.current_time() - began_at < 100
        assert said.count(VERSION_NOT_SUPPORTED) > 0


async def test_an_upgrade_to_http2_is_refused() -> None:
    """It would lead to the same streams."""
    async with served() as endpoint, await endpoint.connect() as stream:
        await stream.send_all(
            b"GET /events HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\n"
            b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n" + PREFACE
        )
        said = b""
        while VERSION_NOT_SUPPORTED not in said:
            data = await stream.receive_some()
            assert data, said
            said += data


async def test_a_slow_reader_gets_everything(mock_clock: MockClock) -> None:
    """Who takes a little now and then is waited for, longer than one that takes nothing."""
    mock_clock.rate = 10.0
    async with fleet() as (runtime, _), serving(runtime, replay=MANY) as endpoint:
        flood(runtime)
        stream, said = await stalled(endpoint, "/events?after=start", 64 * 1024), b""
        began_at = trio.current_time()
        while said.count(b'\ndata: {"event"') < MANY:
            data = await stream.receive_some(64 * 1024)
            assert data
            said += data
            await trio.sleep(1)
        assert trio.current_time() - began_at > 40
        await stream.aclose()


@pytest.mark.parametrize("path", ["/instances", "/tree", "/tree?format=text"])
async def test_a_list_that_nobody_takes_holds_up_nobody(path: str, mock_clock: MockClock) -> None:
    """Others get the same list meanwhile; the stalled one is given up, and leaves no failure."""
    mock_clock.rate = 10.0
    channels = [ScriptedChannel() for _ in range(1500)]
    async with fleet(*channels) as (runtime, _), serving(runtime) as endpoint:
        streams = [await stalled(endpoint, path) for _ in range(3)]
        whole = await endpoint.get(path)
        assert whole.status_code == 200
        assert len(whole.content) > 100_000
        for stream in streams:
            await trio.sleep(15)
            await stream.aclose()
        assert (await endpoint.get(path)).status_code == 200
