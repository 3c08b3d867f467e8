"""Probing one connection: bounded, never overlapping itself; it reports, and never acts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, final

import trio
from trio.lowlevel import disable_ki_protection

from .._supervision.context import current, stop_requested
from .._supervision.exits import let_pass
from ..policy import health, liveness
from ..policy.failures import PROBE_TIMEOUT, Cause, FailureClass, ProbeTimedOut
from ..policy.health import LivenessSignal, ProbeAction, ProbePolicy, ProbeTrigger, ProbeVerdict
from ..policy.signals import SignalKind
from ..telemetry import health_events
from .stuck import tell_stuck
from .thread_probe import probed

if TYPE_CHECKING:
    from .._supervision.core import Core
    from .handle import Instance
    from .probe_tasks import ProbeTask, ProbeTasks
    from .record import InstanceRecord


_NONE: Mapping[LivenessSignal, float] = {}
"""Shared, as nearly all connections have nothing to be told of."""


def begin_to_probe(
    record: InstanceRecord, generation: int, connection: Any, core: Core
) -> ProbeWatch | None:
    """Probe a connection from now on as its instance's policy says, until the watch's `end`.

    Args:
        record: The instance.
        generation: Which connection it is.
        connection: What the channel's ``connect`` gave.
        core: The mechanism of the connection's children.

    Returns:
        What watches it; None where it is not probed.
    """
    policy = record.spec.probe
    judged = record.connected and record.connection.generation == generation
    if policy is None or not judged:  # a listener may have ended it as soon as it was open
        return None

    watch = record.signs.watch = ProbeWatch(record, policy, generation, connection, core)
    record.signs.schedule.add(watch)
    return watch


@final
class ProbeWatch:
    """One connection that is probed.

    Args:
        record: The instance.
        policy: When, for how long, and what the verdicts lead to.
        generation: Which connection it is, so that a late verdict judges no other.
        connection: What the channel's ``connect`` gave.
        core: The mechanism of the connection's children.
    """

    __slots__ = (
        "_began_at",
        "_connection",
        "_context",
        "_core",
        "_ended",
        "_failed",
        "_generation",
        "_minds_silence",
        "_opened_at",
        "_record",
        "_regular_at",
        "_signs",
        "_trigger",
        "_waited",
        "batch",
        "once_more",
        "policy",
        "running",
        "silent",
        "state",
    )

    def __init__(
        self,
        record: InstanceRecord,
        policy: ProbePolicy,
        generation: int,
        connection: Any,
        core: Core,
    ) -> None:
        self.policy = policy
        self.running: ProbeTask | None = None
        """Where a probe runs, if one does."""
        self.batch: float | None = None
        """The schedule's: the number of the batch of times that this connection is in."""
        self.once_more: ProbeTrigger | None = None
        """Why there must be another probe as soon as the one that runs has ended."""
        self.state = health.ProbeState()
        """What the probes said so far."""
        self.silent: Mapping[LivenessSignal, float] = _NONE
        """The signals that were told to be silent, and since when they are."""
        self._record, self._signs = record, record.signs
        self._generation = generation
        self._connection = connection
        self._core = core
        # Probes are made by the schedule, and have nothing to do with its surroundings. The very
        # context of the connection's task, and a copy for each use: one for all weighs something.
        self._context = trio.lowlevel.current_task().context
        self._ended: trio.Event | None = None
        self._began_at = 0.0
        self._failed = False
        """Whether the probe that runs has used its time up, and has its verdict."""
        self._minds_silence = policy.minds_silence
        self._trigger = ProbeTrigger.INTERVAL
        self._waited = 0.0
        self._opened_at = trio.current_time()
        self._regular_at = self._opened_at + policy.wait(record.core.random.random(), first=True)

    @property
    def live(self) -> bool:
        """Whether its connection is still the one that the instance is judged by."""
        return self._signs.watch is self

    def due(self) -> tuple[float, ProbeTrigger]:
        """Return when the connection is to be probed next, and why."""
        if self.once_more is not None:
            return self._opened_at, self.once_more
        if not self._minds_silence:
            return self._regular_at, ProbeTrigger.INTERVAL

        heard = self._signs.heard_since(self._opened_at)
        return liveness.next_probe(self.policy, self.state, heard, self._regular_at)

    def start(self, tasks: ProbeTasks, trigger: ProbeTrigger, now: float, *, waited: float) -> None:
        """Begin a probe. Told by the schedule, which also ends it when its time is up.

        Args:
            tasks: Of the schedule.
            trigger: Why it is made.
            now: The time.
            waited: How long it waited for its turn, in seconds.
        """
        self.once_more = None
        self._trigger, self._waited = trigger, waited
        self._began_at, self._failed = now, False
        self.running = tasks.begin(self, self._context.copy())

    def ask(self) -> Awaitable[None]:
        """Ask the channel. See `Probe.ask`."""
        self._began_at = trio.current_time()
        probed.set(self._signs)
        record = self._record
        return _call(record.spec.channel.probe, record.handle, self._connection)

    def ended(self, failure: BaseException | None) -> None:
        """Take in what the probe says, unless it comes too late. See `Probe.ended`."""
        try:
            cause = None if failure is None else self._cause_of(failure)
            if not self._failed and self.live:
                self._take_in(cause)
        finally:
            self.running = None
            self._signs.schedule.ended(self)
            if self._ended is not None:
                self._ended.set()

    def _cause_of(self, failure: BaseException) -> Cause | None:
        if not isinstance(failure, Exception):
            ordinary = let_pass(self._core, failure)  # Ctrl-C and its like end the whole tree
            if ordinary is None:
                return None
            failure = ordinary
        return self._record.classify(failure)

    def time_is_up(self) -> None:
        """End the probe that runs. It has failed now, whenever it ends and whatever it says then.

        Told by the schedule, in whose context nobody is to find himself who is told of it.
        """
        assert self.running is not None
        self.running.cancel()
        self._failed = True
        self._context.copy().run(self._take_in_silence)

    def _take_in_silence(self) -> None:
        silence = ProbeTimedOut(self.policy.timeout)
        # The rules of a channel know whether its session outlives that, and we know all the rest.
        resumable = self._record.classify(silence).resumable
        self._take_in(
            Cause(FailureClass.RECOVERABLE, PROBE_TIMEOUT, str(silence), resumable=resumable)
        )

    async def end(self) -> None:
        """Probe no more. End the probe that runs, if any, and wait for it; nothing cuts this short.

        Its verdict is not taken in any more. One that takes no notice is told of when a closing
        should be over, and then again and again.
        """
        if self.live:
            self._record.forget_probes()
        running = self.running
        if running is None:
            return

        began, patience = trio.current_time(), self._record.spec.reconnect.close_timeout
        ended = self._ended = trio.Event()
        running.cancel()
        with trio.CancelScope(shield=True):
            while not ended.is_set():
                with trio.move_on_at(began + patience):
                    await ended.wait()
                    return
                patience *= 2
                self._tell_stuck(trio.current_time() - began, running.task)

    def _tell_stuck(self, seconds: float, task: trio.lowlevel.Task | None) -> None:
        if stop_requested():
            current.get().was_stuck = True  # with it the loop of connections is
        tell_stuck(self._record, "probe", seconds, task)

    def _take_in(self, cause: Cause | None) -> None:
        record, now = self._record, trio.current_time()
        latency = now - self._began_at
        if now >= self._regular_at:
            self._regular_at = self.policy.next_regular(
                self._regular_at, now - latency, now, record.core.random.random()
            )
        state, action = health.step(
            self.state, self.policy, cause, latency, now, waited=self._waited
        )
        self.state = state
        if record.bus.listening:
            record.tell(
                health_events.ProbeCompleted,
                generation=self._generation,
                verdict=state.verdict or ProbeVerdict.OK,
                latency=latency,
                streak=state.streak,
                cause=cause,
                trigger=self._trigger,
                waited=self._waited,
            )
            if not self.live:
                return  # a listener has ended the connection

        if action is not ProbeAction.NONE:
            self._act(action, cause)
        if self._minds_silence and self.live:
            self._tell_silence(now)

    def _act(self, action: ProbeAction, cause: Cause | None) -> None:
        record = self._record
        match action:
            case ProbeAction.NONE:
                pass
            case ProbeAction.RECOVER:
                record.recover("probe")
            case ProbeAction.DEGRADE:
                assert cause is not None
                record.degrade("probe", cause)
            case ProbeAction.FAIL:
                record.signal(SignalKind.LOST, cause=cause, generation=self._generation)

    # --- silence

    def _tell_silence(self, now: float) -> None:
        heard = self._signs.heard_since(self._opened_at)
        for signal in liveness.silent(self.policy, self.state, heard, now):
            if signal not in self.silent:
                since = heard.at(signal)
                self.silent = {**self.silent, signal: since}
                self._tell(health_events.LivenessSilent, signal, now - since)

    def hear(self, *signals: LivenessSignal) -> None:
        """Take note that signals are given again, of which any was told to be silent."""
        for signal in signals:
            if signal in self.silent:
                since = self.silent[signal]
                self.silent = {each: at for each, at in self.silent.items() if each != signal}
                self._tell(health_events.LivenessHeard, signal, trio.current_time() - since)

    def _tell(
        self,
        kind: type[health_events.LivenessSilent | health_events.LivenessHeard],
        signal: LivenessSignal,
        elapsed: float,
    ) -> None:
        if self._record.bus.listening:
            self._record.tell(kind, generation=self._generation, signal=signal, elapsed=elapsed)


@disable_ki_protection
async def _call(
    probe: Callable[[Instance, Any], Awaitable[None]], instance: Instance, connection: Any
) -> None:
    # Ctrl-C must be raised in the channel's own code, and not in this package's bookkeeping.
    await probe(instance, connection)
