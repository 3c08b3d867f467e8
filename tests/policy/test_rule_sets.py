"""The laws of rule sets: which rule decides, how sets compose, and that they always answer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st

from trio_instances import ChannelError, InvalidSpec
from trio_instances.policy.causes import (
    RuleSet,
    Seen,
    on_close,
    on_error,
    on_match,
    on_status,
    on_word,
)
from trio_instances.policy.failures import (
    Cause,
    FailureClass,
    WhoMustAct,
    flatten,
    merge_causes,
)
from trio_instances.policy.rule_sets import UNEXPECTED

from .strategies import (
    BrokenCauseError,
    BrokenTextError,
    causes,
    codes,
    errors,
    rule_sets,
    single_errors,
)

RECOVERABLE = FailureClass.RECOVERABLE
FATAL = FailureClass.FATAL
SEVERITY = [FailureClass.RECOVERABLE, FailureClass.DEGRADED, FailureClass.FATAL]
BANNED = Cause(FATAL, "banned", who_must_act=WhoMustAct.CREDENTIALS)
EMPTY = RuleSet("empty", ())

Look = Callable[[RuleSet], Cause]

single_looks = st.one_of(
    codes.map(lambda code: lambda rules: rules.cause_of_close(code)),
    st.sampled_from([401, 418, 429, 503]).map(lambda s: lambda rules: rules.cause_of_status(s)),
    st.sampled_from(["warning", "other"]).map(lambda word: lambda rules: rules.cause_of_word(word)),
    single_errors.map(lambda error: lambda rules: rules.cause_of_error(error)),
)
"""Ways to ask a set for one thing."""

looks = single_looks | errors.map(lambda error: lambda rules: rules.cause_of_error(error))
"""Ways to ask a set."""


def named(name: str, base: type[Exception] = Exception) -> type[Exception]:
    """Return an exception type that has a full name."""
    module, _, short = name.rpartition(".")
    return type(short, (base,), {"__module__": module})


def reason(text: str) -> Cause:
    """Return a cause that is told from others by its reason."""
    return Cause(RECOVERABLE, text)


# --- Composing


@given(rule_sets, rule_sets, rule_sets)
def test_composing_is_associative(a: RuleSet, b: RuleSet, c: RuleSet) -> None:
    """Only the order counts, not which two were composed first."""
    assert (a | b) | c == a | (b | c)


@given(rule_sets, rule_sets, single_looks)
def test_the_first_set_that_has_a_rule_decides_alone(a: RuleSet, b: RuleSet, look: Look) -> None:
    """However well the second one fits: a range of the first goes before a row of the second."""
    further = RuleSet("further", [on_match(lambda _: True, reason("asked further"))])
    silent = look(a | further).reason == "asked further"

    assert look(a | b) == look(b if silent else a)


@given(rule_sets, rule_sets, st.lists(single_errors, min_size=1, max_size=3))
def test_of_a_group_each_leaf_is_decided_for_itself(
    a: RuleSet, b: RuleSet, leaves: list[Exception]
) -> None:
    """One leaf that the first set knows does not keep the others from the second."""
    rules = a | b
    each = [rules.cause_of_error(leaf) for leaf in leaves]

    assert rules.cause_of_error(ExceptionGroup("several", leaves)) == merge_causes(each)


@given(rule_sets, looks)
def test_a_set_without_rules_changes_nothing(a: RuleSet, look: Look) -> None:
    """It is asked in vain, before and after."""
    assert look(EMPTY | a) == look(a) == look(a | EMPTY)


@given(rule_sets, looks)
def test_a_set_composed_with_itself_says_the_same(a: RuleSet, look: Look) -> None:
    """Whoever adds the defaults twice has done no harm."""
    assert look(a | a) == look(a)


def test_a_set_composes_with_sets_only() -> None:
    """A table of another shape is refused by Python itself."""
    with pytest.raises(TypeError):
        EMPTY | {4004: BANNED}


# --- Which rule decides within a set


@given(st.permutations(["exact", "wide", "narrow"]))
def test_the_rule_for_exactly_one_code_goes_before_ranges(order: list[str]) -> None:
    """Wherever it stands."""
    rows = {
        "exact": on_close(4050, reason("exact")),
        "wide": on_close(range(4000, 5000), reason("wide")),
        "narrow": on_close(range(4000, 4100), reason("narrow")),
    }
    rules = RuleSet("own", [rows[each] for each in order])

    assert rules.cause_of_close(4050).reason == "exact"


def test_of_two_ranges_the_first_decides() -> None:
    """So that the narrow one is written before the wide one."""
    narrow = on_close(range(4000, 4100), reason("narrow"))
    wide = on_close(range(4000, 5000), reason("wide"))

    assert RuleSet("own", [narrow, wide]).cause_of_close(4050).reason == "narrow"
    assert RuleSet("own", [wide, narrow]).cause_of_close(4050).reason == "wide"
    assert RuleSet("own", [narrow, wide]).cause_of_close(4100).reason == "wide"


def test_a_function_goes_before_everything_else_in_its_set_and_the_first_one_first() -> None:
    """It was written for a case that numbers and types cannot tell apart."""
    rules = RuleSet(
        "own",
        [
            on_close(4000, reason("by code")),
            on_match(lambda seen: "quota" in seen.text, reason("by text")),
            on_match(lambda seen: seen.close == 4000, reason("by function")),
        ],
    )

    assert rules.cause_of_close(4000, "over quota").reason == "by text"
    assert rules.cause_of_close(4000).reason == "by function"


def test_a_function_sees_what_there_is_to_see() -> None:
    """The exception, leaf by leaf; or the number, or the word, with the text that came with it."""
    seen: list[Seen] = []
    rules = RuleSet("own", [on_match(seen.append, BANNED)])
    error = ValueError("text")
    rules.cause_of_error(ExceptionGroup("several", [error]))
    rules.cause_of_close(4000, "bye")
    rules.cause_of_status(429, detail="slow down")
    rules.cause_of_word("warning", "soon")

    assert seen == [
        Seen(error=error),
        Seen(close=4000, text="bye"),
        Seen(status=429, text="slow down"),
        Seen(word="warning", text="soon"),
    ]


def test_a_function_that_raises_does_not_match() -> None:
    """An error without a code is not the one with code 7, and is classified like any other."""
    rules = RuleSet(
        "own",
        [
            on_match(lambda seen: seen.error.code == 7, BANNED),  # type: ignore[union-attr]  # what it raises where there is no error is the test
            on_error(KeyError, reason("missing")),
        ],
    )
    seven = KeyError()
    seven.code = 7  # type: ignore[attr-defined]  # as errors of a library have one

    assert rules.cause_of_error(KeyError()).reason == "missing"
    assert rules.cause_of_error(seven).reason == "banned"


def test_errors_that_are_alike_have_one_cause_and_any_others_each_their_own() -> None:
    """What is alike is remembered: type, text and wait decide, and nothing else of the error."""

    class Waiting(Exception):
        retry_after = 3.0

    class OtherError(Exception):
        pass

    rules = RuleSet("these", [on_error(OtherError, Cause(FailureClass.FATAL, "other"))])
    assert rules.cause_of_error(ValueError("text")) is rules.cause_of_error(ValueError("text"))
    assert rules.cause_of_error(ValueError("text")).reason == "unexpected"
    assert rules.cause_of_error(ValueError("other text")).detail == "other text"
    assert rules.cause_of_error(OtherError("text")).reason == "other"
    assert RuleSet("others", ()).cause_of_error(OtherError("text")).reason == "unexpected"
    assert rules.cause_of_error(Waiting("text")).retry_after == 3.0
    Waiting.retry_after = 4.0
    assert rules.cause_of_error(Waiting("text")).retry_after == 4.0


def test_a_function_looks_at_each_error_however_much_like_the_last_one_it_is() -> None:
    """It may look at anything: what it said of one error says nothing of the next."""

    def third(seen: Seen) -> bool:
        looked.append(seen.error)
        return len(looked) == 3

    looked: list[BaseException | None] = []
    rules = RuleSet("closely", [on_match(third, Cause(FailureClass.FATAL, "third"))])
    found = [rules.cause_of_error(ValueError("text")).reason for _ in range(4)]
    assert found == ["unexpected", "unexpected", "third", "unexpected"]
    assert len(set(map(id, looked))) == 4


@pytest.mark.parametrize(
    ("answer", "reason"), [(1, "banned"), ([], "close_4000"), (None, "close_4000")]
)
def test_what_a_function_returns_is_taken_for_true_or_false(answer: object, reason: str) -> None:
    """As Python's own conditions do."""
    rules = RuleSet("own", [on_match(lambda _: answer, BANNED)])

    assert rules.cause_of_close(4000).reason == reason


