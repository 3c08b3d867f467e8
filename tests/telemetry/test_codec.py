"""What the codec refuses, and how it says so."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from attrs import frozen

from trio_instances import telemetry
from trio_instances._exceptions import InvalidSpec
from trio_instances.policy.failures import Cause, FailureClass
from trio_instances.policy.health import HealthSnapshot
from trio_instances.policy.status import InstanceStatus

CAUSE = Cause(FailureClass.RECOVERABLE, "timeout")
EVENT = telemetry.ChildRestarting(
    at=1.5, path="a/b", child="b", incarnation=2, cause=CAUSE, delay=0.25, restarts=1
)
SNAPSHOT = HealthSnapshot(
    instance_id="bot",
    name="bot",
    channel_type="memory",
    at=1.0,
    status=InstanceStatus.CONNECTED,
    since=0.5,
    connected=True,
    proven=False,
    generation=1,
    uptime=1.0,
)


def changed(**fields: object) -> dict[str, Any]:
    """Return the wire form of an event with some fields changed."""
    return {**telemetry.event_to_dict(EVENT), **fields}


def mistakes_of(data: Any, *, strict: bool = False) -> dict[str, str]:
    """Return what is wrong with a wire form, by field."""
    with pytest.raises(InvalidSpec) as caught:
        telemetry.event_from_dict(data, strict=strict)

    return {mistake.place: mistake.expected for mistake in caught.value.mistakes}


def test_the_wire_form_is_flat_and_says_what_it_is() -> None:
    """An event's name and schema version come first, and its fields stand beside them."""
    assert list(telemetry.event_to_dict(EVENT)) == [
        "event", "schema", "at", "instance_id", "channel_type", "path", "child", "incarnation",
        "generation", "cause", "delay", "restarts",
    ]  # fmt: skip
    assert telemetry.event_to_dict(EVENT)["event"] == "child.restarting"
    assert telemetry.event_to_dict(EVENT)["schema"] == telemetry.SCHEMA_VERSION


@pytest.mark.parametrize(
    ("number", "text"), [(math.inf, "inf"), (-math.inf, "-inf"), (math.nan, "nan")]
)
def test_a_number_that_json_does_not_have_is_a_text(number: float, text: str) -> None:
    """Infinity and NaN travel as texts and come back as numbers."""
    stopped = telemetry.RuntimeStopped(at=number, elapsed=0.0)

    back = telemetry.from_json(telemetry.to_json(stopped))

    assert json.loads(telemetry.to_json(stopped))["at"] == text
    assert str(back.at) == str(number)


def test_a_whole_number_serves_where_a_float_is_expected() -> None:
    """JSON writers may leave out the ``.0``."""
    back = telemetry.event_from_dict(changed(at=3))

    assert (back.at, type(back.at)) == (3.0, float)


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("at", "5", "must be a number, or one of 'inf', '-inf', 'nan'"),
        ("at", True, "must be a number, or one of 'inf', '-inf', 'nan'"),
        pytest.param(
            "at", 10**400, "must be a number, or one of 'inf', '-inf', 'nan'", id="at-too large"
        ),
        ("at", None, "must be a number, or one of 'inf', '-inf', 'nan'"),
        ("restarts", 1.0, "must be a whole number"),
        ("restarts", True, "must be a whole number"),
        ("child", 5, "must be a text"),
        ("instance_id", 5, "must be a text"),
        ("cause", "timeout", "must be an object"),
        ("cause", None, "must be an object"),
    ],
)
def test_a_value_of_another_kind_is_refused(field: str, value: object, expected: str) -> None:
    """Nothing is converted that was not written so."""
    assert mistakes_of(changed(**{field: value})) == {field: expected}


def test_what_a_cause_refuses_is_refused_with_its_place() -> None:
    """A number is of the right type, and may still be none that one can wait for."""
    cause = {**telemetry.event_to_dict(EVENT)["cause"], "reason": "", "retry_after": "inf"}

    assert mistakes_of(changed(cause=cause)) == {
        "cause.reason": "must be a text that is not empty",
        "cause.retry_after": "must be a finite number at least 0, or None",
    }


@pytest.mark.parametrize("value", ["worse", 5, [], None])
def test_a_word_that_an_enum_does_not_have_is_refused_with_those_it_has(value: object) -> None:
    """The error lists the words."""
    cause = {**telemetry.event_to_dict(EVENT)["cause"], "failure_class": value}

    assert mistakes_of(changed(cause=cause)) == {
        "cause.failure_class": "must be one of 'recoverable', 'degraded', 'fatal'"
    }


def test_every_mistake_is_listed_with_its_place() -> None:
    """One error names all that is wrong, also deep inside."""
    data = changed(at="x", child=5, cause={"failure_class": "worse", "lost": 1})
    del data["path"]

    assert mistakes_of(data) == {
        "at": "must be a number, or one of 'inf', '-inf', 'nan'",
        "path": "is missing",
        "child": "must be a text",
        "cause.failure_class": "must be one of 'recoverable', 'degraded', 'fatal'",
        "cause.reason": "is missing",
        "cause.lost": "must be true or false",
    }


