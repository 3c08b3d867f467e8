"""What can be done to a supervisor and its children: scripts, and how hypothesis draws them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from attrs import frozen
from hypothesis import strategies as st

from trio_instances import (
    AutoShutdown,
    Backoff,
    RestartIntensity,
    RestartType,
    StopOrder,
    Strategy,
)

NAMES = "abcde"


@final
@frozen
class Run:
    """What one incarnation does."""

    start: str
    """``ready``, ``error``, ``decline``, ``hang`` or ``silent``: returns before it is ready."""
    start_delay: float
    life: float | None
    """Seconds that it runs by itself; None: until it is told otherwise."""
    fails: bool
    """Whether it then raises."""
    soft: bool
    """Whether it runs inside `until_stopped`."""
    cleanup: float
    """Seconds that its cleanup takes, shielded."""
    cleanup_fails: bool


@final
@frozen
class ChildScript:
    """One child."""

    name: str
    restart: RestartType
    significant: bool
    essential: bool
    runs: Sequence[Run]
    """What its incarnations do, the last one for ever."""


@final
@frozen
class Step:
    """One thing that is done to the supervisor."""

    verb: str
    child: ChildScript
    pause: float | None
    """Virtual seconds afterwards; 0: one checkpoint; None: until nothing moves."""
    caller: int
    """Which of the calls so far is meant, where one is to be cancelled."""
    from_within: bool
    """Whether a child of the supervisor makes the call, rather than a task outside of it."""


@final
@frozen
class Script:
    """One example."""

    strategy: Strategy
    intensity: RestartIntensity
    auto_shutdown: AutoShutdown
    backoff: Backoff | None
    max_children: int | None
    stop_order: StopOrder
    children: Sequence[ChildScript]
    steps: Sequence[Step]
    ending: str


SECONDS = st.sampled_from([0.0, 0.0, 0.0, 1.0, 3.0, 7.0])
RUNS = st.builds(
    Run,
    start=st.sampled_from(["ready"] * 6 + ["error", "error", "decline", "hang", "silent"]),
    start_delay=SECONDS,
    life=st.sampled_from([None, None, None, 0.0, 0.0, 1.0, 4.0]),
    fails=st.booleans(),
    soft=st.booleans(),
    cleanup=SECONDS,
    cleanup_fails=st.booleans(),
)


@st.composite
def child_scripts(draw: st.DrawFn, *, names: str = NAMES) -> ChildScript:
    """Draw a child."""
    significant = draw(st.booleans())
    return ChildScript(
        name=draw(st.sampled_from(names)),
        restart=draw(st.sampled_from(list(RestartType)[significant:])),
        significant=significant,
        essential=draw(st.booleans()),
        runs=draw(st.lists(RUNS, min_size=1, max_size=4)),
    )


VERBS = [
    "start_child", "start_child", "start_soon", "start_soon", "terminate_child", "terminate_child",
    "restart_child", "restart_child", "delete_child", "crash", "crash", "finish", "cancel_caller",
    "wait", "stop",
]  # fmt: skip

STEPS = st.builds(
    Step,
    verb=st.sampled_from(VERBS),
    child=child_scripts(),
    pause=st.sampled_from([None, 0.0, 0.0, 0.0, 1.0, 5.0, 30.0]),
    caller=st.integers(0, 5),
    from_within=st.sampled_from([False, False, True]),
)

SCRIPTS = st.builds(
    Script,
    strategy=st.sampled_from(list(Strategy)),
    intensity=st.builds(
        RestartIntensity,
        max_restarts=st.sampled_from([0, 1, 3, 10]),
        period=st.sampled_from([1.0, 5.0, 1000.0]),
    ),
    auto_shutdown=st.sampled_from(list(AutoShutdown)),
    backoff=st.sampled_from([None, None, Backoff(initial=1.0, cap=10.0, jitter="none")]),
    max_children=st.sampled_from([None, None, 1, 3]),
    stop_order=st.sampled_from(list(StopOrder)),
    children=st.lists(child_scripts(), max_size=4, unique_by=lambda child: child.name),
    steps=st.lists(STEPS, max_size=12),
    ending=st.sampled_from(["stop", "leave", "error", "cancel", "deadline", "neighbour"]),
)
