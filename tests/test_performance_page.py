"""What the page about performance promises: its tables are what was measured."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

from benchmarks.__main__ import WORKLOADS

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "performance.md").read_text(encoding="utf-8")
DRAWING: dict[str, Any] = runpy.run_path(str(DOCS / "draw_performance.py"))


def test_the_page_is_drawn_from_the_measurement() -> None:
    """Nobody types a number: run ``python docs/draw_performance.py``."""
    assert DRAWING["drawn"](PAGE) == PAGE


def test_the_page_shows_every_workload() -> None:
    """Also those that we lose."""
    assert set(re.findall(r"<!-- drawn: (\w+) -->", PAGE)) == {"machine", "targets", *WORKLOADS}


def test_every_picture_of_the_page_is_there() -> None:
    """They are made by the same command as the numbers."""
    pictures = re.findall(r"!\[\w+\]\(([^)]+)\)", PAGE)

    assert len(pictures) == len(WORKLOADS)
    assert [each for each in pictures if not (DOCS / each).is_file()] == []
