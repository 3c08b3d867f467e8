"""Channels that break the rules, one for each, in the ways in which channels do."""

from __future__ import annotations

import socket
import threading
import time
import warnings
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import trio

from trio_instances import Cause, ChannelError, ChildSpec, Instance
from trio_instances.testing import (
    FakeChannel,
    FakeConnection,
)


class Wrapped(FakeChannel):
    """A fake whose `connect` is done around what it was."""

    @asynccontextmanager
    async def real(self, instance: Instance) -> AsyncIterator[FakeConnection]:
        """Connect as a fake does."""
        async with super().connect(instance) as connection:
            yield connection


class Async(FakeChannel):
    """Forgot the decorator."""

    async def connect(self, instance: Instance) -> None:  # type: ignore[override]  # the mistake
        """Do nothing."""


class Listing(FakeChannel):
    """Gives what a test says as its children."""

    given: Any = None

    def children(self, instance: Instance, connection: FakeConnection) -> Sequence[ChildSpec]:
        """Give it."""
        return self.given  # type: ignore[no-any-return]  # whatever it is


class NoSpecs(Listing):
    """Gives no specs."""

    given = ("reader",)


class SameNames(Listing):
    """Gives two of one name."""

    given = (ChildSpec("reader", trio.sleep_forever), ChildSpec("reader", trio.sleep_forever))


class Shared(Wrapped):
    """Keeps one connection for all generations."""

    kept: FakeConnection | None = None

    @asynccontextmanager
    async def connect(self, instance: Instance) -> AsyncIterator[FakeConnection]:
        """Connect once."""
        async with self.real(instance) as connection:
            self.kept = self.kept or connection
            yield self.kept


class Swallowing(Wrapped):
    """Swallows what its block raises."""

    @asynccontextmanager
    async def connect(self, instance: Instance) -> AsyncIterator[FakeConnection]:
        """Suppress too much."""
        async with self.real(instance) as connection:
            with suppress(Exception):
                yield connection


class Replacing(Wrapped):
    """Raises something else in its cleanup."""

    @asynccontextmanager
    async def connect(self, instance: Instance) -> AsyncIterator[FakeConnection]:
        """Fail in the cleanup."""
        async with self.real(instance) as connection:
            try:
                yield connection
            except Exception:
                raise KeyError("in the cleanup") from None


class OneShot(FakeChannel):
    """Has a child that can only be started once on a connection."""

    def children(self, instance: Instance, connection: FakeConnection) -> Sequence[ChildSpec]:
        """Use something up."""
        tokens = [1]

        async def use(*, task_status: trio.TaskStatus[None]) -> None:
            tokens.pop()
            task_status.started()
            await trio.sleep_forever()

        return [ChildSpec("one-shot", use)]


class RaisingClassify(FakeChannel):
    """Knows its own exceptions only."""

    def classify(self, exc: Exception) -> Cause:
        """Look it up."""
        return {ValueError: Cause("fatal", "bug")}[type(exc)]  # type: ignore[index]  # the mistake


class ForgetfulClassify(FakeChannel):
    """Forgets a branch."""

    def classify(self, exc: Exception) -> Cause:
        """Return nothing."""
        return None  # type: ignore[return-value]  # the mistake


class AsyncClassify(FakeChannel):
    """Waits where it must not."""

    async def classify(self, exc: Exception) -> Cause:  # type: ignore[override]  # the mistake
        """Be async."""
        return Cause("fatal", "bug")


class BlockingClassify(FakeChannel):
    """Asks somebody else, and blocks."""

    def classify(self, exc: Exception) -> Cause:
        """Block."""
        time.sleep(1.1)
        return Cause("fatal", "bug")


class BadProbe(FakeChannel):
    """Takes its cancellation for a failure."""

    async def probe(self, instance: Instance, connection: FakeConnection) -> None:
        """Raise something else."""
        try:
            await trio.sleep(0.1)
        except BaseException:  # the mistake
            raise ValueError("no answer") from None


class Answering(FakeChannel):
    """Says by what it returns that it is not well."""

    async def probe(  # type: ignore[override]  # the mistake
        self, instance: Instance, connection: FakeConnection
    ) -> bool:
        """Return what nobody looks at."""
        return False


class Grudging(FakeChannel):
    """Refuses a probe after one that was cancelled."""

    busy = False

    async def probe(self, instance: Instance, connection: FakeConnection) -> None:
        """Forget the finally."""
        if self.busy:
            raise RuntimeError("a probe is under way")
        self.busy = True
        await trio.sleep(0.1)
        self.busy = False


class Warning_(Wrapped):  # noqa: N801 - the name is taken
    """Uses something old."""

    @asynccontextmanager
    async def connect(self, instance: Instance) -> AsyncIterator[FakeConnection]:
        """Warn."""
        warnings.warn("it is old", DeprecationWarning, stacklevel=2)
        async with self.real(instance) as connection:
            yield connection


class AsyncChildren(FakeChannel):
    """Waits where it must not."""

    async def children(  # type: ignore[override]  # the mistake
        self, instance: Instance, connection: FakeConnection
    ) -> Sequence[ChildSpec]:
        """Be async."""
        return ()


