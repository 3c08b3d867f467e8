"""What the page about the operations endpoint says: every path, verb, error and number there is."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import trio_instances
from trio_instances.http import serve_operations
from trio_instances.http.application import make_application
from trio_instances.http.verbs import VERBS

PACKAGE = Path(trio_instances.__file__).parent
DOCS = PACKAGE.parent / "docs"
TEXT = (DOCS / "operations.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table under a heading."""
    part = TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("| ")][2:]
    return [[cell.strip(" `") for cell in line.strip("|").split(" | ")] for line in lines]


def test_every_path_is_on_the_page_and_no_other() -> None:
    """In whatever order."""
    routes = set(re.findall(r'Route\(\s*"([^"]+)"', inspect.getsource(make_application)))
    told = {row[0].split(" ")[1].partition("?")[0] for row in rows("Paths")}
    assert {path.replace("{id}", "{instance_id}") for path in told} == routes


def test_every_verb_is_on_the_page_in_its_order() -> None:
    """With what it does."""
    assert tuple(row[0] for row in rows("Verbs")) == VERBS


def test_every_error_is_on_the_page_with_its_status() -> None:
    """Those that the code has, and no other."""
    source = "\n".join(file.read_text() for file in (PACKAGE / "http").glob("*.py"))
    found = set(re.findall(r'Refusal\(\s*(\d+|exc\.status_code),\s*"(\w+)"', source))
    errors = {("404" if status.startswith("exc") else status, word) for status, word in found}
    assert {(row[0], row[1]) for row in rows("Errors")} == errors | {("503", "busy")}


def test_the_numbers_on_the_page_are_the_defaults() -> None:
    """Of `serve_operations`."""
    default = {
        name: each.default for name, each in inspect.signature(serve_operations).parameters.items()
    }
    assert f"The last {default['replay']:,} are kept" in TEXT
    assert f"at most {default['max_readers']} at a time" in TEXT
    assert f"`stop_timeout`, {default['stop_timeout']:g} seconds" in TEXT
    assert f"http://{default['host']}:{default['port']}/" in TEXT


def test_the_probes_for_kubernetes_ask_what_is_there() -> None:
    """Its paths are the endpoint's, and its port is the one that the command line is given."""
    deploying = (DOCS / "deploying.md").read_text(encoding="utf-8")
    assert set(re.findall(r"httpGet: {path: ([^,]+),", deploying)) == {"/livez", "/readyz"}
    [port] = re.findall(r'"--http", "0\.0\.0\.0:(\d+)"', deploying)
    assert f"containerPort: {port}" in deploying
