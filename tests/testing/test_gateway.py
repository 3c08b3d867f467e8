"""The embedded gateway, talked to by a real client over real sockets."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
import trustme
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from trio_instances.policy.failures import flatten
from trio_instances.testing import Gateway, Handshake, Refusal, open_gateway
from trio_instances.testing.gateway import Admit

SECONDS = 20


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    """Run a gateway around a test, under the test's deadline."""
    with trio.fail_after(SECONDS):
        async with open_gateway(subprotocols=["chat.v2"]) as gateway:
            yield gateway


async def test_text_and_bytes_come_back_as_they_were_sent(gateway: Gateway) -> None:
    """The gateway echoes each message, of either kind, however long."""
    async with _websocket(gateway) as socket:
        for message in ("hello", b"\x00\xff", "x" * 300_000, ""):
            await socket.send_message(message)
            assert await socket.get_message() == message

    assert gateway.statistics().messages == 4


async def test_a_client_is_found_by_its_path_and_can_be_pushed_to(gateway: Gateway) -> None:
    """`wait_client` waits for a connection with a path; `send` reaches that one."""
    async with trio.open_nursery() as nursery:
        found: list[str] = []

        async def find() -> None:
            client = await gateway.wait_client("/bot-1")
            found.append(client.handshake.headers["x-who"])
            await client.send("pushed")

        nursery.start_soon(find)
        await trio.testing.wait_all_tasks_blocked()
        async with (
            _websocket(gateway, "/other"),
            _websocket(gateway, "/bot-1", extra_headers=[(b"X-Who", b"me")]) as socket,
        ):
            assert await socket.get_message() == "pushed"

    assert found == ["me"]


async def test_every_client_gets_what_is_sent_to_all(gateway: Gateway) -> None:
    """`send_all` reaches all of them."""
    async with _websocket(gateway) as one, _websocket(gateway) as two:
        await gateway.send_all("news")
        assert await one.get_message() == await two.get_message() == "news"


async def test_a_subprotocol_that_both_speak_is_agreed_on(gateway: Gateway) -> None:
    """The first of those offered that the gateway speaks is taken; without one, none is."""
    offered = ["chat.v3", "chat.v2"]
    async with _websocket(gateway, subprotocols=offered) as socket:
        assert socket.subprotocol == "chat.v2"
    async with _websocket(gateway, subprotocols=["chat.v9"]) as socket:
        assert socket.subprotocol is None


async def test_a_refused_handshake_has_its_status_and_retry_after(gateway: Gateway) -> None:
    """`admit` decides by path and headers; a refusal is an HTTP answer, and counted."""

    def admit(handshake: Handshake) -> Refusal | None:
        if "authorization" not in handshake.headers:
            return Refusal(status=401)

        return Refusal(status=429, retry_after=1.2) if handshake.path == "/busy" else None

    gateway.admit = admit
    assert await _answer(gateway) == b"HTTP/1.1 401 \r\ncontent-length: 0\r\n\r\n"
    answer = await _answer(gateway, path="/busy", headers="Authorization: key\r\n")
    assert answer.startswith(b"HTTP/1.1 429 ")
    assert b"\r\nretry-after: 2\r\n" in answer.lower()

    async with _websocket(gateway, extra_headers=[(b"Authorization", b"key")]):
        assert gateway.statistics().accepted == 1
    assert gateway.statistics().refused == 2


async def test_a_close_code_reaches_the_client(gateway: Gateway) -> None:
    """`close` sends the code and the reason, and returns when the client has answered."""
    async with _websocket(gateway) as socket:
        await gateway.clients[0].close(4004, "go away")
        with pytest.raises(ConnectionClosed) as closed:
            await socket.get_message()
        assert closed.value.reason is not None
        assert (closed.value.reason.code, closed.value.reason.reason) == (4004, "go away")

    assert gateway.clients == ()


async def test_all_clients_can_be_closed_at_once(gateway: Gateway) -> None:
    """`close_all` closes each with the code."""
    async with _websocket(gateway) as one, _websocket(gateway) as two:
        await gateway.close_all(1012)
        for socket in (one, two):
            with pytest.raises(ConnectionClosed) as closed:
                await socket.get_message()
            assert closed.value.reason is not None
            assert closed.value.reason.code == 1012


async def test_a_peer_that_does_not_answer_a_close_is_reset(gateway: Gateway) -> None:
    """`close` waits for the answer no longer than its grace."""
    async with _raw_websocket(gateway) as stream:
        await gateway.clients[0].close(1000, grace=0.01)
        assert await stream.receive_some(100) == b"\x88\x02\x03\xe8"
        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_some(100)


