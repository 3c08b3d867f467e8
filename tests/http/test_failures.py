"""Failures of our own: one answer is lost, it is told, and everybody else is served."""

from __future__ import annotations

import logging
from typing import Any

import h2.config
import h2.connection
import h2.events
import pytest
import trio

from trio_instances import InstanceStatus, Runtime

from ..instance.scripted import ScriptedChannel
from .endpoints import BEARER, TOKEN, fleet, read_all, request, served, serving
from .test_bad_clients import stalled

S = InstanceStatus


def failing(*_: Any) -> Any:
    """Fail, as nothing should."""
    raise LookupError("a bug")


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged as errors."""
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR]


async def test_a_bug_in_an_answer_is_told_in_json_and_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """500 without details, which are in the log; the next request is answered."""
    async with served() as endpoint:
        with monkeypatch.context() as broken:
            broken.setattr(Runtime, "list_instances", failing)
            answer = await endpoint.get("/readyz")
        assert (answer.status_code, answer.json()["error"]) == (500, "failed")
        assert "a bug" not in answer.text
        assert await endpoint.status("/instances") == 200
    assert errors(caplog) == ["Error in ASGI Framework"]
    assert "a bug" in caplog.text


async def test_a_bug_in_the_middle_of_an_answer_breaks_it_off(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody can take what came for the whole: the last chunk is missing."""
    async with served() as endpoint:
        with monkeypatch.context() as broken:
            broken.setattr(Runtime, "tree", failing)
            said = await endpoint.say(request("/tree"))
        assert not said.endswith(b"0\r\n\r\n")
        assert await endpoint.status("/tree") == 200
    assert "a bug" in caplog.text


async def test_a_bug_in_a_restart_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged with the instance; the endpoint goes on."""
    async with served(token=TOKEN) as endpoint:
        with monkeypatch.context() as broken:
            broken.setattr(Runtime, "restart_instance", failing)
            answer = await endpoint.client.post("/instances/bot-0/restart", headers=BEARER)
            assert answer.status_code == 202
            assert await endpoint.status("/livez") == 200
    assert errors(caplog) == ["restart of instance 'bot-0' has failed"]


def http2(path: bytes) -> tuple[h2.connection.H2Connection, bytes]:
    """Return a connection of HTTP/2 that has asked for a path, and the bytes for that."""
    config = h2.config.H2Configuration(header_encoding=None, validate_outbound_headers=False)
    connection = h2.connection.H2Connection(config)
    connection.initiate_connection()
    names = (b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"localhost")
    connection.send_headers(1, [*names, (b":path", path)], end_stream=True)
    return connection, connection.data_to_send()


async def test_http_2_is_refused_in_its_own_words() -> None:
    """Hypercorn takes its preface; the door refuses what comes, by an answer that ends."""
    async with served() as endpoint, await endpoint.connect() as stream:
        connection, data = http2(b"/livez")
        await stream.send_all(data)
        seen: list[Any] = []
        while not any(isinstance(each, h2.events.StreamEnded) for each in seen):
            seen += connection.receive_data(bytes(await stream.receive_some()))
    [head] = [each for each in seen if isinstance(each, h2.events.ResponseReceived)]
    assert head.headers is not None
    assert dict(head.headers)[b":status"] == b"505"


async def test_a_failure_of_the_protocol_ends_its_connection_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A path in HTTP/2 that is no ASCII is too much for Hypercorn; nobody else notices."""
    async with served() as endpoint, await endpoint.connect() as stream:
        await stream.send_all(http2(b"/\xff\xfe")[1])
        await read_all(stream)
        assert await endpoint.status("/livez") == 200
    assert errors(caplog) == ["a connection of the operations endpoint has failed"]


async def test_instances_that_go_while_the_tree_is_read_are_left_out() -> None:
    """The answer stays whole, however long its reader takes."""
    channels = [ScriptedChannel() for _ in range(1500)]
    async with fleet(*channels) as (runtime, bots), serving(runtime) as endpoint:
        stream = await stalled(endpoint, "/tree")
        await trio.sleep(1)  # until nothing more fits on the way to the reader
        for bot in reversed(bots[-30:]):
            await runtime.stop_instance(bot.id)
        said = await read_all_once(stream)
    assert said.endswith(b"\n]}\n\r\n0\r\n\r\n")
    assert said.count(b'"path": "runtime/bot-') >= 1470
    assert b'"name": "bot-1499"' not in said


async def read_all_once(stream: trio.SocketStream) -> bytes:
    """Return an answer in chunks."""
    said = b""
    while not said.endswith(b"\r\n0\r\n\r\n"):
        said += bytes(await stream.receive_some())
    await stream.aclose()
    return said
