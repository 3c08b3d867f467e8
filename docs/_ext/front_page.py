"""Makes the site's table of contents from the lists of the front page.

Pages are read where the repository is browsed as well, so they hold plain links. Each heading of
the front page is a part of the site, and what it links to are the pages of that part, in that
order; a page that it does not name comes last, under "More". What is in a folder with an index of
its own is listed there, in the same way.
"""

from __future__ import annotations

import posixpath
import re

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

FRONT = "index"
_HEADING = re.compile(r"^## (?P<title>.+)$", re.MULTILINE)
_LINK = re.compile(r"\]\((?P<page>[\w/-]+)\.(?:md|rst)[)#]")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Add the table of contents whenever a page that has one is read."""
    app.connect("source-read", _add_contents)
    return {"parallel_read_safe": True}


def _add_contents(app: Sphinx, docname: str, content: list[str]) -> None:
    pages = app.env.found_docs
    if docname == FRONT:
        content[0] += contents(content[0], pages)
    elif posixpath.basename(docname) == FRONT and app.env.doc2path(docname).suffix == ".md":
        content[0] += contents_of_folder(posixpath.dirname(docname), content[0], pages)


def contents(front: str, pages: set[str]) -> str:
    """Return the table of contents of the site, hidden on the page itself.

    Args:
        front: The text of the front page.
        pages: The names of all pages.
    """
    _, *parts = _HEADING.split(front)
    listed: dict[str, list[str]] = {}
    for title, text in zip(parts[::2], parts[1::2], strict=True):
        earlier = {page for part in listed.values() for page in part}
        linked = [page for page in dict.fromkeys(_LINK.findall(text)) if page in pages]
        listed[title] = [page for page in linked if page not in earlier]
    named = {FRONT, *(page for part in listed.values() for page in part)}
    listed["More"] = sorted(
        page for page in pages - named if _folder_with_index(page, pages) is None
    )
    return "".join(_toctree(part, f":caption: {title}\n") for title, part in listed.items() if part)


def contents_of_folder(folder: str, index: str, pages: set[str]) -> str:
    """Return the table of contents of a folder: what its index links to, and then the rest of it.

    Args:
        folder: Its name.
        index: The text of its index.
        pages: The names of all pages.
    """
    there = {page for page in pages if _folder_with_index(page, pages) == folder}
    linked = [f"{folder}/{page}" for page in dict.fromkeys(_LINK.findall(index))]
    order = [page for page in linked if page in there]
    return _toctree([f"/{page}" for page in [*order, *sorted(there.difference(order))]])


def _folder_with_index(page: str, pages: set[str]) -> str | None:
    folder, _, name = page.rpartition("/")
    return folder if folder and name != FRONT and f"{folder}/{FRONT}" in pages else None


def _toctree(pages: list[str], options: str = "") -> str:
    return f"\n```{{toctree}}\n:hidden:\n{options}\n" + "\n".join(pages) + "\n```\n"
