"""Draws a child's states and an instance's status on their pages from the machines' tables.

``python docs/draw_machines.py`` rewrites page and picture; a test says when that is due.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ladders import ladder

from trio_instances.policy import restart, status

DOCS = Path(__file__).parent
PAGE = DOCS / "instances.md"
PICTURE = DOCS / "pictures" / "child.svg"

_PLACE = re.compile(r"<!-- drawn: status -->\n.*?<!-- end -->\n", re.DOTALL)


def drawn(page: str) -> str:
    """Return the text of the page with its table drawn anew."""
    lines = table(status.TRANSITIONS, list(status.Change))
    return _PLACE.sub(f"<!-- drawn: status -->\n\n{lines}\n<!-- end -->\n", page)


def picture() -> str:
    """Return the states of a child as SVG, without its removal, which each of them allows."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for before, moves in restart.TRANSITIONS.items():
        assert not moves or restart.Move.REMOVE in moves
        for move, after in moves.items():
            if move != restart.Move.REMOVE:
                arrows.setdefault((before, after), []).append(move)
    first, removed = restart.ChildState.STARTING, restart.ChildState.REMOVED
    states = [state for state in restart.ChildState if state is not removed]
    return ladder("The states of a child", states, arrows, first=first, column=110)


Table = Mapping[Any, Mapping[Any, Any]]
"""What leads from each state to which other."""


def table(transitions: Table, moves: Sequence[str]) -> str:
    """Return a table as a table, where a diagram would have more arrows than anyone can follow."""
    lines = [f"| | {' | '.join(moves)} |", "| --- " * (len(moves) + 1) + "|"]
    for before, leads in transitions.items():
        cells = [f"`{leads[move]}`" if move in leads else "" for move in moves]
        lines.append(f"| `{before}` | {' | '.join(cells)} |")
    return "".join(f"{line}\n" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(drawn(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    PICTURE.write_text(picture(), encoding="utf-8")
