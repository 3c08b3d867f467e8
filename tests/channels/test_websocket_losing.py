"""The laws of a WebSocket connection that is lost: why, and what is lost with it."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
import trio_websocket

from trio_instances._exceptions import ChannelError
from trio_instances.channels import WebSocketChannel
from trio_instances.policy.causes import RuleSet, on_close, on_error
from trio_instances.policy.failures import Cause, FailureClass, WhoMustAct

from .failing import BIG, cause_of_end, reset

RECOVERABLE = FailureClass.RECOVERABLE
FATAL = FailureClass.FATAL
DEGRADED = FailureClass.DEGRADED


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
    channel = WebSocketChannel(await serve(handler), causes=RuleSet("own", [on_close(4004, row)]))
    cause = await cause_of_end(channel, instance)

    assert (cause.failure_class, cause.reason, cause.lost) == (FATAL, "authentication", True)


def test_the_channel_classifies_by_its_own_rules_and_then_by_ours() -> None:
    """What a handler raises is looked up where close codes are; nothing of it is a lost connection.

    Only what states a cause can say that the connection is lost.
    """
    rule = on_error(KeyError, Cause(DEGRADED, "unknown_symbol", lost=True))
    channel = WebSocketChannel("ws://127.0.0.1:9/", causes=RuleSet("own", [rule]))

    known = channel.classify(KeyError("x"))
    assert (known.reason, known.lost) == ("unknown_symbol", False)
    assert channel.classify(TimeoutError()).reason == "timeout"


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
    """The next connection need not bring one; if each does, the limit is somebody's to raise."""

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
