"""The laws of close codes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_instances.policy.close_codes import CLOSE_CAUSES, TRY_AGAIN_LATER, cause_of_close
from trio_instances.policy.failures import Cause, FailureClass, WhoMustAct

RECOVERABLE = FailureClass.RECOVERABLE
FATAL = FailureClass.FATAL

ROWS = {
    1000: (RECOVERABLE, WhoMustAct.NOBODY),
    1001: (RECOVERABLE, WhoMustAct.NOBODY),
    1002: (FATAL, WhoMustAct.AUTHOR),
    1003: (FATAL, WhoMustAct.AUTHOR),
    1005: (RECOVERABLE, WhoMustAct.NOBODY),
    1006: (RECOVERABLE, WhoMustAct.NOBODY),
    1007: (FATAL, WhoMustAct.AUTHOR),
    1008: (FATAL, WhoMustAct.OPERATOR),
    1009: (FATAL, WhoMustAct.AUTHOR),
    1010: (FATAL, WhoMustAct.CONFIGURATION),
    1011: (RECOVERABLE, WhoMustAct.NOBODY),
    1012: (RECOVERABLE, WhoMustAct.NOBODY),
    1013: (RECOVERABLE, WhoMustAct.NOBODY),
    1014: (RECOVERABLE, WhoMustAct.NOBODY),
    1015: (FATAL, WhoMustAct.CONFIGURATION),
    3000: (FATAL, WhoMustAct.CREDENTIALS),
    3003: (FATAL, WhoMustAct.CREDENTIALS),
    3008: (RECOVERABLE, WhoMustAct.NOBODY),
}


def test_every_row_is_stated_here() -> None:
    """A row cannot come or go without this list."""
    assert set(CLOSE_CAUSES) == set(ROWS)


@pytest.mark.parametrize(("code", "expected"), ROWS.items())
def test_a_known_code_has_its_class_and_who_must_act(
    code: int, expected: tuple[FailureClass, WhoMustAct]
) -> None:
    """The table says of each code how bad it is and who can mend it."""
    cause = cause_of_close(code)

    assert (cause.failure_class, cause.who_must_act) == expected
    assert cause.reason == f"close_{code}"


@given(st.integers(0, 5000))
def test_every_code_gives_a_cause_that_says_the_connection_is_lost(code: int) -> None:
    """No code raises, and none leaves the connection in use."""
    cause = cause_of_close(code)

    assert cause.lost
    assert cause.reason == f"close_{code}"


@given(st.integers().filter(lambda code: code not in ROWS))
def test_an_unknown_code_is_recoverable(code: int) -> None:
    """A word nobody knows never parks an instance."""
    assert cause_of_close(code).failure_class is RECOVERABLE


@given(st.integers(0, 5000), st.text(min_size=1, max_size=600))
def test_the_text_becomes_the_detail_and_is_bounded(code: int, text: str) -> None:
    """What the server said is kept for people, up to 500 characters."""
    assert cause_of_close(code, text).detail == text[:500]


def test_try_again_later_asks_for_a_longer_wait() -> None:
    """1013 is the one code with a hint of its own."""
    hints = {code: cause.retry_after for code, cause in CLOSE_CAUSES.items() if cause.retry_after}

    assert hints == {1013: TRY_AGAIN_LATER}


@pytest.mark.parametrize("code", [1000, 1008, 4004])
def test_the_platform_goes_before_the_standard(code: int) -> None:
    """A platform's row replaces ours, and still loses the connection."""
    row = Cause(FATAL, "authentication", who_must_act=WhoMustAct.CREDENTIALS)

    cause = cause_of_close(code, "bad token", {code: row})

    assert (cause.failure_class, cause.reason, cause.detail) == (
        FATAL,
        "authentication",
        "bad token",
    )
    assert cause.lost


def test_a_platform_that_does_not_know_a_code_leaves_it_to_the_standard() -> None:
    """A platform's table need not be whole."""
    row = Cause(FATAL, "authentication")

    assert cause_of_close(1011, platform={4004: row}) == CLOSE_CAUSES[1011]


def test_the_detail_of_a_platform_row_stays_when_the_server_says_nothing() -> None:
    """An empty text tells less than the row."""
    row = Cause(FATAL, "intents", detail="disallowed intents")

    assert cause_of_close(4014, "", {4014: row}).detail == "disallowed intents"
