"""Draws the tables of the page about causes from the rule sets.

``python docs/draw_causes.py`` rewrites the page; a test says when that is due.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from trio_instances.policy.causes import ERRORS, HTTP, PLATFORMS, RFC_6455, Rule, RuleSet

PAGE = Path(__file__).parent / "causes.md"
TABLES = {rules.name: rules for rules in (RFC_6455, HTTP, ERRORS, *PLATFORMS.values())}

_PLACE = re.compile(r"<!-- drawn: (\w+) -->\n.*?<!-- end -->\n", re.DOTALL)
_ADDRESS = re.compile(r"(?P<text>.+): (?P<address>https://\S+)")


def drawn(page: str) -> str:
    """Return the text of the page with every table drawn anew."""
    return _PLACE.sub(
        lambda place: f"<!-- drawn: {place[1]} -->\n\n{_table(TABLES[place[1]])}\n<!-- end -->\n",
        page,
    )


def _table(rules: RuleSet) -> str:
    sources = list(dict.fromkeys(rule.source for rule in rules.rules))
    lines = ["| seen | meaning | class | hints | who must act | source |", "| --- " * 6 + "|"]
    lines += [f"| {' | '.join(_cells(rule, sources))} |" for rule in rules.rules]
    lines += ["", *(f"{number}. {_link(source)}" for number, source in enumerate(sources, 1))]
    return "".join(f"{line}\n" for line in lines)


def _cells(rule: Rule, sources: list[str]) -> Iterator[str]:
    cause = rule.cause
    yield f"{rule.kind} `{_key(rule)}`"
    named = cause.reason.replace("{}", str(rule.key))
    yield cause.detail or f"`{named}`"
    yield str(cause.failure_class)
    yield ", ".join(_hints(rule))
    yield "" if cause.who_must_act == "nobody" else str(cause.who_must_act)
    yield str(sources.index(rule.source) + 1)


def _key(rule: Rule) -> str:
    if isinstance(rule.key, range):
        return f"{rule.key[0]} to {rule.key[-1]}"

    return str(rule.key)


def _hints(rule: Rule) -> Iterator[str]:
    cause = rule.cause
    if cause.planned:
        yield "planned"
    if cause.resumable:
        yield "resumable"
    if cause.retry_after is not None:
        yield f"wait {cause.retry_after:g} s" if cause.retry_after else "at once"
    if cause.lost and rule.kind == "error":
        yield "lost"


def _link(source: str) -> str:
    found = _ADDRESS.fullmatch(source)
    return f"[{found['text']}]({found['address']})" if found else f"`{source}`"


if __name__ == "__main__":
    PAGE.write_text(drawn(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