class Locking(Wrapped):
    """Does not give its lock back when it is cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = trio.Semaphore(1)

    @asynccontextmanager
    async def connect(self, instance: Instance) -> AsyncIterator[FakeConnection]:
        """Forget the finally."""
        await self.lock.acquire()
        async with self.real(instance) as connection:
            yield connection
        self.lock.release()


class Blocking(Wrapped):
    """Blocks the loop."""

    @asynccontextmanager
    async def connect(self, instance: Instance) -> AsyncIterator[FakeConnection]:
        """Connect as blocking libraries do."""
        async with self.real(instance) as connection:
            time.sleep(1.1)  # noqa: ASYNC251 - the mistake
            yield connection


class BlockingClose(Wrapped):
    """Blocks the loop in its very last step."""

    @asynccontextmanager
    async def connect(self, instance: Instance) -> AsyncIterator[FakeConnection]:
        """Close as blocking libraries do."""
        async with self.real(instance) as connection:
            yield connection
        time.sleep(1.1)  # noqa: ASYNC251 - the mistake


class BlockingChild(FakeChannel):
    """Blocks the loop in a child."""

    def children(self, instance: Instance, connection: FakeConnection) -> Sequence[ChildSpec]:
        """Read as blocking libraries do."""

        async def read() -> None:
            await trio.lowlevel.checkpoint()
            time.sleep(1.1)  # noqa: ASYNC251 - the mistake
            await trio.sleep_forever()

        return [ChildSpec("reader", read)]


class Seated(Wrapped):
    """Gives its seat back when it is cancelled, and not when it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.seat = trio.Semaphore(1)

    @asynccontextmanager
    async def connect(self, instance: Instance) -> AsyncIterator[FakeConnection]:
        """Forget what is usual."""
        await self.seat.acquire()
        async with self.real(instance) as connection:
            yield connection


class TakingAlong(FakeChannel):
    """Has a child that closes what the connection has, and finds it closed when it is restarted."""

    def children(self, instance: Instance, connection: FakeConnection) -> Sequence[ChildSpec]:
        """Give it what is not its own."""
        send, receive = trio.open_memory_channel[int](0)

        async def take(sender: trio.MemorySendChannel[int]) -> None:
            async with receive:
                async for _ in receive:
                    pass

        return [ChildSpec("taker", take, (send,))]


class Parking(FakeChannel):
    """Has a child that is left down when it is started again."""

    def children(self, instance: Instance, connection: FakeConnection) -> Sequence[ChildSpec]:
        """Use something up, and do without."""
        tokens = [1]

        async def use(*, task_status: trio.TaskStatus[None]) -> None:
            task_status.started()
            if not tokens:
                raise ChannelError(Cause("degraded", "used up"))
            tokens.pop()
            await trio.sleep_forever()

        return [ChildSpec("optional", use, essential=False)]


class Own(FakeChannel):
    """Has the children of its own that a test says."""

    given: Any = None

    def instance_children(self, instance: Instance) -> Sequence[ChildSpec]:
        """Give them."""
        return self.given  # type: ignore[no-any-return]  # whatever it is


class OwnNoSpecs(Own):
    """Gives no specs."""

    given = ("writer",)


async def crash(*, task_status: trio.TaskStatus[None]) -> None:
    """Fail, a moment after being ready."""
    task_status.started()
    await trio.lowlevel.checkpoint()
    raise ValueError("no file")


async def get_nowhere(*, task_status: trio.TaskStatus[None]) -> None:
    """Never be ready."""
    await trio.sleep_forever()


async def stay() -> None:
    """Not end when asked to."""
    try:
        await trio.sleep_forever()
    finally:
        with trio.CancelScope(shield=True):
            await trio.sleep(20.0)


class OwnFails(Own):
    """Has one that fails."""

    given = (ChildSpec("writer", crash),)


class OwnUnready(Own):
    """Has one that does not get ready."""

    given = (ChildSpec("writer", get_nowhere),)


class OwnStays(Own):
    """Has one that does not end."""

    given = (ChildSpec("writer", stay),)


class OnlyOne(FakeChannel):
    """Says it overlaps, and closes the other one."""

    last: FakeConnection | None = None

    def __init__(self) -> None:
        super().__init__(overlaps=True)

    def children(self, instance: Instance, connection: FakeConnection) -> Sequence[ChildSpec]:
        """Leave the older one."""
        if self.last is not None:
            self.last.lose(1000)
        self.last = connection
        return super().children(instance, connection)


async def linger() -> None:
    """Be a task that nobody owns."""
    await trio.sleep(60.0)


class LeakyTask(Wrapped):
    """Starts a task that outlives it."""

    @asynccontextmanager
    async def connect(self, instance: Instance) -> AsyncIterator[FakeConnection]:
        """Start it."""
        trio.lowlevel.spawn_system_task(linger, name="lingering")
        async with self.real(instance) as connection:
            yield connection


class LeakyThread(Wrapped):
    """Starts a thread that outlives it."""

    @asynccontextmanager
    async def connect(self, instance: Instance) -> AsyncIterator[FakeConnection]:
        """Start it."""
        done = threading.Event()
        threads.append(done)
        threading.Thread(target=done.wait, name="lingering", daemon=True).start()
        async with self.real(instance) as connection:
            yield connection


class LeakySocket(Wrapped):
    """Keeps its sockets."""

    @asynccontextmanager
    async def connect(self, instance: Instance) -> AsyncIterator[FakeConnection]:
        """Open one."""
        sockets.append(socket.socket())
        async with self.real(instance) as connection:
            yield connection


class Unclosed(Wrapped):
    """Leaves it to the garbage collector."""

    @asynccontextmanager
    async def connect(self, instance: Instance) -> AsyncIterator[FakeConnection]:
        """Open a file."""
        open(__file__)  # noqa: ASYNC230, PTH123, SIM115 - the mistake
        async with self.real(instance) as connection:
            yield connection


class Unawaited(Wrapped):
    """Forgets an await."""

    @asynccontextmanager
    async def connect(self, instance: Instance) -> AsyncIterator[FakeConnection]:
        """Forget it."""
        linger()  # type: ignore[unused-coroutine]  # noqa: RUF006, RUF100 - the mistake
        async with self.real(instance) as connection:
            yield connection


threads: list[threading.Event] = []
sockets: list[socket.socket] = []
