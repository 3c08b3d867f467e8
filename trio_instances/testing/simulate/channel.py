"""The fake that a member talks to: it tells what it sees, and has workers with mishaps."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, final

import trio

from ..._exceptions import ChannelError
from ..._supervision.context import until_stopped
from ...policy.specs import ChildSpec
from ..fake_channel import FakeChannel
from ..fake_connection import FakeConnection
from ..faults import Fault, FaultKind
from ..script import Attempt, Script
from .facts import Cut, Entered, Fact, Left, Opened, Stale
from .world import FAULTS, Happening, Member, What, Worker, World

if TYPE_CHECKING:
    from ..._instance.handle import Instance

_connected = ContextVar[bool]("connected", default=False)
_worked = ContextVar[bool]("worked", default=False)
"""Set in a connection, and in an incarnation of a child; a later one must not find it set."""

Tell = Callable[[Fact], None]


@final
class WatchedChannel(FakeChannel):
    """A fake under a world's schedule, which tells what is entered and left.

    Args:
        world: What is played.
        member: Whose channel it is.
        key: Which channel object it is.
        tell: Takes in what it sees.
    """

    channel_type = "simulated"

    def __init__(self, world: World, member: Member, key: int, tell: Tell) -> None:
        hits = [each for each in world.schedule if world.hits(each, member)]
        attempt = Attempt(takes=member.takes, close_takes=member.close_takes, every=SELDOM)
        super().__init__(
            Script(then=attempt),
            faults=[_fault(each) for each in hits if each.what in FAULTS],
            since=0.0,
            overlaps=member.overlaps,
        )
        self._member = member
        self._mishaps = [each for each in hits if each.what in _MISHAPS]
        self._key = key
        self._tell = tell

    @asynccontextmanager
    async def connect(self, instance: Instance) -> AsyncIterator[FakeConnection]:
        """Tell of the attempt, the connection, and its end."""
        number = self.attempts + 1
        self._enter("connect", number)
        if _connected.get():
            self._find_stale(f"connection {number} has a context variable of an earlier one")
        _connected.set(True)
        closing_since: float | None = None
        try:
            async with super().connect(instance) as connection:
                now = trio.current_time()
                self._tell(
                    Opened(at=now, instance_id=self._member.id, number=number, channel=self._key)
                )
                yield connection
                closing_since = trio.current_time()
        except trio.Cancelled:
            if closing_since is not None:
                now = trio.current_time()
                self._tell(Cut(at=now, instance_id=self._member.id, after=now - closing_since))
            raise
        finally:
            self._leave("connect", number)

    def children(self, instance: Instance, connection: FakeConnection) -> Sequence[ChildSpec]:
        """Return the reader, and the workers of the connection."""
        own = [self._spec(worker, connection.number) for worker in self._member.workers]
        return [*super().children(instance, connection), *own]

    def instance_children(self, instance: Instance) -> Sequence[ChildSpec]:  # noqa: ARG002 - the contract
        """Return the instance's own children."""
        return [self._spec(worker, 0) for worker in self._member.own]

    async def probe(self, instance: Instance, connection: FakeConnection) -> None:
        """Tell of the probe, and answer it or not."""
        self._enter("probe", connection.number)
        try:
            await super().probe(instance, connection)
        finally:
            self._leave("probe", connection.number)

    # --- workers ---------------------------------------------------------------------------------

    def _spec(self, worker: Worker, number: int) -> ChildSpec:
        return ChildSpec(
            name=worker.name,
            run=self._work,
            args=(worker, number),
            restart=worker.restart,
            essential=worker.essential,
        )

    async def _work(
        self, worker: Worker, number: int, *, task_status: trio.TaskStatus[None]
    ) -> None:
        self._enter(worker.name, number)
        if _worked.get():
            self._find_stale(f"{worker.name} has a context variable of an earlier incarnation")
        _worked.set(True)
        try:
            self._stumble(worker)
            await trio.sleep(worker.starts_in)
            task_status.started()
            if worker.soft:
                with until_stopped():
                    await self._live(worker)
            else:
                await self._live(worker)
        finally:
            if worker.cleanup:
                with trio.CancelScope(shield=True):
                    await trio.sleep(worker.cleanup)
            self._leave(worker.name, number)

    def _stumble(self, worker: Worker) -> None:
        now = trio.current_time()
        for each in self._mishaps:
            mine = each.what is What.STUMBLE and each.child == worker.name
            if mine and each.at <= now < each.ends:
                assert each.cause is not None
                raise ChannelError(each.cause)

    async def _live(self, worker: Worker) -> None:
        now = trio.current_time()
        for each in self._mishaps:
            if each.what is What.STUMBLE or each.child != worker.name or each.at <= now:
                continue

            await trio.sleep_until(each.at)
            if each.what is What.FINISH:
                return
            assert each.cause is not None
            raise ChannelError(each.cause)
        await trio.sleep_forever()

    # --- telling ---------------------------------------------------------------------------------

    def _enter(self, what: str, number: int) -> None:
        now = trio.current_time()
        self._tell(
            Entered(
                at=now, instance_id=self._member.id, what=what, number=number, channel=self._key
            )
        )

    def _leave(self, what: str, number: int) -> None:
        now = trio.current_time()
        self._tell(
            Left(at=now, instance_id=self._member.id, what=what, number=number, channel=self._key)
        )

    def _find_stale(self, what: str) -> None:
        self._tell(Stale(at=trio.current_time(), instance_id=self._member.id, what=what))


SELDOM = 1e9
"""Seconds between two messages: they cost time, and no law is about them."""
_MISHAPS = frozenset({What.FAIL, What.FINISH, What.STUMBLE})


def _fault(happening: Happening) -> Fault:
    kind = FaultKind(happening.what)
    return Fault(kind, at=happening.at, lasts=happening.lasts, why=happening.cause)
