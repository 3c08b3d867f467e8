"""Entering `connect`: whatever it does, there is an event, a cause, and no hang."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    ChildSpec,
    Instance,
    InstanceFailed,
    WhoMustAct,
    telemetry,
)

from .scripted import HANGS, ScriptedChannel, always, degraded, fatal, lost, scene


class OddChannel(ScriptedChannel):
    """Does something else in `connect` the first time, and then what the script says."""

    def __init__(self, odd: Any) -> None:
        super().__init__()
        self.odd = odd

    def connect(self, instance: Instance) -> Any:
        """Do the odd thing, once."""
        odd, self.odd = self.odd, None
        return super().connect(instance) if odd is None else odd(instance)


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (ConnectionRefusedError("no"), "connection_refused"),
        (ValueError("bug"), "unexpected"),
        (ExceptionGroup("both", [OSError("a"), TimeoutError("b")]), "os_error"),
        (ExceptionGroup("deep", [ExceptionGroup("er", [lost("close_1006")])]), "close_1006"),
    ],
)
async def test_whatever_connect_raises_is_a_failed_attempt(
    autojump_clock: MockClock, failure: Exception, reason: str
) -> None:
    """It is classified, told of, and retried; of a group each leaf counts."""
    async with scene(ScriptedChannel(failure)) as s:
        await s.bot.wait_status("connected")

        assert [e.cause.reason for e in s.log.of(telemetry.ReconnectFailed)] == [reason]
        assert s.bot.health().last_error_class == "recoverable"


async def test_the_worst_leaf_of_a_group_decides(autojump_clock: MockClock) -> None:
    """A fatal failure among others is fatal."""
    channel = ScriptedChannel(ExceptionGroup("both", [OSError("a"), fatal()]))
    async with scene(channel) as s:
        with pytest.raises(InstanceFailed, match="banned"):
            await s.bot.wait_status("connected")


@pytest.mark.parametrize("rubbish", [None, 5, "socket", [], object()])
async def test_a_connect_that_gives_no_context_manager_fails_for_good(
    autojump_clock: MockClock, rubbish: object
) -> None:
    """No retry can mend it, and the author is told what is missing."""
    async with scene(OddChannel(lambda _: rubbish)) as s:
        with pytest.raises(InstanceFailed, match="asynccontextmanager") as caught:
            await s.bot.wait_status("connected")

        assert caught.value.cause.who_must_act is WhoMustAct.AUTHOR


async def test_a_connect_that_is_a_coroutine_function_fails_for_good(
    autojump_clock: MockClock,
) -> None:
    """As above, and Python does not warn of a coroutine that nobody awaited."""

    async def connect(instance: Instance) -> None:
        """Be what somebody writes who forgets that it is a context manager."""

    async with scene(OddChannel(connect)) as s:
        with pytest.raises(InstanceFailed, match="asynccontextmanager"):
            await s.bot.wait_status("connected")


async def test_a_connect_that_lacks_its_decorator_fails_for_good(
    autojump_clock: MockClock,
) -> None:
    """A bare async generator is the commonest mistake."""

    async def connect(instance: Instance) -> AsyncIterator[int]:
        yield 1

    async with scene(OddChannel(connect)) as s:
        with pytest.raises(InstanceFailed, match="asynccontextmanager"):
            await s.bot.wait_status("connected")


async def test_a_connect_that_raises_before_it_gives_anything_is_a_failed_attempt(
    autojump_clock: MockClock,
) -> None:
    """A plain function that raises is like an async one that does."""

    def connect(instance: Instance) -> None:
        raise OSError("no route")

    async with scene(OddChannel(connect)) as s:
        await s.bot.wait_status("connected")

        assert [e.cause.reason for e in s.log.of(telemetry.ReconnectFailed)] == ["os_error"]


async def test_a_connect_that_swallows_its_timeout_is_still_timed_out(
    autojump_clock: MockClock,
) -> None:
    """One that goes on after its cancellation is not taken for connected."""

    @asynccontextmanager
    async def connect(instance: Instance) -> AsyncIterator[int]:
        with trio.move_on_after(5):
            await trio.sleep(5)
        with suppress(trio.Cancelled):
            await trio.sleep_forever()
        yield 1

    channel = OddChannel(connect)
    channel.give_children = always()
    async with scene(channel) as s:
        await s.bot.wait_status("connected")

        (failed,) = s.log.of(telemetry.ReconnectFailed)
        assert (failed.cause.reason, failed.elapsed) == ("connect_timeout", 30)
        assert [e.generation for e in s.log.of(telemetry.InstanceConnected)] == [2]


async def test_a_connect_whose_cleanup_fails_when_it_is_timed_out_tells_that(
    autojump_clock: MockClock,
) -> None:
    """What comes out of a cancelled attempt beside the cancellation is its cause."""

    @asynccontextmanager
    async def connect(instance: Instance) -> AsyncIterator[int]:
        try:
            await trio.sleep_forever()
        finally:
            raise OSError("half open")
        yield 1

    async with scene(OddChannel(connect)) as s:
        await s.bot.wait_status("connected")

        (failed,) = s.log.of(telemetry.ReconnectFailed)
        assert (failed.cause.detail, failed.elapsed) == ("half open", 30)


async def test_a_connect_that_swallows_what_happens_within_hides_nothing(
    autojump_clock: MockClock,
) -> None:
    """A fatal failure of a child is fatal also where the channel's block would eat it."""

    @asynccontextmanager
    async def connect(instance: Instance) -> AsyncIterator[int]:
        try:
            yield 1
        except Exception:
            return

    async def banned() -> None:
        raise fatal()

    channel = OddChannel(connect)
    channel.give_children = lambda *_: [ChildSpec("reader", banned)]
    async with scene(channel) as s:
        with pytest.raises(InstanceFailed, match="banned"):
            await s.bot.wait_status("paused")


