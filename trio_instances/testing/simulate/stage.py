"""The stage: a world is played on a real runtime, and every law hears of all that happens."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from itertools import count
from random import Random
from typing import final

import trio
import trio.testing
from attrs import frozen

from ..._runtime.opening import open_runtime
from ..._runtime.runtime import Runtime
from ..._runtime.settings import RuntimeSettings
from ...policy.status import InstanceStatus
from ...telemetry import (
    EventBus,
    ProbeCompleted,
    RuntimeStopping,
    StatusChanged,
)
from ...telemetry.schema import Event
from .facts import Born, Counted, Ending, Fact, Looked, Over, Raised, Weighed
from .fleet import Fleet
from .judging import Judge
from .laws.base import Violation
from .performing import Operator
from .scheduling import scheduling
from .world import Happening, What, World

LOOK, LOOKS = 3600.0, 50
"""Seconds between two looks at all instances, at least, and how often that is done at most. One
that moves is looked at whenever it has moved."""
WEIGH = 1
"""The look at which the objects are counted first; each time, it is twice as long to the next."""
FEW = 20
"""Instances that are so few that all of them are counted whenever one has moved."""
LONG = 100_000.0
"""Seconds after its end within which a world has come to it, unless something hangs."""
WALL_CLOCK_READS = 100
"""How often a runtime can ask its wall clock."""
AT_ONCE = 50_000
"""Events at one moment that no world has, unless something goes round and round."""


class GoesRound(BaseException):
    """Something happens again and again, and no time passes."""


@final
@frozen(kw_only=True)
class Outcome:
    """What came of one world."""

    world: World
    violations: tuple[Violation, ...]
    events: int
    """How many events the library told."""
    instance_hours: float
    """The sum of the times for which each instance was listed by the runtime."""


def play(world: World) -> Outcome:
    """Play a world to its end, in virtual time; the same world leads to the same events.

    Raises:
        KeyboardInterrupt: Somebody has asked for it; that breaks no law.
    """
    stage = Stage(world)
    clock = trio.testing.MockClock(autojump_threshold=0.0)
    with scheduling(world.seed):
        try:
            trio.run(stage.run, clock=clock)
        except BaseException as exc:
            if _is_interrupt(exc):
                raise KeyboardInterrupt from exc
            stage.hear(Raised(at=stage.now, text=_written(exc)))
    judge = stage.judge
    return Outcome(
        world=world,
        violations=tuple(judge.violations),
        events=sum(count for kind, count in judge.heard.items() if issubclass(kind, Event)),
        instance_hours=stage.instance_seconds / 3600.0,
    )


@final
class Stage:
    """One world being played.

    Args:
        world: What is played.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.judge = Judge(world)
        self.now = 0.0
        self.instance_seconds = 0.0
        self._random = Random(world.seed)
        self._runtime: Runtime | None = None
        self._handles: dict[str, object] = {}
        self._moved: set[str] = set()
        self._move = trio.Event()
        self._at_once = 0
        self._broken_off = False
        """Whether it did not end by itself: what is told while it is torn down breaks any law."""
        self._whole = trio.CancelScope()
        """Around the present runtime."""

    # --- hearing ---------------------------------------------------------------------------------

    def hear(self, happened: Event | Fact) -> None:
        """Take in an event or a fact, and hand it to the laws."""
        if self._broken_off:
            return

        self._at_once = self._at_once + 1 if happened.at == self.now else 0
        self.now = happened.at
        if self._at_once > AT_ONCE:
            self._at_once = -10 * AT_ONCE
            self.judge.hear(Raised(at=self.now, text=f"{AT_ONCE} events at one moment"))
            raise GoesRound

        self._prepare(happened)
        self.judge.hear(happened)
        who = happened.instance_id
        if who and isinstance(happened, Event) and not isinstance(happened, ProbeCompleted):
            self._moved.add(who)
            self._move.set()

    def _prepare(self, happened: Event | Fact) -> None:
        if self._runtime is None:
            return

        if isinstance(happened, StatusChanged) and happened.previous is InstanceStatus.STOPPED:
            who = happened.instance_id or ""
            handle = self._runtime.instance(who)
            if handle is not self._handles.get(who):
                self._handles[who] = handle
                self.judge.hear(Born(at=happened.at, instance_id=who))
        elif isinstance(happened, RuntimeStopping):
            ids = tuple(each.id for each in self._runtime.list_instances())
            self.judge.hear(Ending(at=happened.at, ids=ids))

    # --- playing ---------------------------------------------------------------------------------

    async def run(self) -> None:
        """Play one runtime after the other; each but the last ends by a cancellation."""
        trio.lowlevel.spawn_system_task(self._watch_over)
        begins, steps = 0, self.world.schedule
        for index, step in enumerate(steps):
            if step.what is What.CANCEL:
                await self._one_runtime(steps[begins:index], step.at, cancelled=True)
                begins = index + 1
        await self._one_runtime(steps[begins:], self.world.seconds, cancelled=False)
        self.hear(Over(at=trio.current_time()))

    async def _watch_over(self) -> None:
        """Tell of a world that does not come to its end, and break it off."""
        await trio.sleep_until(self.world.seconds + LONG)
        self.hear(Raised(at=trio.current_time(), text="it does not come to its end"))
        self._broken_off = True
        self._whole.cancel()
        for each in gc.get_objects():
            if isinstance(each, trio.CancelScope) and each.shield:
                each.shield = False
                each.cancel()

    async def _one_runtime(
        self, steps: Sequence[Happening], until: float, *, cancelled: bool
    ) -> None:
        bus = EventBus()
        bus.listen(self.hear)
        settings = RuntimeSettings(
            stop_order=self.world.stop_order, instance_intensity=self.world.instance_intensity
        )
        fleet = Fleet(self.world, self.hear)
        with trio.CancelScope() as self._whole:
            if cancelled:
                self._whole.deadline = until
            async with open_runtime(
                settings, events=bus, random=self._random, wall_clock=_wall_clock()
            ) as runtime:
                self._runtime = runtime
                await self._play(runtime, fleet, steps, until)
        self._runtime = None
        self._handles.clear()
        self._moved.clear()

    async def _play(
        self, runtime: Runtime, fleet: Fleet, steps: Sequence[Happening], until: float
    ) -> None:
        async with trio.open_nursery() as callers:
            operator = Operator(runtime, fleet, callers, self.hear)
            callers.start_soon(operator.start_all)
            callers.start_soon(self._look_after_moves)
            callers.start_soon(self._look_regularly)
            for step in steps:
                await trio.sleep_until(step.at)
                operator.perform(step)
            await trio.sleep_until(until)
            await self._look(weigh=True)
            callers.cancel_scope.cancel()

    # --- looking ---------------------------------------------------------------------------------

    async def _look_after_moves(self) -> None:
        while True:
            await self._move.wait()
            await trio.testing.wait_all_tasks_blocked()
            self._move = trio.Event()
            moved, self._moved = self._moved, set()
            self._look_at(sorted(moved))

    async def _look_regularly(self) -> None:
        weigh, every = WEIGH, max(LOOK, self.world.seconds / LOOKS)
        for looks in count(1):
            await trio.sleep(every)
            await self._look(weigh=looks == weigh)
            weigh = 2 * weigh if looks == weigh else weigh
            assert self._runtime is not None
            self.instance_seconds += every * len(self._runtime.list_instances())

    async def _look(self, *, weigh: bool) -> None:
        await trio.testing.wait_all_tasks_blocked()
        assert self._runtime is not None
        ids = [each.id for each in self._runtime.list_instances()]
        self._look_at(ids)
        if weigh and ids and self._all_is_well():
            now = trio.current_time()
            self.hear(Weighed(at=now, objects=weight(), ids=tuple(ids)))

    def _look_at(self, ids: Sequence[str]) -> None:
        runtime, now = self._runtime, trio.current_time()
        if runtime is None:
            return

        known = {each.id: each for each in runtime.list_instances()}
        for who in ids:
            if who in known:
                self.hear(Looked(at=now, instance_id=who, health=known[who].health()))
        if len(ids) < len(known) > FEW:
            return

        counts = runtime.count_instances()
        self.hear(Counted(at=now, total=counts.total, by_status=counts.by_status, ids=tuple(known)))

    def _all_is_well(self) -> bool:
        assert self._runtime is not None
        return all(
            each.status is InstanceStatus.CONNECTED for each in self._runtime.list_standings()
        )


