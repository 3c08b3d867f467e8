"""The demo as a whole: gateway, runtime, story, reckoning."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, final

import trio
from attrs import frozen

from .._runtime.opening import open_runtime
from .._runtime.settings import RuntimeSettings
from ..telemetry.bus import EventBus
from ..testing.gateway import GatewayStatistics, open_gateway
from .chart import beyond
from .fleet import MINIMUM, admit, allowance, cast_parts, make_fleet, names
from .signals import stopping_on_signal
from .story import Stage, play
from .table import Screen
from .tally import Row, Tally

if TYPE_CHECKING:
    from rich.console import Console

    from ..testing.gateway import Gateway

__all__ = ["MINIMUM", "Demo", "play_demo"]

AS_EXPECTED = 0
DIFFERENT = 1
INTERRUPTED = 130
"""The exit codes; the last one is what a shell gives for SIGINT."""

_BEYOND = "attempts beyond the budget in any second"
_SLACK = 0.2
"""Seconds by which a busy machine may begin an attempt later than it was granted."""


@final
@frozen(kw_only=True)
class Demo:
    """What to play."""

    instances: int
    seed: int
    """Where all chance comes from: the parts, and the jitter of every delay."""
    pause: float
    """Seconds between two acts, to let people watch."""
    limit: float = 60.0
    """Seconds for the story, and a tenth more for each instance: after them it is not going on."""


async def play_demo(demo: Demo, console: Console) -> int:
    """Play the story, and compare what happened with what should have.

    Args:
        demo: What to play.
        console: Where to show it.

    Returns:
        The exit code.
    """
    screen, tally, body = Screen(console), Tally(), trio.CancelScope()
    async with stopping_on_signal(body, screen.tell), open_gateway(admit=admit) as gateway, screen:
        finished = await _play(demo, screen, tally, gateway, body)
        statistics = gateway.statistics()

    rows = [
        *tally.rows(names(demo.instances)),
        Row(_BEYOND, 0, beyond(tally.attempts, allowance(demo.instances), _SLACK)),
        *_witnessed(demo.instances, statistics),
    ]
    screen.print_rows(rows)
    if body.cancel_called:
        console.print("interrupted: the story was not played to its end")
        return INTERRUPTED

    right = finished and all(row.right for row in rows)
    console.print(f"seed {demo.seed}: {'all as it should be' if right else 'NOT as it should be'}")
    return AS_EXPECTED if right else DIFFERENT


async def _play(
    demo: Demo, screen: Screen, tally: Tally, gateway: Gateway, body: trio.CancelScope
) -> bool:
    """Play in a runtime of its own, and return whether the story came to its end."""
    random, bus, ids = Random(demo.seed), EventBus(), names(demo.instances)
    cast = cast_parts(ids, random)
    settings = RuntimeSettings(name="demo")
    with bus.listen(tally.take):
        async with open_runtime(settings, events=bus, random=random) as runtime:
            screen.watch(runtime, cast)
            stage = Stage(
                runtime=runtime,
                gateway=gateway,
                fleet=make_fleet(gateway.url, ids, cast),
                cast=cast,
                tally=tally,
                tell=screen.tell,
                allowance=allowance(demo.instances),
                plain=screen.plain,
                pause=demo.pause,
            )
            with body, trio.move_on_after(demo.limit + demo.instances / 10) as limit:
                await play(stage)
            if limit.cancelled_caught:
                screen.tell("the story does not go on: what it waits for does not happen")
            screen.tell("all stop, in reverse start order")
    return not limit.cancelled_caught


def _witnessed(instances: int, gateway: GatewayStatistics) -> Sequence[Row]:
    """Return what the other side saw: a second witness beside the telemetry."""
    return [
        Row("handshakes that the gateway accepted", 2 * (instances - 1) + 1, gateway.accepted),
        Row("... refused", 1, gateway.refused),
        Row("... connections left open", 0, gateway.open),
    ]
