"""Draws the schema of what is told, as a page and as JSON Schema, from the classes of the events.

``python docs/draw_events.py`` rewrites both; a test says when that is due.
"""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterator
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

import attrs

import trio_instances
from trio_instances import HealthSnapshot, telemetry
from trio_instances.telemetry.schema import UNITS

PACKAGE = Path(trio_instances.__file__).parent
PAGE = Path(__file__).parent / "events.md"
SCHEMA = PACKAGE / "telemetry" / "schema.json"

HEAD = f"""# Every event

This page and the JSON Schema in the package, `trio_instances/telemetry/schema.json`, are drawn from
the classes of the events, whose fields they list. `telemetry.json_schema()` returns the latter.

It is version **{telemetry.SCHEMA_VERSION}** of the schema, `telemetry.SCHEMA_VERSION`, which is
raised when a field changes its meaning or goes away. A new event or a new field does not raise it,
so a reader ignores what it does not know.

An event in its wire form is one flat JSON object: `event`, its name; `schema`, the version; and
the fields below. Times are seconds of `trio.current_time()`, which means nothing outside of the
process; a line of `JSONLinesSink` has the UTC time as well, in `time`. JSON has no infinity and no
NaN: where a number is one, it is written as the text `"inf"`, `"-inf"` or `"nan"`. Units are
written as UCUM does: `s` is a second, `1` a share.
"""


# --- what the source says of a class -------------------------------------------------------------


