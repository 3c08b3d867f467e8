"""Telling the init system how a runtime is; the socket is real, the time is not."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    ChildSpec,
    FatalChildFailure,
    InitPolicy,
    InitSystem,
    InstanceSpec,
    RestartIntensity,
    Runtime,
    RuntimeSettings,
    notify_init_system,
    open_runtime,
    open_supervisor,
)

from ..instance.scripted import STEADY, ScriptedChannel, fatal
from .init_socket import InitSocket, open_init_socket
from .instances import slow_to_stop, spec_of

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such sockets")

_OFTEN = RestartIntensity(max_restarts=1000, period=1.0)
EXTEND = "EXTEND_TIMEOUT_USEC=30000000"
ALIVE = "WATCHDOG=1"


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[InitSocket]:
    """Listen as an init system does."""
    with open_init_socket(tmp_path / "notify") as opened:
        yield opened


@asynccontextmanager
async def told(
    heard: InitSocket,
    *specs: InstanceSpec,
    watchdog: float | None = None,
    policy: InitPolicy | None = None,
    settings: RuntimeSettings | None = None,
) -> AsyncIterator[Runtime]:
    """Run instances, with somebody who tells of them."""
    init = InitSystem(heard.address, watchdog=watchdog)
    async with open_supervisor() as ears:
        ears.start_soon(heard.listen)
        async with open_supervisor() as services, open_runtime(settings) as runtime:
            for spec in specs:
                await runtime.start_instance(spec)
            services.start_soon(
                notify_init_system, runtime, policy or InitPolicy(), init, restart="transient"
            )
            yield runtime
        await ears.stop()


async def test_ready_is_told_when_all_are_proven(
    heard: InitSocket, autojump_clock: MockClock
) -> None:
    """And not when they are connected; meanwhile more time is asked for."""
    async with told(heard, spec_of("a"), spec_of("b", ScriptedChannel(19.75))):
        await trio.sleep(1.5)
        assert "STATUS=2 instances: 1 connecting, 1 connected" in heard.take()
        await trio.sleep(78)
        before = heard.take()
        assert "READY=1" not in before
        assert before.count(EXTEND) == 7
        await trio.sleep(2.5)
        assert heard.take() == ["READY=1"]
        await trio.sleep(600)
        assert heard.take() == []


async def test_an_instance_that_failed_does_not_keep_the_others_from_being_ready(
    heard: InitSocket, autojump_clock: MockClock
) -> None:
    """The status says who must act."""
    async with told(heard, spec_of("a", ScriptedChannel(fatal())), spec_of("b")):
        await trio.sleep(65)

    assert "READY=1" in heard.take()
    wanted = "STATUS=2 instances: 1 connected, 1 failed; to be mended: a by credentials (banned)"
    assert wanted in heard.lines


async def test_where_it_is_required_by_name_the_start_gets_no_more_time(
    heard: InitSocket, autojump_clock: MockClock
) -> None:
    """So the init system gives the start up when its own time is over."""
    settings = RuntimeSettings(required=("a",))
    specs = (spec_of("a", ScriptedChannel(fatal())), spec_of("b"))
    async with told(heard, *specs, settings=settings) as runtime:
        await trio.sleep(300)
        heard.take()
        assert "READY=1" not in heard.lines
        assert heard.lines.count(EXTEND) <= 1

        await runtime.restart_instance("a")  # somebody has acted
        await trio.sleep(65)
        assert "READY=1" in heard.take()


async def test_the_watchdog_is_fed_in_time(heard: InitSocket, autojump_clock: MockClock) -> None:
    """Always within its time, however short that is, and at about twice its rate."""
    async with told(heard, spec_of("a"), watchdog=0.2):
        for _ in range(50):
            await trio.sleep(0.2)
            assert ALIVE in heard.take()

    assert heard.lines.count(ALIVE) <= 120


async def test_a_channel_that_ignores_the_end_of_its_attempt_stops_the_watchdog(
    heard: InitSocket, autojump_clock: MockClock
) -> None:
    """The event loop runs, but this instance will never go on; the status names it."""
    release = trio.Event()

    class Deaf(ScriptedChannel):
        async def _hang(self) -> None:
            with trio.CancelScope(shield=True):
                await release.wait()

    channel = Deaf()
    channel.give_own = lambda _: [ChildSpec("nothing", trio.sleep_forever)]

    def children(*_: object) -> list[ChildSpec]:
        async def slow(*, task_status: trio.TaskStatus[None]) -> None:
            await channel._hang()  # noqa: SLF001 - of the test's own class

        return [ChildSpec("deaf", slow)]

    channel.give_children = children
    async with told(heard, spec_of("a", channel), spec_of("b"), watchdog=10.0):
        await trio.sleep(59)  # connect_timeout 30, overdue_after 30
        assert ALIVE in heard.take()
        await trio.sleep(10)
        heard.take()
        await trio.sleep(600)
        silent = heard.take()
        release.set()  # before anything is asserted, or the stop would never end
        assert silent == []
        assert any(line.endswith("; not getting on: a") for line in heard.lines)
        await trio.sleep(10)
        assert ALIVE in heard.take()


async def test_a_loop_that_was_held_up_for_long_makes_nobody_late(
    heard: InitSocket, mock_clock: MockClock
) -> None:
    """What was due meanwhile goes on at once, and is not called late by whoever looks first."""
    never = ScriptedChannel(*[OSError()] * 1000)
    async with told(heard, spec_of("a", never), watchdog=10.0) as runtime:
        for _ in range(20):
            mock_clock.jump(3600)
            await trio.testing.wait_all_tasks_blocked()
            assert runtime.ending.begun is False

    assert not any("not getting on" in line for line in heard.take())


async def test_stopping_is_told_first_and_more_time_is_asked_for(
    heard: InitSocket, autojump_clock: MockClock
) -> None:
    """For as long as the instances take, one after the other."""
    specs = [spec_of(f"bot-{n}", slow_to_stop(9.1)) for n in range(4)]
    async with told(heard, *specs, watchdog=20.0):
        await trio.sleep(100.5)
        heard.take()
        stopping_at = trio.current_time()

    assert trio.current_time() - stopping_at == pytest.approx(36.4)
    lines = heard.take()
    assert lines[0] == "STOPPING=1"
    assert "STATUS=stopping: 4 instances: 3 connected, 1 stopping" in lines
    assert lines.count(EXTEND) == 4
    assert lines.count(ALIVE) >= 3
    statuses = [line for line in lines if line.startswith("STATUS")]
    assert statuses[-1] == "STATUS=stopping: 4 instances: 1 stopping, 3 stopped"


async def test_a_stop_that_is_stuck_gets_no_more_time(
    heard: InitSocket, autojump_clock: MockClock
) -> None:
    """The init system may kill it; the status says what is stuck."""
    release = trio.Event()

    async def stubborn() -> None:
        with trio.CancelScope(shield=True):
            await release.wait()

    channel = ScriptedChannel()
    channel.give_own = lambda _: [ChildSpec("stubborn", stubborn)]

    async def let_go() -> None:
        await trio.sleep(100)
        heard.take()
        await trio.sleep(60)
        silent.extend(heard.take())
        release.set()

    silent: list[str] = []
    async with trio.open_nursery() as nursery, told(heard, spec_of("a", channel), watchdog=8.0):
        await trio.sleep(10)
        nursery.start_soon(let_go)

    assert silent == []
    assert any(line.endswith("; stuck: runtime/a/stubborn") for line in heard.lines)


async def test_a_cancellation_from_outside_is_a_stop_like_any_other(
    heard: InitSocket, autojump_clock: MockClock
) -> None:
    """The one who tells is a child, and so it goes on until the runtime has stopped."""
    with trio.move_on_after(100):
        async with told(heard, spec_of("a", slow_to_stop(9.0)), watchdog=1.0):
            began = trio.current_time()
            await trio.sleep_forever()

    assert trio.current_time() - began == pytest.approx(109, abs=0.1)
    after = heard.take()
    after = after[after.index("STOPPING=1") :]
    assert after.count(ALIVE) >= 15


async def test_cancelled_itself_it_ends_at_once(
    heard: InitSocket, autojump_clock: MockClock
) -> None:
    """In a plain nursery nobody keeps it; it says nothing more."""
    async with open_runtime() as runtime:
        await runtime.start_instance(spec_of("a", slow_to_stop(9.0)))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(notify_init_system, runtime, InitPolicy(), InitSystem(heard.address))
            await trio.sleep(10)
            nursery.cancel_scope.cancel()
        heard.take()
        await trio.sleep(1)

    assert heard.take() == []


async def test_an_init_system_that_comes_back_is_told_again(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """The failure is the child's, its restarts are the supervisor's; ready is told when it can."""
    init = InitSystem(str(tmp_path / "notify"))
    async with (
        open_supervisor(intensity=_OFTEN, backoff=STEADY.backoff) as services,
        open_runtime() as runtime,
    ):
        await runtime.start_instance(spec_of("a"))
        child = services.start_soon(
            notify_init_system, runtime, InitPolicy(), init, restart="transient"
        )
        await trio.sleep(100)
        assert child.restarts > 3
        with open_init_socket(tmp_path / "notify") as heard:
            await trio.sleep(10)
            assert "READY=1" in heard.take()
        # From here on it cannot be told again. The end waits for no more than the next try.
        stopping_at = trio.current_time()

    assert trio.current_time() - stopping_at <= STEADY.backoff.cap


async def test_a_restart_does_not_say_ready_twice(
    heard: InitSocket, autojump_clock: MockClock
) -> None:
    """What was told before it failed is not told anew."""
    init = InitSystem(heard.address)
    init.ready = True
    async with open_supervisor() as services, open_runtime() as runtime:
        await runtime.start_instance(spec_of("a"))
        services.start_soon(notify_init_system, runtime, InitPolicy(), init, restart="transient")
        await trio.sleep(100)

    assert "READY=1" not in heard.take()


async def test_without_an_init_system_it_returns_at_once(
    instance_runtime: Runtime, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    """So a program can start it wherever it runs."""
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    await notify_init_system(instance_runtime)


async def test_the_environment_names_the_init_system(
    heard: InitSocket, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    """Where none is given."""
    monkeypatch.setenv("NOTIFY_SOCKET", heard.address)
    async with open_supervisor() as services, open_runtime() as runtime:
        services.start_soon(notify_init_system, runtime, restart="transient")
        await trio.sleep(1)

    assert heard.take()[0] == "STATUS=0 instances"


async def test_a_runtime_that_gives_up_says_so(
    heard: InitSocket, autojump_clock: MockClock
) -> None:
    """An escalation is a stop as well, and the error comes out of it as ever."""
    settings = RuntimeSettings(on_instance_failure="escalate")
    specs = (spec_of("a"), spec_of("b", ScriptedChannel(10.0, fatal())))

    async def run() -> None:
        async with told(heard, *specs, settings=settings) as runtime:
            await trio.sleep(20)
            runtime.instance("b").reconnect()
            await trio.sleep_forever()

    with pytest.raises(FatalChildFailure, match="banned"):
        await run()

    assert "STOPPING=1" in heard.take()
