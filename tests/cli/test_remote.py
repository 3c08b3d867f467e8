"""Asking an endpoint: a real one, and servers that are none; each failure is one line."""

from __future__ import annotations

import json
import sys

import pytest
import trio

from trio_instances._cli.address import NotAnswered, read_address
from trio_instances._cli.exit_codes import AskedCode
from trio_instances._cli.remote import Remote

from .endpoints import Handle, answering, site, stranger

TOKEN = "a-token-that-is-long-enough"  # noqa: S105 - it opens nothing but the test's own
WRONG = "another-token-that-is-long"
JSON = "Content-Type: application/json"


async def failure_of(url: str, path: str = "/instances", token: str | None = None) -> NotAnswered:
    """Return why an endpoint does not answer."""
    async with Remote(read_address(url, token), patience=0.5) as remote:
        with pytest.raises(NotAnswered) as caught:
            await remote.ask(path)
    assert url in str(caught.value)
    return caught.value


async def silent(stream: trio.SocketStream) -> None:
    """Take a request, and say nothing."""
    async for _ in stream:
        pass


async def greeting(stream: trio.SocketStream) -> None:
    """Speak another protocol."""
    await stream.send_all(b"220 mail.example ESMTP\r\n\r\n")
    await silent(stream)


async def hanging_up(stream: trio.SocketStream) -> None:
    """End in the middle of an answer."""
    await stream.receive_some()
    await stream.send_all(b'HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{"schema": ')


@pytest.mark.parametrize(
    ("handle", "code", "complaint"),
    [
        (silent, AskedCode.UNAVAILABLE, "gives no answer within 0.5 s"),
        (greeting, AskedCode.UNAVAILABLE, "does not speak this protocol"),
        (hanging_up, AskedCode.UNAVAILABLE, "has ended the connection"),
        (answering("200 OK", "<html>"), AskedCode.PROTOCOL, "is no operations endpoint"),
        (answering("200 OK", "[1]"), AskedCode.PROTOCOL, "is no operations endpoint"),
        (answering("200 OK", "[" * 9999), AskedCode.PROTOCOL, "is no operations endpoint"),
        (answering("200 OK", '{"a": 1}'), AskedCode.PROTOCOL, "is no operations endpoint"),
        (answering("200 OK", '{"schema": 9}'), AskedCode.PROTOCOL, "answers by schema 9"),
        (answering("404 Not Found", "nginx"), AskedCode.PROTOCOL, "/instances gives HTTP 404"),
        (answering("418 Teapot"), AskedCode.PROTOCOL, "is no operations endpoint"),
        (answering("502 Bad Gateway", "nginx"), AskedCode.UNAVAILABLE, "HTTP 502"),
        (
            answering("302 Found\r\nLocation: http://x/"),
            AskedCode.PROTOCOL,
            "sends us to http://x/, where the token does not go",
        ),
        (
            answering("403 Forbidden", json.dumps({"error": "cross_site", "detail": "no sites"})),
            AskedCode.NOT_ALLOWED,
            ": no sites",
        ),
        (answering("500 Oops", "x" * 100_000), AskedCode.UNAVAILABLE, "HTTP 500"),
    ],
)
async def test_a_server_that_is_none_of_ours_is_named(
    handle: Handle, code: AskedCode, complaint: str
) -> None:
    """With the address, and what it said instead."""
    async with stranger(handle) as url:
        failure = await failure_of(url)

    assert complaint in str(failure)
    assert failure.code is code


async def test_what_asks_for_time_says_how_much() -> None:
    """So that nobody comes back sooner."""
    body = json.dumps({"error": "too_many_readers", "detail": "try later"})
    async with stranger(answering("503 Busy\r\nRetry-After: 10", body)) as url:
        failure = await failure_of(url)

    assert str(failure) == f"{url}: try later"
    assert failure.retry_after == 10.0


async def test_where_nobody_listens_it_says_so() -> None:
    """In the system's words."""
    with trio.socket.socket() as free:
        await free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        failure = await failure_of(url)

    said = "cannot be reached (Connection refused): does it run, and listen there?"
    assert str(failure) == f"{url} {said}"
    assert failure.code is AskedCode.UNAVAILABLE


async def test_https_where_it_is_http_says_that_it_is_tls() -> None:
    """And not "operation not permitted", which is what its number means elsewhere."""
    async with site() as here:
        failure = await failure_of(here.url.replace("http:", "https:"))

    assert "cannot be reached (TLS: " in str(failure)


async def test_a_token_is_wanted_or_another_one() -> None:
    """The token itself is in no message."""
    async with site(token=TOKEN) as here:
        async with Remote(read_address(here.url, TOKEN)) as remote:
            assert (await remote.ask("/instances"))["instances"] == []
        body = json.dumps({"error": "token_needed", "detail": "bring it"})
        async with stranger(answering("401 Unauthorized", body)) as url:
            without, wrong = await failure_of(url), await failure_of(url, token=WRONG)

    assert "wants a token: give its own by --token or TRIO_INSTANCES_TOKEN" in str(without)
    assert "does not take this token" in str(wrong)
    assert WRONG not in str(wrong)
    assert wrong.code is AskedCode.NOT_ALLOWED


async def test_an_instance_that_is_not_there_is_the_users_mistake() -> None:
    """Not the server's."""
    async with site() as here:
        failure = await failure_of(here.url, "/instances/nobody")

    assert "there is no instance 'nobody'" in str(failure)
    assert failure.code is AskedCode.REFUSED


async def test_a_proxy_is_not_asked_for_what_is_on_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It would see the token, and has a loopback interface of its own."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    async with site() as here, Remote(read_address(here.url, None)) as remote:
        assert (await remote.ask("/tree"))["path"] == "runtime"


async def test_the_stream_and_the_text_have_to_be_what_was_asked_for() -> None:
    """A page that greets everybody with 200 is no stream of events."""
    async with (
        stranger(answering("200 OK\r\nContent-Type: text/html", "<html>")) as url,
        Remote(read_address(url, None)) as remote,
    ):
        with pytest.raises(NotAnswered, match="no stream of events"):
            async with remote.events(None, None):
                raise AssertionError
        with pytest.raises(NotAnswered, match="no plain text"):
            await anext(remote.ask_text("/tree", {}))


async def test_a_message_that_does_not_end_is_given_up() -> None:
    """Whatever sends it is no stream of events."""

    async def endless(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        try:
            await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
            while True:
                await stream.send_all(b"data: x\n" * 1000)
        except trio.BrokenResourceError:
            pass

    async def read_all(remote: Remote) -> None:
        async with remote.events(None, None) as messages:
            async for _ in messages:
                pass

    async with stranger(endless) as url, Remote(read_address(url, None)) as remote:
        with pytest.raises(NotAnswered, match="a message of more than"):
            await read_all(remote)


async def test_cancelling_closes_the_connection() -> None:
    """The other side hears of it."""
    closed = trio.Event()

    async def waiting(stream: trio.SocketStream) -> None:
        await silent(stream)
        closed.set()

    async with stranger(waiting) as url, Remote(read_address(url, None)) as remote:
        with trio.move_on_after(0.2):
            await remote.ask("/instances")
        await closed.wait()


def test_the_other_commands_need_no_httpx() -> None:
    """It is imported where something is asked."""
    import subprocess  # noqa: PLC0415

    code = "import sys, trio_instances._cli; sys.exit('httpx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
