"""What the property tests of the policies draw: causes, rules, errors, delays, policies."""

from __future__ import annotations

import math

from hypothesis import strategies as st

from trio_instances import ChannelError
from trio_instances.policy.backoff import Backoff, Jitter
from trio_instances.policy.causes import (
    RuleSet,
    on_close,
    on_error,
    on_match,
    on_status,
    on_word,
)
from trio_instances.policy.failures import Cause, FailureClass, WhoMustAct
from trio_instances.policy.intensity import RestartIntensity
from trio_instances.policy.reconnect import Exhausted, ReconnectPolicy

chances = st.floats(0.0, 1.0)
"""Random numbers in [0, 1], both ends included."""

seconds = st.one_of(st.integers(0, 1000), st.floats(0.0, 1e6))
"""Times and budgets. Whole ones are drawn often, so that two of them often are equal."""

hints = st.one_of(st.none(), st.sampled_from([0.0, 3.0, 90.0, 1000.0]))
"""What the other side may ask to wait."""


def causes(
    classes: st.SearchStrategy[FailureClass] = st.sampled_from(FailureClass),  # noqa: B008 - immutable
) -> st.SearchStrategy[Cause]:
    """Draw a cause of one of the classes."""
    return st.builds(
        Cause,
        failure_class=classes,
        reason=st.sampled_from(["timeout", "close_4004", "http_429"]),
        retry_after=hints,
        resumable=st.booleans(),
        lost=st.booleans(),
        planned=st.booleans(),
        who_must_act=st.sampled_from(WhoMustAct),
    )


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


single_errors = st.one_of(
    st.builds(ChannelError, causes()),
    st.sampled_from([ValueError("v"), TimeoutError(), OSError(5, "io"), EOFError()]),
    st.builds(BrokenTextError),
    st.builds(BrokenCauseError),
)
"""Exceptions of every kind that is classified in a way of its own."""

errors = st.recursive(
    single_errors,
    lambda inner: st.lists(inner, min_size=1, max_size=4).map(lambda e: ExceptionGroup("some", e)),
    max_leaves=8,
)
"""Those, and groups of them."""

codes = st.integers(3998, 4006)
"""Close codes, few enough for rules to meet them."""

_ranges = st.builds(lambda first, length: range(first, first + length), codes, st.integers(1, 4))
rules = st.one_of(
    st.builds(on_close, codes | _ranges, causes()),
    st.builds(on_status, st.sampled_from([401, 429, range(400, 500)]), causes()),
    st.builds(on_word, st.sampled_from(["warning", "reconnect"]), causes()),
    st.builds(
        on_error,
        st.sampled_from([TimeoutError, OSError, EOFError, Exception, "a.Unknown"]),
        causes(),
    ),
    st.builds(
        on_match,
        st.sampled_from(
            [
                lambda seen: seen.close == 4000,
                lambda seen: isinstance(seen.error, ValueError),
                lambda seen: seen.error.code == 7,
                lambda seen: seen.nonsense,
            ]
        ),
        causes(),
    ),
)
"""Rules of every kind, a function that raises among them."""

rule_sets = st.builds(
    RuleSet,
    st.sampled_from(["one", "two", "three"]),
    st.lists(
        rules,
        max_size=6,
        unique_by=lambda rule: rule if rule.kind == "predicate" else (rule.kind, rule.key),
    ),
)
"""Sets of one part."""


def backoffs(stable_after: float | None = None) -> st.SearchStrategy[Backoff]:
    """Draw delays of every shape: none at all, constant, growing."""
    return st.builds(
        lambda ends, **others: Backoff(initial=min(ends), cap=max(ends), **others),
        st.tuples(seconds, seconds),
        factor=st.one_of(st.sampled_from([1, 1.0, 2, 2.0, 1e300]), st.floats(1.0, 10.0)),
        jitter=st.sampled_from(Jitter),
        stable_after=seconds if stable_after is None else st.just(stable_after),
    )


intensities = st.builds(
    RestartIntensity, max_restarts=st.integers(0, 5), period=st.sampled_from([0.5, 1.0, 5.0])
)
"""Budgets that a handful of restarts exceeds, with periods that floats add exactly."""

reconnect_policies = st.builds(
    ReconnectPolicy,
    attempts=st.integers(1, 4),
    backoff=backoffs(stable_after=60.0),
    slow=backoffs(stable_after=60.0),
    exhausted=st.sampled_from(Exhausted),
    stable_after=seconds,
    needs_data=st.booleans(),
    hint_floor=st.sampled_from([0.0, 1.0, 100.0]),
    hint_ceiling=st.sampled_from([100.0, 259_200.0, math.inf]),
    attention_after=st.sampled_from([0.0, 3.3, 7200.0, math.inf]),
    max_age=st.sampled_from([1.0, 86400.0, math.inf]),
)
"""Ways to reconnect, also those where the slow delays are the shorter ones."""
