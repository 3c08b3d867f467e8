"""What the pages that explain an example promise: they show it as it is."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parent.parent / "docs"
DRAWING: dict[str, Any] = runpy.run_path(str(DOCS / "draw_examples.py"))


@pytest.mark.parametrize("page", DRAWING["PAGES"], ids=lambda page: page.stem)
def test_a_page_shows_the_program_as_it_is(page: Path) -> None:
    """A program that was changed is changed on its page: run ``python docs/draw_examples.py``."""
    text = page.read_text(encoding="utf-8")

    assert DRAWING["drawn"](text) == text


def test_a_page_that_is_behind_is_noticed() -> None:
    """What stands in a program's place is replaced, and nothing beside it."""
    drawn = DRAWING["drawn"]("before\n<!-- drawn: lines -->\nold\n<!-- end -->\nafter\n")

    assert drawn.startswith('before\n<!-- drawn: lines -->\n\n```python\n"""Lines of text')
    assert drawn.endswith("\n```\n\n<!-- end -->\nafter\n")
    assert "old" not in drawn


def test_every_example_is_explained_on_a_page() -> None:
    """A program that nobody explains is found by nobody."""
    programs = [
        path.stem
        for path in DRAWING["EXAMPLES"].glob("*.py")
        if "trio.run(" in path.read_text(encoding="utf-8")
    ]
    pages = "".join(page.read_text(encoding="utf-8") for page in DRAWING["PAGES"])

    assert [name for name in programs if f"<!-- drawn: {name} -->" not in pages] == []
