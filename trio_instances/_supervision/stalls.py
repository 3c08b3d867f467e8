"""Seeing that the event loop is blocked, by whom, and where, while it lasts and afterwards.

While it lasts nothing of Trio runs, so a thread looks. It only reads: what the instrument says of
the step under way, and, when that takes too long, the stack of the loop's thread.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, final

import trio

from ..policy.mistakes import MistakeList
from ..policy.stalls import Look, LoopShares, Sight, StallPolicy, look
from ..telemetry.bus import EventBus
from ..telemetry.loop_events import LoopStalled
from ..telemetry.places import line_of
from .context import current
from .loop_meter import LoopMeter

if TYPE_CHECKING:
    from .record import ChildRecord

_LOOKS = 2
"""Looks within the threshold: a stall of one and a half is seen for sure."""
_PARTING = 0.2
"""Seconds that the thread has to end. It needs no time, unless what it writes to is blocked."""

Stack = tuple[str, ...]


@final
class StallWatch:
    """A watch on the event loop. `watch_stalls` makes it."""

    def __init__(self, meter: LoopMeter) -> None:
        self._meter = meter

    @property
    def stalls(self) -> int:
        """How many steps have blocked the loop for too long so far."""
        return self._meter.stalls

    @property
    def stalled(self) -> float:
        """For how many seconds, all together."""
        return self._meter.stalled

    def loop_shares(self) -> LoopShares:
        """Return which part of the loop's time each instance used, over the last full window."""
        return self._meter.shares()


_present: trio.lowlevel.RunVar[StallWatch | None] = trio.lowlevel.RunVar(
    "trio_instances stall watch", default=None
)


def present_watch() -> StallWatch | None:
    """Return the watch on this event loop; None where there is none."""
    return _present.get()


def warn_on_stderr(text: str) -> None:
    """Write a warning where it does not need the event loop."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


@contextmanager
def watch_stalls(
    threshold: float = 0.1,
    *,
    warn_after: float = 1.0,
    window: float = 10.0,
    events: EventBus | None = None,
    warn: Callable[[str], None] = warn_on_stderr,
) -> Iterator[StallWatch]:
    """Watch within a block whether a step of any task blocks the event loop.

    A step is what a task does between two checkpoints. One that takes too long is told by the event
    `LoopStalled` when it has ended, and by `warn` while it lasts: it may never end. The stack is
    that of the step's own frames. It is missing where the step held Python's lock all the time, as
    some code in C does: nobody could look.

    Many short steps in a row are no stall. They show in `StallWatch.loop_shares`.

    Args:
        threshold: Seconds that one step may take; at least 0.001.
        warn_after: Seconds from which `warn` is called, and then each time they have doubled.
        window: Seconds over which the shares of loop time are counted.
        events: Where stalls are told of; None takes the bus of the supervisor around it, if any.
        warn: Called with a text, in a thread, while the event loop is blocked: it must not need it.

    Yields:
        The watch.

    Raises:
        InvalidSpec: An argument is not what it must be; all of them are listed.
        RuntimeError: It is not called within `trio.run`.
    """
    wrong = MistakeList("watch_stalls")
    with wrong.part():
        policy = StallPolicy(threshold=threshold, warn_after=warn_after, window=window)
    wrong.instance("events", events, EventBus, optional=True)
    if not callable(warn):
        wrong.add("warn", warn, "must be a function of a text")
    wrong.raise_any()
    parent = current.get(None)
    if events is None and parent is not None:
        events = parent.core.reporter.bus

    teller = _Teller(EventBus() if events is None else events)
    meter = LoopMeter(threshold=threshold, window=window, stalled=teller.stalled)
    lookout = Lookout(meter, policy, warn)
    teller.stack_of = lookout.stack_of
    trio.lowlevel.add_instrument(meter)
    meter.before_task_step(trio.lowlevel.current_task())  # the one that is under way
    thread = threading.Thread(target=lookout.run, name="trio_instances stalls", daemon=True)
    thread.start()
    watch = StallWatch(meter)
    before = _present.get()
    _present.set(watch)
    try:
        yield watch
    finally:
        if _present.get() is watch:
            _present.set(before)
        trio.lowlevel.remove_instrument(meter)
        lookout.end.set()
        thread.join(_PARTING)


@final
class _Teller:
    """Publishes a stall from a task of the loop, where listeners may do what they always may.

    Args:
        bus: Where to.
    """

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus
        self._token = trio.lowlevel.current_trio_token()
        self.stack_of: Callable[[float], Stack] = lambda _: ()

    def stalled(
        self, task: trio.lowlevel.Task, record: ChildRecord | None, began: float, seconds: float
    ) -> None:
        """Have it told. This is called between two steps, where no event may be published."""
        if not self._bus.listening:
            return

        labels = (None, None) if record is None else record.core.reporter.labels(record)
        event = LoopStalled(
            at=trio.current_time(),
            instance_id=labels[0],
            channel_type=labels[1],
            elapsed=seconds,
            path=None if record is None else record.path,
            task=task.name,
            stack=self.stack_of(began),
        )
        self._token.run_sync_soon(partial(self._bus.publish, event))


@final
class Lookout:
    """What the thread does.

    Args:
        meter: Says which step is under way.
        policy: What is too long.
        warn: Told while it lasts.
        clock: The meter's.
    """

    def __init__(
        self,
        meter: LoopMeter,
        policy: StallPolicy,
        warn: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.end = threading.Event()
        """Set to end the thread."""
        self._meter = meter
        self._policy = policy
        self._warn = warn
        self._clock = clock
        self._loop = threading.get_ident()
        self._sight: Sight | None = None
        self._sample: tuple[float, Stack] = (0.0, ())

    def stack_of(self, began: float) -> Stack:
        """Return where the step that began then was seen last; empty where it never was."""
        of, stack = self._sample
        return stack if of == began else ()

    def run(self) -> None:
        """Look until the end."""
        pause = self._policy.threshold / _LOOKS
        while not self.end.wait(pause):
            self.look()

    def look(self) -> None:
        """Look once."""
        task = self._meter.task
        began = self._meter.began
        now = self._clock()
        step = None if task is None else began
        self._sight, what = look(self._sight, step, self._policy, now)
        if what is Look.NOTHING or task is None:
            return

        stack = stack_of_step(sys._current_frames().get(self._loop), task)  # noqa: SLF001 - public by name only, and documented
        if self._meter.began != began or not stack:
            return  # it has ended meanwhile

        self._sample = (began, stack)
        if what is Look.WARN:
            self._warn(_warning(task, now - began, stack))


def stack_of_step(frame: FrameType | None, task: trio.lowlevel.Task) -> Stack:
    """Return the frames of a task's step out of a thread's stack, outermost first; else nothing."""
    outermost = getattr(task.coro, "cr_frame", None)
    lines: list[str] = []
    while frame is not None:
        lines.append(line_of(frame.f_code, frame.f_lineno))
        if frame is outermost:
            return tuple(reversed(lines))
        frame = frame.f_back
    return ()


def _warning(task: trio.lowlevel.Task, seconds: float, stack: Stack) -> str:
    record = task.context.get(current)
    who = task.name if record is None else f"{record.path} ({task.name})"
    where = "\n".join(f"  {line}" for line in stack)
    return f"the event loop has been blocked for {seconds:.1f} s by {who}, which is at\n{where}"
