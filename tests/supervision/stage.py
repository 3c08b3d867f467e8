"""A script being played on a real supervisor, and the laws that are watched meanwhile."""

from __future__ import annotations

from contextlib import suppress
from typing import final

import trio
import trio.testing
from attrs import define, field

from trio_instances import (
    AutoShutdown,
    ChildDeclined,
    ChildInfo,
    ChildSpec,
    ChildState,
    StopOrder,
    Strategy,
    SupervisionError,
    Supervisor,
    telemetry,
    until_stopped,
)
from trio_instances.telemetry import EventBus

from .conftest import Crash
from .scripts import NAMES, ChildScript, Run, Script, Step


class BodyFailed(Exception):
    """What the body raises, or a task beside the supervisor."""


DOWN = frozenset({ChildState.STOPPED, ChildState.PARKED, ChildState.REMOVED})


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
        if self.script.stop_order is StopOrder.CONCURRENT:
            return

        names = [info.name for info in self.supervisor.which_children()]
        for later in names[names.index(asked) + 1 :]:
            self.require(not self.alive.get(later), f"{asked} was asked while {later} ran")

    def check_quiet(self) -> None:
        """Check what must hold whenever nothing moves."""
        if self.supervisor is None:
            return

        children = self.supervisor.which_children()
        for info in children:
            if info.name in NAMES:
                self._check_child(info)
        limit = self.script.max_children
        # A group brings back children that others have taken the place of.
        if limit is not None and self.script.strategy is Strategy.ONE_FOR_ONE:
            up = [info for info in children if info.state not in DOWN]
            self.require(len(up) <= limit, f"{len(up)} children are up, {limit} are allowed")

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
        report = None if self.supervisor is None else self.supervisor.stop_report
        self.require(report is not None, "there is no report of the stop")
        if report is not None:
            self.require(len(report.notable) == min(report.stopped, 20), f"{report}")
            self.require(max(report.forced, report.failed) <= report.stopped, f"{report}")
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