async def test_a_connection_that_closes_still_takes_in_what_comes(gateway: Gateway) -> None:
    """A ping that arrives during a closing handshake ends nothing; the close answer is awaited."""
    async with _raw_websocket(gateway) as stream, trio.open_nursery() as nursery:
        nursery.start_soon(gateway.clients[0].close, 1000)
        assert await stream.receive_some(100) == b"\x88\x02\x03\xe8"
        await stream.send_all(b"\x89\x80\x00\x00\x00\x00")
        await stream.send_all(b"\x88\x82\x00\x00\x00\x00\x03\xe8")
        assert await stream.receive_some(100) == b""


async def test_a_client_that_has_gone_is_sent_nothing(gateway: Gateway) -> None:
    """`send` to a closed connection raises, and `send_all` leaves it out."""
    async with _websocket(gateway) as socket:
        client = gateway.clients[0]
        await socket.aclose()
        await client.wait_closed()
        with pytest.raises(trio.ClosedResourceError):
            await client.send("too late")
        await gateway.send_all("nobody there")


async def test_a_cancelled_send_resets_the_connection(gateway: Gateway) -> None:
    """A message that was cut cannot be followed by anything, so the connection ends."""
    async with _raw_websocket(gateway):
        client = gateway.clients[0]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send, "x" * 10_000_000)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        await client.wait_closed()


async def test_a_fragmented_message_is_echoed_whole(gateway: Gateway) -> None:
    """The echo of a message in parts is one message."""
    async with _raw_websocket(gateway) as stream:
        await stream.send_all(b"\x01\x81\0\0\0\0a" + b"\x80\x81\0\0\0\0b")
        assert await stream.receive_some(100) == b"\x81\x02ab"


async def test_a_client_can_be_left_without_pongs_on_an_open_socket(gateway: Gateway) -> None:
    """`answers_pings` off: pings are ignored, messages still come back, others are not affected."""
    async with _websocket(gateway) as deaf, _websocket(gateway) as well:
        gateway.clients[0].answers_pings = False
        async with trio.open_nursery() as nursery:
            nursery.start_soon(deaf.ping)
            await well.ping()
            await deaf.send_message("still there")
            assert await deaf.get_message() == "still there"
            assert nursery.child_tasks
            nursery.cancel_scope.cancel()

    statistics = gateway.statistics()
    assert (statistics.pings_answered, statistics.pings_ignored) == (1, 1)


async def test_a_close_can_be_left_hanging(gateway: Gateway) -> None:
    """`answers_close` off: a client's close frame is left without an answer, until it hangs up."""
    async with _raw_websocket(gateway) as stream:
        gateway.clients[0].answers_close = False
        await stream.send_all(b"\x88\x82\x00\x00\x00\x00\x03\xe8")
        await stream.send_eof()
        assert await stream.receive_some(100) == b""


async def test_a_dead_gateway_resets_and_refuses_and_comes_back_on_its_port(
    gateway: Gateway,
) -> None:
    """`die` resets every connection and refuses new ones until `revive`, at the same address."""
    url = gateway.url
    async with _websocket(gateway) as socket:
        await gateway.die()
        with pytest.raises(ConnectionClosed) as lost:
            await socket.get_message()
        assert lost.value.reason is not None
        assert lost.value.reason.code == 1006

    assert gateway.clients == ()
    with pytest.raises(OSError, match="connect"):
        await _connect(gateway)

    await gateway.revive()
    assert gateway.url == url
    async with _websocket(gateway) as socket:
        await socket.send_message("back")
        assert await socket.get_message() == "back"
    assert gateway.statistics().deaths == 1


async def test_dying_and_reviving_twice_are_once(gateway: Gateway) -> None:
    """Both verbs change nothing where there is nothing to change, at the same time as well."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(gateway.die)
        nursery.start_soon(gateway.die)
    await gateway.die()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(gateway.revive)
        nursery.start_soon(gateway.revive)
    assert gateway.statistics().deaths == 1
    async with _websocket(gateway):
        pass


async def test_a_gateway_that_is_still_dying_can_be_revived(gateway: Gateway) -> None:
    """`die` that is cancelled still happens, and `revive` comes after it, not instead of it."""
    async with _raw_websocket(gateway) as stream:
        with trio.CancelScope() as scope:
            scope.cancel()
            await gateway.die()
        await gateway.revive()
        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_some(100)
    async with _websocket(gateway):
        pass


async def test_the_exception_of_the_block_comes_out_as_it_is() -> None:
    """No exception group around it, although the gateway has a nursery."""
    with trio.fail_after(SECONDS), pytest.raises(KeyError, match="mine"):
        async with open_gateway():
            raise KeyError("mine")


async def test_a_rule_that_raises_ends_the_gateway() -> None:
    """A bug in a test's own ``admit`` is not hidden from the test."""
    bug = ZeroDivisionError()

    def admit(_: Handshake) -> Refusal | None:
        raise bug

    with pytest.raises(ExceptionGroup) as raised:
        await _meet(admit)
    assert list(flatten(raised.value)) == [bug]


