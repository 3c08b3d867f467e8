"""What is asked of every request: whose it is, for whom it is meant, and its size."""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio
from trio.testing import MockClock

from trio_instances.http.door import MAX_BODY

from ..instance.scripted import ScriptedChannel
from .endpoints import BEARER, TOKEN, read_all, request, served

EVERYWHERE = {"host": "0.0.0.0", "token": TOKEN}  # noqa: S104 - what is tested


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8077", "", "127.0.0.1.evil.example"]
)
@pytest.mark.parametrize("path", ["/", "/livez", "/instances", "/nothing"])
async def test_a_request_meant_for_another_host_is_refused(host: str, path: str) -> None:
    """421: a stranger's page whose name resolves to loopback is read by its own name only."""
    async with served() as endpoint:
        status, error, detail = await endpoint.refusal(path, headers={"host": host})
    assert (status, error) == (421, "wrong_host")
    assert repr(host) in detail


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:80", "[::1]:7"]
)
async def test_a_request_by_a_name_of_loopback_is_let_in(host: str) -> None:
    """Any port, as a tunnel may have another one."""
    async with served() as endpoint:
        assert (await endpoint.get("/livez", headers={"host": host})).status_code == 200


async def test_a_request_without_a_host_is_refused() -> None:
    """HTTP/1.0 needs none, and so cannot say whom it means."""
    async with served() as endpoint:
        said = await endpoint.say(b"GET /livez HTTP/1.0\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 421 ")


@pytest.mark.parametrize("target", ["http://localhost/livez", "HTTP://127.0.0.1:80/livez?"])
async def test_a_request_by_a_whole_url_is_one_by_its_path(target: str) -> None:
    """As RFC 9112 wants it; the host that counts is that of the URL."""
    async with served() as endpoint:
        said = await endpoint.say(request(target, Host="evil.example"))
    assert said.startswith(b"HTTP/1.1 200 ")
    assert b'"alive"' in said


@pytest.mark.parametrize("target", ["http://evil.example/livez", "http://evil.example", "http://"])
async def test_a_request_by_the_url_of_another_host_is_refused(target: str) -> None:
    """Whatever its header says."""
    async with served() as endpoint:
        said = await endpoint.say(request(target))
    assert said.startswith(b"HTTP/1.1 421 ")


async def test_a_page_of_another_site_may_not_ask() -> None:
    """Browsers say where a request comes from; links to the page itself are fine."""
    async with served() as endpoint:
        headers = {"sec-fetch-site": "cross-site"}
        assert (await endpoint.refusal("/events", headers=headers))[:2] == (403, "cross_site")
        assert (await endpoint.get("/", headers=headers)).status_code == 200
        same = {"sec-fetch-site": "same-origin"}
        assert (await endpoint.get("/instances", headers=same)).status_code == 200


