"""Handovers and new credentials on real sockets: what the other side sees of them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

import pytest
import trio
import trio_websocket

from trio_instances import (
    Instance,
    InstanceFailed,
    InstanceSpec,
    InvalidSpec,
    ReconnectPolicy,
    open_runtime,
)
from trio_instances.channels.websocket import WebSocketChannel
from trio_instances.telemetry import EventBus, InstanceConnected, InstanceHandedOver
from trio_instances.testing import EventRecorder, Handshake, Refusal, open_gateway

SECONDS = 20
MESSAGES = 300


class Overlapping(WebSocketChannel):
    """A WebSocket whose other side bears two at once."""

    overlaps = True


class Server:
    """Notes what arrives on each connection, and how it ended."""

    def __init__(self) -> None:
        self.heard: list[list[Any]] = []
        self.ends: dict[int, int] = {}
        self.total = 0
        self.all_heard = trio.Event()
        self.one_left = trio.Event()
        self.all_left = trio.Event()
        self.patience = 0.0
        """Seconds that it takes to accept a connection."""

    async def handle(self, request: trio_websocket.WebSocketRequest) -> None:
        """Listen to one connection."""
        await trio.sleep(self.patience)
        socket = await request.accept()
        number = len(self.heard)
        heard: list[Any] = []
        self.heard.append(heard)
        try:
            while True:
                heard.append(await socket.get_message())
                self.total += 1
                if self.total >= MESSAGES:
                    self.all_heard.set()
        except trio_websocket.ConnectionClosed as closed:
            self.ends[number] = closed.reason.code if closed.reason else 0
            self.one_left.set()
            if len(self.ends) == len(self.heard):
                self.all_left.set()


async def test_what_is_sent_in_handovers_arrives_once_and_in_order() -> None:
    """The old connection has the first part, the new one the rest; nothing twice, nothing lost."""
    server, bus, log = Server(), EventBus(), EventRecorder()
    bus.listen(log)
    with trio.fail_after(SECONDS):
        async with trio.open_nursery() as nursery:
            listener = await nursery.start(
                trio_websocket.serve_websocket, server.handle, "127.0.0.1", 0, None
            )
            channel = Overlapping(f"ws://127.0.0.1:{listener.port}", outbox_capacity=8)
            async with open_runtime(events=bus) as runtime:
                policy = ReconnectPolicy(hint_floor=0.0)
                spec = InstanceSpec(id="bot", channel=channel, reconnect=policy, probe=None)
                bot = await runtime.start_instance(spec)
                await bot.wait_status("connected")
                server.patience = 0.01
                for number in range(MESSAGES):
                    await channel.send(str(number))
                    if number % 60 == 30:
                        bot.rotate()
                    if number % 10 == 0:
                        await trio.sleep(0.005)
                await server.all_heard.wait()
                assert bot.connected
            await server.all_left.wait()
            nursery.cancel_scope.cancel()

    handovers = len(log.of(InstanceHandedOver))
    assert handovers >= 3
    assert len(server.heard) == handovers + 1
    assert list(chain(*server.heard)) == [str(number) for number in range(MESSAGES)]
    assert sum(bool(heard) for heard in server.heard) >= 3
    assert [server.ends[number] for number in range(handovers)] == [1000] * handovers


async def test_nothing_is_lost_when_the_old_one_is_cut_in_a_handover() -> None:
    """The successor is under way, and sends what the outbox holds when it is open."""
    with trio.fail_after(SECONDS):
        async with open_gateway() as gateway, open_runtime() as runtime:
            echoed: list[Any] = []
            done = trio.Event()

            async def on_message(_: Instance, message: Any) -> None:
                echoed.append(message)
                if message == "last":
                    done.set()

            channel = Overlapping(f"{gateway.url}/bot", on_message=on_message)
            bot = await runtime.start_instance(InstanceSpec(id="bot", channel=channel, probe=None))
            await bot.wait_status("connected")
            old = await gateway.wait_client("/bot")
            bot.rotate()
            old.reset()
            await bot.wait_status("reconnecting")
            await channel.send("last")
            await done.wait()

            assert (bot.generation, bot.connected) == (2, True)
            assert gateway.statistics().accepted == 2


REPLACED: dict[str, tuple[type[WebSocketChannel], Callable[[Instance], object], int]] = {
    "a rotation": (WebSocketChannel, Instance.rotate, 4000),
    "a handover": (Overlapping, Instance.rotate, 4000),
    "a reconnect": (WebSocketChannel, Instance.reconnect, 1000),
    "a pause": (WebSocketChannel, Instance.pause, 1000),
}


@pytest.mark.parametrize("how", REPLACED)
async def test_a_close_keeps_the_session_only_where_it_goes_on(how: str) -> None:
    """A reconnect is a new beginning, and drops it; so does whatever is to last."""
    kind, ask, code = REPLACED[how]
    server, bus, log = Server(), EventBus(), EventRecorder()
    bus.listen(log)
    with trio.fail_after(SECONDS):
        async with trio.open_nursery() as nursery:
            listener = await nursery.start(
                trio_websocket.serve_websocket, server.handle, "127.0.0.1", 0, None
            )
            async with open_runtime(events=bus) as runtime:
                channel = kind(f"ws://127.0.0.1:{listener.port}")
                bot = await runtime.start_instance(InstanceSpec(id="bot", channel=channel))
                await bot.wait_status("connected")
                bot.session = "session 1"
                ask(bot)
                if how != "a pause":
                    await log.wait_for(InstanceConnected, times=2)
                await server.one_left.wait()
            await server.all_left.wait()
            nursery.cancel_scope.cancel()

    # The last one is ended by the stop of the runtime, and nothing follows it.
    assert list(server.ends.values()) == ([code] if how == "a pause" else [code, 1000])


async def test_new_credentials_are_in_the_next_handshake() -> None:
    """Refused with the old ones, let in with the new ones; the other headers stay."""

    def admit(handshake: Handshake) -> Refusal | None:
        return None if handshake.headers["authorization"] == "new" else Refusal(status=401)

    with trio.fail_after(SECONDS):
        async with open_gateway(admit=admit) as gateway, open_runtime() as runtime:
            channel = WebSocketChannel(
                f"{gateway.url}/bot", headers=[("Authorization", "old"), ("X-Shard", "1")]
            )
            bot = await runtime.start_instance(InstanceSpec(id="bot", channel=channel))
            with pytest.raises(InstanceFailed, match="http_401"):
                await bot.wait_status("connected")
            assert bot.health().who_must_act == "credentials"
            await runtime.update_credentials("bot", {"AUTHORIZATION": "new"})
            await bot.wait_status("connected")

            (client,) = gateway.clients
            assert client.handshake.headers["authorization"] == "new"
            assert client.handshake.headers["x-shard"] == "1"


async def test_what_is_no_header_is_no_credential() -> None:
    """It is refused before anything is changed."""

    def admit(handshake: Handshake) -> Refusal | None:
        return None if handshake.headers["authorization"] == "old" else Refusal(status=401)

    with trio.fail_after(SECONDS):
        async with open_gateway(admit=admit) as gateway, open_runtime() as runtime:
            channel = WebSocketChannel(f"{gateway.url}/bot", headers={"Authorization": "old"})
            bot = await runtime.start_instance(InstanceSpec(id="bot", channel=channel))
            await bot.wait_status("connected")
            with pytest.raises(InvalidSpec):
                await runtime.update_credentials("bot", {"Authorization": "new\r\nX-Evil: 1"})
            bot.reconnect()
            await bot.wait_status("connected")

            assert gateway.statistics().refused == 0
