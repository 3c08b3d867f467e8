"""The laws of a WebSocket connection that fails, against real servers that misbehave."""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import Any

import pytest
import trio
import trio.testing
import trio_websocket

from trio_instances._exceptions import ChannelError
from trio_instances.channels import WebSocketChannel
from trio_instances.policy.failures import Cause, FailureClass, WhoMustAct

RECOVERABLE = FailureClass.RECOVERABLE
FATAL = FailureClass.FATAL
DEGRADED = FailureClass.DEGRADED

BIG = b"x" * 32_000_000
"""More than the buffers of a loopback connection hold."""


def reset(stream: Any) -> None:
    """End a TCP connection as a crashing host does."""
    stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.socket.close()


async def cause_of_connect(channel: WebSocketChannel, instance: Any) -> Cause:
    """Connect, which fails; return why."""
    with trio.fail_after(5), pytest.raises(ChannelError) as caught:
        async with channel.connect(instance):
            pass

    return caught.value.cause


async def cause_of_end(channel: WebSocketChannel, instance: Any) -> Cause:
    """Connect, and return why the connection is lost."""
    with trio.fail_after(5):
        async with channel.connect(instance) as connection:
            with pytest.raises(ChannelError) as caught:
                await connection.receive()

    return caught.value.cause


async def reader_is_held_up(connection: Any) -> None:
    """Wait until the reader waits for room in the inbox."""
    inbox = connection._socket._send_channel  # noqa: SLF001 - nothing public tells
    while not inbox.statistics().tasks_waiting_send:
        await trio.lowlevel.checkpoint()


# --- opening -------------------------------------------------------------------------------------


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
    channel = WebSocketChannel(await serve(handler), status_causes={404: row})

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


# --- being closed --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "failure_class"),
    [
        (1000, RECOVERABLE),
        (1001, RECOVERABLE),
        (1002, FATAL),
        (1008, FATAL),
        (1009, FATAL),
        (1011, RECOVERABLE),
        (1012, RECOVERABLE),
        (4004, RECOVERABLE),
    ],
)
async def test_a_close_code_is_classified(
    instance: Any, serve: Any, code: int, failure_class: FailureClass
) -> None:
    """The receiver says why the connection is lost, in the server's words."""

    async def handler(request: trio_websocket.WebSocketRequest) -> None:
        await (await request.accept()).aclose(code, "because")

    cause = await cause_of_end(WebSocketChannel(await serve(handler)), instance)

    assert (cause.failure_class, cause.reason) == (failure_class, f"close_{code}")
    assert cause.detail == "because"
    assert cause.lost


async def test_the_platforms_close_codes_go_first(instance: Any, serve: Any) -> None:
    """A channel may know better what a code means."""

    async def handler(request: trio_websocket.WebSocketRequest) -> None:
        await (await request.accept()).aclose(4004, "bad token")

    row = Cause(FATAL, "authentication", who_must_act=WhoMustAct.CREDENTIALS)
    channel = WebSocketChannel(await serve(handler), close_causes={4004: row})
    cause = await cause_of_end(channel, instance)

    assert (cause.failure_class, cause.reason, cause.lost) == (FATAL, "authentication", True)


async def test_a_connection_reset_is_an_abnormal_close(
    instance: Any, serve_raw: Any, upgrade: Any
) -> None:
    """No close frame came, so the code is 1006."""

    async def handler(stream: trio.SocketStream) -> None:
        await upgrade(stream)
        reset(stream)

    channel = WebSocketChannel(await serve_raw(handler))
    with trio.fail_after(5):
        async with channel.connect(instance) as connection:
            with pytest.raises(ChannelError) as caught:
                await connection.receive()
            assert connection.closed == (1006, "")

    cause = caught.value.cause
    assert (cause.failure_class, cause.reason, cause.lost) == (RECOVERABLE, "close_1006", True)
    assert "reset" in cause.detail


