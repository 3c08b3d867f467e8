"""End to end: WebSocket instances on a real server, over real sockets, in real time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio

from trio_instances import (
    Backoff,
    Instance,
    InstanceFailed,
    InstanceSpec,
    ProbePolicy,
    ReconnectPolicy,
    Runtime,
    open_runtime,
    telemetry,
)
from trio_instances.channels.websocket import WebSocketChannel
from trio_instances.policy.causes import DISCORD
from trio_instances.telemetry import EventBus
from trio_instances.testing import EventRecorder, Gateway, Handshake, Refusal, open_gateway

SECONDS = 20
AT_ONCE = ReconnectPolicy(backoff=Backoff(initial=0.001, cap=0.01), attempts=1000)
"""Retries that a test need not wait for."""


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    """Run a gateway around a test, under the test's deadline."""
    with trio.fail_after(SECONDS):
        async with open_gateway() as gateway:
            yield gateway


async def start(
    runtime: Runtime, gateway: Gateway, instance_id: str = "bot", **options: Any
) -> Instance:
    """Start an instance on the gateway, whose path there is its id."""
    spec: dict[str, Any] = {"reconnect": AT_ONCE, "probe": None}
    for field in ("reconnect", "probe"):
        if field in options:
            spec[field] = options.pop(field)
    channel = WebSocketChannel(f"{gateway.url}/{instance_id}", **options)
    return await runtime.start_instance(InstanceSpec(id=instance_id, channel=channel, **spec))


async def test_it_connects_loses_its_server_and_reconnects(gateway: Gateway) -> None:
    """The server dies and comes back on the same port: one outage, and the children are anew."""
    bus, log = EventBus(), EventRecorder()
    bus.listen(log)
    async with open_runtime(events=bus) as runtime:
        bot = await start(runtime, gateway)
        await bot.wait_status("connected")
        assert [c.name for c in bot.health().children] == ["receiver", "sender"]
        await gateway.die()
        await log.wait_for(telemetry.ReconnectFailed)
        await gateway.revive()
        connected = await log.wait_for(telemetry.InstanceConnected, times=2)

        assert connected.outage is not None
        assert log.of(telemetry.InstanceDisconnected)[0].cause.lost
        assert {e.cause.reason for e in log.of(telemetry.ReconnectFailed)} == {"connection_refused"}
        assert bot.health().reconnects == 1
        assert bot.health().restarts == 0


async def test_a_fleet_loses_its_server_and_all_of_it_comes_back(gateway: Gateway) -> None:
    """Each for itself, and none of them is restarted as a whole."""
    bus, log = EventBus(), EventRecorder()
    bus.listen(log)
    async with open_runtime(events=bus) as runtime:
        for number in range(20):
            await start(runtime, gateway, f"bot-{number}")
        await log.wait_for(telemetry.InstanceConnected, times=20)
        await gateway.die()
        await log.wait_for(telemetry.ReconnectFailed, times=20)
        await gateway.revive()
        await log.wait_for(telemetry.InstanceConnected, times=40)

        assert {bot.health().reconnects for bot in runtime.list_instances()} == {1}
        assert log.of(telemetry.ChildRestarting) == []


async def test_messages_go_both_ways_and_the_outbox_survives_an_outage(gateway: Gateway) -> None:
    """What was put in while there was no connection is sent on the next one."""
    send, receive = trio.open_memory_channel[object](10)

    async def keep(_: Instance, message: object) -> None:
        await send.send(message)

    async with open_runtime() as runtime:
        channel = WebSocketChannel(f"{gateway.url}/bot", on_message=keep)
        spec = InstanceSpec(id="bot", channel=channel, reconnect=AT_ONCE, probe=None)
        bot = await runtime.start_instance(spec)
        await bot.wait_status("connected")
        await channel.send("first")
        assert await receive.receive() == "first"
        await gateway.die()
        await bot.wait_status("reconnecting")
        await channel.send("second")
        await gateway.revive()

        assert await receive.receive() == "second"
        assert bot.health().since_event is not None


async def test_refused_credentials_fail_the_instance_and_its_neighbour_goes_on(
    gateway: Gateway,
) -> None:
    """401: nobody but the owner of the credentials can mend it; then a restart wakes it."""

    def admit(handshake: Handshake) -> Refusal | None:
        return Refusal(status=401) if handshake.path == "/bad" else None

    gateway.admit = admit
    async with open_runtime() as runtime:
        good = await start(runtime, gateway, "good")
        bad = await start(runtime, gateway, "bad")
        with pytest.raises(InstanceFailed, match="http_401") as caught:
            await bad.wait_status("connected")
        assert caught.value.cause.who_must_act == "credentials"
        await good.wait_status("connected")
        assert gateway.statistics().refused == 1
        gateway.admit = None
        await runtime.restart_instance("bad")

        assert await bad.wait_status("connected") == "connected"
        assert good.generation == 1


