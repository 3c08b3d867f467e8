"""What the page about OTP promises: each behaviour is there once, and its test exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "otp.md").read_text(encoding="utf-8")

BEHAVIOURS = {
    "A": 15, "V": 21, "R": 6, "S": 12, "I": 14, "T": 19, "U": 15, "M": 19, "D": 18, "N": 8, "H": 6,
    "K": 10,
}  # fmt: skip
"""How many behaviours there are by the letter of their ids."""

IDS = [f"{letter}{number + 1}" for letter, count in BEHAVIOURS.items() for number in range(count)]
CITED = re.compile(r"`([\w/]+\.py)::(test_\w+)`")
LEADING_IDS = re.compile(r"[A-Z]\d+(?:, [A-Z]\d+)*\b")
ROW = re.compile(
    r"^\| (?P<ids>[A-Z]\d+(?:, [A-Z]\d+)*) \| [^|]+ \| (?P<here>[^|]+) \| (?P<proof>[^|]+) \|$"
)
ROWS = [
    (row["ids"].split(", "), row["here"], row["proof"])
    for row in map(ROW.match, PAGE.splitlines())
    if row is not None
]


def docstrings_in(path: Path) -> dict[str, str]:
    """Return the docstring of each test of a file, by its name."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [
        node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return {
        function.name: ast.get_docstring(function) or ""
        for function in functions
        if function.name.startswith("test_")
    }


def ids_of(docstring: str) -> list[str]:
    """Return the ids that a docstring begins with."""
    found = LEADING_IDS.match(docstring)
    return found[0].split(", ") if found else []


def test_each_behaviour_has_one_row() -> None:
    """None is left out, none is there twice, and none is made up."""
    assert sorted(each for ids, _, _ in ROWS for each in ids) == sorted(IDS)


@pytest.mark.parametrize("path", sorted({path for path, _ in CITED.findall(PAGE)}))
def test_each_test_that_the_page_cites_exists(path: str) -> None:
    """A test that was renamed is renamed on the page."""
    cited = {name for where, name in CITED.findall(PAGE) if where == path}

    assert cited - set(docstrings_in(TESTS / path)) == set()


def test_a_behaviour_that_has_no_place_has_a_dash_for_a_test_and_no_other_has() -> None:
    """The page either proves what it says, or says why there is nothing to prove."""
    wrong = [ids for ids, here, proof in ROWS if here.startswith("No place: ") != (proof == "-")]

    assert wrong == []


def test_the_tests_that_are_cited_for_a_behaviour_name_it() -> None:
    """Among them at least one has its id at the beginning of its docstring."""
    files = {path: docstrings_in(TESTS / path) for path, _ in CITED.findall(PAGE)}
    silent = []
    for ids, _, proof in ROWS:
        cited = CITED.findall(proof)
        named = {each for path, name in cited for each in ids_of(files[path].get(name, ""))}
        silent += [each for each in ids if cited and each not in named]

    assert silent == []


def test_the_tests_of_supervision_name_no_behaviour_that_the_page_does_not_have() -> None:
    """An id that was mistyped is found, and so is one of something else."""
    unknown = [
        f"{path.name}::{name}: {each}"
        for path in sorted((TESTS / "supervision").glob("test_*.py"))
        for name, docstring in docstrings_in(path).items()
        for each in ids_of(docstring)
        if each not in IDS
    ]

    assert unknown == []