@given(st.permutations(["a.First", "a.Second", "a.Third"]))
def test_the_nearest_base_class_that_has_a_rule_decides(order: list[str]) -> None:
    """The order of the rules means nothing; only the distance within the type's ancestry does."""
    third = named("a.Third")
    second = named("a.Second", third)
    first = named("a.First", second)
    rules = RuleSet("own", [on_error(name, reason(name)) for name in order])

    reasons = [rules.cause_of_error(kind()).reason for kind in (first, second, third)]
    assert reasons == ["a.First", "a.Second", "a.Third"]


def test_a_set_is_asked_for_every_base_class_before_the_next_set() -> None:
    """What somebody said of a whole family of errors is not undone by a default for one of them."""
    mine = RuleSet("mine", [on_error(OSError, reason("network"))])
    defaults = RuleSet("defaults", [on_error(TimeoutError, reason("timeout"))])

    assert (mine | defaults).cause_of_error(TimeoutError()).reason == "network"
    assert (defaults | mine).cause_of_error(TimeoutError()).reason == "timeout"


def test_the_short_name_alone_is_no_rule() -> None:
    """A type of the same name from another module is another type."""
    rules = RuleSet("own", [on_error("a.Gone", BANNED)])

    assert rules.cause_of_error(named("b.Gone")()).reason == UNEXPECTED.reason


