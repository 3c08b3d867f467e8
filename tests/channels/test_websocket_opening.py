"""The laws of a WebSocket connection that cannot be opened: each failure has its cause."""

from __future__ import annotations

import socket
from typing import Any

import pytest
import trio
import trio.testing
import trio_websocket

from trio_instances.channels import WebSocketChannel
from trio_instances.policy.causes import RuleSet, on_error, on_status
from trio_instances.policy.failures import Cause, FailureClass, WhoMustAct

from .failing import cause_of_connect, reset

RECOVERABLE = FailureClass.RECOVERABLE
FATAL = FailureClass.FATAL


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, (FATAL, WhoMustAct.CREDENTIALS)),
        (403, (FATAL, WhoMustAct.CREDENTIALS)),
        (404, (FATAL, WhoMustAct.CONFIGURATION)),
        (429, (RECOVERABLE, WhoMustAct.NOBODY)),
        (503, (RECOVERABLE, WhoMustAct.NOBODY)),
    ],
)
@pytest.mark.parametrize("body", [None, b"no"])
async def test_a_refused_handshake_is_classified_by_its_status(
    instance: Any, serve: Any, status: int, expected: Any, body: bytes | None
) -> None:
    """The status says whether to come again, and who must act if not."""

    async def handler(request: trio_websocket.WebSocketRequest) -> None:
        await request.reject(status, body=body)

    cause = await cause_of_connect(WebSocketChannel(await serve(handler)), instance)

    assert cause.reason == f"http_{status}"
    assert (cause.failure_class, cause.who_must_act) == expected


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_honoured(instance: Any, serve: Any, status: int) -> None:
    """The server's own wish is in the cause."""

    async def handler(request: trio_websocket.WebSocketRequest) -> None:
        await request.reject(status, extra_headers=[(b"Retry-After", b"7")])

    cause = await cause_of_connect(WebSocketChannel(await serve(handler)), instance)

    assert cause.retry_after == 7.0


