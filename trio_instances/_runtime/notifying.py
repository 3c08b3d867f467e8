"""Telling the init system how a runtime is: a service that looks, asks what to say, and says it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import trio

from ..policy.notices import Facts, InitPolicy, NoticeState, step
from ..policy.standing import Standing, in_words, judge_start, overdue
from .init_system import InitSystem

if TYPE_CHECKING:
    from .runtime import Runtime

_LOOK = 1.0
"""Seconds between two looks while it starts or stops; less where a watchdog is impatient."""
_CALM_LOOK = 5.0
"""... and once it is ready."""
_AT_ONCE = 500
"""Instances that are looked at before others have their turn; each takes some 3 us."""
_LOOKS_TO_FEED = 4
"""Looks within the time of a watchdog, so that it is fed after half of it, or soon after."""

_HELD_UP = 1.0
"""Seconds by which a look must be late to say that the process was held up: it, or its machine, was
stopped, or something blocked the loop. Then everything is late, and has its time to go on."""

_DEFAULTS = InitPolicy()


async def notify_init_system(
    runtime: Runtime, policy: InitPolicy = _DEFAULTS, init: InitSystem | None = None
) -> None:
    """Tell the init system how a runtime is, until it has stopped.

    Start it when the instances are started: what is told first counts those that there are.

    - ``READY=1`` once the start is done: the instances that `RuntimeSettings.required` names are
      proven; where it names none, all are that have neither failed for good nor been paused, and
      there is at least one;
    - ``STATUS=`` whenever it changes: how many instances have which status, and who must act;
    - ``WATCHDOG=1`` at half the time that the init system sets, while the runtime gets on: the
      event loop runs, or this would not; and no connection machine is late;
    - ``STOPPING=1`` first when the runtime's end begins;
    - ``EXTEND_TIMEOUT_USEC=`` while it starts or stops, and gets on.

    It is to outlive the runtime, so it belongs into a supervisor, or a nursery, around it::

        async with open_supervisor() as services, open_runtime() as runtime:
            services.start_soon(notify_init_system, runtime, restart="transient", essential=False)

    In a supervisor it goes on to tell while a cancellation stops the runtime. Cancelling it ends it
    at once.

    Args:
        runtime: The runtime.
        policy: When it gets on.
        init: The init system; None takes the one that the environment names, and where there is
            none, returns at once.

    Raises:
        InvalidSpec: The environment names one in a wrong way.
        OSError: It cannot be reached.
        trio.TooSlowError: It does not take what it is told.
    """
    init = InitSystem.from_environment() if init is None else init
    if init is None:
        return

    at_most = math.inf if init.watchdog is None else init.watchdog / _LOOKS_TO_FEED
    state = NoticeState(ready=init.ready)
    resumed_at, ending = trio.current_time(), runtime.ending
    while not ending.over:
        standings = await _all_standings(runtime)
        now = trio.current_time()
        facts = _facts(runtime, policy, standings, now, resumed_at)
        state, assignments = step(state, facts, policy, init.watchdog, now)
        if assignments:
            await init.tell(*assignments)
        init.ready = state.ready
        asleep_at = trio.current_time()
        calm = state.ready and not state.stopping
        pause = min(_CALM_LOOK if calm else _LOOK, at_most)
        with trio.move_on_after(pause):
            await (ending.wait_over() if ending.begun else ending.wait_begun())
        if trio.current_time() - asleep_at > pause + _HELD_UP:
            resumed_at = trio.current_time()


async def _all_standings(runtime: Runtime) -> list[Standing]:
    instances = runtime.list_instances()
    standings: list[Standing] = []
    for first in range(0, len(instances), _AT_ONCE):
        standings += [each.standing() for each in instances[first : first + _AT_ONCE]]
        await trio.lowlevel.checkpoint()
    return standings


def _facts(
    runtime: Runtime,
    policy: InitPolicy,
    standings: Sequence[Standing],
    now: float,
    resumed_at: float,
) -> Facts:
    stopping = runtime.ending.begun
    return Facts(
        start=judge_start(standings, runtime.settings.required),
        words=in_words(standings),
        overdue=overdue(standings, now, policy.overdue_after, resumed_at),
        stopping=stopping,
        stuck=runtime.ending.stuck_children() if stopping else (),
    )
