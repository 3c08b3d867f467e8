"""`check_channel` and `check_callback`: our channels keep to them, broken ones are told."""

from __future__ import annotations

import math
import socket
import ssl
import threading
import time
import warnings
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import trio
import trustme
from attrs import evolve
from trio.testing import MockClock

from trio_instances import Cause, ChannelError, ChildSpec, Instance
from trio_instances.abc import Channel
from trio_instances.channels import MemoryChannel, MemoryServer, WebSocketChannel
from trio_instances.testing import (
    Attempt,
    BrokenRule,
    FakeChannel,
    FakeConnection,
    Gateway,
    Script,
    check_callback,
    check_channel,
    open_gateway,
)
from trio_instances.testing.injection import checkpoints
from trio_instances.testing.rules import said

# --- our own -------------------------------------------------------------------------------------


async def serve(server: MemoryServer) -> None:
    """Accept every connection, and keep it."""
    kept = []
    while True:
        kept.append(await server.accept())


async def test_the_memory_channel_keeps_to_the_rules(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """In virtual time."""
    server = MemoryServer()
    nursery.start_soon(serve, server)

    await check_channel(lambda: MemoryChannel(server))


async def test_a_server_that_the_test_has_just_begun_is_not_taken_for_the_channels() -> None:
    """Its task begins to listen, in tasks of its own, only when the check is under way."""

    class Tcp(Channel[trio.SocketStream]):
        channel_type = "tcp"

        @asynccontextmanager
        async def connect(self, instance: Instance) -> AsyncIterator[trio.SocketStream]:
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                yield stream

    async def read(stream: trio.SocketStream) -> None:
        async for _ in stream:
            pass

    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, read, [listener])
            await check_channel(Tcp)
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("scheme", ["ws", "wss"])
async def test_the_websocket_channel_keeps_to_the_rules(scheme: str) -> None:
    """Over real sockets, with TLS and without."""
    server, client = (
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH),
        ssl.create_default_context(),
    )
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    secure = scheme == "wss"
    async with open_gateway(ssl_context=server if secure else None) as gateway:
        context = client if secure else None
        await check_channel(lambda: WebSocketChannel(gateway.url, ssl_context=context))


@pytest.mark.parametrize("options", [{}, {"overlaps": True}])
async def test_the_fake_channel_keeps_to_the_rules(
    autojump_clock: MockClock, options: dict[str, bool]
) -> None:
    """It does not lie about what a channel is."""
    await check_channel(lambda: FakeChannel(**options))  # type: ignore[arg-type]  # they are right


async def test_our_channels_bear_bad_callbacks(nursery: trio.Nursery) -> None:
    """A failing one, and a slow one."""
    ends = []
    server = MemoryServer()

    async def accept() -> None:
        while True:
            ends.append(await server.accept())

    nursery.start_soon(accept)
    await check_callback(
        lambda call: MemoryChannel(server, on_message=call), lambda _: ends[-1].send("hello")
    )
    await check_callback(
        lambda call: FakeChannel(Attempt(deaf_after=0.0), on_message=call), deliver
    )
    async with open_gateway() as gateway:
        await check_callback(
            lambda call: WebSocketChannel(gateway.url, on_message=call), lambda _: send(gateway)
        )


async def deliver(channel: Any) -> None:
    """Provoke a fake."""
    channel.deliver("hello")


async def send(gateway: Gateway) -> None:
    """Provoke a websocket."""
    await (await gateway.wait_client("/")).send("hello")


# --- broken ones, one for each rule --------------------------------------------------------------


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
NEVER = Attempt(takes=math.inf)

