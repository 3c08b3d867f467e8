"""The laws of a WebSocket connection that works, against a real server."""

from __future__ import annotations

import ssl
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing
import trio_websocket
import trustme

from trio_instances._exceptions import ChannelError
from trio_instances.channels import WebSocketChannel
from trio_instances.policy.failures import Cause, FailureClass


async def echo(request: trio_websocket.WebSocketRequest) -> None:
    """Send back what comes."""
    socket = await request.accept()
    while True:
        await socket.send_message(await socket.get_message())


async def run_child(channel: Any, instance: Any, connection: Any, name: str) -> None:
    """Run one incarnation of a child of the connection."""
    specs = {spec.name: spec for spec in channel.children(instance, connection)}
    await specs[name].run(*specs[name].args)


async def test_messages_go_out_and_come_back_in_order(
    instance: Any, serve: Any, run_children: Any
) -> None:
    """Text and bytes pass through outbox, server and handler as they are."""
    seen: list[Any] = []
    all_seen = trio.Event()

    async def on_message(_: Any, message: str | bytes) -> None:
        seen.append(message)
        if len(seen) == 3:
            all_seen.set()

    channel = WebSocketChannel(await serve(echo), on_message=on_message)
    with trio.fail_after(5):
        for message in ("one", b"\x00two", "dréi"):
            await channel.send(message)
        async with (
            channel.connect(instance) as connection,
            run_children(channel, instance, connection),
        ):
            await all_seen.wait()

    assert seen == ["one", b"\x00two", "dréi"]
    assert instance.events == 3
    assert instance.frames >= 1


async def test_anything_that_arrives_is_a_frame_and_only_messages_are_events(
    instance: Any, serve: Any
) -> None:
    """A pong shows that the transport lives, and nothing about the data."""
    channel = WebSocketChannel(await serve(echo))
    with trio.fail_after(5):
        async with channel.connect(instance) as connection:
            before = instance.frames
            await connection.ping()

    assert instance.frames > before
    assert instance.events == 0