def test_kinds_do_not_mix() -> None:
    """A close code and a status of one number are two things."""
    rules = RuleSet("own", [on_close(404, reason("closed")), on_status(range(1000), BANNED)])

    assert rules.cause_of_close(404).reason == "closed"
    assert rules.cause_of_close(405).reason == "close_405"
    assert rules.cause_of_status(404).reason == "banned"
    assert rules.cause_of_word("404").reason == "unexpected"


# --- What a cause is filled in with


@given(rule_sets, st.integers(), st.text(max_size=600))
def test_every_close_code_gives_a_cause_that_says_the_connection_is_lost(
    rules: RuleSet, code: int, text: str
) -> None:
    """No code raises, and none leaves the connection in use."""
    cause = rules.cause_of_close(code, text)

    assert cause.lost
    assert cause.detail == text[:500]


@given(st.integers(), st.integers())
def test_a_number_without_a_rule_is_recoverable_and_named(code: int, status: int) -> None:
    """A word that nobody knows never parks an instance."""
    assert EMPTY.cause_of_close(code) == Cause(RECOVERABLE, f"close_{code}", lost=True)
    assert EMPTY.cause_of_status(status) == Cause(RECOVERABLE, f"http_{status}")


@given(rule_sets, st.text(max_size=600), st.text(max_size=600))
@example(EMPTY, "", "")
def test_every_word_gives_a_cause(rules: RuleSet, word: str, text: str) -> None:
    """What a platform says is its own to write, so nothing in it may raise."""
    assert len(rules.cause_of_word(word, text).detail) <= 500


def test_a_word_without_a_rule_is_unexpected_and_told() -> None:
    """It is not made a reason: those are few and stable."""
    assert EMPTY.cause_of_word("so_long") == evolve(UNEXPECTED, detail="so_long")
    assert EMPTY.cause_of_word("bye", "all") == evolve(UNEXPECTED, detail="bye: all")


