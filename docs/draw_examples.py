"""Shows the programs of ``examples/`` on the pages that explain them.

``python docs/draw_examples.py`` rewrites the pages; a test says when that is due.
"""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parent
EXAMPLES = DOCS.parent / "examples"
PAGES = tuple(sorted((DOCS / "how-to").glob("*.md")))

_PLACE = re.compile(r"<!-- drawn: (\w+) -->\n.*?<!-- end -->\n", re.DOTALL)


def drawn(page: str) -> str:
    """Return the text of a page with the programs as they are now."""
    return _PLACE.sub(
        lambda place: f"<!-- drawn: {place[1]} -->\n\n{_block(place[1])}\n<!-- end -->\n", page
    )


def _block(name: str) -> str:
    text = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
    return f"```python\n{text}```\n"


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(drawn(path.read_text(encoding="utf-8")), encoding="utf-8")