def test_a_mistake_in_a_list_is_named_by_its_index() -> None:
    """The place of an element is its index."""
    data = {"event": "instance.started", "schema": 1, "at": 0.0, "children": ["a", 1, "b", None]}

    assert mistakes_of(data) == {
        "children[1]": "must be a text",
        "children[3]": "must be a text",
    }


def test_a_text_is_no_list() -> None:
    """A text is not taken apart into letters."""
    data = {"event": "instance.started", "schema": 1, "at": 0.0, "children": "abc"}

    assert mistakes_of(data) == {"children": "must be a list"}


def test_a_field_from_a_newer_writer_is_ignored() -> None:
    """A new field does not raise the schema version, so a reader must live with it."""
    cause = {**telemetry.event_to_dict(EVENT)["cause"], "mood": "bad"}

    assert telemetry.event_from_dict(changed(cause=cause, weather="fine")) == EVENT


def test_a_strict_reader_refuses_unknown_fields() -> None:
    """Who wants to know of misspelt fields can."""
    cause = {**telemetry.event_to_dict(EVENT)["cause"], "mood": "bad"}

    assert mistakes_of(changed(cause=cause, weather="fine", age=1), strict=True) == {
        "cause.mood": "is not known here",
        "age": "is not known here",
        "weather": "is not known here",
    }


@pytest.mark.parametrize("version", [2, 0, None, "1", 1.0, True])
def test_another_schema_version_is_refused(version: object) -> None:
    """Fields of another version may mean something else, so nothing is said of them."""
    assert mistakes_of(changed(schema=version, at="x")) == {"schema": "must be 1"}


@pytest.mark.parametrize("name", ["child.exploded", "", None, 5, []])
def test_an_unknown_event_is_refused(name: object) -> None:
    """A name that the catalogue does not have is a mistake."""
    assert mistakes_of(changed(event=name)) == {
        "event": "must be the name of an event in the catalogue"
    }


def test_a_wrong_name_and_a_wrong_version_are_both_named() -> None:
    """Both mistakes of the head are listed."""
    assert set(mistakes_of({})) == {"event", "schema"}


@pytest.mark.parametrize("data", [None, [], "text", 5])
def test_what_is_no_object_is_refused(data: object) -> None:
    """Data of another shape is one clear mistake."""
    assert mistakes_of(data) == {"data": "must be an object"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1] tail",
        "NaN",
        '{"at": Infinity}',
        pytest.param("[" * 100_000, id="deep"),
        b"\xff\xff",
    ],
)
@pytest.mark.parametrize("read", [telemetry.from_json, telemetry.snapshot_from_json])
def test_what_is_no_json_is_refused(
    read: Callable[[str | bytes], object], text: str | bytes
) -> None:
    """Also what Python's parser takes and JSON does not have, and what overflows the parser."""
    with pytest.raises(InvalidSpec, match="must be JSON"):
        read(text)


def test_a_class_outside_the_catalogue_is_not_written() -> None:
    """What nobody could read back is refused at the writing end."""

    @frozen(kw_only=True)
    class Mine(telemetry.RuntimeStarted):
        pass

    with pytest.raises(InvalidSpec, match=r"class in the catalogue.*Mine"):
        telemetry.event_to_dict(Mine(at=0.0))


def test_a_snapshot_says_its_schema_version() -> None:
    """The wire form of a snapshot is versioned as that of an event is."""
    assert telemetry.snapshot_to_dict(SNAPSHOT)["schema"] == telemetry.SCHEMA_VERSION


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"schema": 2}, "schema"),
        ({"status": "asleep"}, "status"),
        ({"children": [{"name": "a"}]}, "children[0].state"),
        ({"probe": 5}, "probe"),
    ],
)
def test_a_wrong_snapshot_is_refused_by_field(fields: Mapping[str, object], field: str) -> None:
    """A snapshot's mistakes are listed as an event's are."""
    data = {**telemetry.snapshot_to_dict(SNAPSHOT), **fields}

    with pytest.raises(InvalidSpec) as caught:
        telemetry.snapshot_from_dict(data)

    assert field in [mistake.place for mistake in caught.value.mistakes]


def test_a_snapshot_of_a_newer_writer_is_read() -> None:
    """Unknown fields are ignored here too, unless asked otherwise."""
    data = {**telemetry.snapshot_to_dict(SNAPSHOT), "weather": "fine"}

    assert telemetry.snapshot_from_dict(data) == SNAPSHOT
    with pytest.raises(InvalidSpec, match="weather: is not known here"):
        telemetry.snapshot_from_dict(data, strict=True)