def test_braces_in_a_reason_stand_for_what_was_seen() -> None:
    """So that a rule for a range names each of its codes."""
    rules = RuleSet(
        "own",
        [
            on_close(range(4000, 4100), Cause(FATAL, "refused_{}")),
            on_status(429, Cause(RECOVERABLE, "http_{}")),
            on_word("warning", Cause(RECOVERABLE, "slack_{}")),
        ],
    )

    assert rules.cause_of_close(4009).reason == "refused_4009"
    assert rules.cause_of_status(429).reason == "http_429"
    assert rules.cause_of_word("warning").reason == "slack_warning"


def test_the_detail_of_a_rule_stays_where_nothing_was_said() -> None:
    """An empty text tells less than the rule."""
    said = Cause(FATAL, "intents", detail="disallowed intents")
    rules = RuleSet(
        "own",
        [on_close(4014, said), on_status(403, said), on_word("no", said), on_error(OSError, said)],
    )

    details = {
        rules.cause_of_close(4014).detail,
        rules.cause_of_status(403).detail,
        rules.cause_of_word("no").detail,
        rules.cause_of_error(OSError()).detail,
    }
    assert details == {"disallowed intents"}
    assert rules.cause_of_error(OSError("text")).detail == "text"


@given(causes(), st.floats(0, 1e6))
def test_a_wait_that_was_asked_for_is_kept_unless_nothing_will_be_tried(
    row: Cause, asked: float
) -> None:
    """The server knows better than the rule how long; after a fatal cause it has nothing to say."""
    rules = RuleSet("own", [on_status(429, row), on_word("slow", row), on_error("a.Slow", row)])
    error = named("a.Slow")()
    error.retry_after = asked  # type: ignore[attr-defined]  # as errors of a library have one
    expected = row.retry_after if row.failure_class is FATAL else asked

    assert rules.cause_of_status(429, retry_after=asked).retry_after == expected
    assert rules.cause_of_word("slow", retry_after=asked).retry_after == expected
    assert rules.cause_of_error(error).retry_after == expected


def test_the_wait_of_a_rule_stays_where_none_was_asked_for() -> None:
    """A rule may know how long is right."""
    slow = Cause(RECOVERABLE, "slow_down", retry_after=30.0)
    rules = RuleSet("own", [on_status(429, slow), on_word("slow", slow), on_error(OSError, slow)])

    assert rules.cause_of_status(429).retry_after == 30.0
    assert rules.cause_of_word("slow").retry_after == 30.0
    assert rules.cause_of_error(OSError()).retry_after == 30.0


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        (5, 5.0),
        (0, 0.0),
        (2.5, 2.5),
        ("7", 7.0),
        (timedelta(minutes=1), 60.0),
        (-1, None),
        (float("inf"), None),
        (float("nan"), None),
        (10**400, None),
        ("soon", None),
        (None, None),
        (object(), None),
    ],
)
def test_only_a_wait_that_can_be_waited_is_read_off_an_exception(
    asked: Any, seconds: float | None
) -> None:
    """The attribute is somebody else's, and may hold anything."""
    error = ValueError()
    error.retry_after = asked  # type: ignore[attr-defined]  # as errors of a library have one

    assert EMPTY.cause_of_error(error).retry_after == seconds


@pytest.mark.parametrize("ask", ["cause_of_status", "cause_of_word"])
def test_a_wait_that_cannot_be_waited_is_the_callers_mistake(ask: str) -> None:
    """Unlike an attribute of an exception, it was handed over on purpose."""
    with pytest.raises(InvalidSpec, match="retry_after"):
        getattr(EMPTY, ask)("x", retry_after=-1.0)


# --- Exceptions


@given(rule_sets, causes())
def test_a_stated_cause_wins_unchanged(rules: RuleSet, cause: Cause) -> None:
    """Who raises a `ChannelError` knows better than any rule."""
    always = RuleSet("own", [on_match(lambda _: True, BANNED)])

    assert (always | rules).cause_of_error(ChannelError(cause)) == cause


