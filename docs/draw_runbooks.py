"""Draws into the runbooks what is seen of each situation: it is played, and nothing is made up.

``python docs/draw_runbooks.py`` rewrites the pages; a test says when that is due.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from situations import SITUATIONS, Scene, Situation, play

FOLDER = Path(__file__).parent / "runbooks"
MOST = 12
"""Lines of events that are shown; of more, the first and the last."""

_PLACE = re.compile(r"<!-- drawn: (\w+) -->\n.*?<!-- end -->\n", re.DOTALL)
_PATH = re.compile(r"[^\s=]*/(?=\w+\.py:)")


def drawn(page: str, situation: Situation) -> str:
    """Return the text of a page with what is seen of its situation drawn anew."""
    scene = play(situation)
    texts = {"events": _events(situation, scene), "metrics": _metrics(situation, scene)}

    def text_of(place: re.Match[str]) -> str:
        lines = "\n".join(texts[place[1]])
        return f"<!-- drawn: {place[1]} -->\n\n```text\n{lines}\n```\n\n<!-- end -->\n"

    return _PLACE.sub(text_of, page)


def _events(situation: Situation, scene: Scene) -> list[str]:
    lines = []
    for who, line in scene.told:
        name = line.split()[1]
        mine = who == situation.about or (who is None and "." in name)
        if mine and name.startswith(tuple(situation.shown)):
            lines.append(_PATH.sub("", line))  # where a machine keeps its files says nothing
    return _shortened(list(_gathered(lines)))


def _gathered(lines: Iterable[str]) -> Iterator[str]:
    """Show one of several in a row that tell the same."""
    for name, alike in groupby(lines, key=lambda line: line.split()[1]):
        first, *more = alike
        yield first
        if len(more) == 1:
            yield more[0]
        elif more:
            yield f"          ... {len(more)} more of {name} ..."


def _shortened(lines: list[str]) -> list[str]:
    if len(lines) <= MOST:
        return lines

    half = MOST // 2
    left_out = f"          ... {len(lines) - MOST} more ..."
    return [*lines[:half], left_out, *lines[-half:]]


def _metrics(situation: Situation, scene: Scene) -> list[str]:
    return [
        _rounded(line)
        for line in scene.metrics
        if _is_about(line, situation) and not line.endswith(" 0.0")
    ]


def _is_about(line: str, situation: Situation) -> bool:
    name = re.split(r"[{ ]", line, maxsplit=1)[0].removeprefix("trio_instances_")
    whose = re.search(r'instance_id="([^"]*)"', line)
    return name in situation.measured and (whose is None or whose[1] == situation.about)


def _rounded(line: str) -> str:
    head, _, number = line.rpartition(" ")
    return f"{head} {float(number):.4g}"


def main() -> None:
    """Rewrite the pages."""
    for name, situation in SITUATIONS.items():
        page = FOLDER / f"{name}.md"
        text = page.read_text(encoding="utf-8")
        page.write_text(drawn(text, situation), encoding="utf-8")


if __name__ == "__main__":
    main()
