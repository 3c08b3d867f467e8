"""What a connection budget makes of an outage: how many attempts at most, and how long the line is.

The attempts are bounds, not what will happen: one that waits in line makes the next one later, and
a breaker, which is not counted there, leaves one canary at a time of them. That no attempt takes
time is assumed as in `schedule`, so that the limit of those in flight is not counted either.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .rate import DAY, MINUTE

if TYPE_CHECKING:
    from .budget import BudgetPolicy


def by_rate(policy: BudgetPolicy, seconds: float) -> float:
    """Return how many attempts the rate allows at most in any so many seconds."""
    return policy.burst + policy.attempts_per_second * seconds


def by_day(policy: BudgetPolicy, seconds: float) -> float:
    """Return how many attempts the day allows at most in any so many seconds."""
    limit = math.inf if policy.attempts_per_day is None else float(policy.attempts_per_day)
    return limit * math.ceil(seconds / DAY)


def allowed(policy: BudgetPolicy, seconds: float) -> float:
    """Return how many attempts there are at most in any so many seconds, whoever wants them."""
    return min(by_rate(policy, seconds), by_day(policy, seconds))


def last_turn(policy: BudgetPolicy, instances: int, spent: float) -> float:
    """Return how much later the last of some instances gets its turn than it wants it, at most.

    Each wants one turn, and its attempt succeeds. The burst is taken to be spent, as an outage may
    well do. Nothing but the outage is taken to have spent anything of the day.

    Args:
        policy: What the budget allows.
        instances: How many there are.
        spent: The attempts of the last 24 hours.

    Returns:
        Seconds. An open breaker is counted with its longest delay and one canary that lasts.
    """
    wait = instances / policy.attempts_per_second
    breaker = policy.breaker
    if breaker is not None and instances >= breaker.minimum:
        wait += breaker.backoff.cap + breaker.stable_after
    limit = policy.attempts_per_day
    if limit is not None and spent + instances > limit:
        # What a minute has spent comes back together, when the last of it is a day old.
        wait += math.ceil(instances / limit) * (DAY + MINUTE)
    return wait
