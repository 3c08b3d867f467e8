"""Collecting mistakes: each names the field, the value and the way out."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_instances._exceptions import InvalidSpec, Mistake
from trio_instances.policy.mistakes import MistakeList, member_or_given

Check = Callable[[MistakeList], object]


class Colour(StrEnum):
    """Some words."""

    RED = "red"
    GREEN = "green"


def said(*checks: Check) -> str:
    """Return what is said of the mistakes that some checks find; nothing if there are none."""
    wrong = MistakeList("Paint")
    for check in checks:
        check(wrong)
    try:
        wrong.raise_any()
    except InvalidSpec as error:
        return str(error)

    return ""


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (lambda w: w.add("f", 1, "must be 2"), "f: must be 2, not 1"),
        (lambda w: w.number("f", -1), "f: must be a number at least 0, not -1"),
        (lambda w: w.number("f", "1"), "f: must be a number at least 0, not '1'"),
        (lambda w: w.number("f", True), "f: must be a number at least 0, not True"),
        (lambda w: w.number("f", math.nan), "f: must be a number at least 0, not nan"),
        (lambda w: w.number("f", 0.5, at_least=1), "f: must be a number at least 1, not 0.5"),
        (lambda w: w.number("f", 0, above=0), "f: must be a number above 0, not 0"),
        (
            lambda w: w.number("f", 2, at_most=1),
            "f: must be a number at least 0 and at most 1, not 2",
        ),
        (
            lambda w: w.number("f", 2, above=0, at_most=1),
            "f: must be a number above 0 and at most 1, not 2",
        ),
        (
            lambda w: w.number("f", math.inf, finite=True),
            "f: must be a finite number at least 0, not inf",
        ),
        (
            lambda w: w.number("f", -1, optional=True),
            "f: must be a number at least 0, or None, not -1",
        ),
        (lambda w: w.text("f", ""), "f: must be a text that is not empty, not ''"),
        (lambda w: w.text("f", None), "f: must be a text that is not empty, not None"),
        (lambda w: w.text("f", 5, empty=True), "f: must be a text, not 5"),
        (lambda w: w.whole("f", -1), "f: must be a whole number of at least 0, not -1"),
        (lambda w: w.whole("f", 2.0), "f: must be a whole number of at least 0, not 2.0"),
        (lambda w: w.whole("f", False), "f: must be a whole number of at least 0, not False"),
        (lambda w: w.whole("f", 1, at_least=2), "f: must be a whole number of at least 2, not 1"),
        (lambda w: w.whole("f", 6, at_most=5), "f: must be a whole number of 0 to 5, not 6"),
        (
            lambda w: w.whole("f", -1, optional=True),
            "f: must be a whole number of at least 0, or None, not -1",
        ),
        (lambda w: w.boolean("f", 1), "f: must be True or False, not 1"),
        (lambda w: w.member("f", "blue", Colour), "f: must be one of 'red', 'green', not 'blue'"),
        (lambda w: w.member("f", "red", Colour), "f: must be one of 'red', 'green', not 'red'"),
        (
            lambda w: w.name("f", "a/b"),
            "f: must be a text that is not empty, is printable and has no '/', not 'a/b'",
        ),
        (lambda w: w.instance("f", 1, Exception), "f: must be an Exception, not 1"),
        (lambda w: w.instance("f", 1, str), "f: must be a str, not 1"),
        (lambda w: w.instance("f", None, str), "f: must be a str, not None"),
        (lambda w: w.instance("f", 1, str, optional=True), "f: must be a str or None, not 1"),
    ],
)
def test_a_mistake_names_the_field_the_way_out_and_the_value(check: Check, text: str) -> None:
    """Who reads it knows where to look and what to write there."""
    assert said(check) == f"Paint: {text}"


@pytest.mark.parametrize(
    "check",
    [
        lambda w: w.number("f", 0),
        lambda w: w.number("f", 0.0),
        lambda w: w.number("f", math.inf),
        lambda w: w.number("f", 1e308, finite=True),
        lambda w: w.number("f", 10**300, finite=True),
        lambda w: w.number("f", -3, at_least=-3),
        lambda w: w.number("f", 1, at_most=1.0),
        lambda w: w.number("f", 5e-324, above=0),
        lambda w: w.whole("f", 0),
        lambda w: w.whole("f", 10**30),
        lambda w: w.whole("f", 2, at_least=2),
        lambda w: w.whole("f", 5, at_most=5),
        lambda w: w.whole("f", None, optional=True),
        lambda w: w.boolean("f", False),
        lambda w: w.member("f", Colour.RED, Colour),
        lambda w: w.name("f", "ein Name"),
        lambda w: w.instance("f", "x", str),
        lambda w: w.instance("f", None, str, optional=True),
    ],
)
def test_what_fits_is_no_mistake(check: Check) -> None:
    """Both ends of a closed bound belong to it."""
    assert said(check) == ""


@given(st.one_of(st.integers(), st.just(10**400), st.just(-(10**400)), st.floats()))
def test_every_accepted_number_is_one_for_a_clock(value: float) -> None:
    """A number within the bounds is finite where that is asked, and converts to a float."""
    wrong = MistakeList("Paint")
    wrong.number("f", value, above=5.0, at_most=1e300, finite=True)
    try:
        wrong.raise_any()
    except InvalidSpec:
        assert not 5.0 < value <= 1e300
    else:
        assert 5.0 < float(value) <= 1e300


def test_no_mistake_raises_nothing() -> None:
    """A specification without mistakes is left alone."""
    assert said() == ""


def test_several_mistakes_are_listed_in_the_order_of_the_checks() -> None:
    """Nobody has to mend one to learn of the next."""
    text = said(
        lambda w: w.boolean("b", 0),
        lambda w: w.whole("ok", 1),
        lambda w: w.number("a", -1),
    )

    assert text.splitlines() == [
        "Paint has 2 mistakes:",
        "  - b: must be True or False, not 0",
        "  - a: must be a number at least 0, not -1",
    ]


def test_the_mistakes_of_a_part_are_told_by_their_place_in_the_whole() -> None:
    """A prefix says which part; a mistake about the part itself has the prefix alone."""
    part = (
        Mistake("url", "x", "must be a URL"),
        Mistake("", 7, "must be a table"),
        Mistake("id", None, "is missing", given=False),
    )

    text = said(lambda w: w.extend("instances[2]", part), lambda w: w.boolean("b", 0))
    assert text.splitlines() == [
        "Paint has 4 mistakes:",
        "  - instances[2].url: must be a URL, not 'x'",
        "  - instances[2]: must be a table, not 7",
        "  - instances[2].id: is missing",
        "  - b: must be True or False, not 0",
    ]


def test_a_part_that_is_refused_adds_its_mistakes() -> None:
    """Under its own name, or among those of the whole; what comes after it is looked at, too."""

    def make_part(wrong: MistakeList, prefix: str) -> None:
        with wrong.part(prefix):
            raise InvalidSpec("Brush", [Mistake("size", 0, "must be at least 1")])

    text = said(
        lambda w: make_part(w, "brush"), lambda w: make_part(w, ""), lambda w: w.boolean("b", 0)
    )
    assert text.splitlines() == [
        "Paint has 3 mistakes:",
        "  - brush.size: must be at least 1, not 0",
        "  - size: must be at least 1, not 0",
        "  - b: must be True or False, not 0",
    ]


def test_a_part_without_a_mistake_and_one_that_fails_otherwise_are_left_alone() -> None:
    """Only mistakes are taken over."""
    wrong = MistakeList("Paint")
    with wrong.part("a"):
        made = 1
    with pytest.raises(ZeroDivisionError), wrong.part("b"):
        made = 1 // 0

    wrong.raise_any()
    assert made == 1


@pytest.mark.parametrize("value", ["blue", "RED", "", None, 1, [], {}, object()])
def test_what_is_no_word_is_kept_to_be_refused(value: Any) -> None:
    """A converter never raises, so that the mistake is listed with all others."""
    assert member_or_given(Colour, value) is value


@pytest.mark.parametrize("colour", Colour)
def test_a_word_and_a_member_are_the_same(colour: Colour) -> None:
    """Both give the member."""
    assert member_or_given(Colour, str(colour)) is colour
    assert member_or_given(Colour, colour) is colour
