"""Draws the picture and the table of the page about the connection lifecycle from its machine.

``python docs/draw_connection.py`` rewrites both; a test says when that is due.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from ladders import ladder

from trio_instances.policy.connection import SUCCESSOR, TABLE, step
from trio_instances.policy.failures import Cause, FailureClass
from trio_instances.policy.reconnect import ReconnectPolicy
from trio_instances.policy.signals import ConnectionState, Phase, Signal, SignalKind

PAGE = Path(__file__).parent / "connection.md"
PICTURE = Path(__file__).parent / "pictures" / "connection.svg"
CAUSES = (Cause(FailureClass.RECOVERABLE, "gone"), Cause(FailureClass.FATAL, "banned"))
OPEN = (Phase.CONNECTED, Phase.PROVEN)
VERBS = {
    "reconnect": SignalKind.RECONNECT,
    "retry_now": SignalKind.RETRY,
    "pause": SignalKind.PAUSE,
    "resume": SignalKind.RESUME,
    "drain": SignalKind.DRAIN,
}

_PLACE = re.compile(r"<!-- drawn: verbs -->\n.*?<!-- end -->\n", re.DOTALL)
_LATER = 3600.0
"""A time at which an open connection is old enough to be replaced at once."""
_PROVES_ALONE = ReconnectPolicy()
_PROVES_WITH_DATA = ReconnectPolicy(needs_data=True)


def drawn(page: str) -> str:
    """Return the text of the page with the table drawn anew."""
    return _PLACE.sub(f"<!-- drawn: verbs -->\n\n{_table()}\n<!-- end -->\n", page)


# --- the picture ---------------------------------------------------------------------------------


def picture() -> str:
    """Return the phases and what leads from one to another, as SVG."""
    arrows: dict[tuple[str, str], dict[str, None]] = {}
    for before, word, after in _moves():
        if after is not before:
            arrows.setdefault((before, after), {})[word] = None
    return ladder("The phases of a connection", list(Phase), arrows, first=Phase.IDLE)


def _moves() -> Iterator[tuple[Phase, str, Phase]]:
    """Play every pair of the tables, in every state that makes a difference."""
    for phase in Phase:
        for kind, state, cause, policy in product(
            TABLE[phase], _states(phase), CAUSES, (_PROVES_ALONE, _PROVES_WITH_DATA)
        ):
            after, _ = step(state, Signal(kind, cause=cause), policy, _LATER, 0.0)
            yield phase, _word(kind, cause, handover=state.successor is not None), after.phase
    for phase, kind in product(OPEN, SUCCESSOR):
        state = ConnectionState(phase, generation=1, begun=2, successor=2)
        after, _ = step(state, Signal(kind, 2, CAUSES[0]), _PROVES_ALONE, _LATER, 0.0)
        yield phase, f"successor {kind}", after.phase


def _states(phase: Phase) -> Iterator[ConnectionState]:
    successors = (None, 2) if phase in OPEN else (None,)
    for successor, draining, budgeted in product(successors, (None, 1.0), (False, True)):
        yield ConnectionState(
            phase,
            generation=1,
            begun=successor or 1,
            successor=successor,
            attempt=1,
            drain_by=draining,
            stable=phase is Phase.CONNECTED,
            data=phase is Phase.CONNECTED,
            budgeted=budgeted,
        )


def _word(kind: SignalKind, cause: Cause, *, handover: bool) -> str:
    if kind is SignalKind.LOST and cause.failure_class is FailureClass.FATAL:
        return "lost for good"
    if handover and kind is SignalKind.LOST:
        return "lost in a handover"

    return str(kind)


# --- the table of verbs --------------------------------------------------------------------------


def _table() -> str:
    lines = [f"| phase | {' | '.join(f'`{verb}`' for verb in VERBS)} |", "| --- " * 6 + "|"]
    for phase in Phase:
        cells = [_effect(phase, kind) for kind in VERBS.values()]
        lines.append(f"| `{phase}` | {' | '.join(cells)} |")
    return "".join(f"{line}\n" for line in lines)


def _effect(phase: Phase, kind: SignalKind) -> str:
    state = ConnectionState(phase, generation=1, begun=1)
    after, _ = step(state, Signal(kind, seconds=1.0), _PROVES_ALONE, _LATER, 0.0)
    if after.phase is not phase:
        return f"→ `{after.phase}`"
    if after.drain_by is not None:
        return "drains"
    if after.pause_wanted:
        return "pauses the next run"

    draining = ConnectionState(phase, generation=1, begun=1, drain_by=1.0)
    after, _ = step(draining, Signal(kind), _PROVES_ALONE, _LATER, 0.0)
    if after != draining:
        return "ends a drain"

    paused = ConnectionState(phase, generation=1, begun=1, pause_wanted=True)
    after, _ = step(paused, Signal(kind), _PROVES_ALONE, _LATER, 0.0)
    return "" if after == paused else "ends a pause"


if __name__ == "__main__":
    PAGE.write_text(drawn(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    PICTURE.write_text(picture(), encoding="utf-8")
