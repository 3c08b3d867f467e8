"""The gateway plays a script over real sockets, and a real channel meets it."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest
import trio
from attrs import frozen

from trio_instances import (
    Backoff,
    Cause,
    Instance,
    InstanceSpec,
    InvalidSpec,
    ProbePolicy,
    ReconnectPolicy,
    open_runtime,
    telemetry,
)
from trio_instances.channels import WebSocketChannel
from trio_instances.testing import Attempt, EventRecorder, Gateway, Script, open_gateway

SECONDS = 20
SOON = ReconnectPolicy(
    backoff=Backoff(0.01, 1.0, jitter="none"), attempts=1000, connect_timeout=5.0, close_timeout=0.2
)


@frozen
class Scene:
    """A gateway that plays a script, and an instance that meets it."""

    gateway: Gateway
    bot: Instance
    told: EventRecorder
    heard: list[object]

    def reasons(self) -> list[str]:
        """Return why attempts and connections ended."""
        ends = (telemetry.ReconnectFailed, telemetry.InstanceDisconnected)
        return [event.cause.reason for event in self.told if isinstance(event, ends)]

    async def until(self, attempts: int) -> None:
        """Wait until attempt number `attempts` has led to a connection."""
        await self.told.wait_for("instance.connected", generation=attempts, within=SECONDS)


@asynccontextmanager
async def scene(
    script: Script | Attempt | Iterable[Attempt],
    reconnect: ReconnectPolicy = SOON,
    **options: Any,
) -> AsyncIterator[Scene]:
    """Let an instance meet a script."""
    heard: list[object] = []

    async def hear(_: Instance, message: object) -> None:
        heard.append(message)

    told = EventRecorder()
    with trio.fail_after(SECONDS):
        async with (
            open_gateway(script=script) as gateway,
            open_runtime(random=Random(1), events=told.bus) as runtime,
        ):
            channel = WebSocketChannel(gateway.url, on_message=hear)
            bot = await runtime.start_instance(
                InstanceSpec(
                    id="bot", channel=channel, reconnect=reconnect, **{"probe": None, **options}
                )
            )
            yield Scene(gateway, bot, told, heard)


async def test_the_gateway_refuses_and_closes_as_the_script_says() -> None:
    """With the status, with ``Retry-After``, by a reset, with the code; then it lets in."""
    busy = Cause("recoverable", "http_429", retry_after=1.0)
    reset = Cause("recoverable", "whatever")
    script = [
        Attempt(refused=503),
        Attempt(refused=busy),
        Attempt(refused=reset),
        Attempt(holds=0.02, ends=4004),
        Attempt(holds=0.02, ends=Cause("recoverable", "close_4005", lost=True)),
        Attempt(holds=0.02),
    ]
    async with scene(script) as s:
        await s.until(7)

        assert s.reasons() == [
            *("http_503", "http_429", "handshake_closed", "close_4004", "close_4005", "close_1006")
        ]
        assert s.gateway.statistics().refused == 3


async def test_the_gateway_sends_until_it_is_deaf() -> None:
    """Numbers, as text; the first at once."""
    async with scene(Attempt(every=0.01, deaf_after=0.1)) as s:
        await s.until(1)
        await trio.sleep(0.2)

        assert s.heard[:2] == ["1", "2"]
        assert len(s.heard) <= 10


async def test_the_gateway_falls_mute() -> None:
    """Pings are not answered any more, while messages go on."""
    probe = ProbePolicy(interval=0.05, timeout=0.1, failures_to_fail=1, jitter=0.0)
    async with scene([Attempt(mute_after=0.0, every=0.01), Attempt()], probe=probe) as s:
        await s.until(2)

        assert s.reasons() == ["probe_timeout"]
        assert s.gateway.statistics().pings_ignored == 1


async def test_the_gateway_leaves_a_closing_hanging() -> None:
    """The instance gives it up after its ``close_timeout``, and goes on."""
    async with scene(Attempt(close_takes=math.inf)) as s:
        await s.until(1)
        s.bot.reconnect()
        await s.until(2)

        bad = [event for event in s.told if isinstance(event, telemetry.HookFailed)]
        assert [event.cause.reason for event in bad] == ["close_timeout"]


async def test_the_gateway_is_silent_once_the_client_has_closed() -> None:
    """It would be cut off, or answered with an error, and goes on for other clients."""
    async with scene(Attempt(every=0.001, close_takes=0.1)) as s:
        await s.until(1)
        s.bot.reconnect()
        await s.until(2)

        s.told.assert_none("hook.failed")


async def test_the_gateway_answers_a_handshake_late_or_never() -> None:
    """An attempt that hangs is ended by the client."""
    hasty = ReconnectPolicy(backoff=SOON.backoff, connect_timeout=1.0)
    async with scene([Attempt(takes=math.inf), Attempt(takes=0.01)], hasty) as s:
        await s.until(2)

        assert s.reasons() == ["connect_timeout"]


async def test_each_path_has_the_script_for_itself() -> None:
    """So that many clients can meet the same."""
    with trio.fail_after(SECONDS):
        async with open_gateway(script=Attempt(refused=503)) as gateway, open_runtime() as runtime:
            for name in ("one", "two"):
                channel = WebSocketChannel(f"{gateway.url}/{name}")
                spec = InstanceSpec(id=name, channel=channel, reconnect=SOON)
                await runtime.start_instance(spec)
            for bot in runtime.list_instances():
                await bot.wait_status("connected")

            assert gateway.statistics().refused == 2


async def test_what_a_server_cannot_do_is_refused() -> None:
    """Every such field is named, with the way out."""
    script = Attempt(crashes=[1]) + Script(then=Attempt(stays=2.0, child_stays=1.0))

    with pytest.raises(InvalidSpec, match="use a FakeChannel") as raised:
        async with open_gateway(script=script):
            raise AssertionError

    places = [mistake.place for mistake in raised.value.mistakes]
    assert places == ["attempts[0].crashes", "then.child_stays", "then.stays"]


async def test_a_script_that_is_set_later_is_as_one_that_is_given() -> None:
    """One attempt is a script, none is none, and what a server cannot do is refused."""
    async with open_gateway() as gateway:
        gateway.script = Attempt(refused=503)
        assert gateway.script == Script((Attempt(refused=503),))
        gateway.script = None
        with pytest.raises(InvalidSpec, match="use a FakeChannel"):
            gateway.script = Attempt(crashes=[1])
