"""What a failure means: groups, stated causes, texts."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_instances import ChannelError
from trio_instances.policy.failures import (
    Cause,
    FailureClass,
    WhoMustAct,
    flatten,
    merge_causes,
    stated_cause,
    text_of,
)

from .strategies import BrokenCauseError, BrokenTextError, causes

SEVERITY = [FailureClass.RECOVERABLE, FailureClass.DEGRADED, FailureClass.FATAL]


def test_a_cause_says_no_more_than_it_was_told() -> None:
    """Without hints nothing is lost, planned or resumable, nothing to wait for, nobody to act."""
    assert Cause(FailureClass.RECOVERABLE, "x") == Cause(
        FailureClass.RECOVERABLE,
        "x",
        detail="",
        error_type="",
        retry_after=None,
        resumable=False,
        lost=False,
        planned=False,
        who_must_act=WhoMustAct.NOBODY,
    )


# --- Stated causes


@given(causes())
def test_the_stated_cause_is_the_one_of_the_attribute(cause: Cause) -> None:
    """What an exception says itself is not looked for anywhere else."""
    assert stated_cause(ChannelError(cause)) is cause


@pytest.mark.parametrize("value", ["banned", None, ValueError()])
def test_an_attribute_cause_that_is_no_cause_states_nothing(value: object) -> None:
    """Libraries use that name for other things, which must not be taken for ours."""
    error = EOFError()
    error.cause = value  # type: ignore[attr-defined]  # as a library of others may do

    assert stated_cause(error) is None


def test_an_attribute_cause_that_fails_states_nothing() -> None:
    """A broken property of somebody's exception is no reason to fail."""
    assert stated_cause(BrokenCauseError("text")) is None


# --- Groups


def test_a_nested_group_is_flattened_in_order() -> None:
    """Only leaves count, from left to right."""
    a, b, c, d = ValueError("a"), ValueError("b"), ValueError("c"), ValueError("d")
    group = ExceptionGroup("1", [a, ExceptionGroup("2", [b, ExceptionGroup("3", [c])]), d])

    assert list(flatten(group)) == [a, b, c, d]
    assert list(flatten(a)) == [a]


@given(st.lists(causes(), min_size=1, max_size=5))
def test_no_hint_of_any_cause_is_forgotten(several: list[Cause]) -> None:
    """The longest wait asked for is kept; one leaf loses the connection.

    To be resumable, or planned, all of them must be.
    """
    merged = merge_causes(iter(several))
    hints = [cause.retry_after for cause in several if cause.retry_after is not None]

    assert merged.retry_after == (max(hints) if hints else None)
    assert merged.lost is (True in [cause.lost for cause in several])
    assert merged.resumable is (False not in [cause.resumable for cause in several])
    assert merged.planned is (False not in [cause.planned for cause in several])


@given(causes())
def test_one_cause_merges_to_itself(cause: Cause) -> None:
    """Merging adds nothing, and costs nothing: most failures have one cause."""
    assert merge_causes([cause]) is cause


def test_the_classes_are_ordered_from_recoverable_to_fatal() -> None:
    """Each class outweighs the one before it, whatever their order in the group."""
    for better, worse in pairwise(SEVERITY):
        pair = [Cause(better, "better"), Cause(worse, "worse")]
        assert merge_causes(pair).reason == merge_causes(pair[::-1]).reason == "worse"


# --- Texts


@given(st.text(max_size=100))
def test_a_short_text_is_kept(text: str) -> None:
    """Character by character."""
    assert text_of(ValueError(text)) == text


@pytest.mark.parametrize("length", [499, 500, 501, 100_000])
def test_a_text_is_kept_up_to_its_bound(length: int) -> None:
    """500 characters at most, and that something was cut is seen."""
    shown = text_of(ValueError("x" * length))

    assert shown == ("x" * length if length <= 500 else "x" * 499 + "…")


def test_a_broken_text_is_replaced() -> None:
    """An error that cannot be shown says what is wrong with it."""
    assert text_of(BrokenTextError()) == "<its __str__ raised RuntimeError>"


@pytest.mark.parametrize(
    ("cause", "text"),
    [
        (Cause(FailureClass.FATAL, "http_401"), "http_401 (fatal)"),
        (Cause(FailureClass.FATAL, "x", detail="no"), "x (fatal): no"),
        (Cause(FailureClass.DEGRADED, "x", error_type="OSError"), "x (degraded): OSError"),
        (
            Cause(FailureClass.RECOVERABLE, "x", detail="no", error_type="OSError"),
            "x (recoverable): OSError: no",
        ),
    ],
)
def test_a_cause_reads_as_one_line(cause: Cause, text: str) -> None:
    """Reason, class, and what is known of the error."""
    assert str(cause) == text
