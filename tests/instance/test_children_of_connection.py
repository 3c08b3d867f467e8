"""Children that live as long as a connection: what the channel gives, and how they start."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from trio_instances import (
    ChildDeclined,
    ChildSpec,
    ChildState,
    Instance,
    InstanceFailed,
    InstanceStatus,
    telemetry,
)

from .scripted import ScriptedChannel, Worker, degraded, fatal, incarnations, lost, scene, spec_of

# --- what the channel gives ----------------------------------------------------------------------


@pytest.mark.parametrize("rubbish", [None, 5, "reader", [None], [5, "x"], {1}, object()])
async def test_children_that_are_rubbish_fail_the_instance(
    autojump_clock: MockClock, rubbish: object
) -> None:
    """No retry can mend it, and the cause says what was expected, and who must act."""
    channel = ScriptedChannel()
    channel.give_children = lambda *_: rubbish
    async with scene(channel) as s:
        with pytest.raises(InstanceFailed, match="ChildSpec") as caught:
            await s.bot.wait_status("connected")

        assert caught.value.cause.reason == "invalid_spec"
        assert caught.value.cause.who_must_act == "author"
        assert channel.closed == [0]


async def test_children_that_are_a_coroutine_fail_the_instance(autojump_clock: MockClock) -> None:
    """An async `children` is refused, and Python does not warn that nobody awaited it."""
    channel = ScriptedChannel()

    async def children(*_: object) -> tuple[()]:
        return ()

    channel.give_children = children
    async with scene(channel) as s:
        with pytest.raises(InstanceFailed, match="sequence of ChildSpec"):
            await s.bot.wait_status("connected")


async def test_two_children_of_one_name_fail_the_instance(autojump_clock: MockClock) -> None:
    """None of them is started."""
    channel = ScriptedChannel()
    worker = Worker()
    channel.give_children = lambda *_: [spec_of(worker.run), spec_of(worker.run)]
    async with scene(channel) as s:
        with pytest.raises(InstanceFailed, match="name of another"):
            await s.bot.wait_status("connected")

        assert worker.began_at == []


async def test_children_that_raises_is_a_failed_attempt(autojump_clock: MockClock) -> None:
    """It is classified like any other, and retried."""
    channel = ScriptedChannel()

    def children(_: Instance, number: int) -> list[ChildSpec]:
        if number == 1:
            raise KeyError("bug")
        return []

    channel.give_children = children
    async with scene(channel) as s:
        await s.bot.wait_status("connected")

        assert channel.attempts == [0, 0.5]
        (failed,) = s.log.of(telemetry.ReconnectFailed)
        assert (failed.cause.error_type, failed.cause.who_must_act) == ("KeyError", "author")


async def test_each_connection_has_new_children(autojump_clock: MockClock) -> None:
    """`children` is asked with each connection, and what it gives lives with that one."""
    channel = ScriptedChannel()
    asked: list[tuple[str, int]] = []

    def children(instance: Instance, connection: int) -> list[ChildSpec]:
        asked.append((instance.id, connection))
        return [spec_of(channel.reader.run)]

    channel.give_children = children
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        channel.reader.end(ValueError("bug"))
        await trio.sleep(1)
        assert incarnations(s.bot) == {"child": 2}
        s.bot.reconnect()
        await s.log.wait_for(telemetry.InstanceConnected, times=2)

        assert asked == [("bot", 1), ("bot", 2)]
        assert incarnations(s.bot) == {"child": 1}


# --- starting ------------------------------------------------------------------------------------


async def test_a_child_that_never_gets_ready_is_bounded_by_connect_timeout(
    autojump_clock: MockClock,
) -> None:
    """The attempt includes the children's start; its timeout is told as what it is."""
    channel = ScriptedChannel()

    async def never(*, task_status: trio.TaskStatus[None]) -> None:
        await trio.sleep_forever()

    channel.give_children = lambda _, number: [spec_of(never)] if number == 1 else []
    async with scene(channel) as s:
        await s.bot.wait_status("connected")

        (failed,) = s.log.of(telemetry.ReconnectFailed)
        assert (failed.cause.reason, failed.elapsed) == ("connect_timeout", 30)
        assert channel.attempts == [0, 30.5]


async def test_it_is_connected_when_all_children_are_ready(autojump_clock: MockClock) -> None:
    """They start one after the other, and the instance is not connected before the last."""
    channel = ScriptedChannel()

    async def slow(*, task_status: trio.TaskStatus[None]) -> None:
        await trio.sleep(3)
        task_status.started()
        await trio.sleep_forever()

    channel.give_children = lambda *_: [ChildSpec("a", slow), ChildSpec("b", slow)]
    async with scene(channel) as s:
        await trio.sleep(5.9)
        assert s.bot.status is InstanceStatus.CONNECTING
        await s.bot.wait_status("connected")

        assert trio.current_time() == 6


@pytest.mark.parametrize(
    ("failure", "essential", "status", "state"),
    [
        (ValueError("bug"), True, "reconnecting", None),
        (ValueError("bug"), False, "degraded", ChildState.PARKED),
        (degraded(), True, "degraded", ChildState.PARKED),
        (degraded(), False, "degraded", ChildState.PARKED),
        (fatal(), True, "failed", None),
        (fatal(), False, "degraded", ChildState.PARKED),
        (lost(), True, "reconnecting", None),
        (lost(), False, "reconnecting", None),
    ],
)
async def test_a_child_that_fails_to_start_is_decided_by_the_crash_or_degrade_table(
    autojump_clock: MockClock,
    failure: Exception,
    essential: bool,  # noqa: FBT001 - a column of the table
    status: str,
    state: ChildState | None,
) -> None:
    """Essential: as bad as it is. Not essential: parked, unless the connection is gone."""
    channel = ScriptedChannel()

    async def fails(*, task_status: trio.TaskStatus[None]) -> None:
        await trio.sleep(1)
        raise failure

    channel.give_children = lambda *_: [
        ChildSpec("reader", channel.reader.run),
        spec_of(fails, essential=essential),
    ]
    async with scene(channel) as s:
        await trio.sleep(1.1)

        assert s.bot.status == status
        assert s.bot.connected == (state is not None)
        if state is not None:
            assert [c.state for c in s.bot.health().children] == [ChildState.RUNNING, state]
            assert [r.what for r in s.bot.health().degraded] == ["child:child"]
        assert len(channel.attempts) == 1


async def test_a_child_that_declines_is_no_failure(autojump_clock: MockClock) -> None:
    """It stays stopped, and nothing is degraded; even a channel that calls all things lost."""
    channel = ScriptedChannel()
    channel.judge = lambda _: lost().cause

    async def declines(*, task_status: trio.TaskStatus[None]) -> None:
        raise ChildDeclined("nothing to do")

    channel.give_children = lambda *_: [spec_of(declines)]
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        await trio.sleep(100)

        assert [c.state for c in s.bot.health().children] == [ChildState.STOPPED]
        assert channel.attempts == [0]
        assert s.bot.status is InstanceStatus.CONNECTED