async def test_half_a_frame_and_then_nothing_is_an_abnormal_close(
    instance: Any, serve_raw: Any, upgrade: Any
) -> None:
    """A message that was cut off is no message."""

    async def handler(stream: trio.SocketStream) -> None:
        await upgrade(stream)
        await stream.send_all(b"\x81\x05hal")

    cause = await cause_of_end(WebSocketChannel(await serve_raw(handler)), instance)

    assert cause.reason == "close_1006"
    assert instance.events == 0


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(b"\xff\xff\xff\xff", id="reserved bits"),
        pytest.param(b"\x81\x02\xc3\x28", id="text that is no UTF-8"),
    ],
)
async def test_data_that_is_no_frame_is_recoverable(
    instance: Any, serve_raw: Any, upgrade: Any, garbage: bytes
) -> None:
    """What this side finds wrong is not taken for the server's complaint about us."""

    async def handler(stream: trio.SocketStream) -> None:
        await upgrade(stream)
        await stream.send_all(garbage)
        await stream.receive_some()

    cause = await cause_of_end(WebSocketChannel(await serve_raw(handler)), instance)

    assert (cause.failure_class, cause.reason, cause.lost) == (RECOVERABLE, "bad_data", True)


async def test_a_message_above_the_limit_loses_the_connection(instance: Any, serve: Any) -> None:
    """It is recoverable, and says that the limit is somebody's to raise."""

    async def handler(request: trio_websocket.WebSocketRequest) -> None:
        server = await request.accept()
        await server.send_message("x" * 11)
        await server.get_message()

    channel = WebSocketChannel(await serve(handler), max_message_size=10)
    cause = await cause_of_end(channel, instance)

    assert (cause.failure_class, cause.reason, cause.lost) == (RECOVERABLE, "message_too_big", True)
    assert cause.who_must_act is WhoMustAct.CONFIGURATION


async def test_messages_that_came_before_the_close_are_handled_before_the_loss(
    instance: Any, serve_raw: Any, upgrade: Any, run_children: Any
) -> None:
    """Even when the sender finds out first, the receiver gets what had arrived."""
    seen: list[Any] = []

    async def on_message(_: Any, message: str | bytes) -> None:
        seen.append(message)
        await trio.testing.wait_all_tasks_blocked()
        channel.send_nowait("and so the sender fails")

    async def handler(stream: trio.SocketStream) -> None:
        await upgrade(stream)
        await stream.send_all(b"\x81\x01a\x81\x01b\x81\x01c" + b"\x88\x02\x0f\xa4")

    channel = WebSocketChannel(await serve_raw(handler), on_message=on_message)
    with trio.fail_after(5), pytest.raises(ExceptionGroup) as caught:
        async with (
            channel.connect(instance) as connection,
            run_children(channel, instance, connection),
        ):
            await trio.sleep_forever()

    assert seen == ["a", "b", "c"]
    assert caught.group_contains(ChannelError, match="close_4004")
    assert not caught.group_contains(ChannelError, match="close_1006")


async def test_a_failing_send_does_not_hide_what_had_arrived(
    instance: Any, serve_raw: Any, upgrade: Any
) -> None:
    """The write side breaks first; the last messages and the close code are still read."""

    async def handler(stream: trio.SocketStream) -> None:
        await upgrade(stream)
        await stream.send_all(b"\x81\x01a\x81\x01b\x81\x01c\x81\x01d" + b"\x88\x02\x0f\xa4")
        await stream.receive_some()
        reset(stream)

    channel = WebSocketChannel(await serve_raw(handler), inbox_capacity=0)
    with trio.fail_after(5):
        async with channel.connect(instance) as connection, trio.open_nursery() as nursery:

            async def send_on() -> None:
                while True:
                    await connection.send("x")

            async def send() -> None:
                with pytest.raises(ChannelError, match="close_4004"):
                    await send_on()

            nursery.start_soon(send)
            while not connection._transport.broken:  # noqa: SLF001 - nothing public tells
                await trio.lowlevel.checkpoint()
            assert [await connection.receive() for _ in range(4)] == ["a", "b", "c", "d"]
            with pytest.raises(ChannelError, match="close_4004"):
                await connection.receive()