BROKEN = {
    "connect hangs": (
        lambda: FakeChannel(Script(then=NEVER)),
        "each in time: connect took longer than 10 s",
    ),
    "connect fails": (
        lambda: FakeChannel(Script(then=Attempt(refused=401))),
        r"each in time: connect raised ChannelError\(.*http_401",
    ),
    "its child fails": (
        lambda: FakeChannel(Script(then=Attempt(bad_starts=[1]))),
        "each in time: connect raised ChildStartFailed",
    ),
    "its probe hangs": (
        lambda: FakeChannel(Script(then=Attempt(mute_after=0.0))),
        "each in time: probe took longer than 10 s",
    ),
    "its closing hangs": (
        lambda: FakeChannel(Script(then=Attempt(close_takes=math.inf))),
        "each in time: closing took longer than 10 s",
    ),
    "its closing fails": (
        lambda: FakeChannel(Script(then=Attempt(close_fails=Cause("fatal", "meh")))),
        "each in time: closing raised ChannelError",
    ),
    "connect is async": (Async, "connect returns an async context manager: .*missing"),
    "children are no specs": (NoSpecs, r"a sequence of ChildSpec.*\('reader',\)"),
    "children is async": (AsyncChildren, "a sequence of ChildSpec.*it returned <coroutine"),
    "children share a name": (SameNames, "a name of its own: the names are reader, reader"),
    "generations share a connection": (Shared, "each generation has a connection of its own"),
    "a failure is swallowed": (Swallowing, "comes out of it: connect has swallowed it"),
    "a failure is replaced": (Replacing, "comes out of it: it raised KeyError"),
    "a child runs once": (OneShot, "a child can be started again.*'one-shot' raised"),
    "classify raises": (RaisingClassify, "a Cause for every exception: .*it raised KeyError"),
    "classify forgets": (ForgetfulClassify, "a Cause for every exception: .*returned None"),
    "classify is async": (AsyncClassify, "a Cause for every exception: it is async"),
    "classify blocks": (BlockingClassify, "a Cause for every exception: .*it took 1.1 s"),
    "a probe is not cancelled": (BadProbe, "a probe that is cancelled .*raised ValueError"),
    "a probe leaves its lock": (Grudging, "the next one passes.*at checkpoint 1, .*RuntimeError"),
    "a child is not cancelled": (
        lambda: FakeChannel(Script(then=Attempt(child_stays=5.0))),
        "a connection that is cancelled .*it took 5.0 s to end",
    ),
    "connect is not cancelled": (
        lambda: FakeChannel(Script(then=Attempt(stays=5.0))),
        "a connection that is cancelled .*it took 5.0 s to end",
    ),
    "it keeps a lock": (
        Locking,
        "after a connection was cancelled .*connect took longer than 10 s",
    ),
    "it keeps its seat": (Seated, "after a connection was closed .*connect took longer than 10 s"),
    "it blocks": (Blocking, "a connection lets others run: nothing else ran for 1.1 s"),
    "its closing blocks": (BlockingClose, "a connection lets others run: nothing else ran for 1."),
    "its child blocks": (BlockingChild, "a connection lets others run: nothing else ran for 1."),
    "a child takes along": (
        TakingAlong,
        "a child can be started again.*'taker' raised RestartLimit",
    ),
    "a child is down again": (Parking, "a child can be started again.*'optional' failed at once"),
    "its own are no specs": (OwnNoSpecs, r"instance_children returns .*\('writer',\)"),
    "one of its own fails": (OwnFails, "the instance's own children get ready, and run: .*no file"),
    "one of its own hangs": (OwnUnready, "the start of its own children took longer than 10 s"),
    "one of its own stays": (OwnStays, "the stop of its own children took longer than 10 s"),
    "it does not overlap": (OnlyOne, "overlaps=True bears two .*one that stays raised"),
    "it leaves a task": (LeakyTask, "nothing .* left behind: opens and closes.*the task lingering"),
    "it leaves a thread": (LeakyThread, "nothing .* left behind: .*the thread 'lingering'"),
    "it leaves a socket": (LeakySocket, "nothing .* left behind: .*the socket <socket.socket"),
    "it leaves a file": (Unclosed, "closes and awaits what it has made: unclosed file"),
    "it forgets an await": (Unawaited, "awaits what it has made: coroutine 'linger' was never"),
}


@pytest.mark.parametrize("how", BROKEN)
async def test_a_channel_that_breaks_a_rule_is_told_which_and_how(
    autojump_clock: MockClock, how: str
) -> None:
    """And nothing else is said."""
    make, said = BROKEN[how]
    try:
        with pytest.raises(BrokenRule, match=f"(?s){said}"):
            await check_channel(make)
    finally:
        while threads:
            threads.pop().set()
        while sockets:
            sockets.pop().close()


class SlowInEachStep(Wrapped):
    """Takes its time for each step, and no more than it may."""

    @asynccontextmanager
    async def connect(self, instance: Instance) -> AsyncIterator[FakeConnection]:
        """Take long to connect, and to close."""
        await trio.sleep(7.0)
        async with self.real(instance) as connection:
            yield connection
        await trio.sleep(8.0)

    async def probe(self, instance: Instance, connection: FakeConnection) -> None:
        """Take long to answer."""
        await trio.sleep(6.0)


class Numbered(Channel[Any]):
    """Has a connection that is a value, and no thing of its own.

    Args:
        connection: What it is.
    """

    channel_type = "numbered"

    def __init__(self, connection: object) -> None:
        self.connection = connection

    @asynccontextmanager
    async def connect(self, instance: Instance) -> AsyncIterator[Any]:
        """Give it."""
        await trio.lowlevel.checkpoint()
        yield self.connection