@pytest.mark.parametrize("path", ["/instances", "/tree", "/events", "/metrics", "/nothing"])
async def test_beyond_loopback_reading_needs_the_token(path: str) -> None:
    """401 without it; the scheme is told, and nothing about what there is."""
    async with served(**EVERYWHERE) as endpoint:
        answer = await endpoint.get(path)
        assert answer.status_code == 401
        assert answer.json()["error"] == "token_needed"
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_beyond_loopback_the_token_opens_everything() -> None:
    """Under any host name, as nobody without the token can read, whoever they say they mean."""
    async with served(**EVERYWHERE) as endpoint:
        headers = {**BEARER, "host": "ops.example:80"}
        for path in ("/instances", "/tree", "/metrics", "/livez", "/"):
            assert (await endpoint.get(path, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "given",
    ["Bearer", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", TOKEN, "Bearer é"],
)
async def test_what_is_not_quite_the_token_opens_nothing(given: str) -> None:
    """401, whatever it looks like."""
    async with served(**EVERYWHERE) as endpoint:
        headers = [("authorization", given.encode("latin-1"))]
        answer = await endpoint.get("/instances", headers=headers)
    assert answer.status_code == 401
    assert answer.json()["error"] == "wrong_token"
    assert answer.json()["detail"].startswith("that is not the endpoint's token: ")


async def test_the_scheme_is_read_in_any_case() -> None:
    """``bearer`` is ``Bearer``, as HTTP has it."""
    async with served(**EVERYWHERE) as endpoint:
        headers = {"authorization": f"bEaReR  {TOKEN}"}
        assert (await endpoint.get("/instances", headers=headers)).status_code == 200


async def test_guessing_is_slowed_down_and_the_one_who_knows_is_not(
    mock_clock: MockClock,
) -> None:
    """429 after ten wrong tokens, one more each second; the right one works all the while."""
    async with served(**EVERYWHERE) as endpoint:
        wrong = {"authorization": "Bearer no"}
        for _ in range(10):
            assert (await endpoint.get("/tree", headers=wrong)).status_code == 401
        answer = await endpoint.get("/tree", headers=wrong)
        assert answer.status_code == 429
        assert answer.headers["retry-after"] == "1"
        assert answer.json()["detail"] == "too many wrong tokens: try again in 1.0 s"
        assert (await endpoint.get("/tree", headers=BEARER)).status_code == 200
        assert (await endpoint.get("/tree")).status_code == 401  # no guess at all
        mock_clock.jump(1.0)
        assert (await endpoint.get("/tree", headers=wrong)).status_code == 401


@pytest.mark.parametrize("size", [MAX_BODY, 0, 1])
async def test_a_body_that_nobody_needs_is_read_and_ignored(size: int) -> None:
    """Up to 16 KiB, so that a client which sends an empty object is no problem."""
    async with served(token=TOKEN) as endpoint:
        path = "/instances/bot-0/reconnect"
        answer = await endpoint.client.post(path, content=size * b"x", headers=BEARER)
    assert answer.status_code == 202


async def test_a_body_that_is_too_large_is_refused() -> None:
    """413, nothing is done, and the connection ends, as what is left of the body is in its way."""
    channel = ScriptedChannel()
    async with served(channel, token=TOKEN) as endpoint:
        path = "/instances/bot-0/reconnect"
        answer = await endpoint.client.post(path, content=(MAX_BODY + 1) * b"x", headers=BEARER)
        assert answer.status_code == 413
        assert answer.json() == {
            "error": "too_large",
            "detail": "a request's body may have 16384 bytes, and needs none",
        }
        assert answer.headers["connection"] == "close"
        assert (await endpoint.get("/livez")).status_code == 200
    assert len(channel.attempts) == 1


@pytest.mark.parametrize(
    ("framing", "part"),
    [
        ({"Transfer_Encoding": "chunked"}, b"1000\r\n" + 4096 * b"x" + b"\r\n"),
        # Each chunk waits in Hypercorn for somebody to take it.
        ({"Transfer_Encoding": "chunked"}, 10_000 * b"1\r\nx\r\n"),
        ({"Content_Length": 10**9}, 4096 * b"x"),
    ],
    ids=["chunks", "tiny-chunks", "length"],
)
async def test_a_body_that_does_not_end_is_refused(framing: dict[str, object], part: bytes) -> None:
    """Whether a length was announced or not, and the sender reads why."""
    async with served(token=TOKEN) as endpoint, await endpoint.connect() as stream:

        async def send_on() -> None:
            await stream.send_all(request("/", "POST", **framing))
            with suppress(trio.BrokenResourceError):
                while True:
                    await stream.send_all(part)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_on)
            assert (await read_all(stream)).startswith(b"HTTP/1.1 413 ")
            nursery.cancel_scope.cancel()


async def test_a_slow_body_is_refused(mock_clock: MockClock) -> None:
    """408 after 10 seconds, however many bytes came meanwhile."""
    mock_clock.rate = 20.0
    async with served(token=TOKEN) as endpoint, await endpoint.connect() as stream:
        await stream.send_all(request("/", "POST", Content_Length="9") + b"1234")
        said = await read_all(stream)
    assert said.startswith(b"HTTP/1.1 408 ")
    assert b'"error": "too_slow"' in said


async def test_a_websocket_is_refused() -> None:
    """There is none here; the answer is HTTP's."""
    async with served() as endpoint:
        said = await endpoint.say(
            b"GET /events HTTP/1.1\r\nHost: localhost\r\n"
            b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
    assert said.startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize(
    "path", ["/nothing", "/livez/", "/instances/", "/instances/a/b/c", "//livez"]
)
async def test_a_path_that_leads_nowhere_is_told(path: str) -> None:
    """404 in JSON, and no redirection."""
    async with served() as endpoint:
        answer = await endpoint.get(endpoint.url + path)
    assert answer.status_code == 404
    assert answer.json() == {"error": "not_found", "detail": f"there is nothing at {path}"}


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/livez"), ("POST", "/instances"), ("DELETE", "/instances/bot-0")]
)
async def test_a_method_that_a_path_does_not_take_is_refused(method: str, path: str) -> None:
    """405, with those it takes."""
    async with served(token=TOKEN) as endpoint:
        answer = await endpoint.client.request(method, path, headers=BEARER)
    assert answer.status_code == 405
    assert answer.json() == {"error": "bad_method", "detail": f"{path} does not take {method}"}
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


@pytest.mark.parametrize("path", ["/livez", "/instances", "/events", "/tree", "/metrics", "/"])
async def test_a_head_has_no_body(path: str) -> None:
    """HEAD: what GET would say, without it; also where GET would never end."""
    async with served() as endpoint:
        said = await endpoint.say(request(path, "HEAD"))
    assert said.startswith(b"HTTP/1.1 200 ")
    assert said.endswith(b"\r\n\r\n")
    assert said.count(b"\r\n\r\n") == 1
