"""What the pages on supervision and instances promise: their diagrams are the machines' tables."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from trio_instances.policy.restart import ChildState
from trio_instances.policy.status import InstanceStatus

DOCS = Path(__file__).parent.parent / "docs"
DRAWING: dict[str, Any] = runpy.run_path(str(DOCS / "draw_machines.py"))
ARROW = re.compile(r"^    (\w+) --> (\w+): (.+)$", re.MULTILINE)


@pytest.mark.parametrize("page", DRAWING["PAGES"], ids=lambda page: page.name)
def test_a_page_is_drawn_from_the_tables(page: Path) -> None:
    """A rule that was changed is changed on the page: run ``python docs/draw_machines.py``."""
    text = page.read_text(encoding="utf-8")

    assert "<!-- drawn: " in text
    assert DRAWING["drawn"](text) == text


def test_a_page_that_is_behind_is_noticed() -> None:
    """What stands in a drawing's place is replaced, and nothing beside it."""
    behind = "before\n<!-- drawn: child -->\nold\n<!-- end -->\nafter\n"
    drawn = DRAWING["drawn"](behind)

    assert drawn.startswith("before\n<!-- drawn: child -->\n\n```mermaid\nstateDiagram-v2\n")
    assert drawn.endswith("\n```\n\n<!-- end -->\nafter\n")
    assert "old" not in drawn
    assert DRAWING["drawn"](drawn) == drawn


def test_the_drawings_are_those_of_the_machines() -> None:
    """A few arrows and cells, found by reading, and every state."""
    pages = "".join(page.read_text(encoding="utf-8") for page in DRAWING["PAGES"])
    arrows = {(before, after): words for before, after, words in ARROW.findall(pages)}

    assert arrows["starting", "running"] == "ready"
    assert arrows["parked", "starting"] == "start"
    assert ("parked", "running") not in arrows
    assert {place for arrow in arrows for place in arrow} == {*ChildState} - {"removed"}
    assert "| `failed` | `starting` |  |  |  |  |  |  | `stopping` |  |\n" in pages
    assert all(f"\n| `{status}` | " in pages for status in InstanceStatus)
