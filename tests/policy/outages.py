"""Outages played attempt by attempt on machine 2: what a plan is held against."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from hypothesis import strategies as st

from trio_instances.policy.backoff import Backoff, Jitter
from trio_instances.policy.connection import step
from trio_instances.policy.reconnect import Exhausted, ReconnectPolicy
from trio_instances.policy.signals import Phase, Signal, SignalKind

from .lines import REFUSED, at

LIMIT = 300
"""Attempts that are played at most; some policies make infinitely many."""


def attempts_in(
    policy: ReconnectPolicy, seconds: float, chance: Callable[[], float]
) -> Iterator[float]:
    """Yield when each attempt of an outage begins, and then when the first one after it would.

    That is infinite where the policy has given up.
    """
    state, now = at(Phase.PROVEN, policy).state, 0.0
    for _ in range(LIMIT):
        lost = Signal(SignalKind.LOST, cause=REFUSED)
        state, _ = step(state, lost, policy, now, chance())
        if state.next_retry_at is None:
            yield math.inf
            return

        now = state.next_retry_at
        yield now
        if now >= seconds:
            return
        state, _ = step(state, Signal(SignalKind.DUE), policy, now, 0.0)


def count(policy: ReconnectPolicy, seconds: float, u: float) -> int:
    """Return how many attempts an outage has if chance is always the same."""
    return sum(begin < seconds for begin in attempts_in(policy, seconds, lambda: u))


lengths = st.sampled_from([0.25, 1.0, 3.0, 16.0, 100.0, 250.0])
"""Seconds of outages."""


def _exact(stable_after: st.SearchStrategy[float]) -> st.SearchStrategy[Backoff]:
    return st.builds(
        lambda initial, cap, **others: Backoff(initial, cap=max(initial, cap), **others),
        st.sampled_from([0.0, 0.25, 1.0, 4.0]),
        st.sampled_from([0.5, 2.0, 16.0, 64.0]),
        factor=st.sampled_from([1.0, 2.0, 4.0]),
        jitter=st.sampled_from(Jitter),
        stable_after=stable_after,
    )


exact_backoffs = _exact(st.sampled_from([0.0, 0.5, 8.0]))
"""Delays that floats add exactly, so that a plan and a play can be equal."""

exact_policies = st.builds(
    ReconnectPolicy,
    attempts=st.sampled_from([1, 2, 4, 30]),
    backoff=_exact(st.just(60.0)),
    slow=_exact(st.just(60.0)),
    exhausted=st.sampled_from(Exhausted),
    stable_after=st.sampled_from([0.0, 0.5, 8.0]),
)
"""Ways to reconnect with such delays."""
