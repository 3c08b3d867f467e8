"""A real supervisor under random children, verbs, crashes, slow starts and stops, cancellations.

Each example is a script that is played in one Trio run under virtual time. Hypothesis also chooses
the order in which Trio runs what is ready, so that a failure can be played again.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any, final

import trio
import trio.testing
from attrs import define, field, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from trio_instances import (
    AutoShutdown,
    Backoff,
    ChildDeclined,
    ChildInfo,
    ChildSpec,
    ChildState,
    RestartIntensity,
    RestartLimitExceeded,
    RestartType,
    Strategy,
    SupervisionError,
    Supervisor,
    open_supervisor,
    telemetry,
    until_stopped,
)
from trio_instances.telemetry import EventBus

from .conftest import Crash

NAMES = "abcde"
LONG = 100_000.0
"""Virtual seconds within which every script has come to its end, unless something hangs."""

ENDS = (telemetry.ChildExited, telemetry.ChildStopped)


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
    children=st.lists(child_scripts(), max_size=4, unique_by=lambda child: child.name),
    steps=st.lists(STEPS, max_size=12),
    ending=st.sampled_from(["stop", "leave", "error", "cancel", "deadline", "neighbour"]),
)


class BodyFailed(Exception):
    """What the body raises, or a task beside the supervisor."""


@final
@define
class Stage:
    """One script being played, and the laws that are watched meanwhile."""

    script: Script
    bus: EventBus = field(factory=EventBus)
    supervisor: Supervisor | None = None
    alive: dict[str, int] = field(factory=dict)
    """How many incarnations of each name run."""
    ends: dict[str, trio.Event] = field(factory=dict)
    """By name: set to let the running incarnation end."""
    fails: dict[str, bool] = field(factory=dict)
    attempts: dict[int, int] = field(factory=dict)
    up: dict[str, int] = field(factory=dict)
    """The incarnation of each name that is ready, by the events."""
    asked: dict[str, int] = field(factory=dict)
    """The incarnation of each name that was asked to stop and has not ended, by the events."""
    restarts: list[float] = field(factory=list)
    stopping: bool = False
    """Whether the supervisor's own stop has been asked for."""
    broken: list[str] = field(factory=list)
    """Laws that were broken, noted where raising would be taken for a child's failure."""
    callers: list[tuple[str, trio.CancelScope]] = field(factory=list)
    disowned: set[str] = field(factory=set)
    """Children that others than the supervisor's own stop may stop, out of its order: those to be
    terminated, and those being started by a caller who is cancelled or is a child itself."""

    # --- what is watched -------------------------------------------------------------------------

    def require(self, holds: object, law: str) -> None:
        """Note a law that does not hold."""
        if not holds:
            self.broken.append(law)

    def hear(self, event: telemetry.Event) -> None:
        """Check each event against those before it."""
        if isinstance(event, telemetry.ChildEvent) and event.child not in NAMES:
            return  # one that makes a call from within

        match event:
            case telemetry.ChildStarted(child=child, incarnation=incarnation):
                self.require(child not in self.up, f"{child} started twice")
                self.require(child not in self.asked, f"{child} started while it stops")
                self.up[child] = incarnation
            case telemetry.ChildExited(child=child, incarnation=incarnation):
                self.require(self.up.pop(child, None) == incarnation, f"{child} exited unstarted")
                self.require(child not in self.asked, f"{child} exited though it was asked to stop")
            case telemetry.ChildStopping(child=child, incarnation=incarnation):
                self.require(child not in self.asked, f"{child} was asked twice")
                self.require(self.alive.get(child), f"{child} was asked, and does not run")
                self.asked[child] = incarnation
                self._check_order(child)
            case telemetry.ChildStopped(child=child, incarnation=incarnation):
                self.require(self.asked.pop(child, None) == incarnation, f"{child} stopped unasked")
                self.require(
                    self.up.pop(child, incarnation) == incarnation, f"{child} stopped another run"
                )
            case telemetry.ChildStartFailed(child=child) | telemetry.ChildDeclined(child=child):
                self.require(child not in self.up, f"{child} failed to start after it had started")
            case telemetry.ChildRestarting(at=at, child=child):
                self.require(child not in self.up, f"{child} restarts while it runs")
                self.restarts.append(at)
            case telemetry.SupervisorEscalated():
                self.stopping = True

    def _check_order(self, asked: str) -> None:
        """In the stop of the whole supervisor, whoever was started later has ended already."""
        if not self.stopping or self.supervisor is None or asked in self.disowned:
            return

        names = [info.name for info in self.supervisor.which_children()]
        for later in names[names.index(asked) + 1 :]:
            self.require(not self.alive.get(later), f"{asked} was asked while {later} ran")

    def check_quiet(self) -> None:
        """Check what must hold whenever nothing moves."""
        if self.supervisor is not None:
            for info in self.supervisor.which_children():
                if info.name in NAMES:
                    self._check_child(info)

    def _check_child(self, info: ChildInfo) -> None:
        may_run = info.state in (ChildState.STARTING, ChildState.RUNNING, ChildState.STOPPING)
        runs = self.alive.get(info.name, 0) > 0
        self.require(may_run or not runs, f"{info.name} is {info.state}, and runs")
        # In a group an exit is settled when its turn comes; until then the state is the old one.
        settled = self.script.strategy is Strategy.ONE_FOR_ONE
        self.require(runs or not may_run or not settled, f"{info.name} is {info.state}, and is not")
        self.require(
            info.name not in self.up or info.state in (ChildState.RUNNING, ChildState.STOPPING),
            f"{info.name} is {info.state}, and its events say that it runs",
        )

    def check_end(self) -> None:
        """Check what must hold when the block has been left."""
        self.require(not any(self.alive.values()), f"left behind: {self.alive}")
        self.require(not self.up, f"started and never ended: {self.up}")
        self.require(not self.asked, f"asked to stop and never ended: {self.asked}")
        limit = self.script.intensity
        for last in self.restarts:
            window = [at for at in self.restarts if last - limit.period <= at <= last]
            self.require(len(window) <= limit.max_restarts, f"too many restarts: {window}")

    # --- the children ----------------------------------------------------------------------------

    async def child(self, script: ChildScript, *, task_status: trio.TaskStatus[None]) -> None:
        """Be one incarnation of a child."""
        name = script.name
        attempt = self.attempts.get(id(script), 0)
        self.attempts[id(script)] = attempt + 1
        run = script.runs[min(attempt, len(script.runs) - 1)]
        self.alive[name] = self.alive.get(name, 0) + 1
        self.require(self.alive[name] == 1, f"two incarnations of {name}")
        try:
            if run.soft:
                with until_stopped():
                    await self._live(name, run, task_status)
            else:
                await self._live(name, run, task_status)
        finally:
            with trio.CancelScope(shield=True):
                if run.cleanup:
                    await trio.sleep(run.cleanup)
            self.alive[name] -= 1
            if run.cleanup_fails:
                raise Crash("in its cleanup")

    async def _live(self, name: str, run: Run, task_status: trio.TaskStatus[None]) -> None:
        if run.start_delay:
            await trio.sleep(run.start_delay)
        match run.start:
            case "error":
                raise Crash("before it is ready")
            case "decline":
                raise ChildDeclined
            case "hang":
                await trio.sleep_forever()
            case "silent":
                return

        task_status.started()
        self.ends[name] = end = trio.Event()
        self.fails[name] = run.fails
        if run.life is None:
            await end.wait()
        elif run.life:
            with trio.move_on_after(run.life):
                await end.wait()
        if self.fails[name]:
            raise Crash("while it runs")

    # --- the steps -------------------------------------------------------------------------------

    def spec(self, child: ChildScript) -> ChildSpec:
        """Return the specification of a child."""
        never = self.script.auto_shutdown is AutoShutdown.NEVER
        return ChildSpec(
            name=child.name,
            run=self.child,
            args=(child,),
            restart=child.restart,
            significant=child.significant and not never,
            essential=child.essential,
            shutdown=4.0,
            start_timeout=20.0,
        )

    async def call(self, step: Step, supervisor: Supervisor) -> None:
        """Make one call; what it may raise is no failure."""
        with trio.CancelScope() as scope, suppress(SupervisionError):
            self.callers.append((step.child.name, scope))
            if step.from_within:
                self.disowned.add(step.child.name)
            match step.verb:
                case "start_child":
                    await supervisor.start_child(self.spec(step.child))
                case "start_soon":
                    spec = self.spec(step.child)
                    supervisor.start_soon(
                        spec.run, *spec.args, name=spec.name, restart=spec.restart
                    )
                case "terminate_child":
                    self.disowned.add(step.child.name)
                    await supervisor.terminate_child(step.child.name)
                case "restart_child":
                    await supervisor.restart_child(step.child.name)
                case "delete_child":
                    await supervisor.delete_child(step.child.name)
                case "stop":
                    self.stopping = True
                    await supervisor.stop()

    async def perform(self, step: Step, supervisor: Supervisor, nursery: trio.Nursery) -> None:
        """Do one step without waiting for what it leads to, then let its pause pass."""
        name = step.child.name
        match step.verb:
            case "crash" | "finish":
                if name in self.ends:
                    self.fails[name] = step.verb == "crash"
                    self.ends[name].set()
            case "cancel_caller":
                for child, scope in self.callers[-step.caller :][:1]:
                    self.disowned.add(child)
                    scope.cancel()
            case "wait":
                pass
            case _ if step.from_within:
                with suppress(SupervisionError):
                    supervisor.start_soon(self.call, step, supervisor, restart="temporary")
            case _:
                nursery.start_soon(self.call, step, supervisor)
        if step.pause is None:
            await trio.testing.wait_all_tasks_blocked()
            self.check_quiet()
        else:
            await trio.sleep(step.pause)


async def supervise(stage: Stage, outer: trio.Nursery, callers: trio.Nursery) -> None:
    """Hold the supervisor while the steps are done, then end it as the script says."""
    script = stage.script
    try:
        async with open_supervisor(
            strategy=script.strategy,
            intensity=script.intensity,
            auto_shutdown=script.auto_shutdown,
            backoff=script.backoff,
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
