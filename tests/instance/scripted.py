"""A channel that does what a test says, and an instance that it is the channel of."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import trio
from attrs import evolve, frozen

from trio_instances import (
    Backoff,
    Cause,
    ChannelError,
    ChildSpec,
    Instance,
    InstanceSpec,
    ReconnectPolicy,
    Runtime,
    RuntimeSettings,
    classify_failure,
    open_runtime,
)
from trio_instances.abc import Channel
from trio_instances.telemetry import EventBus
from trio_instances.testing import EventRecorder

STEADY = ReconnectPolicy(
    backoff=Backoff(jitter="none"), slow=Backoff(initial=60.0, cap=300.0, jitter="none")
)
"""The default policy without chance: delays of 0.5, 1, 2, 4, and then 60, 120, 240, 300 seconds."""
AT_ONCE = evolve(STEADY, hint_floor=0.0)
"""... that also replaces a connection at once which was opened just now."""
DELAYS = [0.5, 1.0, 2.0, 4.0, 60.0, 120.0, 240.0, 300.0, 300.0]

HANGS = math.inf
"""An attempt that never ends by itself."""


def lost(reason: str = "gone", **options: Any) -> ChannelError:
    """Return what a child raises that finds its connection gone."""
    return ChannelError(Cause("recoverable", reason, lost=True, **options))


def fatal(reason: str = "banned", who: str = "credentials") -> ChannelError:
    """Return a failure that no retry can mend."""
    return ChannelError(Cause("fatal", reason, who_must_act=who))


def degraded(reason: str = "meh") -> ChannelError:
    """Return a failure that costs quality and no more."""
    return ChannelError(Cause("degraded", reason))


async def nothing() -> None:
    """Do nothing, at once."""


def always(*specs: ChildSpec) -> Callable[..., Sequence[ChildSpec]]:
    """Return what gives these children, whoever asks."""
    return lambda *_: specs


def spec_of(run: Any, **options: Any) -> ChildSpec:
    """Return the spec of a child called "child"."""
    return ChildSpec("child", run, **options)


class Worker:
    """A child that runs until a test makes it fail, or return."""

    def __init__(self) -> None:
        self.began_at: list[float] = []
        self.running = 0
        self.stopped_at: list[float] = []
        self._end: trio.Event | None = None
        self._failure: Exception | None = None

    async def run(self) -> None:
        """Wait for the end that a test makes."""
        self.began_at.append(trio.current_time())
        self.running += 1
        end, self._end = trio.Event(), None
        self._end = end
        try:
            await end.wait()
        finally:
            self.running -= 1
            self.stopped_at.append(trio.current_time())
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def end(self, failure: Exception | None = None) -> None:
        """Make the incarnation that runs raise this, or return."""
        assert self._end is not None
        self._failure = failure
        self._end.set()


class ScriptedChannel(Channel[int]):
    """Each attempt has the next outcome; when they are used up, attempts succeed at once.

    Args:
        outcomes: Seconds after which an attempt succeeds, or what it raises.
    """

    channel_type = "scripted"

    def __init__(self, *outcomes: float | BaseException) -> None:
        self.outcomes = list(outcomes)
        self.attempts: list[float] = []
        """When each attempt began."""
        self.closed: list[float] = []
        """When each orderly closing was done."""
        self.reader = Worker()
        """The only child of the connection, unless a test gives others."""
        self.give_children: Callable[[Instance, int], Any] = self._only_reader
        self.give_own: Callable[[Instance], Any] = lambda _: ()
        self.close: Callable[[], Awaitable[object]] = nothing
        self.ask: Callable[[int], Awaitable[object]] = lambda _: nothing()
        self.judge: Callable[[Exception], Cause] = classify_failure
        self.living = 0
        """Generations that are between entering and leaving `connect` now."""
        self.most = 0
        """... and the most there ever were at once."""
        self.story: list[tuple[str, int]] = []
        """Which attempt began, opened, was closed in peace, or dropped, in order."""

    def _only_reader(self, _: Instance, __: int) -> Sequence[ChildSpec]:
        return [ChildSpec("reader", self.reader.run)]

    @asynccontextmanager
    async def connect(self, instance: Instance) -> AsyncIterator[int]:
        """Do what the script says."""
        self.attempts.append(trio.current_time())
        number = len(self.attempts)
        outcome = self.outcomes.pop(0) if self.outcomes else 0.0
        self.living += 1
        self.most = max(self.most, self.living)
        self.story.append(("began", number))
        end = "dropped"
        try:
            if isinstance(outcome, BaseException):
                raise outcome
            await trio.sleep(outcome)
            self.story.append(("opened", number))
            yield number
            await self.leave(number)
            self.closed.append(trio.current_time())
            end = "closed"
        finally:
            self.living -= 1
            self.story.append((end, number))

    async def leave(self, number: int) -> None:
        """Close a connection as the test says."""
        await self.close()

    def children(self, instance: Instance, connection: int) -> Sequence[ChildSpec]:
        """Give what the test says."""
        given: Sequence[ChildSpec] = self.give_children(instance, connection)
        return given

    def instance_children(self, instance: Instance) -> Sequence[ChildSpec]:
        """Give what the test says."""
        given: Sequence[ChildSpec] = self.give_own(instance)
        return given

    async def probe(self, instance: Instance, connection: int) -> None:
        """Do what the test says."""
        await self.ask(connection)

    def classify(self, exc: Exception) -> Cause:
        """Judge as the test says."""
        return self.judge(exc)

    @property
    def gaps(self) -> list[float]:
        """Seconds between the beginnings of two attempts."""
        return [
            later - earlier
            for earlier, later in zip(self.attempts, self.attempts[1:], strict=False)
        ]


class OverlappingChannel(ScriptedChannel):
    """One that bears two connections at once; each has a reader of its own.

    Args:
        outcomes: Seconds after which an attempt succeeds, or what it raises.
    """

    overlaps = True

    def __init__(self, *outcomes: float | BaseException) -> None:
        super().__init__(*outcomes)
        self.readers: dict[int, Worker] = {}
        """The only child of each connection, by the attempt's number."""
        self.closings: dict[int, Callable[[], Awaitable[object]]] = {}
        """How connections are closed that are not closed as the others are."""
        self.give_children = self._own_reader

    def _own_reader(self, _: Instance, number: int) -> Sequence[ChildSpec]:
        reader = self.readers[number] = Worker()
        return [ChildSpec("reader", reader.run)]

    async def leave(self, number: int) -> None:
        """Close a connection as the test says."""
        await self.closings.get(number, self.close)()


@frozen
class Scene:
    """A runtime with one instance."""

    runtime: Runtime
    bot: Instance
    log: EventRecorder
    bus: EventBus


@asynccontextmanager
async def scene(
    channel: Channel[Any],
    *,
    settings: RuntimeSettings | None = None,
    log: EventRecorder | None = None,
    bus: EventBus | None = None,
    **spec: Any,
) -> AsyncIterator[Scene]:
    """Run one instance, steady and without probes unless the spec says otherwise."""
    bus = EventBus() if bus is None else bus
    log = EventRecorder() if log is None else log
    bus.listen(log)
    fields: dict[str, Any] = {"id": "bot", "reconnect": STEADY, "probe": None, **spec}
    async with open_runtime(settings, events=bus, random=Random(1)) as runtime:
        bot = await runtime.start_instance(InstanceSpec(channel=channel, **fields))
        yield Scene(runtime, bot, log, bus)


def incarnations(bot: Instance) -> dict[str, int]:
    """Return which run of each child there is now."""
    return {child.name: child.incarnation for child in bot.health().children}
