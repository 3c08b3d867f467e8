"""A real supervisor under random children, verbs, crashes, slow starts and stops, cancellations.

Each example is a script that is played in one Trio run under virtual time. Hypothesis also chooses
the order in which Trio runs what is ready, so that a failure can be played again.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any

import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from trio_instances import RestartLimitExceeded, SupervisionError, Supervisor, open_supervisor

from .scripts import SCRIPTS, Script
from .stage import BodyFailed, Stage

LONG = 100_000.0
"""Virtual seconds within which every script has come to its end, unless something hangs."""


async def supervise(stage: Stage, outer: trio.Nursery, callers: trio.Nursery) -> None:
    """Hold the supervisor while the steps are done, then end it as the script says."""
    script = stage.script
    try:
        async with open_supervisor(
            strategy=script.strategy,
            intensity=script.intensity,
            auto_shutdown=script.auto_shutdown,
            backoff=script.backoff,
            max_children=script.max_children,
            stop_order=script.stop_order,
            events=stage.bus,
        ) as supervisor:
            stage.supervisor = supervisor
            with suppress(SupervisionError):
                await supervisor.start_children(list(map(stage.spec, script.children)))
            for step in script.steps:
                await stage.perform(step, supervisor, callers)
            await end(stage, supervisor, outer)
    finally:
        stage.check_end()


async def end(stage: Stage, supervisor: Supervisor, outer: trio.Nursery) -> None:
    """End the supervisor."""
    if stage.script.ending != "leave":
        stage.stopping = True
    match stage.script.ending:
        case "stop":
            await supervisor.stop()
        case "error":
            raise BodyFailed
        case "cancel":
            outer.cancel_scope.cancel()
        case "deadline":
            outer.cancel_scope.deadline = trio.current_time() + 1.0
            await trio.sleep_forever()
        case "neighbour":

            async def neighbour() -> None:
                raise BodyFailed

            outer.start_soon(neighbour)
            await trio.sleep_forever()
        case "leave":
            # A block that is left waits for its children, and some of these live for ever.
            async def stop_later() -> None:
                await trio.sleep(50.0)
                stage.stopping = True
                await supervisor.stop()

            outer.start_soon(stop_later)


async def play(script: Script) -> Stage:
    """Play a script to its end."""
    stage = Stage(script)
    stage.bus.listen(stage.hear)
    with trio.fail_after(LONG):
        try:
            async with trio.open_nursery() as callers, trio.open_nursery() as outer:
                await supervise(stage, outer, callers)
        except* (RestartLimitExceeded, BodyFailed):
            pass
    return stage


@given(script=SCRIPTS, scheduling=st.random_module())
@settings(max_examples=500)
def test_a_supervisor_keeps_its_laws_whatever_is_done_to_it(
    script: Script, scheduling: Any
) -> None:
    """No child runs twice at once, stops are ordered, restarts are limited, nothing is left."""
    stage = trio.run(partial(play, script), clock=trio.testing.MockClock(autojump_threshold=0.0))

    assert stage.broken == [], stage.broken[0]
