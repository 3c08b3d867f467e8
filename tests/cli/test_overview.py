"""The fold from answers and events to what is known of a fleet."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trio_instances._cli.following import Bye, Gap, News, Opened
from trio_instances._cli.overview import EVENTS, RATE_WINDOW, SNAPSHOTS, Overview

from .fleets import answer, budget, failed, happened, lost, pulse, row


def test_it_wants_all_until_it_has_got_all() -> None:
    """Nothing is known at first."""
    overview = Overview()
    assert overview.whole

    overview.take_all(answer(row("a"), failed("b")), now=5.0)
    assert set(overview.rows) == {"a", "b"}
    assert overview.counts() == {"connected": 1, "failed": 1}


def test_an_event_names_whom_to_ask_about_and_changes_nothing_else() -> None:
    """What is shown always comes from a snapshot."""
    overview = Overview()
    overview.take_all(answer(row("a")), now=0.0)
    overview.take_news([happened("a"), happened("new"), happened(None)], now=1.0)

    assert overview.named == {"a", "new"}
    assert overview.rows == {"a": row("a")}


def test_who_was_asked_for_and_is_not_in_the_answer_is_gone() -> None:
    """All others stay."""
    overview = Overview()
    overview.take_all(answer(row("a"), row("b"), row("c")), now=0.0)
    overview.take_some(["a", "b", "new"], answer(failed("b"), row("new")), now=1.0)

    assert overview.rows == {"b": failed("b"), "c": row("c"), "new": row("new")}


def test_a_gap_makes_it_want_all() -> None:
    """Nobody knows what has happened, and to whom."""
    overview = Overview(whole=False)
    overview.take_news([Gap(3, "too slow")], now=0.0)

    assert overview.whole


def test_the_times_of_the_other_side_are_told_by_its_clock() -> None:
    """Answers say what it says."""
    overview = Overview()
    overview.take_all(answer(at=1000.0), now=5.0)
    assert overview.seen_at(7.0) == 1002.0
    assert overview.here(1001.0) == 6.0

    overview.take_some([], answer(at=2000.0), now=10.0)
    assert overview.seen_at(10.0) == 2000.0


def test_the_rows_of_a_run_are_told_by_the_clock_of_that_run() -> None:
    """The stream of another run of the process has another clock, which is not that of the rows."""
    overview = Overview()
    overview.take_all(answer(row("a", since=990.0), at=1000.0), now=5.0)
    overview.take_news([Opened(), pulse(3.0), Gap(None, "another run")], now=10.0)

    assert overview.seen_at(10.0) == 1005.0


def test_an_answer_of_another_run_about_some_makes_it_want_all() -> None:
    """Nothing of it is taken in: the rows that nobody asked for would be the old run's."""
    overview = Overview()
    overview.take_all(answer(row("a"), row("b"), at=1000.0), now=5.0)
    overview.take_some(["a"], answer(failed("a"), at=3.0, run="another"), now=10.0)

    assert overview.whole
    assert overview.rows == {"a": row("a"), "b": row("b")}
    assert overview.seen_at(10.0) == 1005.0

    overview.take_all(answer(row("a"), at=4.0, run="another"), now=11.0)
    assert overview.seen_at(12.0) == 5.0


def test_a_loss_is_told_since_anything_was_last_heard() -> None:
    """Not since it was noticed, and not since the last attempt; the last reason is the one told."""
    overview = Overview()
    overview.take_all(answer(at=1000.0), now=0.0)
    overview.take_news([pulse(1005.0)], now=5.0)
    overview.take_news([lost("silent", wait=1.0)], now=20.0)
    overview.take_news([lost("refused", wait=4.0)], now=21.0)

    assert overview.trouble is not None
    assert (overview.trouble.since, overview.trouble.why) == (5.0, "refused")
    assert overview.trouble.again_at == 25.0
    assert overview.seen_at(30.0) == 1005.0


def test_a_stream_that_speaks_again_is_no_trouble() -> None:
    """Whatever it says."""
    some: list[News] = [Opened(), Bye("ends"), pulse(1.0), happened("a"), Gap(1, "")]
    for each in some:
        overview = Overview()
        overview.take_news([lost()], now=1.0)
        overview.take_news([each], now=2.0)
        assert overview.trouble is None


def test_each_way_has_its_own_trouble_and_the_older_one_is_told() -> None:
    """A stream that speaks does not make snapshots come, nor the other way round."""
    overview = Overview()
    overview.fails(SNAPSHOTS, "slow", 1.0, now=1.0)
    overview.take_news([pulse(1.0)], now=2.0)
    overview.take_news([lost("refused")], now=3.0)
    assert overview.trouble is not None
    assert overview.trouble.why == "slow"

    overview.take_all(answer(), now=4.0)
    assert overview.trouble is not None
    assert overview.trouble.why == "refused"

    overview.works(EVENTS, now=5.0)
    assert overview.trouble is None


def test_only_warnings_and_errors_are_told_as_lately() -> None:
    """The newest last, and no more than some of them."""
    overview = Overview()
    overview.take_news([happened("a", "INFO"), happened("a", "DEBUG")], now=0.0)
    assert not overview.lately

    overview.take_news([happened(str(n), "WARNING") for n in range(300)], now=0.0)
    assert overview.lately[-1].text == "it 299"
    assert len(overview.lately) < 200


def test_a_budgets_rate_is_known_from_the_second_answer_on() -> None:
    """One answer says how many there were, and not since when."""
    overview = Overview()
    one = budget(granted=10)
    overview.take_all(answer(at=1000.0, budgets=(one,)), now=0.0)
    assert overview.rate_of(one) is None

    overview.take_some([], answer(at=1002.0, budgets=(budget(granted=20),)), now=2.0)
    assert overview.rate_of(one) == 5.0


def test_another_run_of_the_process_counts_anew() -> None:
    """By fewer grants, or by a clock that is behind."""
    for then in ({"granted": 3, "at": 1009.0}, {"granted": 30, "at": 9.0}):
        overview = Overview()
        overview.take_all(answer(at=1000.0, budgets=(budget(granted=10),)), now=0.0)
        after = budget(granted=int(then["granted"]))
        overview.take_all(answer(at=then["at"], budgets=(after,)), now=9.0)
        assert overview.rate_of(after) is None


def test_a_budget_that_is_gone_is_forgotten() -> None:
    """One of the same name later has nothing to do with it."""
    overview = Overview()
    overview.take_all(answer(at=1.0, budgets=(budget(granted=1),)), now=1.0)
    overview.take_all(answer(at=2.0), now=2.0)
    overview.take_all(answer(at=3.0, budgets=(budget(granted=9),)), now=3.0)

    assert overview.rate_of(budget()) is None


@given(st.lists(st.tuples(st.floats(0.1, 5.0), st.integers(0, 9)), min_size=1, max_size=50))
def test_a_budgets_rate_is_that_of_the_last_seconds(steps: list[tuple[float, int]]) -> None:
    """Within what the answers of the window, and one before it, make possible."""
    overview, at, granted = Overview(), 0.0, 0
    rates = []
    overview.take_all(answer(at=at, budgets=(budget(),)), now=at)
    for wait, more in steps:
        at, granted = at + wait, granted + more
        rates.append((at, more / wait))
        overview.take_all(answer(at=at, budgets=(budget(granted=granted),)), now=at)

    rate = overview.rate_of(budget())
    lately = [each for when, each in rates if when > at - RATE_WINDOW - 5.0]
    assert rate is not None
    assert min(lately) - 1e-6 <= rate <= max(lately) + 1e-6