async def test_a_message_that_could_not_be_sent_stays_in_the_outbox(
    instance: Any, serve_raw: Any, upgrade: Any, run_children: Any
) -> None:
    """It is the first one on the next connection."""

    async def handler(stream: trio.SocketStream) -> None:
        await upgrade(stream)
        await stream.receive_some()
        reset(stream)

    channel = WebSocketChannel(await serve_raw(handler))
    channel.send_nowait(BIG)
    with trio.fail_after(10), pytest.raises(ExceptionGroup) as caught:
        async with (
            channel.connect(instance) as connection,
            run_children(channel, instance, connection),
        ):
            await trio.sleep_forever()

    assert caught.group_contains(ChannelError, match="close_1006")
    assert instance.queues["outbox"].statistics().current_buffer_used == 1


async def test_a_send_to_a_server_that_is_gone_says_why_after_the_receiver_knows(
    instance: Any, serve_raw: Any, upgrade: Any
) -> None:
    """What was lost on the way is not reported as sent."""

    async def handler(stream: trio.SocketStream) -> None:
        await upgrade(stream)
        await stream.receive_some()
        reset(stream)

    channel = WebSocketChannel(await serve_raw(handler))
    with trio.fail_after(10):
        async with channel.connect(instance) as connection, trio.open_nursery() as nursery:

            async def receive() -> None:
                with pytest.raises(ChannelError, match="close_1006"):
                    await connection.receive()

            nursery.start_soon(receive)
            with pytest.raises(ChannelError, match="close_1006"):
                await connection.send(BIG)


async def test_a_cancelled_send_ends_the_connection_it_may_have_spoilt(
    instance: Any, serve_raw: Any, upgrade: Any
) -> None:
    """After half a frame nothing sensible can follow, so nothing does."""
    begun = trio.Event()

    async def handler(stream: trio.SocketStream) -> None:
        await upgrade(stream)
        await stream.receive_some(1)
        begun.set()
        await trio.sleep_forever()

    channel = WebSocketChannel(await serve_raw(handler))
    with trio.fail_after(10):
        async with channel.connect(instance) as connection:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(connection.send, BIG)
                await begun.wait()
                await trio.testing.wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()
            with pytest.raises(ChannelError, match="close_1006"):
                await connection.receive()
            with pytest.raises(ChannelError, match="close_1006"):
                await connection.send("after")


async def test_a_send_cancelled_before_it_began_spoils_nothing(instance: Any, serve: Any) -> None:
    """The connection goes on as if nothing had been asked for."""

    async def handler(request: trio_websocket.WebSocketRequest) -> None:
        server = await request.accept()
        await server.send_message(await server.get_message())
        await server.get_message()

    channel = WebSocketChannel(await serve(handler))
    with trio.fail_after(5):
        async with channel.connect(instance) as connection:
            with trio.CancelScope() as scope:
                scope.cancel()
                await connection.send("never")
            assert scope.cancelled_caught
            await connection.send("sent")
            assert await connection.receive() == "sent"


async def test_a_send_cancelled_while_it_takes_its_turn_spoils_nothing(
    instance: Any, serve: Any
) -> None:
    """A cancellation ends the connection only where a part may have been sent."""

    async def handler(request: trio_websocket.WebSocketRequest) -> None:
        server = await request.accept()
        while True:
            await server.get_message()

    async def cancel(nursery: trio.Nursery) -> None:
        nursery.cancel_scope.cancel()

    channel = WebSocketChannel(await serve(handler))
    with trio.fail_after(5):
        async with channel.connect(instance) as connection:
            for _ in range(30):  # which of two tasks runs first is chance
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(cancel, nursery)
                    await connection.send("perhaps")
            connection.check()


# --- being probed --------------------------------------------------------------------------------


async def test_a_probe_of_a_server_that_reads_nothing_can_be_cancelled(
    instance: Any, serve_raw: Any, upgrade: Any
) -> None:
    """The ping that was given up leaves nothing behind, and the connection is still in use."""

    async def handler(stream: trio.SocketStream) -> None:
        await upgrade(stream)
        await trio.sleep_forever()

    channel = WebSocketChannel(await serve_raw(handler))
    with trio.move_on_after(10) as body:
        async with channel.connect(instance) as connection:
            for _ in range(3):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(channel.probe, instance, connection)
                    await trio.testing.wait_all_tasks_blocked()
                    nursery.cancel_scope.cancel()
            assert not connection._socket._pings  # noqa: SLF001 - the law is about this table
            connection.check()
            body.cancel()
    assert body.cancelled_caught


