"""Who comes first, who is shown, and why in words."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_instances import InstanceStatus
from trio_instances._cli.answer import Reason, Row, Why
from trio_instances._cli.urgency import (
    Urgency,
    Wanted,
    by_urgency,
    urgency_of,
    why_in_words,
)

from .fleets import degraded, failed, row

IN_ORDER = [
    failed(),
    degraded(),
    row("a", "reconnecting", attempt=3),
    row("a", pressure="shed"),
    row("a", proven=False),
    row("a", "paused"),
    row("a"),
]
"""One of each urgency."""

ROWS = st.builds(
    row,
    st.text(max_size=3),
    st.sampled_from([*(status.value for status in InstanceStatus), "new"]),
    since=st.floats(0, 9),
    proven=st.booleans(),
    connected=st.booleans(),
    attempt=st.integers(0, 3),
    needs_attention=st.booleans(),
    pressure=st.sampled_from(["normal", "warn", "shed"]),
)


def test_the_order_is_that_in_which_to_look_at_them() -> None:
    """Who waits for people first, who is well last."""
    assert [urgency_of(each) for each in IN_ORDER] == list(Urgency)
    assert by_urgency(reversed(IN_ORDER)) == IN_ORDER


@pytest.mark.parametrize(
    ("one", "urgency"),
    [
        (row("a", "reconnecting", needs_attention=True), Urgency.ATTENTION),
        (degraded(who_must_act="author"), Urgency.ATTENTION),
        (row("a", "connecting", attempt=1), Urgency.SETTLING),
        (row("a", "connecting", attempt=2), Urgency.DOWN),
        (row("a", "starting"), Urgency.SETTLING),
        (row("a", "stopping"), Urgency.SETTLING),
        (row("a", "stopped"), Urgency.AT_REST),
        (row("a", "of a later version"), Urgency.SETTLING),
    ],
)
def test_how_soon_somebody_should_look(one: Row, urgency: Urgency) -> None:
    """The cases that the order above has not."""
    assert urgency_of(one) is urgency


@given(st.lists(ROWS, max_size=9))
def test_nobody_is_lost_by_the_order_and_equals_go_by_time(rows: list[Row]) -> None:
    """The longest in its state first, and then by name, so that a picture does not flicker."""
    ordered = by_urgency(rows)

    assert sorted(ordered, key=repr) == sorted(rows, key=repr)
    keys = [(urgency_of(each), each.since, each.instance_id) for each in ordered]
    assert all(one <= other for one, other in pairwise(keys))


@pytest.mark.parametrize(
    ("wanted", "takes"),
    [
        (Wanted(), True),
        (Wanted("FAIL"), True),
        (Wanted("credent"), True),
        (Wanted("SCRIPT"), True),
        (Wanted("Bot"), True),
        (Wanted("bot2"), False),
        (Wanted("", frozenset({"failed", "paused"})), True),
        (Wanted("bot", frozenset({"paused"})), False),
    ],
)
def test_a_row_is_wanted_by_its_text_and_its_status(wanted: Wanted, *, takes: bool) -> None:
    """The text is looked for in all that says who and why, in any case."""
    assert wanted.takes(failed("bot-1")) is takes


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (row(), ""),
        (row(cause=Why("close_1006")), ""),
        (row("a", "paused", draining=True), "sends what is left before a pause"),
        (row("a", "reconnecting", cause=Why("refused")), "refused"),
        (
            row("a", "reconnecting", cause=Why("refused", "nobody there", "OSError")),
            "refused: OSError, nobody there",
        ),
        (degraded(what="child:x"), "child:x: meh"),
        (degraded(what="reconnect", connected=False, cause=Why("http_503")), "http_503"),
        (
            degraded(
                degraded=(Reason("probe", Why("slow")), Reason("pressure", Why("full"))),
                pressure="shed",
            ),
            "probe: slow; pressure: full",
        ),
        (row(pressure="warn"), "pressure: warn"),
    ],
)
def test_why_is_said_once_and_only_of_what_is_so_now(one: Row, words: str) -> None:
    """A cause is why there is no connection; where there is one again it is a thing of the past."""
    assert why_in_words(one) == words