async def _meet(admit: Admit) -> None:
    with trio.fail_after(SECONDS):
        async with open_gateway(admit=admit) as gateway:
            with contextlib.suppress(trio.BrokenResourceError):
                await _answer(gateway)
            await trio.sleep_forever()


async def test_a_client_that_hangs_up_during_its_handshake_is_forgotten(gateway: Gateway) -> None:
    """Half a request is no connection; one in two parts is one."""
    async with await _connect(gateway) as stream:
        await stream.send_all(b"GET / HTTP/1.1\r\nHost: gateway\r\n")
        await stream.send_eof()
        assert await stream.receive_some(100) == b""
    async with await _connect(gateway) as stream:
        await stream.send_all(b"GET / HTTP/1.1\r\n")
        await trio.testing.wait_all_tasks_blocked()
        await stream.send_all(
            b"Host: gateway\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        assert (await stream.receive_some(100)).startswith(b"HTTP/1.1 101 ")
    assert gateway.statistics().accepted == 1


async def test_what_is_no_websocket_request_gets_status_400(gateway: Gateway) -> None:
    """Nonsense is refused, and the gateway goes on."""
    for nonsense in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x00\x01\x02\r\n\r\n"):
        stream = await _connect(gateway)
        await stream.send_all(nonsense)
        assert b" 400 " in await stream.receive_some(1000)
        await stream.aclose()
    async with _websocket(gateway):
        pass


async def test_a_cancelled_gateway_leaves_nothing_open() -> None:
    """Cancelling the block resets the connections, and frees the port."""
    with trio.fail_after(SECONDS):
        with trio.CancelScope() as scope:
            async with open_gateway() as gateway, _raw_websocket(gateway) as stream:
                with trio.CancelScope(shield=True):
                    scope.cancel()
                    with pytest.raises(trio.BrokenResourceError):
                        await stream.receive_some(100)
        with pytest.raises(OSError, match="connect"):
            await _connect(gateway)


async def test_it_speaks_tls() -> None:
    """With a server's context its address is ``wss`` and its echo is encrypted."""
    authority = trustme.CA()
    server, client = (ssl.SSLContext(p) for p in (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT))
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    with trio.fail_after(SECONDS):
        async with open_gateway(ssl_context=server) as gateway:
            assert gateway.url.startswith("wss:")
            async with _websocket(gateway, ssl_context=client) as socket:
                await socket.send_message("secret")
                assert await socket.get_message() == "secret"


async def _connect(gateway: Gateway) -> trio.SocketStream:
    return await trio.open_tcp_stream("127.0.0.1", int(gateway.url.rpartition(":")[2]))


async def _shake_hands(stream: trio.SocketStream, path: str = "/", headers: str = "") -> bytes:
    request = (
        f"GET {path} HTTP/1.1\r\nHost: gateway\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{headers}\r\n"
    )
    await stream.send_all(request.encode())
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += await stream.receive_some(1000)
    return answer


@asynccontextmanager
async def _websocket(
    gateway: Gateway,
    path: str = "/",
    *,
    ssl_context: ssl.SSLContext | None = None,
    subprotocols: Sequence[str] = (),
    extra_headers: Sequence[tuple[bytes, bytes]] = (),
) -> AsyncIterator[WebSocketConnection]:
    """Connect over a stream of our own: the client leaves some of its own to the collector."""
    transport = await _connect(gateway)
    stream: trio.SocketStream | trio.SSLStream[trio.SocketStream] = transport
    if ssl_context is not None:
        stream = trio.SSLStream(
            transport, ssl_context, server_hostname="127.0.0.1", https_compatible=True
        )
    async with stream, trio.open_nursery() as nursery:
        socket = await wrap_client_stream(
            nursery,
            stream,
            "gateway",
            path,
            subprotocols=subprotocols,
            extra_headers=list(extra_headers),
        )
        yield socket
        await socket.aclose()
        nursery.cancel_scope.cancel()


async def _answer(gateway: Gateway, *, path: str = "/", headers: str = "") -> bytes:
    """Return what a handshake is answered."""
    async with await _connect(gateway) as stream:
        return await _shake_hands(stream, path, headers)


@asynccontextmanager
async def _raw_websocket(gateway: Gateway) -> AsyncIterator[trio.SocketStream]:
    """Connect by hand, for a client that does not answer by itself."""
    async with await _connect(gateway) as stream:
        await _shake_hands(stream)
        await gateway.wait_client("/")
        yield stream
