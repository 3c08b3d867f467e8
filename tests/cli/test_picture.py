"""The picture of a fleet: what is in it, and that it always fits."""

from __future__ import annotations

import re
from io import StringIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from trio_instances._cli.answer import Budget, Row, Turn, Why
from trio_instances._cli.overview import Overview
from trio_instances._cli.picture import Frame, picture, short
from trio_instances._cli.urgency import Wanted

from .fleets import answer, budget, failed, happened, lost, row

URL = "http://127.0.0.1:8077"
TEXTS = st.text(max_size=30)
ROWS = st.builds(
    row,
    TEXTS,
    st.sampled_from(["connected", "failed", "reconnecting", "of a later version\x1b[2J"]),
    since=st.floats(-1e6, 1e6),
    next_retry_at=st.none() | st.floats(-1e6, 1e6),
    restarts=st.integers(0, 10**9),
    channel_type=TEXTS,
    cause=st.none() | st.builds(Why, TEXTS, TEXTS),
    who_must_act=st.sampled_from(["nobody", "credentials"]),
)
BUDGETS = st.builds(budget, TEXTS, granted=st.integers(0, 10**9), breaker=st.none() | TEXTS)


def seen(
    overview: Overview,
    *,
    now: float = 0.0,
    width: int = 120,
    height: int | None = None,
    wanted: Wanted | None = None,
    plain: bool = False,
) -> list[str]:
    """Return the lines of a picture."""
    frame = Frame(
        url=URL,
        now=now,
        clock=lambda at: f"<{at:g}>",
        wanted=wanted or Wanted(),
        width=width,
        height=height,
        plain=plain,
    )
    console = Console(file=StringIO(), width=width, color_system=None, highlight=False)
    with console.capture() as captured:
        console.print(picture(overview, frame))
    return [line.rstrip() for line in captured.get().split("\n")[:-1]]


def overview_of(*rows: Row, budgets: tuple[Budget, ...] = ()) -> Overview:
    """Return what is known of a fleet at the time 0, which is 1000 on the other side."""
    overview = Overview()
    overview.take_all(answer(*rows, budgets=budgets), now=0.0)
    return overview


def test_it_tells_at_a_glance() -> None:
    """Counts by status, attempts, pressure, budgets; and who needs attention, first of all."""
    overview = overview_of(
        row("fine", since=900.0),
        failed("refused", since=940.0),
        row(
            "away",
            "reconnecting",
            since=990.0,
            next_retry_at=1003.2,
            reconnect_attempts=7,
            restarts=2,
            cause=Why("close_1006"),
        ),
        row("full", pressure="shed", since=900.0),
        row("young", proven=False, since=995.0),
        budgets=(budget(granted=1234, waiting=2, in_flight=1, breaker="open"),),
    )

    assert seen(overview) == [
        f"{URL}{' ' * 91}live <0>",
        "5 instances: 1 failed, 1 reconnecting, 3 connected",
        "proven 2  need attention 1  attempts 0.5/s  restarts 2  pressure 1 shed",
        "",
        "budget   attempts/s              granted  waiting  in flight  left today  breaker",
        "gateway      - of 5  ░░░░░░░░░░    1,234        2          1           -  open",
        "",
        "instance  type      status          for  retry  tries  restarts  must act     why",
        f"refused   scripted  failed        1m00s{' ' * 26}credentials  bad_credentials",
        "away      scripted  reconnecting    10s     4s      7         2               close_1006",
        f"full      scripted  connected     1m40s{' ' * 39}pressure: shed",
        "young     scripted  connected?       5s",
        "fine      scripted  connected     1m40s",
    ]


def test_a_narrow_one_says_who_must_act_before_the_reason() -> None:
    """It has no room for a column of its own."""
    lines = seen(overview_of(failed("refused")), width=80)

    assert lines[-1].endswith("[credentials] bad_credentials")


def test_a_narrow_one_counts_the_worst_first() -> None:
    """What does not fit is how many are well."""
    statuses = ["connected"] * 9 + ["reconnecting", "connecting", "degraded", "paused", "starting"]
    rows = [row(str(number), status) for number, status in enumerate([*statuses, "failed"])]
    line = seen(overview_of(*rows), width=80, height=24)[1]

    assert line.startswith("15 instances: 1 failed, 1 degraded, 1 reconnecting, 1 connecting, ")


def test_who_stands_in_line_is_told_where() -> None:
    """There is neither a cause nor a time for it."""
    waits = row("a", "connecting", budget=Turn(key="gateway", place=12))

    said = seen(overview_of(waits))[-1]
    assert " line 12 " in said
    assert said.endswith("in the line of budget gateway")