class Passing(FakeChannel):
    """Has children that are not there for ever, and one that may fail."""

    def children(self, instance: Instance, connection: FakeConnection) -> Sequence[ChildSpec]:
        """Give one of each kind."""

        async def crash_degraded(*, task_status: trio.TaskStatus[None]) -> None:
            task_status.started()
            raise ChannelError(Cause("degraded", "no history"))

        return [
            ChildSpec("temporary", trio.sleep_forever, restart="temporary"),
            ChildSpec("once", trio.sleep, (0.001,), restart="transient"),
            ChildSpec("parked", crash_degraded, essential=False),
            *super().children(instance, connection),
        ]


class Relying(FakeChannel):
    """Has a child of its own that its probes need."""

    running = False

    def instance_children(self, instance: Instance) -> Sequence[ChildSpec]:
        """Give it."""
        return [ChildSpec("writer", self.write)]

    async def write(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Be there."""
        self.running = True
        task_status.started()
        try:
            await trio.sleep_forever()
        finally:
            self.running = False

    async def probe(self, instance: Instance, connection: FakeConnection) -> None:
        """Need it."""
        await super().probe(instance, connection)
        if not self.running:
            raise RuntimeError("its own child does not run")


RIGHT: dict[str, Callable[[], Channel[Any]]] = {
    "each step takes nearly as long as it may": SlowInEachStep,
    "its connection is a number": lambda: Numbered(7),
    "its connection is a text": lambda: Numbered("session"),
    "its connection is a tuple of such": lambda: Numbered(("session", 7, None)),
    "its children come and go": Passing,
    "it relies on a child of its own": Relying,
}


@pytest.mark.parametrize("how", RIGHT)
async def test_a_channel_that_is_unusual_and_right_passes(
    autojump_clock: MockClock, how: str
) -> None:
    """What no rule forbids is allowed."""
    await check_channel(RIGHT[how])


async def test_other_warnings_go_on(autojump_clock: MockClock) -> None:
    """They are no matter of the check."""
    with pytest.warns(DeprecationWarning, match="it is old"):
        await check_channel(Warning_)


def test_what_has_too_many_checkpoints_does_not_end() -> None:
    """The search for the last one has an end in any case."""
    with pytest.raises(BrokenRule, match="a probe ends: it has more than 10000 checkpoints"):
        list(checkpoints("a probe"))


def test_an_exception_that_cannot_be_shown_is_told_by_its_type() -> None:
    """Whatever its repr does."""

    class Shy(Exception):
        def __repr__(self) -> str:
            raise RuntimeError

    assert said(Shy()).endswith("Shy")


class Deafened(FakeChannel):
    """Loses its connection with its callback."""

    def classify(self, exc: Exception) -> Cause:
        """Take everything for a loss."""
        return evolve(super().classify(exc), lost=True)


class Dull(FakeChannel):
    """Does not call its callback again after a failure."""

    def children(self, instance: Instance, connection: FakeConnection) -> Sequence[ChildSpec]:
        """Give up at the first failure."""
        return [
            evolve(spec, restart="temporary") for spec in super().children(instance, connection)
        ]


CALLBACKS = {
    "the connection ends": (Deafened, "the connection ended"),
    "the messages end": (Dull, "message 2 did not arrive within 10 s"),
}


@pytest.mark.parametrize("how", CALLBACKS)
async def test_a_channel_that_cannot_bear_its_callback_is_told(
    autojump_clock: MockClock, how: str
) -> None:
    """With what became of it."""
    kind, said = CALLBACKS[how]
    deaf = Script(then=Attempt(deaf_after=0.0))

    with pytest.raises(BrokenRule, match=said):
        await check_callback(lambda call: kind(deaf, on_message=call), deliver)


async def send_nothing(_: object) -> None:
    """Be a far end that has nothing to say."""
    await trio.lowlevel.checkpoint()


async def test_a_far_end_that_sends_nothing_is_told_of(autojump_clock: MockClock) -> None:
    """The check could not see anything."""
    deaf = Script(then=Attempt(deaf_after=0.0))

    with pytest.raises(BrokenRule, match="message 1 did not arrive within 10 s"):
        await check_callback(lambda call: FakeChannel(deaf, on_message=call), send_nothing)


async def test_a_slow_callback_must_not_hold_up_the_closing(autojump_clock: MockClock) -> None:
    """A child that shields its callback does."""
    deaf = Script(then=Attempt(deaf_after=0.0, child_stays=20.0))

    with pytest.raises(BrokenRule, match=r"does not keep the connection from closing: it took 20"):
        await check_callback(lambda call: FakeChannel(deaf, on_message=call), deliver)


async def test_a_channel_that_does_not_connect_gets_no_further(autojump_clock: MockClock) -> None:
    """Whatever its callback would do."""
    refused = Script(then=Attempt(refused=401))

    with pytest.raises(BrokenRule, match="a channel connects: InstanceFailed"):
        await check_callback(lambda call: FakeChannel(refused, on_message=call), deliver)
