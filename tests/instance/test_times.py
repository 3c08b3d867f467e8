"""When events say that they happened: never before what was told earlier."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import final

import trio
from hypothesis import example, given
from hypothesis import strategies as st

from trio_instances import ChildSpec, ProbePolicy, Strategy, TrioInstancesError
from trio_instances.testing import EventRecorder

from .scripted import Scene, ScriptedChannel, Worker, always, degraded, lost, scene


@final
class TickingClock(trio.abc.Clock):
    """A virtual clock that never shows the same time twice, as a real one with fine enough ticks.

    Under Trio's own virtual clock whatever happens between two checkpoints happens at one time, so
    that nothing shows which time was taken first.
    """

    def __init__(self) -> None:
        self._now = 0.0

    def start_clock(self) -> None:
        """Nothing has to be started."""

    def current_time(self) -> float:
        """Return a time later than any before."""
        self._now += 1e-6
        return self._now

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Jump to the deadline, since nobody can run before it."""
        if deadline == math.inf:
            return math.inf

        self._now = max(self._now, deadline)
        return 0.0


class Life:
    """What can happen to one instance, some of it at a time when it means nothing."""

    def __init__(self) -> None:
        self.channel = ScriptedChannel()
        self.helper = Worker()
        self.verdicts: list[Exception] = []
        self.channel.ask = self._ask
        self.channel.give_own = always(ChildSpec("helper", self.helper.run, essential=False))
        self.s: Scene

    async def _ask(self, _: int) -> None:
        if self.verdicts:
            raise self.verdicts.pop()

    async def lose(self) -> None:
        """The connection is lost."""
        if self.channel.reader.running:
            self.channel.reader.end(lost())

    async def refuse(self) -> None:
        """The connection is lost, and the next attempts fail."""
        self.channel.outcomes += [OSError("no")] * 6
        await self.lose()

    async def crash(self) -> None:
        """A child of the connection crashes."""
        if self.channel.reader.running:
            self.channel.reader.end(ValueError("bug"))

    async def park(self) -> None:
        """A child of the instance is parked."""
        if self.helper.running:
            self.helper.end(degraded())

    async def revive(self) -> None:
        """Somebody has put right what the helper failed for."""
        with suppress(TrioInstancesError):
            await self.s.bot.restart_child("helper")

    async def probe_badly(self) -> None:
        """Some probes fail."""
        self.verdicts += [degraded()] * 3

    async def report(self) -> None:
        """The application has a row of failures, and then a success."""
        for _ in range(10):
            self.s.bot.report_failure(OSError("no"))
        self.s.bot.report_success()

    async def pause(self) -> None:
        """An operator wants no connection for a while."""
        self.s.bot.pause()
        await trio.sleep(1)
        self.s.bot.resume()

    async def reconnect(self) -> None:
        """An operator wants a new connection."""
        self.s.bot.reconnect()

    async def restart(self) -> None:
        """An operator wants the whole instance anew."""
        await self.s.runtime.restart_instance("bot")


DEEDS = [name for name in vars(Life) if not name.startswith("_")]


async def live(deeds: list[tuple[str, float]], strategy: Strategy, log: EventRecorder) -> None:
    """Let these things happen, each with a time to let it have its effect."""
    life = Life()
    probe = ProbePolicy(interval=1, jitter=0)
    async with scene(life.channel, log=log, probe=probe, strategy=strategy) as life.s:
        for deed, seconds in deeds:
            await getattr(life, deed)()
            await trio.sleep(seconds)


@given(
    st.lists(st.tuples(st.sampled_from(DEEDS), st.sampled_from([0.0, 0.5, 5.0, 100.0]))),
    st.sampled_from(Strategy),
)
@example([(deed, 100.0) for deed in DEEDS], Strategy.ONE_FOR_ONE)
def test_no_event_is_told_after_a_later_one(
    deeds: list[tuple[str, float]], strategy: Strategy
) -> None:
    """Whatever happens: the order in which events are told is that of their times."""
    log = EventRecorder()
    trio.run(live, deeds, strategy, log, clock=TickingClock())

    times = [(event.at, event.name) for event in log]
    assert times == sorted(times, key=lambda each: each[0])
