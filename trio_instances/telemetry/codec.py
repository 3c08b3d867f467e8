"""Events and health snapshots as plain data and as JSON, both ways.

The wire form of an event is one flat object, its fields beside two more: ``{"event":
"child.started", "schema": 1, "at": 12.5, ...}``. A snapshot has ``schema`` only.

JSON has no infinity and no NaN, so such a number is written as the text ``"inf"``, ``"-inf"`` or
``"nan"``, and read back from it where a number is expected. ``null`` was rejected for it: it means
"none" in many of these fields already.

A reader is strict about what it knows: a field that is missing, or of another type, is a mistake;
``"5"`` is no number and ``5`` is no text. A field it does *not* know is ignored, because a newer
writer may add one without raising the schema version; ``strict=True`` refuses those too. Another
schema version is refused, for its fields may mean something else.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any, TypeVar, cast

import attrs
import cattrs
from cattrs.cols import list_structure_factory
from cattrs.gen import make_dict_structure_fn

from .._exceptions import InvalidSpec, Mistake
from ..policy.failures import text_of
from ..policy.health import HealthSnapshot
from ..policy.mistakes import MistakeList
from .events import catalogue
from .schema import SCHEMA_VERSION, Event

T = TypeVar("T")
Structure = Callable[[Any, Any], Any]

_EVENTS = catalogue()
_NOT_FINITE = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}
_MAX_QUOTED = 200


def event_to_dict(event: Event) -> dict[str, Any]:
    """Return an event in its wire form: texts, numbers, booleans, None, lists and dicts only.

    Args:
        event: An event of a class in the catalogue.

    Raises:
        InvalidSpec: Its class is not in the catalogue, so that nobody could read it.
    """
    if _EVENTS.get(event.name) is not type(event):
        wrong = MistakeList("event")
        wrong.add("event", type(event).__qualname__, "must be of a class in the catalogue")
        wrong.raise_any()

    fields = _lenient.unstructure(event)
    return {"event": event.name, "schema": SCHEMA_VERSION, **fields}


def event_from_dict(data: Mapping[str, Any], *, strict: bool = False) -> Event:
    """Return the event that a wire form stands for.

    Args:
        data: What `event_to_dict` returned, perhaps through JSON.
        strict: Refuse fields that the event's class does not have, instead of ignoring them.

    Raises:
        InvalidSpec: With every mistake, by field. Where the event's name or the schema version is
            wrong, only these: nothing is known of the fields then.
    """
    wrong = _check_head("event", data)
    name = data.get("event")
    cls = _EVENTS.get(name) if isinstance(name, str) else None
    if cls is None:
        wrong.add("event", name, "must be the name of an event in the catalogue")
    wrong.raise_any()
    # For the type checker; no name has got past raise_any without a class.
    return _structure(f"event {name!r}", data, cast("type[Event]", cls), strict=strict)


def to_json(event: Event) -> str:
    """Return an event as one line of JSON, in ASCII.

    Raises:
        InvalidSpec: Its class is not in the catalogue.
    """
    return json.dumps(event_to_dict(event), allow_nan=False)


def from_json(text: str | bytes, *, strict: bool = False) -> Event:
    """Return the event that a JSON text stands for.

    Args:
        text: What `to_json` returned.
        strict: Refuse fields that the event's class does not have, instead of ignoring them.

    Raises:
        InvalidSpec: It is no JSON, or no event; with every mistake, by field.
    """
    return event_from_dict(_parse("event", text), strict=strict)


def snapshot_to_dict(snapshot: HealthSnapshot) -> dict[str, Any]:
    """Return a snapshot in its wire form: texts, numbers, booleans, None, lists and dicts only."""
    return {"schema": SCHEMA_VERSION, **_lenient.unstructure(snapshot)}


def to_plain(value: object) -> Any:
    """Return any value of the library in its wire form, such as one field of a snapshot, or a tree.

    Texts, numbers, booleans, None, lists and dicts only. A value that is to be read back belongs to
    an event or a snapshot, whose wire form says which schema it follows.
    """
    return _lenient.unstructure(value)


def snapshot_from_dict(data: Mapping[str, Any], *, strict: bool = False) -> HealthSnapshot:
    """Return the snapshot that a wire form stands for.

    Args:
        data: What `snapshot_to_dict` returned, perhaps through JSON.
        strict: Refuse fields that a snapshot does not have, instead of ignoring them.

    Raises:
        InvalidSpec: With every mistake, by field.
    """
    _check_head("HealthSnapshot", data).raise_any()
    return _structure("HealthSnapshot", data, HealthSnapshot, strict=strict)


def snapshot_to_json(snapshot: HealthSnapshot) -> str:
    """Return a snapshot as one line of JSON, in ASCII."""
    return json.dumps(snapshot_to_dict(snapshot), allow_nan=False)


def snapshot_from_json(text: str | bytes, *, strict: bool = False) -> HealthSnapshot:
    """Return the snapshot that a JSON text stands for.

    Args:
        text: What `snapshot_to_json` returned.
        strict: Refuse fields that a snapshot does not have, instead of ignoring them.

    Raises:
        InvalidSpec: It is no JSON, or no snapshot; with every mistake, by field.
    """
    return snapshot_from_dict(_parse("HealthSnapshot", text), strict=strict)


def _check_head(what: str, data: object) -> MistakeList:
    wrong = MistakeList(what)
    if not isinstance(data, Mapping):
        wrong.add("data", data, "must be an object")
        wrong.raise_any()
    # The type as well, since True and 1.0 equal 1.
    version = cast("Mapping[str, object]", data).get("schema")
    if type(version) is not int or version != SCHEMA_VERSION:
        wrong.add("schema", version, f"must be {SCHEMA_VERSION}")

    return wrong


def _parse(what: str, text: str | bytes) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as exc:  # deep nesting overflows the parser's stack
        raise InvalidSpec(
            what, [Mistake("json", text[:_MAX_QUOTED], f"must be JSON ({text_of(exc)})")]
        ) from None


def _refuse_constant(word: str) -> object:
    msg = f"{word} is none of JSON's words"
    raise ValueError(msg)


def _structure(what: str, data: Mapping[str, Any], cls: type[T], *, strict: bool) -> T:
    fields = {key: value for key, value in data.items() if key not in ("event", "schema")}
    try:
        return (_strict if strict else _lenient).structure(fields, cls)
    except cattrs.ClassValidationError as exc:
        raise InvalidSpec(what, list(_mistakes(exc, ""))) from None


# --- the converters ------------------------------------------------------------------------------


def _wrong(value: object, expected: str) -> InvalidSpec:
    """Return the refusal of a value of another kind than its field, for `_mistakes` to place."""
    return InvalidSpec("", [Mistake("", value, expected)])


def _mistakes(exc: Exception, place: str) -> Iterator[Mistake]:
    """Flatten the tree of errors that cattrs raises, each with its place."""
    match exc:
        case cattrs.ClassValidationError():
            placed, others = exc.group_exceptions()
            for inner, note in placed:
                yield from _mistakes(inner, _within(place, note.name))
            for inner in others:
                yield from _mistakes(inner, place)
        case cattrs.IterableValidationError():
            for inner, at in exc.group_exceptions()[0]:
                yield from _mistakes(inner, f"{place}[{at.index}]")
        case cattrs.ForbiddenExtraKeysError():
            for name in sorted(exc.extra_fields):
                yield Mistake(_within(place, name), None, "is not known here", given=False)
        case InvalidSpec():
            for mistake in exc.mistakes:
                yield attrs.evolve(mistake, place=_within(place, mistake.place))
        case _:  # the lookup of a required field
            yield Mistake(place, None, "is missing", given=False)


def _within(place: str, name: str) -> str:
    return ".".join(part for part in (place, name) if part)


def _exactly(kind: type, expected: str) -> Structure:
    """Return a hook for values that JSON has itself; bool is not taken for a number."""

    def structure(value: Any, _: Any) -> Any:
        if type(value) is not kind:
            raise _wrong(value, expected)

        return value

    return structure


def _structure_float(value: Any, _: Any) -> float:
    if isinstance(value, str) and value in _NOT_FINITE:
        return _NOT_FINITE[value]

    try:
        if type(value) in (int, float):
            return float(value)
    except OverflowError:  # a whole number can be larger than any float
        pass
    raise _wrong(value, "must be a number, or one of 'inf', '-inf', 'nan'")


def _unstructure_float(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def _structure_word(value: Any, enum: type[StrEnum]) -> StrEnum:
    try:
        return enum(value)
    except ValueError:
        words = ", ".join(repr(str(word)) for word in enum)
        raise _wrong(value, f"must be one of {words}") from None


def _is_tuple(kind: Any) -> bool:
    return getattr(kind, "__origin__", None) is tuple


def _make_converter(*, strict: bool) -> cattrs.Converter:
    converter = cattrs.Converter(unstruct_collection_overrides={tuple: list})
    converter.register_unstructure_hook(float, _unstructure_float)
    converter.register_structure_hook(float, _structure_float)
    converter.register_structure_hook(int, _exactly(int, "must be a whole number"))
    converter.register_structure_hook(str, _exactly(str, "must be a text"))
    converter.register_structure_hook(bool, _exactly(bool, "must be true or false"))
    # The nearest base class decides, so each enum finds this one before that of str.
    converter.register_structure_hook(StrEnum, _structure_word)

    def make_tuple(kind: Any) -> Structure:
        structure = list_structure_factory(list[kind.__args__[0]], converter)  # tuple[X, ...]
        return _only(list | tuple, "must be a list", lambda value, to: tuple(structure(value, to)))

    def make_object(kind: Any) -> Structure:
        structure = make_dict_structure_fn(
            kind, converter, _cattrs_forbid_extra_keys=strict, _cattrs_detailed_validation=True
        )
        return _only(Mapping, "must be an object", cast("Structure", structure))

    converter.register_structure_hook_factory(_is_tuple, make_tuple)
    converter.register_structure_hook_factory(attrs.has, make_object)
    return converter


def _only(kind: Any, expected: str, structure: Structure) -> Structure:
    """Guard a hook: a text would else be taken for a list of its letters."""

    def guarded(value: Any, target: Any) -> Any:
        if not isinstance(value, kind):
            raise _wrong(value, expected)

        return structure(value, target)

    return guarded


_lenient = _make_converter(strict=False)
_strict = _make_converter(strict=True)
