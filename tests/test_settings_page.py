"""What the page about the settings file promises: it is drawn from what reads the file."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from trio_instances import InvalidSpec
from trio_instances._runtime.config import Config, load_config

DOCS = Path(__file__).parent.parent / "docs"
DRAWING: dict[str, Any] = runpy.run_path(str(DOCS / "draw_settings.py"))
PAGE = (DOCS / "settings.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(\w+)` \| (.+?) \| (.+?) \| (.*?) \| (.+) \|$", re.MULTILINE)

TIME = re.compile(r"Seconds|Delay|Length of the sliding window, in seconds|\.\.\. at most")

MINIMAL = '[[instances]]\nid = "a"\nurl = "wss://localhost"\n'
TABLES = {"`[runtime]`": "[runtime]\n", "`[run]`": "[run]\n", "`[budgets]`": "[budgets.a]\n"}
PLACES = {
    "backoff": "reconnect.backoff",
    "breaker": "breaker",
    "init": "init",
    "intensity": "intensity",
    "pressure": "pressure",
    "probe": "probe",
    "reconnect": "reconnect",
    "stalls": "stalls",
    "tls": "tls",
    "close_causes and status_causes": "close_causes.4900",
}
"""Where a table within a table may stand."""
OF_RUN, OF_BUDGETS = {"init", "stalls"}, {"breaker"}


def rows(section: str) -> list[tuple[str, str, str]]:
    """Return key, type and default of each row of a section."""
    text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return [(key, kind, default) for key, kind, default, _, _ in ROW.findall(text)]


def sections() -> list[str]:
    """Return the headings of the page."""
    return re.findall(r"^## (.+)$", PAGE, re.MULTILINE)


def read(folder: Path, text: str) -> Config:
    """Read a file of this text."""
    file = folder / "settings.toml"
    file.write_text(text, encoding="utf-8")
    return load_config(file, environ={})


def written(section: str, lines: str) -> str:
    """Return a right file in which these lines stand in a section's table."""
    if section in TABLES:
        return TABLES[section] + lines + MINIMAL
    if section == "`[[instances]]`":
        return MINIMAL + lines

    place = PLACES[section]
    if place in OF_RUN:
        return f"[run.{place}]\n{lines}{MINIMAL}"
    if place in OF_BUDGETS:
        return f"[budgets.a.{place}]\n{lines}{MINIMAL}"
    return f"{MINIMAL}[instances.{place}]\n{lines}"


def said(config: Config) -> Any:
    """Return all that a file says as something that can be compared."""
    return config.settings, config.run, [each.policy for each in config.budgets], config.instances


def test_the_page_is_drawn_from_what_reads_the_file() -> None:
    """A key that was changed is changed on the page: run ``python docs/draw_settings.py``."""
    assert DRAWING["drawn"](PAGE) == PAGE


def test_every_section_is_a_table_that_can_be_written() -> None:
    """None escapes the tests below."""
    assert set(sections()) == {*TABLES, "`[[instances]]`", *PLACES}
    assert all(rows(section) for section in sections())


@pytest.mark.parametrize("section", sections())
def test_a_section_lists_every_key_that_its_table_takes(section: str, tmp_path: Path) -> None:
    """The reader, asked for a key that there is not, names those that it knows."""
    with pytest.raises(InvalidSpec) as caught:
        read(tmp_path, written(section, "zzzzzzzz = 1\n"))
    (known,) = (
        each.expected.partition("known are ")[2].split(", ")
        for each in caught.value.mistakes
        if each.place.endswith("zzzzzzzz")
    )

    assert sorted(key for key, _, _ in rows(section)) == known


@pytest.mark.parametrize("section", sections())
def test_the_defaults_of_a_section_can_be_written_and_change_nothing(
    section: str, tmp_path: Path
) -> None:
    """What the page calls the default is what a file without the key means."""
    lines = "".join(
        f"{key} = {default.strip('`')}\n" for key, _, default in rows(section) if "`" in default
    ).replace("reason = close_CODE` or `http_CODE", 'reason = "close_4900"')
    needed = 'failure_class = "fatal"\n' if "causes" in section else ""
    bare = read(tmp_path, written(section, needed))

    assert said(read(tmp_path, written(section, needed + lines))) == said(bare)


ABSENT = [
    (section, key, kind)
    for section in sections()
    for key, kind, default in rows(section)
    if default == "none" or kind.endswith(", or `false`")
]


@pytest.mark.parametrize(("section", "key", "kind"), ABSENT)
def test_a_key_may_be_false_where_the_page_says_so(
    section: str, key: str, kind: str, tmp_path: Path
) -> None:
    """And is refused elsewhere."""
    text = written(section, f"{key} = false\n")
    if kind.endswith(", or `false`"):
        read(tmp_path, text)
        return

    with pytest.raises(InvalidSpec) as caught:
        read(tmp_path, text)
    assert [each for each in caught.value.mistakes if each.place.endswith(key)]


def test_a_table_changes_the_default_of_its_place(tmp_path: Path) -> None:
    """The page's own example: what it leaves out is what the default has there."""
    text = f"{MINIMAL}reconnect = {{ slow = {{ cap = 600 }} }}\n"
    (spec,) = read(tmp_path, text).instances

    assert "`slow = { cap = 600 }` begins with 60 s as before" in PAGE
    assert (spec.reconnect.slow.initial, spec.reconnect.slow.cap) == (60, 600)


def test_every_fraction_that_is_no_time_has_a_unit() -> None:
    """What is called a second is said to be one, and no unit is left over."""
    row = r"^\| `(\w+)` \| number[^|]* \| [^|]+ \| (\S+) \| (.+) \|$"
    fractions = re.findall(row, PAGE, re.MULTILINE)
    other = [key for key, unit, text in fractions if unit == "s" and not TIME.match(text)]

    assert {key for key, unit, _ in fractions if unit != "s"} == set(DRAWING["UNITS"])
    assert other == []