async def test_the_server_sees_path_headers_and_subprotocols(instance: Any, serve: Any) -> None:
    """The handshake asks for what the channel was given."""
    seen: dict[str, Any] = {}

    async def handler(request: trio_websocket.WebSocketRequest) -> None:
        seen["path"] = request.path
        seen["headers"] = {name.lower(): value for name, value in request.headers}
        seen["offered"] = request.proposed_subprotocols
        socket = await request.accept(subprotocol="v1", extra_headers=[(b"x-session", b"abc")])
        await socket.get_message()

    channel = WebSocketChannel(
        await serve(handler) + "/feed?token=t",
        headers={"Authorization": "Bearer x"},
        subprotocols=("v2", "v1"),
    )
    with trio.fail_after(5):
        async with channel.connect(instance) as connection:
            assert connection.subprotocol == "v1"
            assert ("x-session", "abc") in connection.headers

    assert seen["path"] == "/feed?token=t"
    assert seen["headers"][b"authorization"] == b"Bearer x"
    assert seen["offered"] == ("v2", "v1")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A certificate authority that no system knows."""
    return trustme.CA()


@pytest.fixture
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    """TLS for a server named localhost."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture
def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    """TLS that trusts the authority."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_tls_is_spoken_where_the_url_says_so(
    instance: Any, serve: Any, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    """A wss URL connects to a server whose certificate is trusted, and closes in order."""
    channel = WebSocketChannel(await serve(echo, server_tls), ssl_context=client_tls)
    with trio.fail_after(5):
        async with channel.connect(instance) as connection:
            await connection.send("over tls")
            assert await connection.receive() == "over tls"
    assert connection.closed == (1000, "")


async def test_a_certificate_that_is_not_trusted_is_fatal(
    instance: Any, serve: Any, server_tls: ssl.SSLContext
) -> None:
    """No retry makes a certificate valid; somebody must configure something."""
    channel = WebSocketChannel(await serve(echo, server_tls))
    with trio.fail_after(5), pytest.raises(ChannelError) as caught:
        async with channel.connect(instance):
            pass

    assert caught.value.cause.failure_class is FailureClass.FATAL
    assert caught.value.cause.reason == "tls_certificate"


async def test_a_certificate_for_another_name_is_fatal(
    instance: Any, serve: Any, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    """A trusted certificate for somebody else proves nothing."""
    url = (await serve(echo, server_tls)).replace("localhost", "127.0.0.1")
    channel = WebSocketChannel(url, ssl_context=client_tls)
    with trio.fail_after(5), pytest.raises(ChannelError) as caught:
        async with channel.connect(instance):
            pass

    assert caught.value.cause.reason == "tls_certificate"


async def test_leaving_the_block_closes_with_the_chosen_code(instance: Any, serve: Any) -> None:
    """The server reads why we went."""
    closed: list[Any] = []
    done = trio.Event()

    async def handler(request: trio_websocket.WebSocketRequest) -> None:
        socket = await request.accept()
        try:
            await socket.get_message()
        except trio_websocket.ConnectionClosed:
            closed.append(str(socket.closed))
            done.set()

    channel = WebSocketChannel(await serve(handler), close_code=1001, close_reason="moving")
    with trio.fail_after(5):
        async with channel.connect(instance) as connection:
            pass
        await done.wait()

    assert closed == ["CloseReason<code=1001, name=GOING_AWAY, reason=moving>"]
    assert connection.closed == (1001, "moving")


@pytest.mark.parametrize(("session", "code"), [(None, 1000), ("s1", 4000), ("", 4000)])
async def test_a_session_that_goes_on_is_left_with_a_code_that_keeps_it(
    instance: Any, serve: Any, session: Any, code: int
) -> None:
    """1000 says on some platforms that it is over."""
    instance.session = session
    channel = WebSocketChannel(await serve(echo))
    with trio.fail_after(5):
        async with channel.connect(instance) as connection:
            pass

    assert connection.closed == (code, "")


async def test_the_outbox_is_watched_and_bounded(instance: Any, serve: Any) -> None:
    """Its occupancy is there for pressure, and beyond its capacity a send would block."""
    channel = WebSocketChannel(await serve(echo), outbox_capacity=2)
    with trio.fail_after(5):
        async with channel.connect(instance):
            channel.send_nowait("a")
            channel.send_nowait("b")
            with pytest.raises(trio.WouldBlock):
                channel.send_nowait("c")

    statistics = instance.queues["outbox"].statistics()
    assert (statistics.current_buffer_used, statistics.max_buffer_size) == (2, 2)


async def test_what_is_in_the_outbox_survives_the_connection(
    instance: Any, serve: Any, run_children: Any
) -> None:
    """A message that was not sent on one connection is sent on the next."""
    received: list[Any] = []
    done = trio.Event()

    async def handler(request: trio_websocket.WebSocketRequest) -> None:
        socket = await request.accept()
        received.append(await socket.get_message())
        done.set()

    channel = WebSocketChannel(await serve(handler))
    with trio.fail_after(5):
        async with channel.connect(instance):
            channel.send_nowait("kept")
        async with (
            channel.connect(instance) as connection,
            run_children(channel, instance, connection, "sender"),
        ):
            await done.wait()
            await trio.testing.wait_all_tasks_blocked()

    assert received == ["kept"]
    assert instance.queues["outbox"].statistics().current_buffer_used == 0


async def test_a_handler_that_raises_costs_the_message_it_failed_on_only(
    instance: Any, serve: Any
) -> None:
    """The next incarnation of the receiver goes on with the next message, on this connection."""
    seen: list[Any] = []
    all_seen = trio.Event()

    async def on_message(_: Any, message: str | bytes) -> None:
        seen.append(message)
        if message == "bad":
            raise ValueError(message)
        if message == "last":
            all_seen.set()

    async def handler(request: trio_websocket.WebSocketRequest) -> None:
        socket = await request.accept()
        for message in ("good", "bad", "next", "last"):
            await socket.send_message(message)
        await socket.get_message()

    channel = WebSocketChannel(await serve(handler), on_message=on_message)
    with trio.fail_after(5):
        async with channel.connect(instance) as connection, trio.open_nursery() as nursery:
            with pytest.raises(ValueError, match="bad"):
                await run_child(channel, instance, connection, "receiver")
            nursery.start_soon(run_child, channel, instance, connection, "receiver")
            await all_seen.wait()
            nursery.cancel_scope.cancel()

    assert seen == ["good", "bad", "next", "last"]
    assert instance.events == 4


async def test_without_a_handler_messages_are_only_counted(
    instance: Any, serve: Any, run_children: Any
) -> None:
    """A channel that only sends still reads, and so notices when it is closed."""

    async def handler(request: trio_websocket.WebSocketRequest) -> None:
        server = await request.accept()
        await server.send_message("one")
        await server.send_message("two")
        await server.aclose(1012)

    channel = WebSocketChannel(await serve(handler))
    with trio.fail_after(5), pytest.raises(ExceptionGroup) as caught:
        async with (
            channel.connect(instance) as connection,
            run_children(channel, instance, connection),
        ):
            await trio.sleep_forever()

    assert instance.events == 2
    assert caught.group_contains(ChannelError, match="close_1012")


async def test_the_probe_is_a_ping_and_its_pong(instance: Any, serve: Any) -> None:
    """A server that answers is healthy, again and again."""
    channel = WebSocketChannel(await serve(echo))
    with trio.fail_after(5):
        async with channel.connect(instance) as connection:
            for _ in range(3):
                await channel.probe(instance, connection)


async def test_without_ping_the_probe_asks_the_server_nothing(instance: Any, serve: Any) -> None:
    """A server that answers no ping can still be probed for being there as far as is known."""
    closed = trio.Event()

    async def handler(request: trio_websocket.WebSocketRequest) -> None:
        socket = await request.accept()
        await closed.wait()
        await socket.aclose(1012)

    channel = WebSocketChannel(await serve(handler), ping=False)
    with trio.fail_after(5):
        async with channel.connect(instance) as connection:
            frames = instance.frames
            await channel.probe(instance, connection)
            assert instance.frames == frames
            closed.set()
            with pytest.raises(ChannelError):
                await connection.receive()
            with pytest.raises(ChannelError, match="close_1012"):
                await channel.probe(instance, connection)


async def test_a_subclass_can_speak_first_on_every_connection(instance: Any, serve: Any) -> None:
    """Extending `connect` is the way to identify oneself."""

    class Greeting(WebSocketChannel):
        @asynccontextmanager
        async def connect(self, instance: Any) -> Any:
            async with super().connect(instance) as connection:
                await connection.send("hello")
                yield connection

    channel = Greeting(await serve(echo))
    with trio.fail_after(5):
        async with channel.connect(instance) as connection:
            assert await connection.receive() == "hello"


class Strange(BaseException):
    """Something that is no Exception."""


@pytest.mark.parametrize(
    "error",
    [
        ValueError("bare"),
        ChannelError(Cause(FailureClass.FATAL, "mine")),
        ExceptionGroup("mine", [ValueError(), TypeError()]),
        ExceptionGroup("mine", [ValueError()]),
        Strange(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_the_blocks_own_exception_comes_out_as_it_was_raised(
    instance: Any, serve: Any, error: BaseException
) -> None:
    """Nothing wraps it, and nothing is added to it."""
    channel = WebSocketChannel(await serve(echo))
    with trio.fail_after(5), pytest.raises(type(error)) as caught:
        async with channel.connect(instance):
            raise error

    assert caught.value is error
    assert error.__context__ is None


async def test_the_blocks_own_exception_comes_out_also_when_cancelled(
    instance: Any, serve: Any
) -> None:
    """An exception raised while cancelled is not replaced by the cancellation."""
    error = ValueError("in cleanup")
    channel = WebSocketChannel(await serve(echo))

    async def fail_when_cancelled() -> None:
        scope.cancel()
        try:
            await trio.sleep_forever()
        finally:
            raise error

    with trio.fail_after(5), pytest.raises(ValueError) as caught, trio.CancelScope() as scope:
        async with channel.connect(instance):
            await fail_when_cancelled()

    assert caught.value is error


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (ConnectionResetError("the database"), False),
        (ExceptionGroup("", [ConnectionResetError(), ValueError()]), False),
        (ChannelError(Cause(FailureClass.RECOVERABLE, "close_1006", lost=True)), True),
        (
            ExceptionGroup("", [ChannelError(Cause(FailureClass.RECOVERABLE, "x", lost=True))]),
            True,
        ),
        (ChannelError(Cause(FailureClass.DEGRADED, "slow")), False),
    ],
)
def test_only_a_stated_cause_ends_the_connection(error: Exception, *, lost: bool) -> None:
    """A handler's own broken connections are not this one."""
    assert WebSocketChannel("ws://localhost").classify(error).lost is lost
