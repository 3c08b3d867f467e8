"""Watching whether the event loop is blocked.

What blocks it here really does, for as short a time as can be seen for sure: a thread that looks
while nothing runs cannot be tried with a scripted clock alone.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.lowlevel
from attrs import define, field

from trio_instances import ChildSpec, InvalidSpec, open_runtime, open_supervisor, watch_stalls
from trio_instances._supervision.stalls import Lookout, stack_of_step
from trio_instances.policy.stalls import StallPolicy
from trio_instances.telemetry import EventBus, LoopStalled
from trio_instances.testing import EventRecorder

from ..instance.scripted import ScriptedChannel
from ..runtime.instances import spec_of

BLOCKED = 0.3
"""Seconds; three times what is watched for, as the machine may be busy."""


def block() -> None:
    """Block the event loop, which no child should."""
    time.sleep(BLOCKED)


async def stall_of(log: EventRecorder, path: str | None) -> LoopStalled:
    """Wait until a stall of this path is told; a busy machine can have others before it."""
    times = 1
    with trio.fail_after(10):
        while (told := await log.wait_for(LoopStalled, times=times)).path != path:
            times += 1
        return told


def once(act: Callable[[], None]) -> Any:
    """Return a child that does something once it has begun, and then waits."""

    async def child() -> None:
        await trio.lowlevel.checkpoint()
        act()
        await trio.sleep_forever()

    return child


async def test_a_child_that_blocks_is_told_with_its_instance_its_path_and_its_stack() -> None:
    """After it, by an event; how long it took is measured."""
    bus, log, channel = EventBus(), EventRecorder(), ScriptedChannel()
    channel.give_own = lambda _: [ChildSpec("blocker", once(block))]
    with bus.listen(log), watch_stalls(0.1, events=bus, warn=lambda _: None):
        async with open_runtime(events=bus) as runtime:
            await runtime.start_instance(spec_of("a"))
            await runtime.start_instance(spec_of("bot", channel))
            told = await stall_of(log, "runtime/bot/blocker")

    assert (told.instance_id, told.channel_type) == ("bot", "scripted")
    assert (told.path, told.task) == ("runtime/bot/blocker",) * 2
    assert BLOCKED <= told.elapsed < 10
    assert "in run_child: " in told.stack[0]
    assert told.stack[-1].endswith("in block: time.sleep(BLOCKED)")
    assert __file__ in told.stack[-1]


async def test_what_lasts_is_warned_of_meanwhile() -> None:
    """From a thread: nothing of Trio runs. Each time it has doubled, and with the stack."""
    warnings: list[tuple[str, str]] = []

    def warn(text: str) -> None:
        warnings.append((threading.current_thread().name, text))

    with watch_stalls(0.05, warn_after=0.1, warn=warn):
        async with open_supervisor(name="root") as supervisor:
            supervisor.start_soon(once(block), name="blocker")
            await trio.lowlevel.checkpoint()
            await trio.lowlevel.checkpoint()
            await supervisor.stop()

    names, texts = zip(*warnings, strict=True)
    assert set(names) == {"trio_instances stalls"}
    by_blocker = [text for text in texts if "by root/blocker" in text]
    first, *stack = by_blocker[0].splitlines()
    assert first.startswith("the event loop has been blocked for 0.")
    assert "by root/blocker (root/blocker), which is at" in first
    assert stack[-1].endswith("in block: time.sleep(BLOCKED)")


async def test_what_is_in_no_child_is_named_by_its_task() -> None:
    """The program's own tasks can block as well."""
    bus, log, warnings = EventBus(), EventRecorder(), list[str]()
    with bus.listen(log), watch_stalls(0.05, warn_after=0.1, events=bus, warn=warnings.append):
        block()
        told = await stall_of(log, None)

    assert told.path is None
    assert told.instance_id is None
    assert told.task == trio.lowlevel.current_task().name
    assert told.task in warnings[0]


async def test_short_steps_are_no_stall() -> None:
    """However many there are."""
    bus, log = EventBus(), EventRecorder()
    with bus.listen(log), watch_stalls(5.0, events=bus, warn=pytest.fail) as watch:
        for _ in range(1000):
            await trio.lowlevel.checkpoint()
        shares = watch.loop_shares()

    log.assert_none()
    assert 0 < shares.busy <= 1
    assert shares.by_instance == {}


async def test_the_bus_of_the_surroundings_is_taken() -> None:
    """Within a child, that of its supervisor."""
    bus, log = EventBus(), EventRecorder()

    async def watched() -> None:
        with watch_stalls(0.05, warn=lambda _: None):
            block()
            await trio.lowlevel.checkpoint()

    with bus.listen(log):
        async with open_supervisor(name="root", events=bus) as supervisor:
            supervisor.start_soon(watched, name="x", restart="temporary")

    assert "root/x" in [told.path for told in log.of(LoopStalled)]


