"""`check_channel`: our channels keep to the rules, and broken ones are told."""

from __future__ import annotations

import math
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trustme
from trio.testing import MockClock

from trio_instances import Cause, ChannelError, ChildSpec, Instance, InvalidSpec
from trio_instances.abc import Channel
from trio_instances.channels import MemoryChannel, MemoryServer, WebSocketChannel
from trio_instances.telemetry import JSONLinesSink
from trio_instances.testing import (
    Attempt,
    BrokenRule,
    FakeChannel,
    FakeConnection,
    Script,
    check_callback,
    check_channel,
    check_sink,
    open_gateway,
)
from trio_instances.testing.injection import checkpoints
from trio_instances.testing.rules import said

from .broken_channels import (
    Answering,
    Async,
    AsyncChildren,
    AsyncClassify,
    BadProbe,
    Blocking,
    BlockingChild,
    BlockingClassify,
    BlockingClose,
    ForgetfulClassify,
    Grudging,
    LeakySocket,
    LeakyTask,
    LeakyThread,
    Locking,
    NoSpecs,
    OneShot,
    OnlyOne,
    OwnFails,
    OwnNoSpecs,
    OwnStays,
    OwnUnready,
    Parking,
    RaisingClassify,
    Replacing,
    SameNames,
    Seated,
    Shared,
    Swallowing,
    TakingAlong,
    Unawaited,
    Unclosed,
    Warning_,
    Wrapped,
    sockets,
    threads,
)

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


# --- broken ones, one for each rule --------------------------------------------------------------


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
    "a probe returns its answer": (Answering, "a probe raises .* not healthy: it returned False"),
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


@pytest.mark.parametrize(
    ("check", "given"),
    [
        (check_channel, FakeChannel()),
        (lambda given: check_callback(given, given), FakeChannel()),
        (check_sink, JSONLinesSink("events.jsonl")),
    ],
)
async def test_an_object_in_place_of_what_makes_them_is_refused(check: Any, given: object) -> None:
    """Each rule has one of its own, and what to pass is said."""
    with pytest.raises(InvalidSpec, match=r"make_\w+: must return a new one at each call"):
        await check(given)


class LeavesBadly(FakeChannel):
    """Has a child that fails whenever it is stopped."""

    def children(self, instance: Instance, connection: FakeConnection) -> Sequence[ChildSpec]:
        """Raise at the end, and only there."""

        async def leave_badly() -> None:
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError("not flushed")

        return [ChildSpec("bad", leave_badly)]


async def test_a_failure_at_a_stop_is_none_of_the_start_after_it(autojump_clock: MockClock) -> None:
    """A child that fails when it is stopped, and runs when it is started again, is restartable."""
    await check_channel(LeavesBadly)
