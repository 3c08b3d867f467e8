"""The demo as a whole: gateway, runtime, story, reckoning."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import TYPE_CHECKING, final

import trio
from attrs import define, evolve, frozen

from .._runtime.opening import open_runtime
from .._runtime.settings import RuntimeSettings
from .._supervision.opening import open_supervisor
from ..telemetry.bus import EventBus
from ..testing.gateway import GatewayStatistics, open_gateway
from .chart import beyond
from .fleet import MINIMUM, admit, allowance, cast_parts, make_fleet, names
from .operations import serve
from .signals import stopping_on_signal
from .story import Stage, play, play_again
from .table import Screen
from .tally import Row, Tally

if TYPE_CHECKING:
    from rich.console import Console

    from ..policy.listening import Address
    from ..testing.gateway import Gateway

__all__ = ["MINIMUM", "Demo", "play_demo"]

AS_EXPECTED = 0
DIFFERENT = 1
INTERRUPTED = 130
"""The exit codes; the last one is what a shell gives for SIGINT."""

_PAUSE = 2.0
"""Seconds between two acts that are played again, at least."""
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
    http: Address | None = None
    """Where the operations page is served; then it is played on and on."""


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
        played = await _play(demo, screen, tally, gateway, body)
        statistics = gateway.statistics()

    if demo.http is not None and played.times:
        console.print(f"seed {demo.seed}: played {played.times} times")
        return AS_EXPECTED if played.finished else DIFFERENT

    rows = [
        *tally.rows(names(demo.instances)),
        Row(_BEYOND, 0, beyond(tally.attempts, allowance(demo.instances), _SLACK)),
        *_witnessed(demo.instances, statistics),
    ]
    screen.print_rows(rows)
    if body.cancel_called:
        console.print("interrupted: the story was not played to its end")
        return INTERRUPTED

    right = played.finished and all(row.right for row in rows)
    console.print(f"seed {demo.seed}: {'all as it should be' if right else 'NOT as it should be'}")
    return AS_EXPECTED if right else DIFFERENT


@final
@define
class _Played:
    """How far it has come, also when it is interrupted."""

    finished: bool = False
    """Whether it has always gone on, to the end."""
    times: int = 0
    """How often it came to its end."""


async def _play(
    demo: Demo, screen: Screen, tally: Tally, gateway: Gateway, body: trio.CancelScope
) -> _Played:
    """Play in a runtime of its own: once, or again and again while people look at the page."""
    random, bus, ids = Random(demo.seed), EventBus(), names(demo.instances)
    cast, played = cast_parts(ids, random), _Played()
    settings = RuntimeSettings(name="demo")
    counting = bus.listen(tally.take)
    async with open_supervisor(name="demo services") as services:
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
            if demo.http is not None:
                url = await serve(services, runtime, demo.http)
                screen.announce(f"the operations page is at {url}")
            with body:
                await _play_in_time(demo, stage, play, played)
                if demo.http is not None and played.finished:
                    counting.close()
                    await _play_again(demo, stage, bus, played)
            screen.tell("all stop, in reverse start order")
        await services.stop()
    return played


async def _play_in_time(
    demo: Demo, stage: Stage, acts: Callable[[Stage], Awaitable[None]], played: _Played
) -> None:
    played.finished = False
    with trio.move_on_after(demo.limit + demo.instances / 10) as limit:
        await acts(stage)
        played.finished = True
        played.times += 1
    if limit.cancelled_caught:
        stage.tell("the story does not go on: what it waits for does not happen")


async def _play_again(demo: Demo, stage: Stage, bus: EventBus, played: _Played) -> None:
    """Play on for whoever looks at the page; each time with a tally of its own."""
    stage.tell("that was the story; it is played again and again until Ctrl-C")
    while played.finished:
        again = evolve(stage, tally=Tally(), pause=max(stage.pause, _PAUSE))
        await trio.sleep(again.pause)
        with bus.listen(again.tally.take):
            await _play_in_time(demo, again, play_again, played)


def _witnessed(instances: int, gateway: GatewayStatistics) -> Sequence[Row]:
    """Return what the other side saw: a second witness beside the telemetry."""
    return [
        Row("handshakes that the gateway accepted", 2 * (instances - 1) + 1, gateway.accepted),
        Row("... refused", 1, gateway.refused),
        Row("... connections left open", 0, gateway.open),
    ]
