"""``trio-instances demo``: the whole story, in a process and in this one."""

from __future__ import annotations

import signal
import subprocess
import sys
from io import StringIO
from pathlib import Path
from random import Random

import pytest
import trio
import trio.testing
from rich.console import Console

import trio_instances
from trio_instances._cli.demo import AS_EXPECTED, DIFFERENT, INTERRUPTED, Demo, play_demo
from trio_instances._cli.fleet import MINIMUM, cast_parts, names
from trio_instances._cli.tally import COUNTED, Tally, What
from trio_instances.policy.failures import Cause, FailureClass
from trio_instances.telemetry import events

FOLDER = Path(trio_instances.__file__).parents[1]
COMMAND = (sys.executable, "-W", "error", "-m", "trio_instances", "demo", "--fast")
SECONDS = 50
STORY = (
    "connected; ",
    "crashed",
    "is dead",
    "is back",
    "a bar for",
    "no pongs",
    "again",
    "degraded",
    "reverse",
)


def console(*, terminal: bool) -> tuple[Console, StringIO]:
    """Return a console that writes into memory."""
    written = StringIO()
    return Console(file=written, force_terminal=terminal, width=100, height=40), written


def in_order(text: str, parts: tuple[str, ...]) -> bool:
    """Tell whether the parts stand in a text one after the other."""
    at = 0
    for part in parts:
        at = text.find(part, at) + 1
        if at == 0:
            return False
    return True


async def test_the_demo_tells_its_story_and_its_counts_are_right() -> None:
    """Exit 0: every act is told in its turn, and every row of the reckoning is as it should be."""
    with trio.fail_after(SECONDS):
        done = await trio.run_process(
            [*COMMAND, "--instances", "8"], capture_stdout=True, capture_stderr=True, cwd=FOLDER
        )
    text = done.stdout.decode()
    assert in_order(text, STORY), text
    assert "DIFFERS" not in text
    assert text.count(" ok ") == len(What) + 5
    assert text.endswith("seed 1: all as it should be\n")
    assert done.stderr == b""


async def test_the_story_ends_well_with_the_least_number_of_instances() -> None:
    """The counts follow from the number of instances, whatever it is."""
    screen, written = console(terminal=False)
    with trio.fail_after(SECONDS):
        demo = Demo(instances=MINIMUM, seed=2, pause=0.0)
        assert await play_demo(demo, screen) == AS_EXPECTED, written.getvalue()


async def test_a_terminal_gets_a_live_table() -> None:
    """Each part of the story has a row, the others share a line, and the counts come at the end."""
    screen, written = console(terminal=True)
    with trio.fail_after(SECONDS):
        assert await play_demo(Demo(instances=23, seed=4, pause=0.0), screen) == AS_EXPECTED
    text = written.getvalue()
    for part in ("bad credentials", "child crashes", "gets no pongs", "loses a child", "others"):
        assert part in text


async def test_a_story_that_does_not_go_on_is_ended_and_reported() -> None:
    """When the time is up the fleet stops in order; the rows that differ are marked; exit 1."""
    screen, written = console(terminal=False)
    with trio.fail_after(SECONDS):
        demo = Demo(instances=5, seed=1, pause=30.0, limit=0.0)
        assert await play_demo(demo, screen) == DIFFERENT
    text = written.getvalue()
    assert "the story does not go on" in text
    assert "DIFFERS" in text
    assert "NOT as it should be" in text


@pytest.mark.skipif(sys.platform == "win32", reason="the signal is one of POSIX")
async def test_an_interrupted_demo_stops_in_order() -> None:
    """SIGINT: everything stops in reverse order, the counts so far are shown, exit 130."""
    with trio.fail_after(SECONDS):
        process = await trio.lowlevel.open_process(
            [*COMMAND[:-1], "--instances", "5"], stdout=subprocess.PIPE, cwd=FOLDER
        )
        text = b""
        assert process.stdout is not None
        async with process.stdout:
            async for data in process.stdout:
                if b"crashed and runs again" in data:
                    process.send_signal(signal.SIGINT)
                text += data
        assert await process.wait() == INTERRUPTED
    assert b"SIGINT: stopping in reverse start order" in text
    assert b"interrupted" in text


@pytest.mark.skipif(sys.platform == "win32", reason="there, a broken pipe is another error")
async def test_an_audience_that_leaves_ends_the_demo_without_a_traceback() -> None:
    """Standard output is closed, as ``| head`` does: the fleet stops in order, exit 1."""
    pipe = subprocess.PIPE
    with trio.fail_after(SECONDS):
        process = await trio.lowlevel.open_process(
            [*COMMAND, "--instances", "5"], stdout=pipe, stderr=pipe, cwd=FOLDER
        )
        assert process.stdout is not None
        assert process.stderr is not None
        async with process.stderr:
            async with process.stdout:
                await process.stdout.receive_some(1)
            assert b"".join([data async for data in process.stderr]) == b""
        assert await process.wait() == 1


def test_the_parts_are_played_by_different_instances_and_chosen_by_the_seed() -> None:
    """The same seed gives the same cast, and nobody has two parts."""
    ids = names(MINIMUM)
    cast = cast_parts(ids, Random(7))
    assert cast == cast_parts(ids, Random(7))
    assert len(cast.parts) == 4
    assert set(cast.parts) < set(ids)


def test_names_sort_in_start_order() -> None:
    """Leading zeros make the order of the names that of the starts."""
    assert names(10)[0] == "bot-01"
    assert sorted(names(120)) == names(120)


def test_a_count_that_is_off_by_one_differs() -> None:
    """The reckoning sees one connection too many, and one instance that stopped out of turn."""
    tally = Tally()
    cause = Cause(FailureClass.RECOVERABLE, "close_1006")
    for name in ("a", "b", "a"):
        tally.take(
            events.InstanceDisconnected(
                at=0.0, instance_id=name, generation=1, cause=cause, uptime=1.0
            )
        )
    for name in ("b", "a", "c"):
        tally.take(events.InstanceStopped(at=0.0, instance_id=name, uptime=1.0))
    rows = {row.what: row for row in tally.rows(["a", "b", "c"])}
    assert (rows[What.LOST].expected, rows[What.LOST].actual) == (2, 3)
    assert not rows[What.LOST].right
    assert rows["... in reverse start order"].actual == 0


async def test_waiting_for_a_count_ends_when_it_is_reached(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """`reach` wakes at the event that makes the count, and not before."""
    tally = Tally()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tally.reach, What.STARTED, 2)
        for number in (1, 2):
            await trio.testing.wait_all_tasks_blocked()
            assert nursery.child_tasks, number
            tally.take(events.InstanceStarted(at=0.0, instance_id=str(number), children=()))


def test_everything_that_is_counted_has_a_rule() -> None:
    """No row can be without a rule, which would always count nothing."""
    assert set(COUNTED) == set(What)
