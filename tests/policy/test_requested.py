"""What somebody asked for: told of as every cause, and no failure."""

from __future__ import annotations

import pytest
from attrs import evolve

from trio_instances.policy.failures import Cause, FailureClass
from trio_instances.policy.requested import PAUSE_REQUESTED, REQUESTED, is_failure


@pytest.mark.parametrize("cause", sorted(REQUESTED, key=str))
def test_what_this_side_asked_for_is_no_failure(cause: Cause) -> None:
    """Whatever the verb."""
    assert not is_failure(cause)


@pytest.mark.parametrize("planned", [False, True])
def test_of_all_others_those_that_were_planned_are_none(*, planned: bool) -> None:
    """Whichever side planned them."""
    assert is_failure(Cause(FailureClass.RECOVERABLE, "close_1012", planned=planned)) is not planned


def test_a_reason_that_is_spelled_alike_is_not_looked_at() -> None:
    """Authors choose their words; what counts is the cause."""
    assert is_failure(Cause(FailureClass.RECOVERABLE, "approval_requested"))
    assert is_failure(evolve(PAUSE_REQUESTED, detail="the other side's words"))
