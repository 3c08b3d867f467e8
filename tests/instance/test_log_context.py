"""Log lines written inside a child, by the real loguru: they say which child wrote them."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trio
from loguru import logger
from trio.testing import MockClock, wait_all_tasks_blocked

from trio_instances import (
    ChildSpec,
    Instance,
    InstanceSpec,
    ProbePolicy,
    RestartIntensity,
    RestartType,
    add_log_context,
    log_context,
    open_runtime,
    open_supervisor,
    telemetry,
)

from .scripted import STEADY, ScriptedChannel, always, lost, scene

if TYPE_CHECKING:
    from loguru import Message

LINES = list[tuple[str, dict[str, Any]]]
"""The text and the ``extra`` of each line."""


@pytest.fixture
def lines() -> Iterator[LINES]:
    """Configure loguru as the page says; yield what is logged."""
    taken: LINES = []

    def take(message: Message) -> None:
        taken.append((message.record["message"], dict(message.record["extra"])))

    handler = logger.add(take, level=0, format="{message}", catch=False)
    logger.configure(patcher=add_log_context)
    yield taken
    logger.configure(patcher=lambda _: None)
    logger.remove(handler)


def say(text: str) -> None:
    """Log a line, as a child's own code does."""
    logger.info(text)


async def test_a_line_of_a_child_of_a_connection_says_all_of_it(
    lines: LINES, autojump_clock: MockClock
) -> None:
    """The instance, the child, its run and its connection, which is another one later."""
    channel = ScriptedChannel()

    async def worker() -> None:
        say("working")
        await trio.sleep_forever()

    channel.give_children = always(ChildSpec("worker", worker))
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        s.bot.reconnect()
        await s.log.wait_for(telemetry.InstanceConnected, times=2)

    common = {
        "instance_id": "bot",
        "channel_type": channel.channel_type,
        "path": "runtime/bot/connection/worker",
        "child": "worker",
        "incarnation": 1,
    }
    assert lines == [
        ("working", {**common, "generation": 1}),
        ("working", {**common, "generation": 2}),
    ]


async def test_the_fields_are_those_of_the_events(lines: LINES, autojump_clock: MockClock) -> None:
    """So a search by child finds its lines and what is told of it alike."""
    channel = ScriptedChannel()

    async def worker() -> None:
        say("working")
        await trio.sleep_forever()

    channel.give_children = always(ChildSpec("worker", worker))
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        (told,) = [e for e in s.log.of(telemetry.ChildStarted) if e.child == "worker"]

    (_, extra) = lines[0]
    assert {**telemetry.event_to_dict(told), **extra} == telemetry.event_to_dict(told)


async def test_each_run_of_a_child_has_its_number(lines: LINES, autojump_clock: MockClock) -> None:
    """It is looked up when the line is written."""

    async def flaky() -> None:
        say("running")
        raise OSError("again")

    intensity = RestartIntensity(max_restarts=2, period=60)
    with pytest.raises(Exception, match="flaky"):
        async with open_supervisor(intensity=intensity) as supervisor:
            supervisor.start_soon(flaky)

    assert [extra["incarnation"] for _, extra in lines] == [1, 2, 3]
    assert "instance_id" not in lines[0][1]


async def test_tasks_and_threads_of_a_child_are_the_child_s(
    lines: LINES, autojump_clock: MockClock
) -> None:
    """Whatever it starts says the same, also from a worker thread."""

    async def worker() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(deeper)
        await trio.to_thread.run_sync(say, "thread")

    async def deeper() -> None:
        say("task")

    async with open_supervisor() as supervisor:
        supervisor.start_soon(worker, restart=RestartType.TEMPORARY)

    assert [(text, extra["path"]) for text, extra in lines] == [
        ("task", "supervisor/worker"),
        ("thread", "supervisor/worker"),
    ]


async def test_a_supervisor_within_a_child_keeps_the_instance_and_the_connection(
    lines: LINES, autojump_clock: MockClock
) -> None:
    """However deep the tree is below it."""
    channel = ScriptedChannel()

    async def inner() -> None:
        say("inner")
        await trio.sleep_forever()

    async def outer() -> None:
        async with open_supervisor() as supervisor:
            supervisor.start_soon(inner)

    channel.give_children = always(ChildSpec("outer", outer))
    async with scene(channel) as s:
        await s.bot.wait_status("connected")
        await wait_all_tasks_blocked()
        (told,) = [e for e in s.log.of(telemetry.ChildStarted) if e.child == "inner"]

    (_, extra) = lines[0]
    assert (extra["instance_id"], extra["generation"]) == ("bot", 1)
    assert (extra["path"], extra["child"]) == ("runtime/bot/connection/outer/inner", "inner")
    assert (told.instance_id, told.generation) == ("bot", 1)


