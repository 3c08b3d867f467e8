"""Answers that are made part by part: how they end, and what they leave."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from ..instance.scripted import ScriptedChannel
from .endpoints import read_all, request, served


async def test_a_connection_that_is_to_close_is_closed_after_an_answer_in_parts() -> None:
    """``Connection: close``: the answer is whole, and then the connection ends."""
    async with served() as endpoint:
        with trio.fail_after(3):
            said = await endpoint.say(request("/instances"))
    assert said.startswith(b"HTTP/1.1 200 ")
    assert said.endswith(b"0\r\n\r\n")


async def test_a_connection_serves_one_answer_in_parts_after_the_other() -> None:
    """Keep-alive: a hundred answers on one connection, each of them whole."""
    async with served(ScriptedChannel(), ScriptedChannel()) as endpoint:
        for _ in range(100):
            assert len((await endpoint.json("/instances"))["instances"]) == 2


async def test_an_idle_connection_is_closed_after_an_answer_in_parts(
    mock_clock: MockClock,
) -> None:
    """Nobody keeps a place by asking once for the instances and saying nothing more."""
    mock_clock.rate = 10.0
    async with served() as endpoint, await endpoint.connect() as stream:
        await stream.send_all(b"GET /instances HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with trio.fail_after(60):
            assert (await read_all(stream)).startswith(b"HTTP/1.1 200 ")
