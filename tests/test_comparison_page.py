"""What the page that compares promises: each claim has somebody who says so, or a test."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "comparison.md").read_text(encoding="utf-8")
CITED = re.compile(r"`([\w/]+\.py)::(test_\w+)`")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith(("| | ", "| ---", "| here"))
]
FEATURES = [row for row in ROWS if len(row) == 7]
CONNECTIONS = [row for row in ROWS if len(row) == 2]

UNCITED = {"no such thing"}
"""What needs nobody's word: Ctrl-C is an exception in Python only."""


@pytest.mark.parametrize("path", sorted({path for path, _ in CITED.findall(PAGE)}))
def test_each_test_that_the_page_cites_exists(path: str) -> None:
    """A test that was renamed is renamed on the page."""
    tree = ast.parse((TESTS / path).read_text(encoding="utf-8"))
    there = {
        node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }

    assert {name for where, name in CITED.findall(PAGE) if where == path} - there == set()


def test_each_claim_about_this_library_is_tested() -> None:
    """A row names its proof by a letter, or itself."""
    assert FEATURES
    assert CONNECTIONS

    letters = [letter for row in FEATURES for letter in re.findall(r"\((\w)\)", row[1])]
    proofs = re.findall(r"^- (\w): `", PAGE, re.MULTILINE)

    assert len(letters) == len(FEATURES)
    assert letters == proofs == sorted(proofs)
    assert [row for row in CONNECTIONS if not CITED.search(row[1])] == []


def test_each_claim_about_a_peer_says_who_says_so() -> None:
    """Four peers a row, each with a source; what a loop by hand does, its writer knows."""
    claims = [cell for row in FEATURES for cell in row[2:6]]

    assert [cell for cell in claims if not re.search(r"\[\d\]", cell) and cell not in UNCITED] == []


def test_each_source_is_there_and_is_used() -> None:
    """No number leads nowhere, and no address is there for nothing."""
    text, _, sources = PAGE.partition("## Who says so\n")
    listed = re.findall(r"^(\d)\. \[.*\]\(https://", sources, re.MULTILINE)

    assert sorted(set(re.findall(r"\[(\d)\](?!\()", text))) == listed
