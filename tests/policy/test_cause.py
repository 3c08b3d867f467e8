"""What a cause may hold: every mistake is refused where it is made, all of them at once."""

from __future__ import annotations

import math
from typing import Any

import pytest
from attrs import evolve, fields_dict
from hypothesis import given
from hypothesis import strategies as st

from trio_instances import InvalidSpec
from trio_instances.policy.failures import Cause, FailureClass, WhoMustAct

from .strategies import causes


class Word(str):
    """A text by another type, as an enum's members are."""

    __slots__ = ()


def is_amount(value: object) -> bool:
    """Return whether a value is a number that one can wait for."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False

    return 0 <= value < math.inf


ACCEPTED: dict[str, Any] = {
    "failure_class": lambda v: v in list(FailureClass),
    "reason": lambda v: isinstance(v, str) and v != "",
    "detail": lambda v: isinstance(v, str),
    "error_type": lambda v: isinstance(v, str),
    "retry_after": lambda v: v is None or is_amount(v),
    "resumable": lambda v: isinstance(v, bool),
    "lost": lambda v: isinstance(v, bool),
    "planned": lambda v: isinstance(v, bool),
    "who_must_act": lambda v: v in list(WhoMustAct),
}
"""What each field takes."""

anything = st.one_of(
    st.sampled_from(["", "gone", "soon", Word("gone"), "recoverable", "fatal", "nobody"]),
    st.sampled_from([*FailureClass, *WhoMustAct]),
    st.sampled_from([None, True, False, 0, 1, -1, 0.0, 2.5, -0.5, math.inf, math.nan]),
    st.sampled_from([b"gone", [], {}, object, ValueError("soon")]),
)
"""Values that some field takes, and values that none does."""


def mistakes_of(**given: Any) -> dict[str, object]:
    """Return what is refused of the fields of a cause, by field."""
    try:
        Cause(**given)
    except InvalidSpec as refusal:
        return {mistake.place: mistake.value for mistake in refusal.mistakes}

    return {}


def test_every_field_has_its_rule_here() -> None:
    """A field that is added is checked too."""
    assert ACCEPTED.keys() == fields_dict(Cause).keys()


@given(st.fixed_dictionaries(dict.fromkeys(ACCEPTED, anything)))
def test_every_wrong_field_is_refused_and_no_other(given: dict[str, Any]) -> None:
    """What is right is never held against a cause, and no mistake hides another."""
    wrong = {name for name, value in given.items() if not ACCEPTED[name](value)}

    assert mistakes_of(**given).keys() == wrong


@given(causes(), st.sampled_from(sorted(ACCEPTED)), anything)
def test_one_wrong_field_is_refused_alone(cause: Cause, name: str, value: Any) -> None:
    """The short way for what is right lets nothing slip through, nor does a change of one field."""
    change: Any = {name: value}
    if ACCEPTED[name](value):
        assert getattr(evolve(cause, **change), name) == value
        return

    with pytest.raises(InvalidSpec, match=f"^Cause: {name}: must be "):
        evolve(cause, **change)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            {"failure_class": "worse"},
            "failure_class: must be one of 'recoverable', 'degraded', 'fatal', not 'worse'",
        ),
        ({"reason": ""}, "reason: must be a text that is not empty, not ''"),
        ({"detail": None}, "detail: must be a text, not None"),
        (
            {"retry_after": "soon"},
            "retry_after: must be a finite number at least 0, or None, not 'soon'",
        ),
        (
            {"retry_after": -1.0},
            "retry_after: must be a finite number at least 0, or None, not -1.0",
        ),
        (
            {"retry_after": math.nan},
            "retry_after: must be a finite number at least 0, or None, not nan",
        ),
        ({"lost": 1}, "lost: must be True or False, not 1"),
    ],
)
def test_a_refusal_names_the_field_the_way_out_and_the_value(
    given: dict[str, Any], text: str
) -> None:
    """Who reads it knows what to write."""
    fields: dict[str, Any] = {"failure_class": "recoverable", "reason": "gone", **given}
    with pytest.raises(InvalidSpec) as refusal:
        Cause(**fields)

    assert str(refusal.value) == f"Cause: {text}"


def test_words_serve_where_members_do() -> None:
    """Code and configuration files say the same."""
    cause = Cause("fatal", "banned", who_must_act="credentials")

    assert cause.failure_class is FailureClass.FATAL
    assert cause.who_must_act is WhoMustAct.CREDENTIALS


@pytest.mark.parametrize("length", [0, 499, 500, 501, 1_000_000])
def test_a_detail_is_bounded_wherever_it_is_made(length: int) -> None:
    """What keeps causes keeps no text of any length; what is cut off can be seen."""
    detail = Cause("recoverable", "gone", "x" * length).detail

    assert len(detail) == min(length, 500)
    assert detail.endswith("…") is (length > 500)
    assert evolve(Cause("recoverable", "gone"), detail="x" * length).detail == detail
