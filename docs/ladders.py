"""Draws what leads from one state to another as a ladder: a column a state, a rung an arrow.

No text crosses a line, whatever the table, so nobody needs to lay it out by hand. The picture has
no background, and its colours stand out from a light page and from a dark one.
"""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby
from xml.sax.saxutils import escape

INK, ACCENT = "#7a7a7a", "#3b82c4"
FONT = 'font-family="system-ui, sans-serif" font-size="12"'
LETTER = 6.6
"""Pixels of a letter, on average and a little more."""
LINE, BOX, GAP = 13, 26, 12
"""Heights, in pixels: of a line of text, of a state's box, and between the arrows of two states."""

Arrows = Mapping[tuple[str, str], Collection[str]]
"""By the states before and after, the words for what leads from one to the other."""


def ladder(
    title: str, states: Sequence[str], arrows: Arrows, *, first: str, column: int = 92
) -> str:
    """Return the picture as SVG.

    Args:
        title: What it shows.
        states: In the order of the columns.
        arrows: What leads from one to another.
        first: Where it begins.
        column: Width of a column, in pixels.
    """
    middle = {state: column * place + column // 2 for place, state in enumerate(states)}
    rungs: list[str] = []
    y = BOX
    for _, group in groupby(sorted(arrows, key=lambda pair: states.index(pair[0])), lambda p: p[0]):
        y += GAP
        for before, after in group:
            text = ", ".join(arrows[before, after])
            lines = textwrap.wrap(text, int((column - 12) / LETTER), break_long_words=False)
            y += LINE * len(lines) + 5
            name = escape(f"{before} → {after}: {text}")
            rungs += [f"<g><title>{name}</title>", *_rung(middle[before], middle[after], y, lines)]
            rungs.append("</g>")
    leaving = {before for before, _ in arrows}
    width, height = column * len(states), y + GAP
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {size} {FONT}>',
        f"<title>{escape(title)}</title>",
    ]
    for state, x in middle.items():
        drawn += _column(state, x, column, height, last=state not in leaving)
    drawn.append(f'<circle cx="{middle[first]}" cy="{BOX + 6}" r="4" fill="{ACCENT}"/>')
    return "".join(f"{line}\n" for line in [*drawn, *rungs, "</svg>"])


def _column(state: str, x: int, width: int, height: int, *, last: bool) -> Iterator[str]:
    """Draw a state's box and its line; one without a way out has a double box."""
    yield (
        f'<path d="M{x} {BOX}V{height}" stroke="{INK}" stroke-width="1"'
        ' stroke-dasharray="2 4" fill="none"/>'
    )
    for inset in (1, 4) if last else (1,):
        yield (
            f'<rect x="{x - width // 2 + 2 + inset}" y="{inset}" width="{width - 4 - 2 * inset}"'
            f' height="{BOX - 2 * inset}" rx="5" fill="none" stroke="{ACCENT}"/>'
        )
    yield (
        f'<text x="{x}" y="{BOX - 9}" text-anchor="middle" font-weight="bold"'
        f' fill="{INK}">{escape(state)}</text>'
    )


def _rung(begin: int, end: int, y: int, lines: Sequence[str]) -> Iterator[str]:
    """Draw an arrow, its words above it and next to where it begins."""
    way = 1 if end > begin else -1
    anchor = "start" if way > 0 else "end"
    for number, line in enumerate(reversed(lines)):
        yield (
            f'<text x="{begin + 7 * way}" y="{y - 4 - LINE * number}" text-anchor="{anchor}"'
            f' fill="{INK}">{escape(line)}</text>'
        )
    yield f'<circle cx="{begin}" cy="{y}" r="2.5" fill="{INK}"/>'
    yield (
        f'<path d="M{begin} {y}H{end}M{end - 6 * way} {y - 4}L{end} {y}L{end - 6 * way} {y + 4}"'
        f' stroke="{INK}" stroke-width="1.5" fill="none"/>'
    )