def _wall_clock() -> Callable[[], float]:
    """Return a clock that never sleeps, and fails in the end: to ask it costs more than the rest.

    The library asks it every five seconds, and never again once it has failed.
    """
    left = WALL_CLOCK_READS

    def read() -> float:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError("the wall clock is broken")

        return trio.current_time()

    return read


def weight() -> int:
    """Return how many objects of the library there are, and how many tasks and nurseries."""
    gc.collect()
    return sum(_counts(type(each)) for each in gc.get_objects())


def _counts(kind: type) -> bool:
    # Not its cancel scopes: Trio keeps up to a thousand that have been left, by their deadlines.
    # Of a class that has a property of this name, it is no text.
    module = str(kind.__module__)
    return kind is trio.lowlevel.Task or kind is trio.Nursery or module.startswith(_OURS)


_OURS = "trio_instances._"


def _is_interrupt(exc: BaseException) -> bool:
    """Tell whether there is a Ctrl-C in it: a nursery may have put others beside it."""
    if isinstance(exc, BaseExceptionGroup):
        return any(map(_is_interrupt, exc.exceptions))

    return isinstance(exc, KeyboardInterrupt)


def _written(exc: BaseException) -> str:
    if isinstance(exc, BaseExceptionGroup):
        return "; ".join(_written(each) for each in exc.exceptions)

    return f"{type(exc).__name__}: {exc}"