async def test_a_probe_of_a_closed_connection_says_why_it_was_closed(
    instance: Any, serve: Any
) -> None:
    """No ping is sent into the void."""

    async def handler(request: trio_websocket.WebSocketRequest) -> None:
        await (await request.accept()).aclose(1012)

    channel = WebSocketChannel(await serve(handler))
    with trio.fail_after(5):
        async with channel.connect(instance) as connection:
            with pytest.raises(ChannelError, match="close_1012"):
                await connection.receive()
            with pytest.raises(ChannelError, match="close_1012"):
                await channel.probe(instance, connection)


async def test_a_probe_ends_when_the_connection_does(
    instance: Any, serve_raw: Any, upgrade: Any
) -> None:
    """A pong that cannot come any more is not waited for."""

    async def handler(stream: trio.SocketStream) -> None:
        await upgrade(stream)
        await stream.receive_some()
        reset(stream)

    channel = WebSocketChannel(await serve_raw(handler))
    with trio.fail_after(5):
        async with channel.connect(instance) as connection:
            with pytest.raises(ChannelError, match="close_1006"):
                await channel.probe(instance, connection)


async def test_a_handler_that_holds_up_the_reader_is_not_blamed_on_the_server(
    instance: Any, serve: Any, run_children: Any, mock_clock: trio.testing.MockClock
) -> None:
    """Where a pong could not be seen, the verdict is degraded, and the author is named."""
    busy = trio.Event()

    async def on_message(_: Any, __: Any) -> None:
        busy.set()
        await trio.sleep_forever()

    async def handler(request: trio_websocket.WebSocketRequest) -> None:
        server = await request.accept()
        for _ in range(10):
            await server.send_message("work")
        await server.get_message()

    channel = WebSocketChannel(await serve(handler), on_message=on_message, inbox_capacity=1)
    async with (
        channel.connect(instance) as connection,
        run_children(channel, instance, connection),
    ):
        await busy.wait()
        await reader_is_held_up(connection)
        mock_clock.jump(2.0)
        with pytest.raises(ChannelError) as caught:
            await channel.probe(instance, connection)

    cause = caught.value.cause
    assert (cause.failure_class, cause.reason) == (DEGRADED, "handler_busy")
    assert not cause.lost


# --- closing -------------------------------------------------------------------------------------


async def test_a_server_that_never_answers_the_close_costs_the_deadline_only(
    instance: Any, serve_raw: Any, upgrade: Any, mock_clock: trio.testing.MockClock
) -> None:
    """The close is cut where the surroundings say, and the server sees the connection drop."""
    asked = trio.Event()
    gone = trio.Event()

    async def handler(stream: trio.SocketStream) -> None:
        await upgrade(stream)
        assert (await stream.receive_some())[0] == 0x88
        asked.set()
        try:
            await stream.receive_some()
        finally:
            gone.set()

    async def pass_time() -> None:
        await asked.wait()
        mock_clock.jump(10.0)

    channel = WebSocketChannel(await serve_raw(handler))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pass_time)
        with trio.move_on_after(10.0) as deadline:
            async with channel.connect(instance):
                pass
        assert deadline.cancelled_caught
        await gone.wait()


async def test_a_server_that_drops_the_connection_instead_of_answering_the_close_is_no_error(
    instance: Any, serve_raw: Any, upgrade: Any
) -> None:
    """The close was meant to end the connection, and it has ended."""

    async def handler(stream: trio.SocketStream) -> None:
        await upgrade(stream)
        await stream.receive_some()
        reset(stream)

    channel = WebSocketChannel(await serve_raw(handler))
    with trio.fail_after(5):
        async with channel.connect(instance):
            pass


