"""Children of the same names, and probes, of two connections at once."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from trio_instances import (
    ChildSpec,
    Instance,
    ProbePolicy,
    RestartIntensity,
    telemetry,
)

from .handovers import begin
from .scripted import AT_ONCE, HANGS, OverlappingChannel, Scene, Worker, degraded, lost, scene

# --- children of the same names ------------------------------------------------------------------


class Optionals(OverlappingChannel):
    """Each connection has a child that may be missing; a script says which fail."""

    def __init__(self, *outcomes: float | BaseException, broken: set[int]) -> None:
        super().__init__(*outcomes)
        self.broken = broken
        self.extras: dict[int, Worker] = {}
        self.late: set[int] = set()
        """The connections of which the last child does not get ready."""
        self.give_children = self._both

    def _both(self, _: Instance, number: int) -> list[ChildSpec]:
        async def fail(*, task_status: trio.TaskStatus[None]) -> None:
            raise degraded("no extra")

        async def never(*, task_status: trio.TaskStatus[None]) -> None:
            await trio.sleep_forever()

        extra = self.extras[number] = Worker()
        run = fail if number in self.broken else extra.run
        specs = [ChildSpec("extra", run, essential=False)]
        return [*specs, ChildSpec("never", never)] if number in self.late else specs


def reasons(s: Scene) -> list[str]:
    """Return why the instance is degraded."""
    return [reason.what for reason in s.bot.health().degraded]


async def test_a_parked_child_of_the_successor_counts_when_it_takes_over(
    autojump_clock: MockClock,
) -> None:
    """Not while the old connection, which has such a child, is the connection."""
    channel = Optionals(0.0, 0.0, 5.0, broken={2})
    channel.late = {2}
    async with scene(channel) as s:
        await begin(s)
        assert reasons(s) == []
        channel.late = set()
        channel.broken = {3}
        await s.log.wait_for(telemetry.InstanceHandedOver)
        await trio.sleep(1)

        assert reasons(s) == ["child:extra"]
        assert s.bot.health().children_parked == 1


async def test_a_child_that_was_parked_is_well_again_with_the_successors(
    autojump_clock: MockClock,
) -> None:
    """What was missing on the old connection is there on the new one; and not sooner."""
    channel = Optionals(0.0, 0.0, 0.0, broken={1})
    channel.late = {2}
    async with scene(channel, reconnect=AT_ONCE) as s:
        await s.bot.wait_status("degraded")
        s.bot.rotate()
        await trio.sleep(1)
        assert channel.extras[2].running == 1
        assert reasons(s) == ["child:extra"]
        await s.log.wait_for(telemetry.InstanceHandedOver)

        assert reasons(s) == []


async def test_the_children_of_a_successor_that_failed_leave_no_mark(
    autojump_clock: MockClock,
) -> None:
    """Neither the one that was parked, nor the one that was well."""
    for broken, expected in (({2}, []), ({1}, ["child:extra"])):
        channel = Optionals(broken=set(broken))
        channel.late = {2, 3, 4}
        async with scene(channel) as s:
            await trio.sleep(100)
            s.bot.rotate()
            await s.log.wait_for(telemetry.ReconnectFailed)
            await trio.sleep(0.1)

            assert reasons(s) == expected


async def test_the_children_of_a_promoted_attempt_count_at_once(autojump_clock: MockClock) -> None:
    """The old connection's are gone with it."""
    channel = Optionals(broken={2})
    channel.late = {2}
    async with scene(channel) as s:
        await begin(s)
        channel.extras[1].end(lost())
        await trio.sleep(1)

        assert s.bot.generation == 2
        assert reasons(s) == ["child:extra"]


async def test_each_connection_has_its_own_budget_of_restarts(autojump_clock: MockClock) -> None:
    """A child that crashes on one does not spend what the other has."""
    channel = OverlappingChannel(0.0, 10.0)
    async with scene(channel, intensity=RestartIntensity(max_restarts=2, period=100.0)) as s:
        await begin(s)
        for _ in range(2):
            channel.readers[1].end(ValueError("bug"))
            await trio.sleep(1)
        await s.log.wait_for(telemetry.InstanceHandedOver)
        for _ in range(2):
            await trio.sleep(1)
            channel.readers[2].end(ValueError("bug"))
        await trio.sleep(1)

        assert s.bot.generation == 2
        assert s.log.of(telemetry.InstanceDisconnected) == []


# --- probes --------------------------------------------------------------------------------------


async def test_a_late_probe_of_the_old_one_does_not_judge_the_new_one(
    autojump_clock: MockClock,
) -> None:
    """A verdict that comes after the handover is not even told of."""
    channel = OverlappingChannel(0.0, 0.0)

    async def ask(connection: int) -> None:
        if connection == 1:
            with trio.CancelScope(shield=True):
                await trio.sleep(4)
            raise degraded("late")

    channel.ask = ask
    policy = ProbePolicy(interval=1.0, jitter=0.0, failures_to_fail=1, timeout=5.0)
    async with scene(channel, probe=policy) as s:
        await trio.sleep(1.5)
        s.bot.rotate()
        await trio.sleep(100)

        probed = s.log.of(telemetry.ProbeCompleted)
        assert {e.generation for e in probed} == {2}
        assert s.bot.health().status == "connected"
        assert s.bot.generation == 2


async def test_what_the_probes_said_of_the_old_one_ends_with_it(autojump_clock: MockClock) -> None:
    """The new one begins with no verdict, and no row of failures."""
    channel = OverlappingChannel()

    async def ask(connection: int) -> None:
        if connection == 1:
            raise degraded("meh")

    channel.ask = ask
    async with scene(channel, probe=ProbePolicy(interval=10.0, jitter=0.0)) as s:
        await s.bot.wait_status("degraded")
        s.bot.rotate()
        await s.log.wait_for(telemetry.InstanceHandedOver)

        assert s.bot.health().probe.verdict is None
        assert await s.bot.wait_status("connected") == "connected"


async def test_a_probe_that_fails_the_old_one_promotes_the_successor(
    autojump_clock: MockClock,
) -> None:
    """That is a loss like any other."""
    channel = OverlappingChannel(0.0, HANGS)

    async def ask(connection: int) -> None:
        raise TimeoutError

    channel.ask = ask
    policy = ProbePolicy(interval=1.0, jitter=0.0, failures_to_fail=3)
    async with scene(channel, reconnect=AT_ONCE, probe=policy) as s:
        await s.bot.wait_status("connected")
        s.bot.rotate()
        await s.bot.wait_status("reconnecting")

        assert s.bot.generation == 2
        assert len(channel.attempts) == 2
