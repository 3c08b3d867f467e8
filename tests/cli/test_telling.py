"""``trio-instances events`` and ``tree``: as text and as JSON, to readers that go."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
import trio

from trio_instances._cli.address import NotAnswered
from trio_instances._cli.exit_codes import AskedCode
from trio_instances._cli.following import Bye, Gap, Happened, News, Opened
from trio_instances._cli.output import Output
from trio_instances._cli.telling import Tail, Telling

from .endpoints import call, command, site
from .fleets import happened, lost, pulse
from .processes import FOLDER

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the signals are those of POSIX")

NOON = datetime.fromisoformat("2026-01-02T12:00:00+00:00").timestamp()


async def told(
    *news: News, capfd: pytest.CaptureFixture[str], level: str = "DEBUG", as_json: bool = False
) -> tuple[list[str], list[str]]:
    """Return the lines of events, and what was said besides; it is noon on 2 January."""
    said: list[str] = []
    wanted = Telling(instance=None, after=None, level=level, as_json=as_json)
    tail = Tail(wanted, Output(), said.append, lambda: NOON)
    for each in news:
        await tail.take([each])
    return capfd.readouterr().out.splitlines(), said


# --- what is told --------------------------------------------------------------------------------


async def test_an_event_is_a_line_with_the_time_of_day(capfd: pytest.CaptureFixture[str]) -> None:
    """Reckoned from the last pulse; by this machine's clock, as the lines of ``run``."""
    lines, said = await told(Opened(), pulse(1010.0), happened("a", "WARNING"), capfd=capfd)

    local = datetime.fromtimestamp(NOON - 10).astimezone()
    assert lines == [f"{local:%Y-%m-%d %H:%M:%S}.000 WARNING  it a"]
    assert said == []


