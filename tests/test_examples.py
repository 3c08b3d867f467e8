"""The programs in ``examples/``: each is short, and does what it says in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "examples"
MAX_LINES = 79
DEADLINE = 30.0
"""Seconds for one program. Each ends by itself within two."""

SAYS = {
    "irc_bot": [
        "WARNING: instance.disconnected irc",
        "closing_link (recoverable): Closing Link: the server restarts",
        "2 connections",
        "['you said hello', 'you said again', '(quit: bye)']",
    ],
    "long_polling_bot": [
        "asked to wait: 1.0",  # the log of the same goes its own way, and may come later
        "must act: credentials",
        "['you said hello', 'you said again']",
    ],
    "webhook_listener": [
        "worker: hello",
        "WARNING: instance.disconnected bot",
        "webhook_moved (recoverable)",
        "worker: again",
        "registered: None",
    ],
    "websocket_feed": [
        "consumer: subscribed EURUSD",
        "log: connected, connection 1",
        "why: close_1006 (recoverable)",
        "log: connected, connection 2",
    ],
}
"""What each program says in a whole run, in this order."""


def start(name: str) -> subprocess.Popen[str]:
    """Start an example, as a reader would, but unbuffered and with warnings as errors."""
    return subprocess.Popen(
        [sys.executable, "-u", "-W", "error", FOLDER / f"{name}.py"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def left_to_say(texts: Sequence[str], said: str) -> list[str]:
    """Return what was not said, or not in this order."""
    place = 0
    for number, text in enumerate(texts):
        place = said.find(text, place)
        if place < 0:
            return list(texts[number:])
    return []


@pytest.mark.parametrize("name", SAYS)
def test_an_example_does_what_it_says_and_ends(name: str) -> None:
    """A whole run ends by itself, without an error or a warning, and tells its story in order."""
    with start(name) as program:
        said, complaints = program.communicate(timeout=DEADLINE)

    assert (program.returncode, complaints) == (0, "")
    assert left_to_say(SAYS[name], said) == []


@pytest.mark.parametrize(
    ("name", "after", "last"),
    [
        ("webhook_listener", "worker: hello", "worker: again"),
        ("websocket_feed", "consumer: subscribed EURUSD", "log: connected, connection 2"),
    ],
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_an_example_in_order(
    name: str, after: str, last: str, number: signal.Signals
) -> None:
    """Ctrl-C, or what a service manager sends, ends it midway, and it closes what it opened."""
    with start(name) as program:
        assert program.stdout is not None
        while after not in program.stdout.readline():
            pass
        program.send_signal(number)
        said, complaints = program.communicate(timeout=DEADLINE)

    assert (program.returncode, complaints) == (0, "")
    assert last not in said
    if name == "webhook_listener":
        assert "registered: None" in said  # it has told the service that it goes


def test_every_example_has_its_story_here() -> None:
    """No program of the folder goes untested; what is imported by one is run by it."""
    programs = {path.stem for path in FOLDER.glob("*.py") if "trio.run(" in path.read_text("utf-8")}

    assert programs == set(SAYS)


@pytest.mark.parametrize("name", SAYS)
def test_an_example_is_short(name: str) -> None:
    """A reader sees the whole of it at a glance."""
    lines = (FOLDER / f"{name}.py").read_text("utf-8").splitlines()

    assert len(lines) <= MAX_LINES
