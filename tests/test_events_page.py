"""What is published of the events: the page and the JSON Schema are drawn from their classes."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import attrs
import jsonschema
import pytest

import trio_instances
from trio_instances import telemetry
from trio_instances.policy.failures import Cause, FailureClass
from trio_instances.policy.health import HealthSnapshot
from trio_instances.telemetry.schema import UNITS

DOCS = Path(__file__).parent.parent / "docs"
DRAWING: dict[str, Any] = runpy.run_path(str(DOCS / "draw_events.py"))
SCHEMA = telemetry.json_schema()
CATALOGUE = telemetry.catalogue()
CAUSE = Cause(FailureClass.RECOVERABLE, "close_1006", "gone", "ConnectionClosed", 2.5)
PARKED = telemetry.ChildParked(at=1.0, path="a/b", child="b", incarnation=1, cause=CAUSE)


@pytest.mark.parametrize("path", DRAWING["drawn"](), ids=lambda path: path.name)
def test_what_is_published_is_drawn_from_the_classes(path: Path) -> None:
    """A field that was changed is changed there: run ``python docs/draw_events.py``."""
    assert DRAWING["drawn"]()[path] == path.read_text(encoding="utf-8")


def test_the_schema_is_a_part_of_the_package() -> None:
    """It stands beside the code, is read from there, and says its version."""
    file = Path(trio_instances.__file__).parent / "telemetry" / "schema.json"

    assert json.loads(file.read_text(encoding="utf-8")) == SCHEMA
    assert SCHEMA["$id"] == f"urn:trio-instances:telemetry:{telemetry.SCHEMA_VERSION}"


def test_the_schema_is_one() -> None:
    """It follows the draft that it names."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)

    assert SCHEMA["$schema"] == jsonschema.Draft202012Validator.META_SCHEMA["$schema"]


def test_the_schema_has_every_event() -> None:
    """Each by its wire name, and no other."""
    assert [ref["$ref"].removeprefix("#/$defs/") for ref in SCHEMA["oneOf"]] == sorted(CATALOGUE)


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_event_and_each_of_its_fields_is_documented(name: str) -> None:
    """In the schema, and so on the page."""
    drawn = SCHEMA["$defs"][name]
    undocumented = [
        field
        for field, said in drawn["properties"].items()
        if field not in ("event", "schema") and not said.get("description")
    ]

    assert drawn["description"]
    assert undocumented == []


def fractions(cls: Any) -> list[str]:
    """Return the fields of a class that hold fractions."""
    fields = attrs.fields(attrs.resolve_types(cls))
    return [field.name for field in fields if field.type in (float, float | None)]


PARTS = [HealthSnapshot, *filter(attrs.has, dict.fromkeys(DRAWING["parts_of"](HealthSnapshot)))]


@pytest.mark.parametrize(
    "cls", [*CATALOGUE.values(), *PARTS], ids=lambda cls: getattr(cls, "name", "") or cls.__name__
)
def test_every_fraction_has_a_unit(cls: type) -> None:
    """Add the field's name to ``telemetry.schema.UNITS``; a name has one unit everywhere."""
    assert [name for name in fractions(cls) if name not in UNITS] == []


def test_no_unit_is_left_over() -> None:
    """A unit is that of some field."""
    assert set(UNITS) == {name for cls in (*CATALOGUE.values(), *PARTS) for name in fractions(cls)}


def test_the_page_has_every_event_with_its_fields() -> None:
    """One heading for each, and a row for each field of its own."""
    page = (DOCS / "events.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))

    assert set(CATALOGUE) <= set(sections)
    assert "| `delay` | number | s | Seconds until then. |" in sections["child.restarting"]
    assert "`telemetry.ChildRestarting`" in sections["child.restarting"]
    assert "| `path`" not in sections["child.restarting"]
    assert {"Cause", "FailureClass", "WhoMustAct"} <= set(sections)


# --- what the schema takes and refuses -----------------------------------------------------------


def errors_of(data: object) -> list[str]:
    """Return what the schema says against some data."""
    return [error.message for error in jsonschema.Draft202012Validator(SCHEMA).iter_errors(data)]


def changed(**fields: object) -> dict[str, Any]:
    """Return a right event with some fields changed."""
    return {**telemetry.event_to_dict(PARKED), **fields}


@pytest.mark.parametrize(
    "data",
    [
        changed(),
        changed(unknown="a newer writer's"),
        changed(at="inf"),
        changed(at="-inf"),
        changed(at="nan"),
        changed(at=3),
        changed(generation=7),
    ],
)
def test_the_schema_takes_what_the_reader_takes(data: dict[str, Any]) -> None:
    """Fields that a newer writer adds, and numbers that JSON has not."""
    assert telemetry.event_from_dict(data).name == "child.parked"
    assert errors_of(data) == []


@pytest.mark.parametrize(
    "data",
    [
        changed(at="soon"),
        changed(at=None),
        changed(incarnation=1.5),
        changed(schema=2),
        changed(event="child.exploded"),
        changed(cause=None),
        changed(cause={}),
        changed(cause={"failure_class": "bad", "reason": "x"}),
        {key: value for key, value in changed().items() if key != "path"},
        {},
        [],
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(data: Any) -> None:
    """What is missing, and what is of another type."""
    with pytest.raises(trio_instances.InvalidSpec):
        telemetry.event_from_dict(data)
    assert errors_of(data)