def _sources() -> dict[str, ast.ClassDef]:
    # Not all: an event and an error may share a name.
    places = ("telemetry/**/*.py", "policy/**/*.py", "_instance/spec.py", "_runtime/*settings.py")
    paths = [path for place in places for path in PACKAGE.glob(place)]
    nodes = [n for path in paths for n in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    return {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}


SOURCES = _sources()


def said_of_fields(cls: type) -> dict[str, str]:
    """Return the text below each field of a class, those of its bases included."""
    said: dict[str, str] = {}
    for name in [base.__name__ for base in reversed(cls.__mro__) if base.__name__ in SOURCES]:
        body = SOURCES[name].body
        for statement, below in pairwise(body):
            match statement, below:
                case (
                    ast.AnnAssign(target=ast.Name(field)),
                    ast.Expr(ast.Constant(str(text))),
                ):
                    said[field] = " ".join(text.split())

    return said


def said_of(cls: type) -> str:
    """Return the docstring of a class as Markdown."""
    return inspect.getdoc(cls) or ""


def fields_of(cls: type) -> list[attrs.Attribute[Any]]:
    """Return the fields of a class, their types resolved."""
    return list(attrs.fields(attrs.resolve_types(cls)))


# --- JSON Schema ---------------------------------------------------------------------------------


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the wire forms: of events, and in `$defs` of a snapshot."""
    version = telemetry.SCHEMA_VERSION
    head = {"schema": {"const": version}}
    catalogue = sorted(telemetry.catalogue().items())
    parts: dict[str, Any] = {}
    events = {
        name: _object(cls, parts, {"event": {"const": name}, **head}) for name, cls in catalogue
    }
    snapshot = _object(HealthSnapshot, parts, head)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:trio-instances:telemetry:{version}",
        "title": "An event of trio_instances",
        "description": "x-unit is the unit of a number, as UCUM writes it.",
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in events],
        "$defs": {**events, "HealthSnapshot": snapshot, **dict(sorted(parts.items()))},
    }


def _object(cls: type, parts: dict[str, Any], head: dict[str, Any]) -> dict[str, Any]:
    said = said_of_fields(cls)
    properties = dict(head)
    for field in fields_of(cls):
        properties[field.name] = {
            **_kind(field.type, parts),
            **({"x-unit": UNITS[field.name]} if field.name in UNITS else {}),
            **({"description": said[field.name]} if field.name in said else {}),
        }
    required = [field.name for field in fields_of(cls) if field.default is attrs.NOTHING]
    return {
        "title": cls.__name__,
        "description": said_of(cls),
        "type": "object",
        "properties": properties,
        "required": [*head, *required],
    }


def _kind(kind: Any, parts: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a type; what has a name of its own is put among the parts."""
    plain = {str: "string", int: "integer", bool: "boolean", NoneType: "null"}
    if kind in plain:
        return {"type": plain[kind]}
    if kind is float:
        parts["number"] = {"anyOf": [{"type": "number"}, {"enum": ["inf", "-inf", "nan"]}]}
        return {"$ref": "#/$defs/number"}
    if isinstance(kind, UnionType):
        return {"anyOf": [_kind(part, parts) for part in get_args(kind)]}
    if get_origin(kind) is tuple:
        return {"type": "array", "items": _kind(get_args(kind)[0], parts)}

    name = kind.__name__
    if name not in parts:
        parts[name] = (
            {"description": said_of(kind), "enum": [str(word) for word in kind]}
            if issubclass(kind, StrEnum)
            else _object(kind, parts, {})
        )
    return {"$ref": f"#/$defs/{name}"}


# --- the page ------------------------------------------------------------------------------------


def page() -> str:
    """Return the text of the page."""
    return "\n".join([HEAD, *_base(), *_events(), *_parts()])


def _base() -> Iterator[str]:
    yield "## What every event has\n"
    yield from _table(telemetry.Event, without=())
    yield "## What every event of a child has\n"
    yield from _table(telemetry.ChildEvent, without=_names(telemetry.Event))


def _events() -> Iterator[str]:
    for name, cls in sorted(telemetry.catalogue().items()):
        base = telemetry.ChildEvent if issubclass(cls, telemetry.ChildEvent) else telemetry.Event
        yield f"## {name}\n"
        yield f"`telemetry.{cls.__name__}`. {_markdown(said_of(cls))}\n"
        yield from _table(cls, without=_names(base))


def _parts() -> Iterator[str]:
    kinds = {k.__name__: k for cls in telemetry.catalogue().values() for k in parts_of(cls)}
    for name, kind in sorted(kinds.items()):
        yield f"## {name}\n"
        yield f"{_markdown(said_of(kind)).partition('Raises:')[0].rstrip()}\n"
        if attrs.has(kind):
            yield from _table(kind, without=())


def parts_of(cls: type) -> Iterator[type]:
    """Yield what has a name of its own among the types of a class's fields, and of theirs."""
    for field in fields_of(cls):
        kinds = [field.type, *get_args(field.type)]
        for kind in filter(_has_name, kinds):
            yield kind
            if attrs.has(kind):
                yield from parts_of(kind)


def _has_name(kind: Any) -> bool:
    return inspect.isclass(kind) and (attrs.has(kind) or issubclass(kind, StrEnum))


def _names(cls: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields_of(cls))


def _table(cls: type, *, without: tuple[str, ...]) -> Iterator[str]:
    said = said_of_fields(cls)
    fields = [field for field in fields_of(cls) if field.name not in without]
    if fields:
        yield "| field | type | unit | meaning |\n| --- | --- | --- | --- |"
        for field in fields:
            unit = UNITS.get(field.name, "")
            meaning = _markdown(said.get(field.name, ""))
            yield f"| `{field.name}` | {_in_words(field.type)} | {unit} | {meaning} |"
        yield ""


def _in_words(kind: Any) -> str:
    words = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    if kind is NoneType:
        return "null"
    if isinstance(kind, UnionType):
        return " or ".join(_in_words(part) for part in get_args(kind))
    if get_origin(kind) is tuple:
        return f"list of {_in_words(get_args(kind)[0])}s"
    if _has_name(kind):
        return f"[{kind.__name__}](#{kind.__name__.lower()})"

    return words[kind]


def _markdown(text: str) -> str:
    return text.replace("``", "`").replace("|", "\\|")


def drawn() -> dict[Path, str]:
    """Return the text of each file."""
    return {PAGE: page(), SCHEMA: json.dumps(schema(), indent=2) + "\n"}


if __name__ == "__main__":
    for path, text in drawn().items():
        path.write_text(text, encoding="utf-8")