async def test_a_refusal_whose_body_ends_with_the_connection_is_still_a_refusal(
    instance: Any, serve_raw: Any
) -> None:
    """A server that gives no length for the body is heard all the same."""

    async def handler(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\nwho are you?")

    cause = await cause_of_connect(WebSocketChannel(await serve_raw(handler)), instance)

    assert (cause.failure_class, cause.reason) == (FATAL, "http_401")
    assert cause.detail == "the server answered 401 Unauthorized"


async def test_the_platforms_statuses_go_first(instance: Any, serve: Any) -> None:
    """A channel may know better what a status means."""

    async def handler(request: trio_websocket.WebSocketRequest) -> None:
        await request.reject(404)

    row = Cause(RECOVERABLE, "not_deployed_yet")
    channel = WebSocketChannel(await serve(handler), causes=RuleSet("own", [on_status(404, row)]))

    assert (await cause_of_connect(channel, instance)).reason == "not_deployed_yet"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "handshake_closed"),
        (b"220 mail.example ESMTP\r\n", "handshake_invalid"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "handshake_invalid"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "http_200"),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", "http_302"),
    ],
)
async def test_an_answer_that_is_no_handshake_is_recoverable(
    instance: Any, serve_raw: Any, answer: bytes, reason: str
) -> None:
    """Whatever listens there for a while, the server may be back."""

    async def handler(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(answer)

    cause = await cause_of_connect(WebSocketChannel(await serve_raw(handler)), instance)

    assert (cause.failure_class, cause.reason) == (RECOVERABLE, reason)


@pytest.mark.parametrize("greeting", [b"SSH-2.0-OpenSSH_9.6\r\n", b"\xff" * 40, b"HTP"])
async def test_a_server_of_another_protocol_is_known_by_its_greeting(
    instance: Any, serve_raw: Any, greeting: bytes
) -> None:
    """What cannot begin an HTTP answer is not waited on for the rest of one."""

    async def handler(stream: trio.SocketStream) -> None:
        await stream.send_all(greeting)
        await stream.receive_some()
        await trio.sleep_forever()

    cause = await cause_of_connect(WebSocketChannel(await serve_raw(handler)), instance)

    assert (cause.failure_class, cause.reason) == (RECOVERABLE, "handshake_invalid")
    assert cause.detail == "the answer is not HTTP"


async def test_a_connection_reset_during_the_handshake_is_recoverable(
    instance: Any, serve_raw: Any
) -> None:
    """A server that crashes while answering is like one that says nothing."""

    async def handler(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        reset(stream)

    cause = await cause_of_connect(WebSocketChannel(await serve_raw(handler)), instance)

    assert (cause.failure_class, cause.reason) == (RECOVERABLE, "handshake_closed")
    assert "reset" in cause.detail


async def test_a_server_that_chooses_no_subprotocol_is_fatal(instance: Any, serve: Any) -> None:
    """It would speak another language than we do."""

    async def handler(request: trio_websocket.WebSocketRequest) -> None:
        await (await request.accept()).get_message()

    channel = WebSocketChannel(await serve(handler), subprotocols=("v1",))
    cause = await cause_of_connect(channel, instance)

    assert (cause.failure_class, cause.reason) == (FATAL, "subprotocol")


async def test_a_refused_connection_is_recoverable(instance: Any) -> None:
    """A server that is down may come up."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        channel = WebSocketChannel(f"ws://127.0.0.1:{reserved.getsockname()[1]}")
        cause = await cause_of_connect(channel, instance)

    assert (cause.failure_class, cause.reason) == (RECOVERABLE, "connection_refused")


async def test_the_platforms_exceptions_go_first(instance: Any) -> None:
    """A channel may know better what it means when nobody listens."""
    asleep = on_error(ConnectionRefusedError, Cause(RECOVERABLE, "asleep", planned=True))
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{reserved.getsockname()[1]}"
        channel = WebSocketChannel(url, causes=RuleSet("own", [asleep]))
        cause = await cause_of_connect(channel, instance)

    assert (cause.reason, cause.planned) == ("asleep", True)


async def test_a_name_that_cannot_be_resolved_is_recoverable(instance: Any) -> None:
    """DNS comes and goes with the network."""

    class NoNames(trio.abc.HostnameResolver):
        async def getaddrinfo(self, host: Any, *_: Any, **__: Any) -> Any:
            raise socket.gaierror(socket.EAI_NONAME, f"no such name: {host!r}")

        async def getnameinfo(self, *_: Any) -> Any:
            raise AssertionError("not asked for")

    trio.socket.set_custom_hostname_resolver(NoNames())
    cause = await cause_of_connect(WebSocketChannel("ws://nowhere.example"), instance)

    assert (cause.failure_class, cause.reason) == (RECOVERABLE, "dns")


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 plain text here\r\n\r\n"])
async def test_a_server_that_does_not_speak_tls_is_recoverable(
    instance: Any, serve_raw: Any, answer: bytes
) -> None:
    """A TLS handshake that breaks off says nothing about certificates."""

    async def handler(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(answer)

    url = (await serve_raw(handler)).replace("ws:", "wss:")
    cause = await cause_of_connect(WebSocketChannel(url), instance)

    assert cause.failure_class is RECOVERABLE


@pytest.mark.parametrize("scheme", ["ws", "wss"])
async def test_a_cancelled_handshake_ends_at_once_and_leaves_no_connection(
    instance: Any, serve_raw: Any, scheme: str
) -> None:
    """A server that never answers costs no more than the deadline, and sees us go."""
    asked = trio.Event()
    gone = trio.Event()

    async def handler(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        asked.set()
        try:
            while await stream.receive_some():
                pass
        finally:
            gone.set()

    channel = WebSocketChannel((await serve_raw(handler)).replace("ws", scheme, 1))
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(channel.connect(instance).__aenter__)
            await asked.wait()
            nursery.cancel_scope.cancel()
        await gone.wait()
