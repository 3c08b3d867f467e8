"""What the page about the operations page promises: its pictures are those that are drawn."""

from __future__ import annotations

import re
import runpy
import struct
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "page.md").read_text(encoding="utf-8")
DRAWING: dict[str, Any] = runpy.run_path(str(DOCS / "draw_page.py"))
RUNBOOKS = [path.stem for path in (DOCS / "runbooks").glob("*.md") if path.stem != "index"]


def test_every_picture_has_its_scene() -> None:
    """A picture that no scene draws would never be drawn anew; one that is not drawn is missed."""
    assert {path.stem for path in (DOCS / "pictures").glob("*.png")} == set(DRAWING["SCENES"])


def test_the_page_shows_pictures_that_exist() -> None:
    """No link leads nowhere."""
    shown = re.findall(r"\]\((pictures/\S+)\)", PAGE)

    assert shown
    assert all((DOCS / path).exists() for path in shown)


@pytest.mark.parametrize("runbook", RUNBOOKS)
def test_every_runbook_has_a_picture(runbook: str) -> None:
    """What an operator reads about, they can compare with what they see."""
    assert (DOCS / "pictures" / f"{runbook}.png").exists()


@pytest.mark.parametrize("path", sorted((DOCS / "pictures").glob("*.png")), ids=lambda p: p.stem)
def test_pictures_are_small(path: Path) -> None:
    """They are kept with the source for ever."""
    data = path.read_bytes()
    width, height = struct.unpack(">II", data[16:24])

    assert len(data) < 200_000
    assert width <= 1280
    assert height <= 1000