async def test_a_server_that_asks_to_wait_is_obeyed(gateway: Gateway) -> None:
    """429 with Retry-After: the retry is due that much later, and not a moment before."""
    gateway.admit = lambda _: Refusal(status=429, retry_after=3600)
    bus, log = EventBus(), EventRecorder()
    bus.listen(log)
    async with open_runtime(events=bus) as runtime:
        bot = await start(runtime, gateway)
        scheduled = await log.wait_for(telemetry.ReconnectScheduled)

        assert scheduled.cause.reason == "http_429"
        assert 3600 <= scheduled.delay <= 3600.25  # chance spreads those who were told the same
        assert bot.health().next_retry_at == pytest.approx(scheduled.at + 3600, abs=1)
        gateway.admit = None
        bot.reconnect()
        assert await bot.wait_status("connected") == "connected"


async def test_a_close_code_that_forbids_to_come_back_is_obeyed(gateway: Gateway) -> None:
    """The platform's own table says what 4004 means, and who must act."""
    async with open_runtime() as runtime:
        bot = await start(runtime, gateway, causes=DISCORD)
        await bot.wait_status("connected")
        client = await gateway.wait_client("/bot")
        await client.close(4004, "authentication failed")
        with pytest.raises(InstanceFailed, match="close_4004") as caught:
            await bot.wait_status("paused")

        assert caught.value.cause.who_must_act == "credentials"
        assert gateway.statistics().accepted == 1


async def test_a_close_code_that_means_nothing_bad_is_reconnected(gateway: Gateway) -> None:
    """1012, the server restarts: the connection is lost, and made again."""
    bus, log = EventBus(), EventRecorder()
    bus.listen(log)
    async with open_runtime(events=bus) as runtime:
        bot = await start(runtime, gateway)
        await bot.wait_status("connected")
        await gateway.close_all(1012, "restarting")
        await log.wait_for(telemetry.InstanceConnected, times=2)

        (end,) = log.of(telemetry.InstanceDisconnected)
        assert (end.cause.reason, end.cause.detail) == ("close_1012", "restarting")


async def test_a_server_that_stops_answering_pings_is_found_out_and_left(
    gateway: Gateway,
) -> None:
    """The socket is open and the peer is gone: three probes time out, and it is made anew."""
    bus, log = EventBus(), EventRecorder()
    bus.listen(log)
    policy = ProbePolicy(interval=0.02, timeout=0.25)
    reconnect = ReconnectPolicy(backoff=AT_ONCE.backoff, attempts=1000, close_timeout=0.05)
    async with open_runtime(events=bus) as runtime:
        await start(runtime, gateway, probe=policy, reconnect=reconnect)
        await log.wait_for(telemetry.ProbeCompleted)
        assert log.of(telemetry.ProbeCompleted)[0].verdict == "ok"
        client = await gateway.wait_client("/bot")
        client.answers_pings = client.answers_close = False
        end = await log.wait_for(telemetry.InstanceDisconnected)
        await log.wait_for(telemetry.InstanceConnected, times=2)

        assert end.cause.reason == "probe_timeout"
        assert gateway.statistics().pings_ignored >= 3


async def test_a_stop_leaves_no_socket_open(gateway: Gateway) -> None:
    """On neither side, and the server has seen an orderly close."""
    codes: list[int] = []
    async with open_runtime() as runtime:
        for number in range(5):
            bot = await start(runtime, gateway, f"bot-{number}", close_code=3000 + number)
            await bot.wait_status("connected")
        clients = [await gateway.wait_client(f"/bot-{number}") for number in range(5)]
        await runtime.stop_instance("bot-0")
        await clients[0].wait_closed()
        codes.append(gateway.statistics().open)

    for client in clients:
        await client.wait_closed()
    assert codes == [4]
    assert gateway.statistics().open == 0


async def test_a_pause_closes_the_socket_and_a_resume_opens_a_new_one(gateway: Gateway) -> None:
    """Nothing of the connection is kept meanwhile."""
    async with open_runtime() as runtime:
        bot = await start(runtime, gateway)
        await bot.wait_status("connected")
        client = await gateway.wait_client("/bot")
        bot.pause()
        await client.wait_closed()
        assert gateway.statistics().open == 0
        bot.resume()
        await bot.wait_status("connected")

        assert await gateway.wait_client("/bot") is not client


async def test_a_cancelled_runtime_closes_every_socket_in_order(gateway: Gateway) -> None:
    """The surroundings' cancellation becomes the same orderly close."""
    with trio.CancelScope() as scope:
        async with open_runtime() as runtime:
            bot = await start(runtime, gateway)
            await bot.wait_status("connected")
            client = await gateway.wait_client("/bot")
            scope.cancel()
            await trio.sleep_forever()

    await client.wait_closed()
    assert scope.cancelled_caught
    assert gateway.statistics().open == 0
