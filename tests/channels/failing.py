"""Servers that fail, and what a channel says of them."""

from __future__ import annotations

import socket
import struct
from typing import Any

import pytest
import trio
import trio.testing

from trio_instances._exceptions import ChannelError
from trio_instances.channels import WebSocketChannel
from trio_instances.policy.failures import Cause

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
