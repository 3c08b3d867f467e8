"""What a failure means: rows, groups, stated causes, texts."""

from __future__ import annotations

import socket
import ssl
from itertools import pairwise

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from trio_instances import ChannelError, InvalidSpec, Mistake
from trio_instances.policy.failures import (
    DEFAULT_CAUSES,
    UNEXPECTED,
    Cause,
    FailureClass,
    WhoMustAct,
    classify_failure,
    flatten,
    merge_causes,
    stated_cause,
    text_of,
)

from .strategies import causes

SEVERITY = [FailureClass.RECOVERABLE, FailureClass.DEGRADED, FailureClass.FATAL]
REAL = {
    f"{kind.__module__}.{kind.__qualname__}": kind
    for kind in (
        TimeoutError,
        ConnectionRefusedError,
        ConnectionResetError,
        ConnectionError,
        EOFError,
        OSError,
        socket.gaierror,
        ssl.SSLCertVerificationError,
        ssl.SSLError,
    )
}
ELSEWHERE = sorted(DEFAULT_CAUSES.keys() - REAL.keys())
"""Rows of types that these tests do not import: a class of the same name stands for each."""

FATAL = Cause(FailureClass.FATAL, "banned", who_must_act=WhoMustAct.CREDENTIALS)


def named(row: str) -> type[Exception]:
    """Return an exception type that has the qualified name of a row."""
    module, name = row.rsplit(".", 1)
    return type(name, (Exception,), {"__module__": module})


class BrokenTextError(Exception):
    """An error that cannot be shown."""

    def __str__(self) -> str:
        raise RuntimeError


class BrokenCauseError(Exception):
    """An error of somebody else, with a property that fails."""

    @property
    def cause(self) -> str:
        """Fail."""
        raise RuntimeError


errors = st.recursive(
    st.one_of(
        st.builds(ChannelError, causes()),
        st.sampled_from([ValueError("v"), TimeoutError(), OSError(5, "io"), EOFError()]),
        st.builds(BrokenTextError),
        st.builds(BrokenCauseError),
    ),
    lambda inner: st.lists(inner, min_size=1, max_size=4).map(lambda e: ExceptionGroup("some", e)),
    max_leaves=8,
)


# --- Rows


@pytest.mark.parametrize("row", sorted(REAL))
def test_every_row_of_the_standard_library_is_found_by_its_real_exception(row: str) -> None:
    """The name in the table is the one that the type really has."""
    cause = classify_failure(REAL[row]("text"))

    assert cause == evolve(DEFAULT_CAUSES[row], detail=cause.detail, error_type=REAL[row].__name__)
    assert "text" in cause.detail


@pytest.mark.parametrize("row", ELSEWHERE)
def test_every_other_row_is_found_by_its_qualified_name(row: str) -> None:
    """A type needs not be imported to be known."""
    cause = classify_failure(named(row)("text"))

    expected = evolve(DEFAULT_CAUSES[row], detail="text", error_type=row.rsplit(".", 1)[1])
    assert cause == expected


def test_the_library_s_own_refusal_is_found_by_its_public_name() -> None:
    """A channel that makes a wrong specification will make it again: its author must mend it."""
    cause = classify_failure(InvalidSpec("ChildSpec 'a'", [Mistake("shutdown", -1, "must be 0")]))

    assert (cause.reason, cause.who_must_act) == ("invalid_spec", WhoMustAct.AUTHOR)


def test_the_rows_that_a_retry_cannot_mend() -> None:
    """Few are fatal, and each of them says who must act."""
    fatal = {row: cause for row, cause in DEFAULT_CAUSES.items() if cause.failure_class == "fatal"}

    assert fatal.keys() == {"ssl.SSLCertVerificationError", "trio_instances.InvalidSpec"}
    assert all(cause.who_must_act is not WhoMustAct.NOBODY for cause in fatal.values())


def test_the_rows_that_mean_a_lost_connection() -> None:
    """What broke is the connection itself, so a worker restarted on it would fail again."""
    assert {row for row, cause in DEFAULT_CAUSES.items() if cause.lost} == {
        "builtins.ConnectionRefusedError",
        "builtins.ConnectionResetError",
        "builtins.ConnectionError",
        "builtins.EOFError",
        "ssl.SSLError",
        "trio.BrokenResourceError",
        "trio.ClosedResourceError",
        "trio.EndOfChannel",
    }


def test_a_cause_says_no_more_than_it_was_told() -> None:
    """Without hints nothing is lost, nothing resumable, nothing to wait for, nobody to act."""
    assert Cause(FailureClass.RECOVERABLE, "x") == Cause(
        FailureClass.RECOVERABLE,
        "x",
        detail="",
        error_type="",
        retry_after=None,
        resumable=False,
        lost=False,
        who_must_act=WhoMustAct.NOBODY,
    )


def test_the_name_alone_is_no_row() -> None:
    """A type of the same name from another module is another type."""
    assert classify_failure(named("elsewhere.TooSlowError")()).reason == UNEXPECTED.reason


def test_a_certificate_that_does_not_verify_is_for_the_configuration_to_mend() -> None:
    """A retry cannot mend a certificate, and who can is said."""
    cause = classify_failure(ssl.SSLCertVerificationError("self-signed"))

    assert (cause.failure_class, cause.who_must_act) == (
        FailureClass.FATAL,
        WhoMustAct.CONFIGURATION,
    )


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (BrokenPipeError(), "connection_error"),
        (ConnectionAbortedError(), "connection_error"),
        (PermissionError(), "os_error"),
        (ssl.SSLEOFError(), "tls"),
        (socket.gaierror(-2, "unknown name"), "dns"),
        (socket.herror(), "os_error"),
        (ZeroDivisionError(), "unexpected"),
    ],
)
def test_the_nearest_base_class_that_has_a_row_decides(error: Exception, reason: str) -> None:
    """A subclass is what its closest known ancestor is, also where a farther one is known too."""
    assert classify_failure(error).reason == reason


