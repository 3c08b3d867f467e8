"""What the documentation site promises: it is built without a warning, and nothing is left out."""

from __future__ import annotations

import importlib.util
import pkgutil
import re
import runpy
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import trio_instances

DOCS = Path(__file__).parent.parent / "docs"
FRONT = (
    runpy.run_path(str(DOCS / "_ext" / "front_page.py"))
    if importlib.util.find_spec("sphinx")
    else {}
)
DEADLINE = 300.0
ELSEWHERE = re.compile(
    r'<(?:script|img|iframe|link)\b[^>]*"(?:https?:)?//[^"]*"'
    r"|<script\b[^>]*>(?:(?!</script>).)*https?://",
    re.DOTALL,
)
"""What a page loads from another host, by a tag or in a script of its own."""

needs_sphinx = pytest.mark.skipif(not FRONT, reason="needs the extra docs")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site, with warnings as errors."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", DOCS, folder],
        check=False,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return folder


def public_names() -> list[str]:
    """Return every public name with the module that it is imported from."""
    names = []
    for found in pkgutil.walk_packages(trio_instances.__path__, "trio_instances."):
        if "._" not in found.name:
            module = import_module(found.name)
            names += [f"{found.name}.{name}" for name in getattr(module, "__all__", ())]
    return [f"trio_instances.{name}" for name in trio_instances.__all__] + names


@needs_sphinx
@pytest.mark.timeout(DEADLINE)
def test_the_site_has_every_public_name_and_every_page(site: Path) -> None:
    """It is built without a warning; each name is in the reference, and each page is there."""
    reference = "".join(
        page.read_text(encoding="utf-8") for page in (site / "reference").glob("*.html")
    )
    pages = [page.relative_to(DOCS).with_suffix(".html") for page in DOCS.rglob("*.md")]

    assert [name for name in public_names() if f'id="{name}"' not in reference] == []
    assert [page for page in pages if not (site / page).is_file()] == []


@needs_sphinx
@pytest.mark.timeout(DEADLINE)
def test_the_reference_tells_of_fields_what_the_source_does(site: Path) -> None:
    """The text below a field is found, although the class says that it lives elsewhere."""
    page = (site / "reference" / "trio_instances.html").read_text(encoding="utf-8")
    field = page.partition('id="trio_instances.ReconnectPolicy.hint_floor"')[2]

    assert "Seconds that pass at least before an attempt" in field.partition("</dl>")[0]


@needs_sphinx
@pytest.mark.timeout(DEADLINE)
def test_the_site_needs_no_other_host(site: Path) -> None:
    """It is whole without a network: no script, no style and no picture comes from elsewhere."""
    loading = {
        (page.relative_to(site), match[0])
        for page in site.rglob("*.html")
        for match in ELSEWHERE.finditer(page.read_text(encoding="utf-8"))
    }

    assert loading == set()


@needs_sphinx
def test_the_front_page_is_the_table_of_contents() -> None:
    """Its headings are the parts; a page is in the first one that names it, and none is lost."""
    front = (
        "# A\n\n## One\n\n[B](b.md) [E](d/e.md#f)\n\n## Two\n\n[C](c.rst) [B](b.md) [gone](g.md)\n"
    )
    drawn: str = FRONT["contents"](front, {"index", "b", "c", "d/e", "x", "r/index", "r/y"})
    found = re.findall(r":caption: (\w+)\n\n((?:[\w/]+\n)+)", drawn)

    assert found == [("One", "b\nd/e\n"), ("Two", "c\n"), ("More", "r/index\nx\n")]


@needs_sphinx
def test_the_index_of_a_folder_lists_its_pages() -> None:
    """First what it links to, in that order, and then the rest; nothing of another folder."""
    drawn: str = FRONT["contents_of_folder"](
        "r", "[Z](z.md) [Other](../b.md)", {"index", "b", "r/index", "r/y", "r/z"}
    )

    assert drawn.endswith("\n/r/z\n/r/y\n```\n")
