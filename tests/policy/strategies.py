"""What the property tests of the policies draw: causes, delays, policies."""

from __future__ import annotations

import math

from hypothesis import strategies as st

from trio_instances.policy.backoff import Backoff, Jitter
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
        who_must_act=st.sampled_from(WhoMustAct),
    )


def backoffs() -> st.SearchStrategy[Backoff]:
    """Draw delays of every shape: none at all, constant, growing, capped below their beginning."""
    return st.builds(
        Backoff,
        initial=seconds,
        factor=st.one_of(st.sampled_from([1, 1.0, 2, 2.0, 1e300]), st.floats(1.0, 10.0)),
        cap=seconds,
        jitter=st.sampled_from(Jitter),
        stable_after=seconds,
    )


intensities = st.builds(
    RestartIntensity, max_restarts=st.integers(0, 5), period=st.sampled_from([0.5, 1.0, 5.0])
)
"""Budgets that a handful of restarts exceeds, with periods that floats add exactly."""

reconnect_policies = st.builds(
    ReconnectPolicy,
    attempts=st.integers(1, 4),
    backoff=backoffs(),
    slow=backoffs(),
    exhausted=st.sampled_from(Exhausted),
    stable_after=seconds,
    needs_data=st.booleans(),
    hint_floor=st.sampled_from([0.0, 1.0, 100.0]),
    attention_after=st.sampled_from([0.0, 3.3, 7200.0, math.inf]),
    max_age=st.sampled_from([1.0, 86400.0, math.inf]),
)
"""Ways to reconnect, also those where the slow delays are the shorter ones."""
