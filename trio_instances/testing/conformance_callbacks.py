"""What a channel must bear of the callback that an application gives it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio

from .._instance.handle import Instance
from .._instance.spec import InstanceSpec
from .._runtime.opening import open_runtime
from ..abc import Channel
from ..policy.reconnect import ReconnectPolicy
from .conformance import TIMEOUT
from .leftovers import leaving_nothing
from .rules import BrokenRule, check_factory, said

OnMessage = Callable[[Instance, Any], Awaitable[None]]


async def check_callback(
    make_channel: Callable[[OnMessage], Channel[Any]],
    provoke: Callable[[Channel[Any]], Awaitable[object]],
    *,
    limit: float = TIMEOUT,
) -> None:
    """Check that a channel bears a message callback that fails, and one that is slow.

    A failing one crashes a child of the connection, which is restarted, and neither ends the
    connection nor the messages. A slow one does not keep the connection from closing.

    Cancelling it stops the instance under test in order, and nothing more is checked.

    Args:
        make_channel: Returns a new channel that calls what it is given for each message.
        provoke: Makes the far end send this channel one message.
        limit: Seconds for each step.

    Raises:
        InvalidSpec: What is to make them cannot be called.
        BrokenRule: With the rule, and what was seen.
    """
    check_factory("check_callback", "make_channel", make_channel)
    async with leaving_nothing("nothing of a connection is left behind", "a callback failed"):
        await _bears_a_failing_one(make_channel, provoke, limit)
    async with leaving_nothing("nothing of a connection is left behind", "a callback was slow"):
        await _bears_a_slow_one(make_channel, provoke, limit)


async def _bears_a_failing_one(
    make_channel: Callable[[OnMessage], Channel[Any]],
    provoke: Callable[[Channel[Any]], Awaitable[object]],
    limit: float,
) -> None:
    rule = "a callback that fails ends neither the connection nor the messages"
    calls = _Calls()

    async def fail_first(_: Instance, __: object) -> None:
        calls.note()
        if calls.count == 1:
            raise ValueError("raised by the callback")

    channel = make_channel(fail_first)
    async with open_runtime() as runtime:
        bot = await _connect(runtime.start_instance, channel, limit)
        for number in (1, 2):
            await provoke(channel)
            arrived = await calls.came(number, limit)
            if bot.generation != 1 or not bot.connected:
                raise BrokenRule(rule, f"the connection ended: {bot.health().cause}")
            if not arrived:
                raise BrokenRule(rule, f"message {number} did not arrive within {limit:g} s")


async def _bears_a_slow_one(
    make_channel: Callable[[OnMessage], Channel[Any]],
    provoke: Callable[[Channel[Any]], Awaitable[object]],
    limit: float,
) -> None:
    rule = "a callback that is slow does not keep the connection from closing"
    calls = _Calls()

    async def hang(_: Instance, __: object) -> None:
        calls.note()
        await trio.sleep_forever()

    channel = make_channel(hang)
    async with open_runtime() as runtime:
        bot = await _connect(runtime.start_instance, channel, limit)
        await provoke(channel)
        if not await calls.came(1, limit):
            raise BrokenRule(rule, f"no message arrived within {limit:g} s")

        began = trio.current_time()
        await runtime.stop_instance(bot.id)
        if (took := trio.current_time() - began) > limit:
            raise BrokenRule(rule, f"it took {took:.1f} s")


class _Calls:
    """How often a callback was called."""

    def __init__(self) -> None:
        self.count = 0
        self._more = trio.Event()

    def note(self) -> None:
        self.count += 1
        self._more.set()
        self._more = trio.Event()

    async def came(self, count: int, limit: float) -> bool:
        with trio.move_on_after(limit):
            while self.count < count:
                await self._more.wait()
        return self.count >= count


async def _connect(
    start: Callable[[InstanceSpec], Awaitable[Instance]], channel: Channel[Any], limit: float
) -> Instance:
    spec = InstanceSpec(
        id="checked",
        channel=channel,
        probe=None,
        reconnect=ReconnectPolicy(connect_timeout=limit, close_timeout=limit),
    )
    bot = await start(spec)
    try:
        with trio.fail_after(limit):
            await bot.wait_connected()
    except Exception as exc:
        raise BrokenRule("a channel connects", said(exc)) from exc
    return bot
