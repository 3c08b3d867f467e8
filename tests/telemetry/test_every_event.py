"""Laws that hold for every event of the catalogue, and for every health snapshot."""

from __future__ import annotations

import inspect
import json
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

import attrs
import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from loguru import logger

from trio_instances import telemetry
from trio_instances.policy.failures import Cause
from trio_instances.policy.health import HealthSnapshot

CLASSES = [pytest.param(cls, id=name) for name, cls in telemetry.catalogue().items()]
LEVELS = {"DEBUG", "INFO", "WARNING", "ERROR"}
BOUNDED: dict[tuple[type, str], st.SearchStrategy[Any]] = {
    (Cause, "reason"): st.text(min_size=1),
    (Cause, "retry_after"): st.none() | st.floats(0.0, allow_infinity=False),
}
"""The fields that take less than their type says."""


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Return a strategy for a field's type; a type that no event has yet is an error here."""
    if kind is float:
        # NaN is unequal to itself; it has a test of its own.
        return st.floats(allow_nan=False)
    if kind in (int, str, bool, NoneType):
        return st.from_type(kind)
    if inspect.isclass(kind) and issubclass(kind, StrEnum):
        return st.sampled_from(kind)
    if attrs.has(kind):
        return instances(kind)
    if isinstance(kind, UnionType):
        return st.one_of([values(part) for part in get_args(kind)])
    if get_origin(kind) is tuple:
        return st.lists(values(get_args(kind)[0]), max_size=3).map(tuple)

    raise NotImplementedError(kind)


def instances(cls: type) -> st.SearchStrategy[Any]:
    """Return a strategy for an attrs class, made from its fields."""
    fields = attrs.fields(attrs.resolve_types(cls))
    drawn = {f.name: BOUNDED.get((cls, f.name), values(f.type)) for f in fields}
    return st.builds(cls, **drawn)


EVENTS = st.sampled_from(list(telemetry.catalogue().values())).flatmap(instances)
SNAPSHOTS = instances(HealthSnapshot)
SNAPSHOT_VALIDATOR = jsonschema.Draft202012Validator(
    {"$defs": telemetry.json_schema()["$defs"], "$ref": "#/$defs/HealthSnapshot"}
)


@pytest.mark.parametrize("cls", CLASSES)
def test_an_event_survives_plain_data_and_json(cls: type[telemetry.Event]) -> None:
    """Each class comes back from both of its forms as it was."""

    @given(instances(cls))
    def law(event: telemetry.Event) -> None:
        assert telemetry.event_from_dict(telemetry.event_to_dict(event), strict=True) == event
        assert telemetry.from_json(telemetry.to_json(event), strict=True) == event

    law()


@given(SNAPSHOTS)
def test_a_snapshot_survives_plain_data_and_json(snapshot: HealthSnapshot) -> None:
    """A snapshot comes back from both of its forms as it was."""
    plain = telemetry.snapshot_to_dict(snapshot)
    text = telemetry.snapshot_to_json(snapshot)

    assert telemetry.snapshot_from_dict(plain, strict=True) == snapshot
    assert telemetry.snapshot_from_json(text, strict=True) == snapshot


@given(EVENTS)
def test_plain_data_is_what_json_has(event: telemetry.Event) -> None:
    """The wire form needs no translation into JSON: it is equal to what is read back."""
    plain = telemetry.event_to_dict(event)

    assert json.loads(json.dumps(plain, allow_nan=False)) == plain


@given(EVENTS)
def test_an_event_is_one_printable_line(event: telemetry.Event) -> None:
    """No text from elsewhere can break the line or steer a terminal."""
    line = telemetry.one_line(event)

    assert line.isprintable()
    assert line.startswith(event.name)


@given(EVENTS)
def test_an_event_has_a_level_that_loguru_knows(event: telemetry.Event) -> None:
    """Whatever an event says, it can be logged."""
    level = telemetry.level_of(event)

    assert level in LEVELS
    assert logger.level(level).name == level


@pytest.mark.parametrize("cls", CLASSES)
def test_no_field_has_a_name_that_the_wire_form_uses(cls: type[telemetry.Event]) -> None:
    """The wire form is flat, so its own fields and the time in a log need other names."""
    names = {field.name for field in attrs.fields(cls)}

    assert names.isdisjoint({"event", "schema", "time"})


@pytest.mark.parametrize("cls", CLASSES)
def test_every_event_is_exported(cls: type[telemetry.Event]) -> None:
    """Users refer to the events through the package."""
    assert cls.__name__ in telemetry.__all__
    assert getattr(telemetry, cls.__name__) is cls


def test_every_exported_name_is_there_once_and_in_order() -> None:
    """The list of names is right, sorted, and has none twice."""
    assert sorted(set(telemetry.__all__)) == sorted(telemetry.__all__)
    assert all(hasattr(telemetry, name) for name in telemetry.__all__)


@pytest.mark.parametrize("cls", CLASSES)
def test_an_event_is_as_the_schema_says(cls: type[telemetry.Event]) -> None:
    """The published schema takes whatever a writer can write of each class."""
    validator = jsonschema.Draft202012Validator(
        {**telemetry.json_schema(), "oneOf": [{"$ref": f"#/$defs/{cls.name}"}]}
    )

    @given(instances(cls))
    def law(event: telemetry.Event) -> None:
        validator.validate(json.loads(telemetry.to_json(event)))

    law()


@given(SNAPSHOTS)
def test_a_snapshot_is_as_the_schema_says(snapshot: HealthSnapshot) -> None:
    """The published schema has snapshots as well."""
    SNAPSHOT_VALIDATOR.validate(json.loads(telemetry.snapshot_to_json(snapshot)))
