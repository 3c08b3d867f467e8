"""The supervisor as its users see it: what to start, stop, ask."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Unpack, final

import trio
from trio.lowlevel import enable_ki_protection

from .._exceptions import ChildRestarting, ChildRunning
from ..policy.mistakes import check_key
from ..policy.restart import ChildState, Move
from ..policy.specs import ChildOptions, ChildSpec, refuse_unknown
from .context import child_around
from .core import Core
from .dump import dump_tree
from .record import ACTIVE, Child, ChildCounts, ChildExit, ChildInfo, ChildRecord, info_of
from .starting import (
    check_together,
    hurry,
    in_turn,
    launch_and_wait,
    leave_down,
    refuse_to_wait_for_itself,
    settle_first_start,
    start_failed,
)
from .stop_report import StopReport
from .stopping import request_stop, stop_one
from .tree import SupervisorTree, read_tree


def records_of(supervisor: Supervisor) -> Iterable[ChildRecord]:
    """Return a supervisor's children as they are kept, for readers within this library."""
    return supervisor._core.children.values()  # noqa: SLF001 - nobody else is to have them


@final
class Supervisor:
    """A nursery that restarts. `open_supervisor` makes it.

    Under ``one_for_one`` every verb acts on its child alone, at once. Under the two group
    strategies verbs and group restarts take turns, in the order in which they were asked for.
    """

    __slots__ = ("_core",)

    def __init__(self, core: Core) -> None:
        self._core = core

    def __repr__(self) -> str:
        core = self._core
        states: dict[str, int] = {}
        for record in core.children.values():
            states[record.state] = states.get(record.state, 0) + 1
        counts = "".join(f" {state}={count}" for state, count in states.items())
        return f"<Supervisor {core.path!r} {core.options.strategy}{counts}>"

    @property
    def path(self) -> str:
        """Where it is in the tree: names joined by ``/``."""
        return self._core.path

    @property
    def stop_report(self) -> StopReport | None:
        """How the stop went, whatever led to it; None until the last child has ended."""
        return self._core.stop_report

    # --- starting --------------------------------------------------------------------------------

    @enable_ki_protection
    async def start(
        self,
        run: Callable[..., Awaitable[object]],
        *args: Any,
        name: str | None = None,
        **options: Unpack[ChildOptions],
    ) -> Child:
        """Start a child and wait until it is ready, like ``nursery.start``.

        A function with a parameter ``task_status`` is ready when it calls
        ``task_status.started(value)``; ``child.value`` is that value. Any other is ready at once.

        Cancelling it cancels the child that is being started, waits for its end, and keeps nothing.

        Args:
            run: The async function.
            args: Its positional arguments.
            name: Its name; None takes the function's, numbered where that is in use.
            options: Further fields of `ChildSpec`; those of the function go into a `partial`.

        Returns:
            The child; its state is ``stopped`` when it declined to run.

        Raises:
            InvalidSpec: The options make no valid `ChildSpec`.
            ChildAlreadyStarted: A running child has this name.
            ChildAlreadyPresent: A child that is down has this name.
            MaxChildrenReached: As many children are up as the supervisor allows.
            StartTimedOut: It was not ready within its ``start_timeout``.
            ChildStartFailed: Somebody stopped it before it was ready; it is kept, stopped.
            SupervisionError: Under a group strategy, a child asks for it that is not ready itself,
                or is being stopped, and would wait for itself.
            SupervisorNotRunning: The supervisor has ended, or ends meanwhile.
            Exception: Whatever the child raised before it was ready, bare.
        """
        if options:
            refuse_unknown(run, options)
        spec = ChildSpec(self._core.name_for(run, name), run, args, **options)
        record, exit_ = await self._start_new(spec)
        if exit_ is not None and exit_.error is not None:
            try:
                raise exit_.error
            finally:
                del exit_

        return Child(record)

    @enable_ki_protection
    def start_soon(
        self,
        run: Callable[..., Awaitable[object]],
        *args: Any,
        name: str | None = None,
        **options: Unpack[ChildOptions],
    ) -> Child:
        """Start a child without waiting for it, like ``nursery.start_soon``.

        A start that fails is treated as any failure of a running child: it counts, and is tried
        again.

        Args:
            run: The async function.
            args: Its positional arguments.
            name: Its name; None takes the function's, numbered where that is in use.
            options: Further fields of `ChildSpec`; those of the function go into a `partial`.

        Raises:
            InvalidSpec: The options make no valid `ChildSpec`.
            ChildAlreadyStarted: A running child has this name.
            ChildAlreadyPresent: A child that is down has this name.
            MaxChildrenReached: As many children are up as the supervisor allows.
            SupervisorNotRunning: The supervisor has ended, or is ending.
        """
        if options:
            refuse_unknown(run, options)
        record = self._register(ChildSpec(self._core.name_for(run, name), run, args, **options))
        self._core.launch(record, awaited=False)
        return Child(record)

    @enable_ki_protection
    async def start_child(self, spec: ChildSpec) -> Child:
        """Start a child by its specification and wait until it is ready.

        Cancelling it cancels the child that is being started, waits for its end, and keeps nothing.

        Args:
            spec: What to run, and how.

        Returns:
            The child; its state is ``stopped`` when it declined to run.

        Raises:
            InvalidSpec: It is no `ChildSpec`, or contradicts this supervisor.
            ChildAlreadyStarted: A running child has this name.
            ChildAlreadyPresent: A child that is down has this name.
            MaxChildrenReached: As many children are up as the supervisor allows.
            ChildStartFailed: From what the child raised before it was ready; nothing is kept. Or
                somebody stopped it before it was ready; then it is kept, stopped.
            SupervisionError: It would wait for itself, as in `start`.
            SupervisorNotRunning: The supervisor has ended, or ends meanwhile.
        """
        record, exit_ = await self._start_new(spec)
        if exit_ is not None:
            raise start_failed(record, exit_)

        return Child(record)

    @enable_ki_protection
    async def start_children(self, specs: Sequence[ChildSpec]) -> list[Child]:
        """Start several children one after the other, each ready before the next is started.

        One that is not essential and fails to start is parked, and the others go on. Cancelling it,
        or the failure of an essential one, leaves those running that were ready before.

        Args:
            specs: What to run, in start order.

        Raises:
            InvalidSpec: Two specs have the same name, or one is no `ChildSpec` or contradicts this
                supervisor; all mistakes are listed. This and the next three start nothing.
            ChildAlreadyStarted: A running child has one of the names.
            ChildAlreadyPresent: A child that is down has one of the names.
            MaxChildrenReached: The supervisor does not allow as many children to be up.
            ChildStartFailed: An essential one failed before it was ready, or somebody stopped it.
            SupervisionError: It would wait for itself, as in `start`.
            SupervisorNotRunning: The supervisor has ended, or ends meanwhile.
        """
        children = []
        async with in_turn(self._core):
            specs = check_together(self._core, specs)
            for spec in specs:
                record = self._register(spec)
                exit_ = await launch_and_wait(self._core, record, Move.REMOVE)
                if exit_ is not None:
                    settle_first_start(self._core, record, exit_)
                children.append(Child(record))
        return children

    # --- the verbs -------------------------------------------------------------------------------

    @enable_ki_protection
    async def terminate_child(self, name: str) -> None:
        """Stop a child and wait until it has ended. It can be restarted; a temporary one is gone.

        It is not restarted by its supervisor, its siblings are left alone, and nothing is counted.
        One that is between two restarts is not restarted any more; one that is down stays so.

        Cancelling it ends the waiting; the child was asked to stop, and stops. A child that asks
        for its own stop does not wait for it, which it could only do in vain.

        Args:
            name: The child's name.

        Raises:
            ChildNotFound: No child has this name.
            SupervisionError: It would wait for itself, as in `start`.
            SupervisorNotRunning: The supervisor has ended, or is ending.
        """
        core = self._running_core()
        record = core.find(name)
        if core.turn is not None:
            refuse_to_wait_for_itself(core)
        if child_around(core) is record:
            request_stop(record)
            await trio.lowlevel.checkpoint()
            return
        if record.state is ChildState.STARTING and record.alive:
            request_stop(record)  # a start that hangs holds the turn: it must be possible to end it
        async with in_turn(core):
            if record.state is not ChildState.REMOVED:
                await stop_one(core, record)

    @enable_ki_protection
    async def restart_child(self, name: str) -> Child:
        """Start a child that is stopped or parked, and wait until it is ready.

        One that waits for the delay before its next restart is restarted now.

        Cancelling it cancels the start, waits for its end, and leaves the child as it was. A
        restart whose delay it has cut short is the supervisor's own, and goes on.

        Args:
            name: The child's name.

        Raises:
            ChildNotFound: No child has this name.
            ChildRunning: It runs.
            ChildRestarting: It is between two restarts without a delay.
            MaxChildrenReached: As many children are up as the supervisor allows.
            SupervisionError: It would wait for itself, as in `start`.
            ChildStartFailed: From what it raised before it was ready; it stays down.
            SupervisorNotRunning: The supervisor has ended, or ends meanwhile.
        """
        async with in_turn(self._core):
            record = self._running_core().find(name)
            if record.state in ACTIVE:
                raise ChildRunning(record.path)
            if record.state is not ChildState.RESTARTING:
                self._core.check_room()
                down = Move.PARK if record.state is ChildState.PARKED else Move.REST
                self._revive(record)
                exit_ = await launch_and_wait(self._core, record, down)
                if exit_ is not None:
                    leave_down(self._core, record, down, exit_)
                    raise start_failed(record, exit_)

                return Child(record)

        await hurry(record)  # not in our turn: the restart itself may need it
        return Child(record)

    @enable_ki_protection
    async def delete_child(self, name: str) -> None:
        """Forget a child that is stopped or parked.

        Cancelling it while it waits for its turn changes nothing.

        Args:
            name: The child's name.

        Raises:
            ChildNotFound: No child has this name.
            ChildRunning: It runs.
            ChildRestarting: It is between two restarts.
            SupervisionError: It would wait for itself, as in `start`.
            SupervisorNotRunning: The supervisor has ended, or is ending.
        """
        async with in_turn(self._core):
            record = self._running_core().find(name)
            if record.state in ACTIVE:
                raise ChildRunning(record.path)
            if record.state is ChildState.RESTARTING:
                raise ChildRestarting(record.path)

            self._core.remove(record, trio.current_time())

    @enable_ki_protection
    async def stop(self) -> StopReport:
        """Stop all children, and wait until the last has ended.

        The order is that of the supervisor's ``stop_order``: reverse start order by default. The
        supervisor takes no more children; its block goes on. From within one of its own children it
        works, and that child is cancelled when it is its turn.

        Cancelling it ends the waiting; the stop goes on, and `stop_report` tells of it.

        Returns:
            How long it took, and which children took long.
        """
        self._core.begin_stop()
        await self._core.stopped.wait()
        assert self._core.stop_report is not None
        return self._core.stop_report

    # --- questions -------------------------------------------------------------------------------

    def which_children(self) -> list[ChildInfo]:
        """Return every child as it is now, in start order."""
        return [info_of(record) for record in self._core.children.values()]

    def count_children(self) -> ChildCounts:
        """Return how many children there are, as OTP counts them."""
        records = self._core.children.values()
        supervisors = sum(bool(record.nested) for record in records)
        return ChildCounts(
            specs=len(records),
            active=sum(record.state in ACTIVE and record.alive for record in records),
            supervisors=supervisors,
            workers=len(records) - supervisors,
        )

    def has_child(self, name: str) -> bool:
        """Return whether there is a child of this name, whatever its state."""
        check_key("name", name, "child.name")
        return name in self._core.children

    def get_childspec(self, name: str) -> ChildSpec:
        """Return the specification of a child.

        Raises:
            ChildNotFound: No child has this name.
        """
        return self._core.find(name).spec

    def dump(self) -> str:
        """Return the tree under this supervisor as text, for people.

        Each child has a line: its state, since when, its restarts, its last failure, and where its
        task is waiting.
        """
        return dump_tree(self.tree())

    def tree(self) -> SupervisorTree:
        """Return the tree under this supervisor as values, as it is now."""
        return read_tree(self._core)

    # --- inside ----------------------------------------------------------------------------------

    def _running_core(self) -> Core:
        self._core.check_open()
        return self._core

    def _register(self, spec: ChildSpec) -> ChildRecord:
        core = self._running_core()
        core.check_spec(spec)
        core.check_name(spec.name)
        return core.register(spec)

    async def _start_new(self, spec: ChildSpec) -> tuple[ChildRecord, ChildExit | None]:
        core = self._core
        if core.turn is None:  # asking `in_turn` for nothing would be a twentieth of a start
            record = self._register(spec)
            exit_ = await launch_and_wait(core, record, Move.REMOVE)
        else:
            async with in_turn(core):
                record = self._register(spec)
                exit_ = await launch_and_wait(core, record, Move.REMOVE)
        if exit_ is not None:
            leave_down(core, record, Move.REMOVE, exit_)
        return record, exit_

    def _revive(self, record: ChildRecord) -> None:
        record.attempt = 0
        if record.spec.intensity is not None and record.window is not None:
            record.window.forget()
        if record.state is ChildState.PARKED:
            self._core.reporter.revived(record, trio.current_time())