async def test_a_server_that_pings_while_we_close_does_not_hang_the_close(
    instance: Any, serve_raw: Any, upgrade: Any
) -> None:
    """trio-websocket's reader fails on that ping; the close does not wait for a dead reader."""

    async def handler(stream: trio.SocketStream) -> None:
        await upgrade(stream)
        await stream.receive_some()
        await stream.send_all(b"\x89\x00")
        await trio.sleep_forever()

    channel = WebSocketChannel(await serve_raw(handler))
    with trio.fail_after(5):
        async with channel.connect(instance):
            pass


async def test_messages_nobody_reads_do_not_hang_the_close(instance: Any, serve: Any) -> None:
    """A full inbox does not keep the server's answer out."""

    async def handler(request: trio_websocket.WebSocketRequest) -> None:
        server = await request.accept()
        for _ in range(1000):
            await server.send_message("x" * 1000)
        await server.get_message()

    channel = WebSocketChannel(await serve(handler), inbox_capacity=1)
    with trio.fail_after(5):
        async with channel.connect(instance) as connection:
            await reader_is_held_up(connection)


async def test_a_server_that_closes_and_never_drops_the_connection_does_not_hang_us(
    instance: Any, serve_raw: Any, upgrade: Any
) -> None:
    """After the close frames it is our side that goes, whatever the server does."""

    async def handler(stream: trio.SocketStream) -> None:
        await upgrade(stream)
        await stream.send_all(b"\x88\x02\x03\xe9")
        await trio.sleep_forever()

    cause = await cause_of_end(WebSocketChannel(await serve_raw(handler)), instance)

    assert cause.reason == "close_1001"


@pytest.mark.parametrize("how", ["cancelled", "raised"])
async def test_leaving_otherwise_than_normally_drops_the_connection_at_once(
    instance: Any, serve_raw: Any, upgrade: Any, how: str
) -> None:
    """There is no goodbye: the server sees the stream end and no close frame."""
    received = bytearray()
    gone = trio.Event()

    async def handler(stream: trio.SocketStream) -> None:
        await upgrade(stream)
        received.extend(await stream.receive_some())
        gone.set()

    async def leave() -> None:
        if how == "raised":
            raise KeyError(how)

        scope.cancel()
        await trio.sleep_forever()

    channel = WebSocketChannel(await serve_raw(handler))
    with trio.fail_after(5):
        with contextlib.suppress(KeyError), trio.CancelScope() as scope:
            async with channel.connect(instance):
                await leave()
        await gone.wait()

    assert received == b""


async def test_a_keyboard_interrupt_in_the_reader_comes_out(instance: Any, serve: Any) -> None:
    """Ctrl-C hits whichever task runs; it ends the block and is not lost."""

    async def handler(request: trio_websocket.WebSocketRequest) -> None:
        server = await request.accept()
        await server.get_message()
        await server.send_message("now")
        await server.get_message()

    def interrupt() -> None:
        raise KeyboardInterrupt

    channel = WebSocketChannel(await serve(handler))

    async def use() -> None:
        async with channel.connect(instance) as connection:
            connection._transport._on_bytes = interrupt  # noqa: SLF001 - runs in the reader's task
            await connection.send("go")
            await trio.sleep_forever()

    # In a task of its own, because pytest-trio takes a Cancelled that escapes for the test's end.
    with trio.fail_after(5), pytest.raises(BaseExceptionGroup) as caught:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(use)

    assert caught.group_contains(KeyboardInterrupt)


async def test_a_reader_that_fails_ends_the_connection_and_no_more(
    instance: Any, serve: Any
) -> None:
    """A fault below us is an abnormal close, which neither cancels the block nor hangs its end."""

    async def handler(request: trio_websocket.WebSocketRequest) -> None:
        server = await request.accept()
        await server.get_message()
        await server.send_message("now")
        await trio.sleep_forever()

    def fail() -> None:
        raise ValueError("a fault below")

    channel = WebSocketChannel(await serve(handler))
    with trio.fail_after(5):
        async with channel.connect(instance) as connection:
            connection._transport._on_bytes = fail  # noqa: SLF001 - runs in the reader's task
            await connection.send("go")
            with pytest.raises(ChannelError, match=r"close_1006 .*a fault below"):
                await connection.receive()
