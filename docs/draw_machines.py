"""Draws a child's states and an instance's status on their pages from the machines' tables.

``python docs/draw_machines.py`` rewrites the pages; a test says when that is due.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trio_instances.policy import restart, status

DOCS = Path(__file__).parent
PAGES = (DOCS / "instances.md", DOCS / "supervision.md")

_PLACE = re.compile(r"<!-- drawn: (\w+) -->\n.*?<!-- end -->\n", re.DOTALL)


def drawn(page: str) -> str:
    """Return the text of a page with its diagrams drawn anew."""
    pictures = {
        "child": diagram(restart.TRANSITIONS, restart.ChildState.STARTING, restart.Move.REMOVE),
        "status": table(status.TRANSITIONS, list(status.Change)),
    }
    return _PLACE.sub(
        lambda place: f"<!-- drawn: {place[1]} -->\n\n{pictures[place[1]]}\n<!-- end -->\n", page
    )


Table = Mapping[Any, Mapping[Any, Any]]
"""What leads from each state to which other."""


def diagram(transitions: Table, first: str, everywhere: str) -> str:
    """Return a table as a diagram of its states, which is good for a few.

    Args:
        transitions: The table.
        first: Where it begins.
        everywhere: What can happen in every state that there is, and so is left out.
    """
    arrows: dict[tuple[str, str], list[str]] = {}
    for before, moves in transitions.items():
        assert not moves or everywhere in moves
        for move, after in moves.items():
            if move != everywhere:
                arrows.setdefault((before, after), []).append(move)
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {first}"]
    lines += [
        f"    {before} --> {after}: {', '.join(by)}" for (before, after), by in arrows.items()
    ]
    return "".join(f"{line}\n" for line in [*lines, "```"])


def table(transitions: Table, moves: Sequence[str]) -> str:
    """Return a table as a table, where a diagram would have more arrows than anyone can follow."""
    lines = [f"| | {' | '.join(moves)} |", "| --- " * (len(moves) + 1) + "|"]
    for before, leads in transitions.items():
        cells = [f"`{leads[move]}`" if move in leads else "" for move in moves]
        lines.append(f"| `{before}` | {' | '.join(cells)} |")
    return "".join(f"{line}\n" for line in lines)


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(drawn(path.read_text(encoding="utf-8")), encoding="utf-8")
