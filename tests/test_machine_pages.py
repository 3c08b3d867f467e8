"""What the pages on supervision and instances promise: their diagrams are the machines' tables."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

from trio_instances.policy.restart import ChildState
from trio_instances.policy.status import InstanceStatus

DOCS = Path(__file__).parent.parent / "docs"
DRAWING: dict[str, Any] = runpy.run_path(str(DOCS / "draw_machines.py"))
ARROW = re.compile(r"<title>(\w+) → (\w+): (.+)</title>")
PAGE = DRAWING["PAGE"].read_text(encoding="utf-8")
PICTURE = DRAWING["PICTURE"].read_text(encoding="utf-8")


def test_page_and_picture_are_drawn_from_the_tables() -> None:
    """A rule that was changed is changed there: run ``python docs/draw_machines.py``."""
    assert "<!-- drawn: status -->" in PAGE
    assert DRAWING["drawn"](PAGE) == PAGE
    assert DRAWING["picture"]() == PICTURE
    assert "](pictures/child.svg)" in (DOCS / "supervision.md").read_text(encoding="utf-8")


def test_a_page_that_is_behind_is_noticed() -> None:
    """What stands in a drawing's place is replaced, and nothing beside it."""
    behind = "before\n<!-- drawn: status -->\nold\n<!-- end -->\nafter\n"
    drawn = DRAWING["drawn"](behind)

    assert drawn.startswith("before\n<!-- drawn: status -->\n\n| | ")
    assert drawn.endswith("|\n\n<!-- end -->\nafter\n")
    assert "old" not in drawn
    assert DRAWING["drawn"](drawn) == drawn


def test_the_drawings_are_those_of_the_machines() -> None:
    """A few arrows and cells, found by reading, and every state."""
    arrows = {(before, after): words for before, after, words in ARROW.findall(PICTURE)}

    assert arrows["starting", "running"] == "ready"
    assert arrows["parked", "starting"] == "start"
    assert ("parked", "running") not in arrows
    assert {place for arrow in arrows for place in arrow} == {*ChildState} - {"removed"}
    assert "| `failed` | `starting` |  |  |  |  |  |  | `stopping` |  |\n" in PAGE
    assert all(f"\n| `{status}` | " in PAGE for status in InstanceStatus)
