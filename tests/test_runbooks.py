"""The runbooks show what is seen of real runs, and send nobody to something that is not there."""

from __future__ import annotations

import re

import pytest
from draw_runbooks import FOLDER, drawn
from situations import SITUATIONS

PAGES = sorted(FOLDER.glob("*.md"))


def test_each_situation_has_its_page_and_each_page_its_row() -> None:
    """None is written and never found."""
    names = {page.stem for page in PAGES} - {"index"}
    assert names == set(SITUATIONS)
    rows = re.findall(r"\]\(([a-z-]+)\.md\)", (FOLDER / "index.md").read_text(encoding="utf-8"))
    assert sorted(rows) == sorted(names)


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_runbook_shows_what_its_situation_looks_like(name: str) -> None:
    """To the letter; what is measured in real time, but for its digits."""
    page = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    again = drawn(page, SITUATIONS[name])
    if name == "stalled-loop":
        page, again = (re.sub(r"\d+(\.\d+)?", "#", text) for text in (page, again))
    assert again == page, "run: python docs/draw_runbooks.py"
    assert "```text\n```" not in page
