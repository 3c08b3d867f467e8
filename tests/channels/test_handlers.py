"""What is given to a channel as its message handler, and is none."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from trio_instances import InstanceSpec, InvalidSpec, open_runtime
from trio_instances.channels import MemoryChannel, MemoryServer, WebSocketChannel
from trio_instances.testing import Attempt, FakeChannel

CHANNELS = pytest.mark.parametrize(
    "make",
    [
        functools.partial(WebSocketChannel, "ws://localhost"),
        functools.partial(MemoryChannel, MemoryServer()),
        FakeChannel,
    ],
    ids=["websocket", "memory", "fake"],
)


async def _takes_one(message: object) -> None: ...


async def _takes_three(instance: object, message: object, more: object) -> None: ...


async def _takes_two(instance: object, message: object) -> None: ...


class _Handler:
    async def __call__(self, instance: object, message: object) -> None: ...

    async def method(self, instance: object, message: object) -> None: ...


@CHANNELS
@pytest.mark.parametrize("handler", [_takes_one, _takes_three, lambda: None, "handle", 5])
def test_what_cannot_be_called_with_an_instance_and_a_message_is_refused(
    make: Callable[..., object], handler: object
) -> None:
    """Before anything is opened, and not with the first message."""
    said = r"on_message: must be an async function that takes the instance and a message, or None"
    with pytest.raises(InvalidSpec, match=said):
        make(on_message=handler)


@CHANNELS
@pytest.mark.parametrize(
    "handler",
    [
        None,
        _takes_two,
        _Handler(),
        _Handler().method,
        functools.partial(_takes_three, more=1),
        lambda *_: _takes_two(1, 2),
        type,  # has no signature that could be asked
    ],
)
def test_whatever_can_be_called_with_both_is_taken(
    make: Callable[..., object], handler: object
) -> None:
    """Also where it cannot be known before a call what it returns."""
    make(on_message=handler)


@pytest.mark.parametrize("handler", [print, lambda *_: None, lambda *_: 5])
async def test_a_handler_that_returns_nothing_to_await_fails_the_instance_and_says_so(
    autojump_clock: MockClock, handler: Any
) -> None:
    """No restart can mend it: the author must act, as with a child that is no async function."""
    channel = FakeChannel(Attempt(deaf_after=0.0), on_message=handler)
    async with open_runtime() as runtime:
        bot = await runtime.start_instance(InstanceSpec(id="bot", channel=channel))
        await bot.wait_status("connected")
        channel.deliver("hello")
        await bot.wait_status("failed")

        cause = bot.health().cause
        assert cause is not None
        assert (cause.reason, cause.who_must_act) == ("invalid_spec", "author")
        assert "on_message: must be an async function (its call returned a value" in cause.detail


async def test_a_handler_that_is_no_async_function_can_return_one_s_call(
    autojump_clock: MockClock,
) -> None:
    """What is awaited is what it returned, and the message is handled once."""
    heard: list[object] = []

    async def hear(message: object) -> None:
        heard.append(message)

    channel = FakeChannel(Attempt(deaf_after=0.0), on_message=lambda _, message: hear(message))
    async with open_runtime() as runtime:
        bot = await runtime.start_instance(InstanceSpec(id="bot", channel=channel))
        await bot.wait_status("connected")
        channel.deliver("hello")
        channel.deliver("again")
        await trio.sleep(1)
    assert heard == ["hello", "again"]
