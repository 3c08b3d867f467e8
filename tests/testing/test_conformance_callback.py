"""`check_callback`: our channels bear bad callbacks, and those that do not are told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

from trio_instances import Cause, ChildSpec, Instance
from trio_instances.channels import MemoryChannel, MemoryServer, WebSocketChannel
from trio_instances.testing import (
    Attempt,
    BrokenRule,
    FakeChannel,
    FakeConnection,
    Gateway,
    Script,
    check_callback,
    open_gateway,
)


async def test_our_channels_bear_bad_callbacks(nursery: trio.Nursery) -> None:
    """A failing one, and a slow one."""
    ends = []
    server = MemoryServer()

    async def accept() -> None:
        while True:
            ends.append(await server.accept())

    nursery.start_soon(accept)
    await check_callback(
        lambda call: MemoryChannel(server, on_message=call), lambda _: ends[-1].send("hello")
    )
    await check_callback(
        lambda call: FakeChannel(Attempt(deaf_after=0.0), on_message=call), deliver
    )
    async with open_gateway() as gateway:
        await check_callback(
            lambda call: WebSocketChannel(gateway.url, on_message=call), lambda _: send(gateway)
        )


async def deliver(channel: Any) -> None:
    """Provoke a fake."""
    channel.deliver("hello")


async def send(gateway: Gateway) -> None:
    """Provoke a websocket."""
    await (await gateway.wait_client("/")).send("hello")


class Deafened(FakeChannel):
    """Loses its connection with its callback."""

    def classify(self, exc: Exception) -> Cause:
        """Take everything for a loss."""
        return evolve(super().classify(exc), lost=True)


class Dull(FakeChannel):
    """Does not call its callback again after a failure."""

    def children(self, instance: Instance, connection: FakeConnection) -> Sequence[ChildSpec]:
        """Give up at the first failure."""
        return [
            evolve(spec, restart="temporary") for spec in super().children(instance, connection)
        ]


CALLBACKS = {
    "the connection ends": (Deafened, "the connection ended"),
    "the messages end": (Dull, "message 2 did not arrive within 10 s"),
}


@pytest.mark.parametrize("how", CALLBACKS)
async def test_a_channel_that_cannot_bear_its_callback_is_told(
    autojump_clock: MockClock, how: str
) -> None:
    """With what became of it."""
    kind, said = CALLBACKS[how]
    deaf = Script(then=Attempt(deaf_after=0.0))

    with pytest.raises(BrokenRule, match=said):
        await check_callback(lambda call: kind(deaf, on_message=call), deliver)


async def send_nothing(_: object) -> None:
    """Be a far end that has nothing to say."""
    await trio.lowlevel.checkpoint()


async def test_a_far_end_that_sends_nothing_is_told_of(autojump_clock: MockClock) -> None:
    """The check could not see anything."""
    deaf = Script(then=Attempt(deaf_after=0.0))

    with pytest.raises(BrokenRule, match="message 1 did not arrive within 10 s"):
        await check_callback(lambda call: FakeChannel(deaf, on_message=call), send_nothing)


async def test_a_slow_callback_must_not_hold_up_the_closing(autojump_clock: MockClock) -> None:
    """A child that shields its callback does."""
    deaf = Script(then=Attempt(deaf_after=0.0, child_stays=20.0))

    with pytest.raises(BrokenRule, match=r"does not keep the connection from closing: it took 20"):
        await check_callback(lambda call: FakeChannel(deaf, on_message=call), deliver)


async def test_a_channel_that_does_not_connect_gets_no_further(autojump_clock: MockClock) -> None:
    """Whatever its callback would do."""
    refused = Script(then=Attempt(refused=401))

    with pytest.raises(BrokenRule, match="a channel connects: InstanceFailed"):
        await check_callback(lambda call: FakeChannel(refused, on_message=call), deliver)
