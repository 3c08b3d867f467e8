"""What the page about causes promises: its tables are those of the rule sets, each of them."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from trio_instances.policy.causes import ERRORS, HTTP, PLATFORMS, RFC_6455
from trio_instances.policy.failures import WhoMustAct

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "causes.md").read_text(encoding="utf-8")
DRAWING: dict[str, Any] = runpy.run_path(str(DOCS / "draw_causes.py"))
SETS = [RFC_6455, HTTP, ERRORS, *PLATFORMS.values()]


def test_the_tables_are_drawn_from_the_rule_sets() -> None:
    """A rule that was changed is changed on the page: run ``python docs/draw_causes.py``."""
    assert DRAWING["drawn"](PAGE) == PAGE


def test_a_page_that_is_behind_is_noticed() -> None:
    """What stands in a table's place is replaced, and nothing beside it."""
    behind = "before\n<!-- drawn: pusher -->\nold\n<!-- end -->\nafter\n"
    drawn = DRAWING["drawn"](behind)

    assert drawn.startswith("before\n<!-- drawn: pusher -->\n\n| seen |")
    assert drawn.endswith("\n<!-- end -->\nafter\n")
    assert "old" not in drawn
    assert DRAWING["drawn"](drawn) == drawn


@pytest.mark.parametrize("rules", SETS, ids=lambda rules: rules.name)
def test_every_rule_set_is_on_the_page_once(rules: Any) -> None:
    """A platform that was added is shown."""
    assert PAGE.count(f"<!-- drawn: {rules.name} -->") == 1


def test_every_rule_has_a_row() -> None:
    """The tables have as many rows as the sets have rules."""
    rows = re.findall(r"^\| (?:close|status|word|error) `", PAGE, re.MULTILINE)

    assert len(rows) == sum(len(rules.rules) for rules in SETS)


@pytest.mark.parametrize("who", WhoMustAct)
def test_everyone_who_may_have_to_act_is_told_when(who: str) -> None:
    """The set of those is closed, and the page has them all."""
    assert f"\n| `{who}` | " in PAGE


@pytest.mark.parametrize("word", sorted(PLATFORMS))
def test_the_page_names_every_word_for_a_configuration_file(word: str) -> None:
    """What a file may say is found without trying."""
    assert f"`{word}`" in PAGE
