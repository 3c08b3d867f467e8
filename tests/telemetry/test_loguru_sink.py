"""The loguru sink, against the real loguru."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import loguru
import pytest
import trio

from trio_instances import telemetry
from trio_instances.policy.failures import Cause, FailureClass
from trio_instances.telemetry import LoguruSink

if TYPE_CHECKING:
    from loguru import Message

CAUSE = Cause(FailureClass.RECOVERABLE, "timeout", "too {slow}\n<red>", retry_after=2.0)
RESTARTING = telemetry.ChildRestarting(
    at=1.5,
    instance_id="bot",
    channel_type="memory",
    path="bot/worker",
    child="worker",
    incarnation=2,
    cause=CAUSE,
    delay=0.25,
    restarts=1,
)


@pytest.fixture
def records() -> Iterator[list[dict[str, Any]]]:
    """Yield the records that loguru's own logger gets during the test."""
    taken: list[dict[str, Any]] = []

    def take(message: Message) -> None:
        taken.append(dict(message.record))

    handler = loguru.logger.add(take, level=0, format="{message}", catch=False)
    yield taken
    loguru.logger.remove(handler)


async def test_an_event_is_a_record_with_flat_fields(records: list[dict[str, Any]]) -> None:
    """Every field of the wire form is in ``extra`` under one key."""
    await LoguruSink().write([RESTARTING])

    assert records[0]["extra"] == {
        "event": "child.restarting",
        "schema": 1,
        "at": 1.5,
        "instance_id": "bot",
        "channel_type": "memory",
        "path": "bot/worker",
        "child": "worker",
        "incarnation": 2,
        "generation": None,
        "cause_failure_class": "recoverable",
        "cause_reason": "timeout",
        "cause_detail": "too {slow}\n<red>",
        "cause_error_type": "",
        "cause_retry_after": 2.0,
        "cause_resumable": False,
        "cause_lost": False,
        "cause_planned": False,
        "cause_who_must_act": "nobody",
        "delay": 0.25,
        "restarts": 1,
    }


async def test_the_message_is_one_line_at_its_level(records: list[dict[str, Any]]) -> None:
    """Braces, tags and line breaks from elsewhere are text and nothing more."""
    await LoguruSink().write([RESTARTING])

    assert records[0]["level"].name == "WARNING"
    assert records[0]["message"] == (
        "child.restarting bot/worker incarnation=2 delay=0.25s restarts=1: "
        r"timeout (recoverable): too {slow}\n<red>"
    )


async def test_another_logger_can_be_given(records: list[dict[str, Any]]) -> None:
    """What is bound to it is in each record."""
    await LoguruSink(loguru.logger.bind(service="bots")).write([RESTARTING])

    assert records[0]["extra"]["service"] == "bots"


async def test_a_burst_lets_others_run(
    records: list[dict[str, Any]], nursery: trio.Nursery
) -> None:
    """Between two records every other task gets a turn, before or after the next one."""
    seen: list[int] = []

    async def other() -> None:
        while len(records) < 10:
            seen.append(len(records))
            await trio.lowlevel.checkpoint()

    nursery.start_soon(other)
    await LoguruSink().write([RESTARTING] * 10)

    assert len(set(seen)) >= 4  # the fewest that it can see, where chance is always against it


@pytest.fixture
def _broken_handler() -> Iterator[None]:
    """Let loguru have a handler that fails, and that passes it on."""

    def fail(message: Message) -> None:
        raise OSError("no space left")

    handler = loguru.logger.add(fail, catch=False)
    yield
    loguru.logger.remove(handler)


@pytest.mark.usefixtures("_broken_handler")
async def test_a_handler_that_raises_is_a_failing_sink() -> None:
    """Where loguru lets an error through, so does the sink, for the feed to report."""
    with pytest.raises(OSError, match="no space left"):
        await LoguruSink().write([RESTARTING])