def test_any_exception_may_state_its_cause() -> None:
    """The attribute counts, not the type, and it goes before a rule for the type."""
    error = TimeoutError("late")
    error.cause = BANNED  # type: ignore[attr-defined]  # as a library of the user may do

    assert RuleSet("own", [on_error(OSError, reason("x"))]).cause_of_error(error) == BANNED


def test_an_attribute_cause_that_states_nothing_leaves_the_rules_to_decide() -> None:
    """A broken property of somebody's exception is no reason to fail."""
    assert EMPTY.cause_of_error(BrokenCauseError("text")) == evolve(
        UNEXPECTED, detail="text", error_type="BrokenCauseError"
    )


def test_an_exception_without_a_rule_is_a_bug_that_is_retried_and_named() -> None:
    """What nobody foresaw is recoverable, within the budget, and its author must act."""
    cause = EMPTY.cause_of_error(KeyError("k"))

    assert cause == Cause(RECOVERABLE, "unexpected", "'k'", "KeyError", who_must_act="author")


def test_an_exception_that_cannot_be_shown_is_classified() -> None:
    """It says what is wrong with it."""
    cause = EMPTY.cause_of_error(BrokenTextError())

    assert cause.detail == "<its __str__ raised RuntimeError>"
    assert cause.error_type == "BrokenTextError"


@given(rule_sets, errors)
def test_classifying_never_raises(rules: RuleSet, error: Exception) -> None:
    """Whatever was raised, there is a cause with a class, and a text of bounded length."""
    cause = rules.cause_of_error(error)

    assert isinstance(cause.failure_class, FailureClass)
    assert len(cause.detail) <= 500


@given(rule_sets, errors)
def test_the_worst_leaf_of_a_group_decides(rules: RuleSet, error: Exception) -> None:
    """A group is as bad as its worst leaf, the first of those."""
    leaves = [rules.cause_of_error(leaf) for leaf in flatten(error)]
    whole = rules.cause_of_error(error)

    rank = [SEVERITY.index(leaf.failure_class) for leaf in leaves]
    worst = leaves[rank.index(max(rank))]
    assert (whole.failure_class, whole.reason, whole.detail, whole.who_must_act) == (
        worst.failure_class,
        worst.reason,
        worst.detail,
        worst.who_must_act,
    )


def test_a_group_nested_beyond_the_recursion_limit_is_classified() -> None:
    """However many nurseries an error has come through."""
    error: Exception = TimeoutError()
    for _ in range(5000):
        error = ExceptionGroup("nursery", [error])

    assert EMPTY.cause_of_error(error).error_type == "TimeoutError"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), GeneratorExit()])
def test_what_is_no_ordinary_error_can_be_classified_too(error: BaseException) -> None:
    """A report may need a cause for it, though no policy retries it."""
    assert EMPTY.cause_of_error(error).error_type == type(error).__name__


# --- What a set may be


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"name": ""}, "name: must be a text that is not empty, not ''"),
        ({"rules": 7}, "rules: must be rules, not 7"),
        ({"rules": [4004]}, "rules[0]: must be a Rule, not 4004"),
        (
            {"rules": [on_close(4004, BANNED), on_close(4004, reason("x"))]},
            "rules[1]: must not be for what another one is for, not 4004",
        ),
        ({"then": 4004}, "then: must be a RuleSet or None, not 4004"),
    ],
)
def test_a_wrong_field_is_refused(given: dict[str, Any], text: str) -> None:
    """The refusal names the place, the way out, and the value."""
    fields: dict[str, Any] = {"name": "own", "rules": (), **given}
    with pytest.raises(InvalidSpec) as refusal:
        RuleSet(**fields)

    assert str(refusal.value) == f"RuleSet: {text}"


def test_one_function_may_stand_in_a_set_twice() -> None:
    """Functions cannot be told apart by what they are for; the first one decides."""

    def always(seen: Seen) -> bool:
        return True

    rules = RuleSet("own", [on_match(always, BANNED), on_match(always, reason("x"))])
    assert rules.cause_of_close(4000).reason == "banned"
