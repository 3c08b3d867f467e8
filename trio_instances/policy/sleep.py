"""Sleep: whether the machine slept, told by two clocks of which one stood still meanwhile.

On most systems the monotonic clock stops while the machine sleeps, so that nothing seems to have
happened, and every connection seems fine. The wall clock goes on. Between two looks at both, the
wall clock then gains on the other one by as long as the sleep was.
"""

from __future__ import annotations

LOOK_EVERY = 5.0
"""Seconds between two looks. A machine that wakes takes that long to have a network again."""
SLEPT = 10.0
"""Seconds that the wall clock must gain between two looks.

A clock that is slewed gains half a second at most between two looks (chrony's limit, a tenth of the
time), and steps of more than seconds are made once, after the start of a machine without a clock of
its own. A sleep that is shorter costs no connection that would not be found out by the next probe:
the shortest time after which a platform gives a silent client up is about as long.
"""


def slept(wall: float, monotonic: float) -> float:
    """Return for how many seconds the machine slept between two looks; 0.0 if it did not.

    A wall clock that was set back tells nothing, and one that was set ahead by far cannot be told
    from a sleep: it costs each connection one probe.

    Args:
        wall: Seconds that passed on the wall clock.
        monotonic: Seconds that passed on the monotonic clock.
    """
    gained = wall - monotonic
    return gained if gained >= SLEPT else 0.0
