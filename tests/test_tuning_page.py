"""What the page about tuning says of its fleets is what the tool says of them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from attrs import frozen
from click.testing import CliRunner

from trio_instances._cli import main

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