@given(st.permutations(["a.First", "a.Second", "a.Third"]))
def test_the_order_of_the_rows_means_nothing(order: list[str]) -> None:
    """Only the distance within the type's ancestry counts."""
    third = named("a.Third")
    second = type("Second", (third,), {"__module__": "a"})
    first = type("First", (second,), {"__module__": "a"})
    rows = {row: Cause(FailureClass.RECOVERABLE, row) for row in order}

    reasons = [classify_failure(kind(), rows).reason for kind in (first, second, third)]
    assert reasons == ["a.First", "a.Second", "a.Third"]


def test_an_exception_without_a_row_is_a_bug_that_is_retried_and_named() -> None:
    """What nobody foresaw is recoverable, within the budget, and its author must act."""
    cause = classify_failure(KeyError("k"))

    assert cause == evolve(UNEXPECTED, detail="'k'", error_type="KeyError")
    assert cause.failure_class is FailureClass.RECOVERABLE
    assert cause.who_must_act is WhoMustAct.AUTHOR


# --- Stated causes


@given(causes())
def test_a_stated_cause_wins_unchanged(cause: Cause) -> None:
    """Who raises a `ChannelError` knows better than any row."""
    assert classify_failure(ChannelError(cause), {"builtins.Exception": FATAL}) == cause
    assert stated_cause(ChannelError(cause)) is cause


def test_any_exception_may_state_its_cause() -> None:
    """The attribute counts, not the type, and it goes before a row of the type."""
    error = TimeoutError("late")
    error.cause = FATAL  # type: ignore[attr-defined]  # as a library of the user may do

    assert classify_failure(error) == FATAL


@pytest.mark.parametrize("value", ["banned", None, ValueError()])
def test_an_attribute_cause_that_is_no_cause_states_nothing(value: object) -> None:
    """Libraries use that name for other things, which must not be taken for ours."""
    error = EOFError()
    error.cause = value  # type: ignore[attr-defined]  # as a library of others may do

    assert stated_cause(error) is None
    assert classify_failure(error).reason == "end_of_stream"


def test_an_attribute_cause_that_fails_states_nothing() -> None:
    """A broken property of somebody's exception is no reason to fail."""
    assert classify_failure(BrokenCauseError("text")) == evolve(
        UNEXPECTED, detail="text", error_type="BrokenCauseError"
    )


# --- Groups


def test_a_nested_group_is_flattened_in_order() -> None:
    """Only leaves count, from left to right."""
    a, b, c, d = ValueError("a"), ValueError("b"), ValueError("c"), ValueError("d")
    group = ExceptionGroup("1", [a, ExceptionGroup("2", [b, ExceptionGroup("3", [c])]), d])

    assert list(flatten(group)) == [a, b, c, d]
    assert list(flatten(a)) == [a]


def test_a_group_nested_beyond_the_recursion_limit_is_flattened() -> None:
    """However many nurseries an error has come through, it is classified."""
    error: Exception = TimeoutError()
    for _ in range(5000):
        error = ExceptionGroup("nursery", [error])

    assert classify_failure(error).reason == "timeout"


@given(errors)
def test_the_worst_leaf_of_a_group_decides(error: Exception) -> None:
    """A group is as bad as its worst leaf, the first of those."""
    leaves = [classify_failure(leaf) for leaf in flatten(error)]
    whole = classify_failure(error)

    rank = [SEVERITY.index(leaf.failure_class) for leaf in leaves]
    worst = leaves[rank.index(max(rank))]
    assert (whole.failure_class, whole.reason, whole.detail, whole.who_must_act) == (
        worst.failure_class,
        worst.reason,
        worst.detail,
        worst.who_must_act,
    )


@given(st.lists(causes(), min_size=1, max_size=5))
def test_no_hint_of_any_cause_is_forgotten(several: list[Cause]) -> None:
    """The longest wait asked for is kept; one leaf loses the connection, all must be resumable."""
    merged = merge_causes(iter(several))
    hints = [cause.retry_after for cause in several if cause.retry_after is not None]

    assert merged.retry_after == (max(hints) if hints else None)
    assert merged.lost is (True in [cause.lost for cause in several])
    assert merged.resumable is (False not in [cause.resumable for cause in several])


@given(causes())
def test_one_cause_merges_to_itself(cause: Cause) -> None:
    """Merging adds nothing, and costs nothing: most failures have one cause."""
    assert merge_causes([cause]) is cause


def test_the_classes_are_ordered_from_recoverable_to_fatal() -> None:
    """Each class outweighs the one before it, whatever their order in the group."""
    for better, worse in pairwise(SEVERITY):
        pair = [Cause(better, "better"), Cause(worse, "worse")]
        assert merge_causes(pair).reason == merge_causes(pair[::-1]).reason == "worse"


@given(errors)
def test_classifying_never_raises(error: Exception) -> None:
    """Whatever was raised, there is a cause with a class, and a text of bounded length."""
    cause = classify_failure(error)

    assert isinstance(cause.failure_class, FailureClass)
    assert len(cause.detail) <= 500


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), GeneratorExit()])
def test_what_is_no_ordinary_error_can_be_classified_too(error: BaseException) -> None:
    """A report may need a cause for it, though no policy retries it."""
    assert classify_failure(error).error_type == type(error).__name__


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
    """An error that cannot be shown is classified all the same, and says what is wrong with it."""
    cause = classify_failure(BrokenTextError())

    assert cause.detail == "<its __str__ raised RuntimeError>"
    assert cause.error_type == "BrokenTextError"


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
