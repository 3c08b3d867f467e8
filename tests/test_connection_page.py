"""What the page about the connection promises: it is drawn from the machine that decides."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from trio_instances.policy.connection import TABLE
from trio_instances.policy.signals import Phase, SignalKind

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "connection.md").read_text(encoding="utf-8")
DRAWING: dict[str, Any] = runpy.run_path(str(DOCS / "draw_connection.py"))
ARROW = re.compile(r"<title>(\w+) → (\w+): (.+)</title>")
PICTURE = (DOCS / "pictures" / "connection.svg").read_text(encoding="utf-8")

SILENT = {
    SignalKind.DATA,  # proves a connection only together with its time
    SignalKind.DRAIN,
    SignalKind.OVERDUE,
    SignalKind.CREDENTIALS,
    SignalKind.HANDOVER,
    SignalKind.RESUME,
    SignalKind.RECONNECT,
}
"""What changes the phase in some rows of the table only."""


def test_the_page_is_drawn_from_the_table() -> None:
    """A rule that was changed is changed on the page: run ``python docs/draw_connection.py``."""
    assert DRAWING["drawn"](PAGE) == PAGE
    assert DRAWING["picture"]() == PICTURE
    assert "](pictures/connection.svg)" in PAGE


def test_a_page_that_is_behind_is_noticed() -> None:
    """What stands in a drawing's place is replaced, and nothing beside it."""
    behind = "before\n<!-- drawn: verbs -->\nold\n<!-- end -->\nafter\n"
    drawn = DRAWING["drawn"](behind)

    assert drawn.startswith("before\n<!-- drawn: verbs -->\n\n| phase |")
    assert drawn.endswith("|\n\n<!-- end -->\nafter\n")
    assert "old" not in drawn
    assert DRAWING["drawn"](drawn) == drawn


@pytest.mark.parametrize("phase", list(Phase))
def test_every_rule_of_the_table_is_an_arrow(phase: Phase) -> None:
    """A phase that was added is shown, and so is a signal that leads somewhere from it."""
    said = " ".join(words for before, _, words in ARROW.findall(PICTURE) if before == phase)
    words = set(re.findall(r"\w+", said))

    assert {kind for kind in TABLE[phase] if kind not in SILENT} <= words
    assert bool(words) is bool(TABLE[phase])
    assert f"| `{phase}` | " in PAGE


def test_the_arrows_are_those_that_the_tests_of_the_table_know() -> None:
    """A few of them, found by reading: the drawing is not made by what it is to show alone."""
    arrows = {(before, after): words for before, after, words in ARROW.findall(PICTURE)}

    assert arrows["connecting", "connected"] == "opened"
    assert arrows["connected", "proven"] == "stable, data"
    assert arrows["proven", "waiting"] == "lost"
    assert arrows["proven", "connected"] == "successor opened"
    assert ("connecting", "proven") not in arrows
    assert ("failed", "connecting") not in arrows
    assert "lost in a handover" in arrows["proven", "connecting"]
