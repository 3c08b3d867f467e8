"""What the tour of the house promises: the rooms that it leads through are there."""

from __future__ import annotations

import re
from pathlib import Path

import trio_instances

PACKAGE = Path(trio_instances.__file__).parent
PAGE = (PACKAGE.parent / "docs" / "design.md").read_text(encoding="utf-8")


def test_each_file_that_the_tour_names_exists() -> None:
    """A file that was renamed is renamed in the tour."""
    named = re.findall(r"`(\w+/\w+\.py)`", PAGE)

    assert named
    assert [name for name in named if not (PACKAGE / name).is_file()] == []


def test_each_room_of_the_package_is_on_the_map() -> None:
    """A folder that was added is shown, and one that is gone is not."""
    rooms = set(re.findall(r"^  (\w+)(?:/|\.py) ", PAGE, re.MULTILINE))
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}

    assert rooms == folders | {"abc"}