@pytest.mark.parametrize(
    ("own", "child"),
    [((), "bot"), ((ChildSpec("own", trio.sleep_forever),), "connection")],
    ids=["alone", "beside children"],
)
async def test_the_channel_s_own_code_says_its_instance(
    lines: LINES, autojump_clock: MockClock, own: tuple[ChildSpec, ...], child: str
) -> None:
    """What ``connect`` and ``probe`` log belongs to the child that keeps the connection.

    That is the instance itself, unless it has children of its own.
    """
    channel = ScriptedChannel()
    channel.give_own = always(*own)

    async def ask(_: int) -> None:
        say("asked")

    channel.ask = ask
    async with scene(channel, probe=ProbePolicy(interval=10)) as s:
        await s.bot.wait_status("connected")
        await trio.sleep(60)

    assert {(e["instance_id"], e["child"]) for text, e in lines if text == "asked"} == {
        ("bot", child)
    }


async def test_what_is_told_of_a_supervisor_within_the_channel_s_own_code_says_its_instance(
    autojump_clock: MockClock,
) -> None:
    """Which is so though no supervisor of the instance is between that one and the runtime."""

    class Busy(ScriptedChannel):
        @asynccontextmanager
        async def connect(self, instance: Instance) -> AsyncIterator[int]:
            async with open_supervisor() as supervisor, super().connect(instance) as number:
                supervisor.start_soon(trio.sleep_forever, name="inner")
                yield number
                await supervisor.stop()

    async with scene(Busy()) as s:
        await s.bot.wait_status("connected")
        await wait_all_tasks_blocked()
        (told,) = [e for e in s.log.of(telemetry.ChildStarted) if e.child == "inner"]

    assert (told.instance_id, told.channel_type) == ("bot", "scripted")


async def test_a_line_outside_of_any_child_says_nothing(lines: LINES) -> None:
    """Nor does the body of a supervisor, which is the surroundings' own code."""
    async with open_supervisor():
        say("body")

    assert lines == [("body", {})]
    assert log_context() == {}


async def test_what_a_line_says_itself_stays(lines: LINES, autojump_clock: MockClock) -> None:
    """Whatever is bound to the logger, or set by ``contextualize``, comes first."""

    async def worker() -> None:
        logger.bind(child="mine", room=7).info("bound")

    with logger.contextualize(tenant="t1"):
        async with open_supervisor() as supervisor:
            supervisor.start_soon(worker, restart="temporary")

    (_, extra) = lines[0]
    assert (extra["child"], extra["room"], extra["tenant"]) == ("mine", 7, "t1")
    assert extra["path"] == "supervisor/worker"


async def test_the_sink_s_lines_are_about_their_events(
    lines: LINES, autojump_clock: MockClock
) -> None:
    """Also where the whole runtime is a child itself, whose path they would else have."""

    async def service() -> None:
        async with open_runtime(sinks=[telemetry.LoguruSink()]) as runtime:
            await runtime.start_instance(InstanceSpec(id="bot", channel=ScriptedChannel()))

    async with open_supervisor() as supervisor:
        supervisor.start_soon(service, restart="temporary")

    told = {extra["event"]: extra for _, extra in lines}
    assert told["instance.started"]["instance_id"] == "bot"
    assert told["child.started"]["path"] != "supervisor/service"
    assert told["runtime.started"]["instance_id"] is None


async def test_other_ways_of_logging_ask_for_the_same(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    """A filter of the standard library's adds it to each record."""

    def enrich(record: logging.LogRecord) -> bool:
        vars(record).update(log_context())
        return True

    async def worker() -> None:
        logging.getLogger("app").warning("plain")

    caplog.handler.addFilter(enrich)
    async with open_supervisor() as supervisor:
        supervisor.start_soon(worker, restart="temporary")
    caplog.handler.removeFilter(enrich)

    assert vars(caplog.records[0])["path"] == "supervisor/worker"


async def test_a_lost_child_says_so_until_its_end(lines: LINES, autojump_clock: MockClock) -> None:
    """Its cleanup is still its own."""
    channel = ScriptedChannel()

    async def worker() -> None:
        try:
            await trio.sleep_forever()
        finally:
            say("closing")

    channel.give_children = always(ChildSpec("worker", worker))
    async with scene(channel, reconnect=STEADY) as s:
        await s.bot.wait_status("connected")
        s.bot.report_failure(lost())
        s.bot.reconnect()
        await s.log.wait_for(telemetry.InstanceConnected, times=2)

    assert [extra["generation"] for _, extra in lines] == [1, 2]
