"""What is done to a server, or to an instance, in the middle of its story."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import final

import trio
from attrs import frozen

from trio_instances import telemetry

from .scene import Chatter
from .servers import Server, open_server
from .story import Story

_BIG = "x" * 8_000_000
"""More than the buffers of a loopback connection hold."""


@final
@frozen
class Play:
    """Who is on the stage."""

    server: Server
    chatter: Chatter
    story: Story
    nursery: trio.Nursery
    stack: AsyncExitStack
    """Holds what a deed opens, until the end."""


Deed = Callable[[Play], Awaitable[None]]


async def watch(_: Play) -> None:
    """Do nothing: the fault needs no help."""


async def send_much(play: Play) -> None:
    """Send what only a server that reads can take in."""
    play.chatter.channel.send_nowait(_BIG)


async def ask_to_reconnect(play: Play) -> None:
    """Make the instance close a connection itself."""
    await play.story.wait_for(telemetry.InstanceConnected)
    play.story.instance.reconnect()


async def let_it_probe(play: Play) -> None:
    """Wait until the instance has asked a few times whether somebody is there."""
    await play.story.wait_for(telemetry.ProbeCompleted, 4)


async def freeze_and_thaw(play: Play) -> None:
    """Stop the process in mid-stream; let it go on when an attempt was in vain."""
    await play.story.wait_for(telemetry.InstanceProven)
    await play.chatter.go_on()
    play.server.freeze()
    await play.story.wait_for(telemetry.ReconnectFailed)
    play.server.thaw()


async def kill_and_restart(play: Play) -> None:
    """Kill the process; start another one on its port when the quick attempts are used up."""
    await play.story.wait_for(telemetry.InstanceProven)
    await play.server.kill()
    await play.story.wait_for(telemetry.ReconnectExhausted)
    await play.stack.enter_async_context(open_server(play.nursery, "echo", port=play.server.port))