async def test_a_connection_whose_own_tasks_crash_is_lost(autojump_clock: MockClock) -> None:
    """A nursery within `connect` may run what the connection needs; its failure is the cause."""

    @asynccontextmanager
    async def connect(instance: Instance) -> AsyncIterator[int]:
        async with trio.open_nursery() as nursery:

            async def pump() -> None:
                await trio.sleep(3)
                raise ConnectionResetError("gone")

            nursery.start_soon(pump)
            yield 1

    async with scene(OddChannel(connect)) as s:
        await s.bot.wait_status("connected")
        await s.bot.wait_status("reconnecting")
        await s.bot.wait_status("connected")

        (end,) = s.log.of(telemetry.InstanceDisconnected)
        assert (end.cause.reason, end.uptime) == ("connection_reset", 3)


async def test_a_connection_whose_block_ends_by_itself_is_lost(autojump_clock: MockClock) -> None:
    """One that cancels its own block without a failure has ended, which is recoverable."""

    @asynccontextmanager
    async def connect(instance: Instance) -> AsyncIterator[int]:
        with trio.move_on_after(3):
            yield 1

    async with scene(OddChannel(connect)) as s:
        await s.bot.wait_status("connected")
        await s.bot.wait_status("reconnecting")

        (end,) = s.log.of(telemetry.InstanceDisconnected)
        assert (end.cause.reason, end.cause.lost) == ("connection_ended", True)


async def test_a_loss_of_quality_in_connect_is_no_failure_for_good(
    autojump_clock: MockClock,
) -> None:
    """A degraded cause degrades the instance, and it goes on trying."""
    async with scene(ScriptedChannel(degraded())) as s:
        assert await s.bot.wait_status("degraded", "failed") == "degraded"


async def test_classify_that_fails_is_told_and_the_librarys_rules_are_used(
    autojump_clock: MockClock,
) -> None:
    """Neither an exception nor rubbish from `classify` does any harm."""
    channel = ScriptedChannel(OSError("a"), OSError("b"))
    answers: list[Any] = [ZeroDivisionError("broken"), "rubbish"]

    def judge(exc: Exception) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    channel.judge = judge
    async with scene(channel) as s:
        await s.bot.wait_status("connected")

        failed = [(e.hook, e.cause.error_type) for e in s.log.of(telemetry.HookFailed)]
        assert failed == [("classify", "ZeroDivisionError"), ("classify", "TypeError")]
        assert {e.cause.reason for e in s.log.of(telemetry.ReconnectFailed)} == {"os_error"}


async def test_nothing_of_a_generations_context_reaches_the_next(
    autojump_clock: MockClock,
) -> None:
    """A context variable set in `connect` is seen by that connection's children, and no other's."""
    session: ContextVar[int] = ContextVar("session", default=0)
    seen: list[tuple[str, int]] = []

    class Contextual(ScriptedChannel):
        @asynccontextmanager
        async def connect(self, instance: Instance) -> AsyncIterator[int]:
            seen.append(("connect", session.get()))
            async with super().connect(instance) as number:
                session.set(number)
                yield number

    channel = Contextual()

    async def child() -> None:
        seen.append(("child", session.get()))
        session.set(99)
        await channel.reader.run()

    channel.give_children = lambda *_: [ChildSpec("child", child)]
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        channel.reader.end(ValueError("bug"))
        await trio.sleep(1)
        channel.reader.end(lost())
        await s.log.wait_for(telemetry.InstanceConnected, times=2)

        assert seen == [
            ("connect", 0),
            ("child", 1),
            ("child", 1),
            ("connect", 0),
            ("child", 2),
        ]


async def test_connect_may_look_at_its_instance(autojump_clock: MockClock) -> None:
    """The handle it is given tells the generation, and that it is not connected yet."""
    looks: list[tuple[int, str, bool]] = []

    class Looking(ScriptedChannel):
        def connect(self, instance: Instance) -> Any:
            looks.append((instance.generation, instance.status, instance.connected))
            return super().connect(instance)

    async with scene(Looking(OSError("no"))) as s:
        await s.bot.wait_status("connected")

        assert looks == [(1, "connecting", False), (2, "reconnecting", False)]


async def test_a_stop_ends_an_attempt_at_once(autojump_clock: MockClock) -> None:
    """There is nothing to close yet, so nothing is waited for."""
    channel = ScriptedChannel(HANGS)
    async with scene(channel) as s:
        await trio.sleep(3)
        await s.runtime.stop_instance("bot")

        assert trio.current_time() == 3
        assert (channel.living, channel.closed) == (0, [])
        assert s.log.of(telemetry.ReconnectFailed) == []


async def test_a_stop_ends_the_wait_for_a_retry_at_once(autojump_clock: MockClock) -> None:
    """A delay is not waited for by anybody who wants to stop."""
    channel = ScriptedChannel(lost(retry_after=1000.0))
    async with scene(channel) as s:
        await s.bot.wait_status("reconnecting")
        await s.runtime.stop_instance("bot")

        assert trio.current_time() == 0
        assert len(channel.attempts) == 1