async def test_nobody_listening_is_fine() -> None:
    """The shares and the warnings are there without."""
    with watch_stalls(0.05, warn=lambda _: None) as watch:
        block()
        await trio.lowlevel.checkpoint()
        assert watch.loop_shares().other > 0


async def test_the_end_leaves_nothing_behind() -> None:
    """No thread, and nothing that Trio goes on to call; also where the block fails."""
    before = threading.active_count()
    with pytest.raises(KeyError), watch_stalls():
        raise KeyError

    assert threading.active_count() == before
    bus, log = EventBus(), EventRecorder()
    with bus.listen(log):
        with watch_stalls(0.05, events=bus, warn=pytest.fail):
            await trio.lowlevel.checkpoint()
        block()
        await trio.sleep(0.01)
    log.assert_none()
    with watch_stalls(), watch_stalls():  # two at once do not harm each other
        await trio.lowlevel.checkpoint()
    assert threading.active_count() == before


async def test_bad_arguments_are_refused() -> None:
    """Before anything is watched."""
    before = threading.active_count()
    for bad in ({"threshold": 0}, {"window": 0}, {"warn": None}, {"events": 1}):
        with pytest.raises(InvalidSpec, match=next(iter(bad))), watch_stalls(**bad):
            pass

    assert threading.active_count() == before


async def test_every_bad_argument_is_listed() -> None:
    """Those of the policy, by their own names, and those that are not."""
    with (
        pytest.raises(InvalidSpec) as refused,
        watch_stalls(-1, window=0, warn=3, events=1),  # type: ignore[arg-type]  # the mistakes
    ):
        pass

    places = [mistake.place for mistake in refused.value.mistakes]
    assert places == ["threshold", "window", "events", "warn"]


def test_outside_of_trio_there_is_no_loop_to_watch() -> None:
    """It says so, and starts no thread."""
    before = threading.active_count()
    with pytest.raises(RuntimeError), watch_stalls():
        pass

    assert threading.active_count() == before


def test_the_warning_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """By default; whoever writes logs elsewhere gives a function of their own."""

    async def main() -> None:
        with watch_stalls(0.05, warn_after=0.1):
            block()

    trio.run(main)
    assert capsys.readouterr().err.startswith("the event loop has been blocked for 0.")


# --- the lookout, with a scripted clock


@define
class Scene:
    """What the thread reads, as a test has it."""

    task: trio.lowlevel.Task | None = None
    began: float = 0.0
    now: float = 0.0
    warnings: list[str] = field(factory=list)

    def lookout(self) -> Lookout:
        """Return one that looks at this from the loop's own thread."""
        policy = StallPolicy(threshold=1.0, warn_after=10.0)
        return Lookout(self, policy, self.warnings.append, clock=lambda: self.now)  # type: ignore[arg-type]  # it asks nothing else of what it is given


async def test_the_stack_is_that_of_the_step_that_was_seen() -> None:
    """A step that nobody saw has none, nor that of another one."""
    scene = Scene(trio.lowlevel.current_task(), began=5.0, now=7.0)
    lookout = scene.lookout()
    lookout.look()

    assert "in Lookout.look: " in lookout.stack_of(5.0)[-1]
    assert "in test_the_stack_is_that_of_the_step" in lookout.stack_of(5.0)[-2]
    assert lookout.stack_of(6.0) == ()


async def test_a_step_that_ends_while_it_is_looked_at_is_let_go() -> None:
    """Its stack would be that of the next one: the task's frames are not in it."""

    async def other() -> None:
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        await trio.testing.wait_all_tasks_blocked()
        (task,) = nursery.child_tasks
        scene = Scene(task, began=5.0, now=100.0)
        lookout = scene.lookout()
        lookout.look()
        nursery.cancel_scope.cancel()

    assert lookout.stack_of(5.0) == ()
    assert scene.warnings == []


async def test_no_step_is_looked_at_while_the_loop_waits() -> None:
    """Nothing blocks it then."""
    scene = Scene(None, now=1e9)
    lookout = scene.lookout()
    lookout.look()

    assert scene.warnings == []


async def test_frames_outside_of_the_task_are_left_out() -> None:
    """Those of Trio's loop, and of whoever runs it, say nothing of the step."""
    stack = stack_of_step(sys._getframe(), trio.lowlevel.current_task())  # noqa: SLF001 - documented

    assert "in test_frames_outside_of_the_task" in stack[-1]
    assert not any(trio.__path__[0] in line for line in stack)
    assert stack_of_step(None, trio.lowlevel.current_task()) == ()
