"""What the page about tuning says: its numbers are the code's, and its fleets the tool's."""

from __future__ import annotations

import inspect
import math
import re
import shlex
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from attrs import frozen
from click.testing import CliRunner

import trio_instances
from trio_instances import Backoff, RestartIntensity, channels, http, telemetry
from trio_instances._cli import main
from trio_instances._instance.probe_schedule import BATCH
from trio_instances._instance.thread_probe import PROBE_THREADS
from trio_instances._instance.watching import DRAIN_INTERVAL
from trio_instances._runtime.services import SERVICES
from trio_instances._supervision.stopping import STUCK_AFTER
from trio_instances.channels import websocket
from trio_instances.http.connections import STALL
from trio_instances.policy.sleep import LOOK_EVERY, SLEPT
from trio_instances.telemetry.sinks.feed import MAX_BATCH, MAX_HOLD

PAGE = Path(__file__).parent.parent / "docs" / "tuning.md"
FLEET = re.compile(
    r"^<!-- fleet-(?P<count>\d+) -->\n```toml\n(?P<file>.*?)^```\n"
    r".*?^```text\n\$ trio-instances (?P<command>[^\n]*)\n(?P<output>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@frozen
class Fleet:
    """One fleet of the page."""

    count: int
    """How many instances it has; the page shows the first one."""
    file: str
    command: str
    output: str

    def __str__(self) -> str:
        return f"{self.count} instances"

    def whole(self) -> str:
        """Return the file with all its instances."""
        above, mark, first = self.file.partition("[[instances]]\n")
        assert '-1"' in first
        numbers = range(1, self.count + 1)
        return above + "".join(mark + first.replace('-1"', f'-{number}"') for number in numbers)


FLEETS = [
    Fleet(int(match["count"]), match["file"], match["command"], match["output"])
    for match in FLEET.finditer(PAGE.read_text(encoding="utf-8"))
]


def test_the_page_has_three_fleets() -> None:
    """None escapes the test below by the way it is written."""
    assert len(FLEETS) == PAGE.read_text(encoding="utf-8").count("$ trio-instances plan ") == 3


@pytest.mark.parametrize("fleet", FLEETS, ids=str)
def test_a_plan_on_the_page_is_what_the_tool_prints(fleet: Fleet, tmp_path: Path) -> None:
    """To the letter, but for spaces at the ends of lines."""
    command, name, *options = shlex.split(fleet.command)
    file = tmp_path / name
    file.write_text(fleet.whole(), encoding="utf-8")
    result = CliRunner().invoke(main, [command, str(file), *options])

    assert result.exit_code == 0
    assert [line.rstrip() for line in result.stdout.splitlines()] == fleet.output.splitlines()


# --- defaults ------------------------------------------------------------------------------------

ROW = re.compile(r"^\| (?P<what>[^|]+) \| (?P<number>[^|]+) \| (?P<rest>.+) \|$", re.MULTILINE)
TABLE, _, FIXED = (
    PAGE.read_text(encoding="utf-8")
    .partition("\n## Restart intensities\n")[0]
    .partition("\n## What cannot be changed\n")
)
UNITS = {"%": 0.01, "h": 3600.0, "days": 86_400.0, "MiB": 2.0**20}
NUMBER = re.compile(rf"(\d[\d,]*(?:\.\d+)?)(?: ({'|'.join(UNITS)})\b|(?: (%)))?")
NOT_FOR_NUMBERS = (Enum, BaseException, telemetry.Event)
NOT_SET_BY_ANYONE = {"BudgetHealth", "HealthSnapshot", "Listening", "SinkFeed"}
"""Classes of whose objects the library makes all."""
CONSTANTS: Mapping[str, list[object]] = {
    "restarts of the runtime's own services": [SERVICES],
    "a child that was cancelled": [STUCK_AFTER],
    "a sleep of the machine": [SLEPT, LOOK_EVERY],
    "threads for all": [PROBE_THREADS, 1],
    "two looks at which probes": [BATCH],
    "two looks at the queues": [DRAIN_INTERVAL],
    "a send that fails": [websocket._LAST_WORDS],  # noqa: SLF001 - the page tells of it
    "reading stands still": [websocket._BUSY],  # noqa: SLF001 - the page tells of it
    "events of one write": [MAX_BATCH],
    "a sink lets nothing else run": [MAX_HOLD],
    "a reader of the operations endpoint": [STALL],
}
"""How a row of what cannot be changed begins, and what it is about."""


def numbers_in(cell: str) -> list[float]:
    """Return the numbers that a cell shows, each once, in the code's units."""
    shown = [
        float(number.replace(",", "")) * UNITS.get(unit or percent, 1.0)
        for number, unit, percent in NUMBER.findall(cell)
    ]
    return list(dict.fromkeys(shown))


def numbers_of(value: object) -> Iterator[float]:
    """Yield the numbers of a default; what is off, or never, has none."""
    match value:
        case Backoff():
            yield from (value.initial, value.cap)
        case RestartIntensity():
            yield from (value.max_restarts, value.period)
        case bool() | None:
            pass
        case int() | float() if value != math.inf:
            yield value


def names_in(cell: str) -> list[tuple[str, str]]:
    """Return what a cell names, each as an owner and one of its parameters."""
    owner, found = "", []
    for name in re.findall(r"`([^`]+)`", cell):
        *before, last = re.split(r"[.(]", name.removesuffix("=)"))
        owner = ".".join(before) or owner
        found.append((owner, last))
    return found


def default_of(owner: str, parameter: str) -> object:
    """Return the default of a parameter, or of a field, of something public."""
    thing: Any = trio_instances
    for name in owner.split("."):
        thing = getattr(thing, name, None) or getattr(channels, name)
    return inspect.signature(thing).parameters[parameter].default


def public_numbers() -> Iterator[tuple[str, str]]:
    """Yield every parameter of something public whose default is a number."""
    for module, prefix in (
        (trio_instances, ""),
        (channels, ""),
        (telemetry, "telemetry."),
        (http, "http."),
    ):
        for name, thing in named(module):
            for within, function in ((name, thing), *methods(name, thing)):
                for each in inspect.signature(function).parameters.values():
                    if any(True for _ in numbers_of(each.default)):
                        yield prefix + within, each.name


def named(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Yield each function that is public in a module, and each class that users make objects of."""
    for name in module.__all__:
        thing = getattr(module, name)
        told_of = isinstance(thing, type) and not issubclass(thing, NOT_FOR_NUMBERS)
        if (told_of or inspect.isfunction(thing)) and name not in NOT_SET_BY_ANYONE:
            yield name, thing


def methods(name: str, thing: Any) -> list[tuple[str, Any]]:
    """Return the public methods of a class, and of anything else none."""
    if not isinstance(thing, type):
        return []

    found = inspect.getmembers(thing, inspect.isfunction)
    return [(f"{name}.{each}", method) for each, method in found if not each.startswith("_")]


ROWS = [(row["what"], row["number"]) for row in ROW.finditer(TABLE) if "`" in row["what"]]


@pytest.mark.parametrize(("what", "cell"), ROWS, ids=[what for what, _ in ROWS])
def test_a_default_on_the_page_is_that_of_the_code(what: str, cell: str) -> None:
    """Whoever changes one finds the row that tells where it comes from."""
    code = [number for name in names_in(what) for number in numbers_of(default_of(*name))]

    assert numbers_in(cell) == pytest.approx(list(dict.fromkeys(code)))


def test_every_number_that_can_be_set_is_on_the_page() -> None:
    """A new one has a row, with where it comes from and when to change it."""
    told = {name for what, _ in ROWS for name in names_in(what)}

    assert [name for name in public_numbers() if name not in told] == []


@pytest.mark.parametrize("what", CONSTANTS)
def test_a_number_that_cannot_be_changed_is_that_of_the_code(what: str) -> None:
    """The same for those that nobody can set."""
    (cell,) = (row["number"] for row in ROW.finditer(FIXED) if row["what"].startswith(what))

    assert numbers_in(cell) == [n for value in CONSTANTS[what] for n in numbers_of(value)]


def test_every_row_of_what_cannot_be_changed_is_compared() -> None:
    """None escapes the test above."""
    assert len(ROW.findall(FIXED)) - len(["the head", "the line below"]) == len(CONSTANTS)