def test_the_next_attempt_is_counted_down() -> None:
    """Until it is due."""
    overview = overview_of(row("a", "reconnecting", next_retry_at=1002.0))

    said = [seen(overview, now=now)[-1].split()[4] for now in (0.0, 0.9, 1.5, 2.0, 9.0)]
    assert said == ["2s", "2s", "1s", "now", "now"]


def test_a_lost_connection_is_told_and_nothing_moves_on() -> None:
    """Since when, how long that is, why, and when it is tried again."""
    overview = overview_of(row("a", "reconnecting", since=990.0, next_retry_at=1009.0))
    overview.take_news([lost(f"{URL} cannot be reached", wait=3.0)], now=60.0)

    lines = seen(overview, now=61.5)
    assert lines[0].endswith("LOST since <0> (1m01s)")
    assert lines[1] == "What follows is old. Again in 2s: cannot be reached"
    assert lines[-1].split()[3:5] == ["10s", "9s"]
    assert seen(overview, now=64.0)[1].startswith("What follows is old. Trying now: ")


def test_what_does_not_fit_is_counted() -> None:
    """And how many of those are well."""
    rows = [failed(str(number)) for number in range(9)] + [row("fine"), row("too")]

    lines = seen(overview_of(*rows), height=12)
    assert lines[-1] == "and 5 more, 2 of them well"
    assert len(lines) == 12
    assert seen(overview_of(row("a"), row("b")), height=6)[-1] == "and 2 more, all of them well"


def test_it_says_what_was_left_out_as_asked_for() -> None:
    """The counts are of the whole fleet all the same."""
    lines = seen(overview_of(row("a"), row("b"), failed("c")), wanted=Wanted("cred"))

    assert lines[1] == "3 instances: 1 failed, 2 connected"
    assert lines[2] == "shown: 1 of them, as asked for"
    assert lines[-1].startswith("c ")


def test_an_empty_fleet_is_no_empty_picture() -> None:
    """It says so."""
    assert seen(overview_of())[-1] == "there is no instance"


def test_a_high_one_tells_what_happened_lately() -> None:
    """With the time on this side's clock."""
    overview = overview_of(row("a"))
    overview.take_news([happened("a", "ERROR", at=998.0), happened("a")], now=1.0)

    assert seen(overview, now=1.0, height=40)[-2:] == ["lately", "<-2>  it a"]
    assert "lately" not in seen(overview, now=1.0, height=24)


def test_a_budget_that_holds_back_comes_first() -> None:
    """Of many only some are shown, and the rest is counted."""
    budgets = (budget("a"), budget("b", waiting=3), budget("c", breaker="open"))
    lines = seen(overview_of(row(), budgets=budgets), height=8, width=60)

    assert lines[4].startswith("budget (+2 more)")
    assert lines[5].startswith("c ")


def test_a_terminal_without_unicode_gets_none() -> None:
    """Its encoding would fail."""
    overview = overview_of(
        row("a" * 99, "failed", cause=Why("x" * 200)), budgets=(budget("b" * 99),)
    )

    assert "".join(seen(overview, plain=True, height=20)).isascii()


@settings(deadline=None)
@given(
    rows=st.lists(ROWS, max_size=12, unique_by=lambda each: each.instance_id),
    budgets=st.lists(BUDGETS, max_size=4, unique_by=lambda each: each.key),
    width=st.integers(40, 200),
    height=st.integers(12, 60),
    gone=st.booleans(),
    text=TEXTS,
)
def test_it_fits_whatever_is_in_it(
    rows: list[Row], budgets: list[Budget], width: int, height: int, *, gone: bool, text: str
) -> None:
    """No line too many, none too long, and nothing that steers a terminal."""
    overview = overview_of(*rows, budgets=tuple(budgets))
    overview.take_news([happened(text, "ERROR")] * 20, now=1.0)
    if gone:
        overview.take_news([lost(text)], now=2.0)

    lines = seen(overview, now=3.0, width=width, height=height)
    assert len(lines) <= height
    assert all(line.isprintable() for line in lines)
    assert max(map(Console().render_str, lines), key=len).cell_len <= width


@given(st.floats(0, 8e7))
def test_a_duration_takes_seven_columns_and_no_more_for_years(seconds: float) -> None:
    """The two largest units say enough."""
    said = short(seconds)

    assert re.fullmatch(r"\d+s|\d+m\d\ds|\d+h\d\dm|\d+d\d\dh", said)
    assert len(said) <= 7


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-5, "0s"), (59.9, "59s"), (60, "1m00s"), (3600, "1h00m"), (172_800, "2d00h")],
)
def test_a_duration_is_said_in_its_two_largest_units(seconds: float, said: str) -> None:
    """And never as less than nothing."""
    assert short(seconds) == said