async def test_as_json_it_is_the_wire_form_with_the_time_and_the_position(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """In UTC, as in every file of events."""
    lines, _ = await told(Opened(), pulse(1010.0), happened("a"), capfd=capfd, as_json=True)

    (line,) = map(json.loads, lines)
    assert line["time"] == "2026-01-02T11:59:50.000+00:00"
    assert line["position"] == "run-2"
    assert line["instance_id"] == "a"


@pytest.mark.parametrize(
    ("level", "names"), [("DEBUG", "dix"), ("INFO", "ix"), ("WARNING", "x"), ("ERROR", "x")]
)
async def test_the_level_is_the_least_that_is_told(
    level: str, names: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """One that only a later version knows is always told."""
    some = [happened("d", "DEBUG"), happened("i", "INFO"), happened("x", "OF A LATER VERSION")]
    lines, _ = await told(*some, capfd=capfd, level=level)

    assert "".join(line[-1] for line in lines) == names


async def test_losses_gaps_and_goodbyes_are_said_apart(capfd: pytest.CaptureFixture[str]) -> None:
    """On standard error, so that the lines are events and nothing else."""
    gaps = (Gap(None, "new"), Gap(5, "slow"))
    news = (Opened(), Bye("it stops"), lost("gone", 3.0), Opened(), *gaps)
    lines, said = await told(*news, capfd=capfd)

    assert lines == []
    assert said == [
        "goodbye: it stops",
        "lost: gone; again in 3 s",
        "following again",
        "gap: events may be missing: new",
        "gap: 5 events are missing: slow",
    ]


async def test_as_json_a_gap_is_a_line_too(capfd: pytest.CaptureFixture[str]) -> None:
    """A program that reads them has to know."""
    lines, _ = await told(Gap(1, "slow"), capfd=capfd, as_json=True)

    assert list(map(json.loads, lines)) == [{"gap": {"missed": 1, "why": "slow"}}]


async def test_what_the_other_side_says_steers_no_terminal(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Not even where it is no endpoint of ours."""
    data: dict[str, Any] = {"level": "\x1b[2J", "line": "\x1b[31m\n", "at": "never"}
    news = (Happened("", data), Bye("\x1b"), Gap(1, "\r"))
    lines, said = await told(*news, capfd=capfd)

    assert len(lines) == 1
    assert "".join([*lines, *said]).isprintable()


async def test_a_stream_that_was_never_open_is_a_failure(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A wrong address would else be tried for ever."""
    with pytest.raises(NotAnswered, match="refused"):
        await told(lost("refused"), capfd=capfd)


# --- the commands --------------------------------------------------------------------------------


def events_of(out: str) -> Sequence[dict[str, Any]]:
    """Return the events that were printed as JSON."""
    return [json.loads(line) for line in out.splitlines()]


async def test_events_follows_from_the_start_until_interrupted() -> None:
    """Of one instance, where one is named."""
    async with site() as here:
        await here.start("a")
        await here.start("b")
        arguments = ("events", here.url, "--after", "start", "--instance", "b", "--json")
        async with command(*arguments) as running, running.heard():
            await running.wait_printed(b"instance.connected")
            here.runtime.instance("a").pause()
            here.runtime.instance("b").pause()
            await running.wait_printed(b"instance.paused")
            running.process.send_signal(signal.SIGINT)

    assert running.process.returncode == AskedCode.INTERRUPTED
    assert running.err == b""
    found = events_of(running.out.decode())
    assert {event["instance_id"] for event in found} == {"b"}
    assert all(event["schema"] == 1 for event in found)


async def test_events_goes_on_from_a_position() -> None:
    """With the next event."""
    async with site() as here:
        await here.start("a")
        from_start = ("events", here.url, "--after", "start", "--json")
        async with command(*from_start) as first, first.heard():
            await first.wait_printed(b"instance.connected")
            first.process.send_signal(signal.SIGTERM)
        one, other, *_ = events_of(first.out.decode())
        from_one = ("events", here.url, "--after", str(one["position"]), "--json")
        async with command(*from_one) as second, second.heard():
            await second.wait_printed(b"instance.connected")
            second.process.send_signal(signal.SIGINT)

    assert events_of(second.out.decode())[0]["position"] == other["position"]


async def test_events_says_of_a_process_that_ends_and_of_the_next_one() -> None:
    """Goodbye, losses, and the gap; and it goes on."""
    async with site() as here:
        port = int(here.url.rpartition(":")[2])
        await here.start("old")
        arguments = ("--after", "start", "--level", "INFO")
        async with command("events", here.url, *arguments) as running, running.heard():
            await running.wait_printed(b"instance.connected old")
            here.stop()
            await running.wait_said(b"goodbye: ")
            await running.wait_said(b"cannot be reached (Connection refused)")
            async with site(port) as again:
                await again.start("new")
                await running.wait_printed(b"instance.connected new")
            running.process.send_signal(signal.SIGINT)

    assert b"following again\n" in running.err
    assert b"gap: events may be missing: these events are of another run" in running.err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--instance", "nobody"), "there is no instance 'nobody'"),
        (("--after", "yesterday"), "'yesterday' is no id of an event: ids look like "),
    ],
)
async def test_what_there_is_not_is_the_users_mistake(
    arguments: tuple[str, ...], complaint: str
) -> None:
    """In the endpoint's words."""
    async with site() as here:
        code, out, err = await call("events", here.url, *arguments)

    assert (code, out) == (AskedCode.REFUSED, "")
    assert complaint in err


@pytest.mark.parametrize("command_line", ["events {} --after start", "tree {}", "tree {} --json"])
async def test_a_reader_that_has_seen_enough_ends_it_in_peace(command_line: str) -> None:
    """As ``head`` does; without a word."""
    async with site() as here:
        for number in range(300):
            await here.start(f"bot-{number}")
        words = f"{sys.executable} -W error -m trio_instances {command_line.format(here.url)}"
        done = await trio.run_process(
            ["/bin/bash", "-c", f"{words} | head -n 1; exit ${{PIPESTATUS[0]}}"],
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            cwd=FOLDER,
        )

    assert (done.returncode, done.stderr) == (AskedCode.WELL, b"")
    assert done.stdout.count(b"\n") == 1


async def test_a_reader_that_takes_nothing_does_not_hold_up_an_interrupt() -> None:
    """As a pager does, at which nobody turns the page."""
    async with site() as here:
        for number in range(300):
            await here.start(f"bot-{number}")
        async with command("events", here.url, "--after", "start", "--json") as running:
            assert running.process.stdout is not None
            assert await running.process.stdout.receive_some(1)
            await trio.sleep(1)  # the pipe fills up, and the next write waits
            running.process.send_signal(signal.SIGINT)
            code = await running.process.wait()

    assert code == AskedCode.INTERRUPTED


async def test_a_full_disk_is_no_reader_that_has_gone() -> None:
    """It has a code and a line of its own."""
    async with site() as here:
        words = f"{sys.executable} -m trio_instances tree {here.url} > /dev/full"
        done = await trio.run_process(["/bin/sh", "-c", words], capture_stderr=True, check=False)

    assert done.returncode == AskedCode.OUTPUT
    assert done.stderr == b"trio-instances: standard output: No space left on device\n"


async def test_tree_prints_the_live_tree() -> None:
    """Every child with where it waits; or of one instance alone."""
    async with site() as here:
        await here.start("a")
        await here.start("b")
        await here.runtime.instance("b").wait_status("connected")
        code, out, err = await call("tree", here.url)
        _, one, _ = await call("tree", here.url, "--instance", "b")
        _, as_json, _ = await call("tree", here.url, "--json", "--instance", "b")

    assert (code, err) == (AskedCode.WELL, "")
    assert out.startswith("runtime  one_for_one, ")
    assert "├─ a  running #1" in out
    assert "reader  running #1" in one
    assert "─ a " not in one
    tree = json.loads(as_json)
    assert [child["name"] for child in tree["children"]] == ["b"]


async def test_tree_fits_a_terminal_without_unicode() -> None:
    """What it cannot show is escaped, and nothing fails."""
    async with site() as here:
        await here.start("a")
        code, out, _ = await call("tree", here.url, PYTHONIOENCODING="ascii")

    assert code == AskedCode.WELL
    assert out.isascii()


async def test_without_httpx_the_extra_is_named() -> None:
    """And nothing is imported that needs it."""
    code = (
        "import sys; sys.modules['httpx'] = None\n"
        "from trio_instances._cli import main\n"
        "main(['tree', 'http://127.0.0.1:9'])"
    )
    done = await trio.run_process(
        [sys.executable, "-c", code], capture_stderr=True, check=False, cwd=FOLDER
    )

    assert done.returncode == AskedCode.REFUSED
    assert b"pip install 'trio-instances[http]'" in done.stderr
    assert b"Traceback" not in done.stderr
