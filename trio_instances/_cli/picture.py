"""An overview as lines for a terminal: a pure function of what is known, the time and the size."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

from attrs import frozen
from rich.console import Group, OverflowMethod, RenderableType
from rich.table import Table
from rich.text import Text

from ..policy.breaker import BreakerPhase
from ..policy.failures import WhoMustAct
from ..policy.in_words import printable
from ..policy.pressure import PressureLevel
from ..policy.status import InstanceStatus
from .answer import Budget, Row
from .overview import Line, Overview
from .urgency import Urgency, Wanted, by_urgency, urgency_of, why_in_words

_STYLES: Mapping[str, str] = {
    InstanceStatus.FAILED: "bold red",
    InstanceStatus.DEGRADED: "yellow",
    InstanceStatus.RECONNECTING: "yellow",
    InstanceStatus.CONNECTING: "yellow",
    InstanceStatus.CONNECTED: "green",
    InstanceStatus.PAUSED: "cyan",
    InstanceStatus.STOPPED: "dim",
}
_ORDER = [
    InstanceStatus.FAILED,
    InstanceStatus.DEGRADED,
    InstanceStatus.RECONNECTING,
    InstanceStatus.CONNECTING,
    InstanceStatus.STARTING,
    InstanceStatus.STOPPING,
    InstanceStatus.PAUSED,
    InstanceStatus.STOPPED,
    InstanceStatus.CONNECTED,
]
"""Worst first, as on the page: what a narrow terminal cuts off is how many are well."""
_LEVELS = (PressureLevel.SHED, PressureLevel.DEGRADED, PressureLevel.WARN)
_BAD, _WARN, _DIM, _HEAD = "bold red", "yellow", "dim", "bold"
_BAR = 10
_NEARLY = 0.9
"""The share of a budget's rate from which on its attempts are about to wait."""
_ROOMY = 110
"""Columns from which on there is room for what can be done without."""
_TALL = 36
"""Lines from which on there is room for what happened lately."""


@final
@frozen(kw_only=True)
class Frame:
    """Everything beside the overview that a picture depends on."""

    url: str
    now: float
    """Of this side's clock."""
    clock: Callable[[float], str]
    """What the clock on the wall says at a time of this side's clock."""
    wanted: Wanted
    width: int
    height: int | None = None
    """Lines; None where there may be any number of them."""
    plain: bool = False
    """Whether only ASCII can be shown."""


def picture(overview: Overview, frame: Frame) -> RenderableType:
    """Return an overview as it looks now, within the size of the frame."""
    rows = by_urgency(row for row in overview.rows.values() if frame.wanted.takes(row))
    above = [*_title(overview, frame), *_fleet(overview, frame, rows), _activity(overview, frame)]
    budgets = _budgets(overview, frame)
    lately = _lately(overview, frame)
    shown = rows
    if frame.height is not None:
        taken = len(above) + budgets.row_count + (2 if budgets.row_count else 0) + len(lately)
        room = max(frame.height - taken - 3, 0)  # a blank, the headings, and how many more
        shown = rows[:room]

    parts: list[RenderableType] = [*above]
    if budgets.row_count:
        parts += [Text(), budgets]
    if shown:
        parts += [Text(), _table(shown, overview.seen_at(frame.now), frame)]
    parts += _left_out(rows[len(shown) :], overview, frame)
    parts += lately
    return Group(*parts)


def _title(overview: Overview, frame: Frame) -> list[Text]:
    trouble = overview.trouble
    if trouble is None:
        heard = frame.now if overview.heard_at is None else overview.heard_at
        return [_ends(Text(frame.url, _HEAD), Text(f"live {frame.clock(heard)}", "green"), frame)]

    ago = short(frame.now - trouble.since)
    state = Text(f"LOST since {frame.clock(trouble.since)} ({ago})", _BAD)
    wait = trouble.again_at - frame.now
    again = f"Again in {short(math.ceil(wait))}" if wait > 0 else "Trying now"
    # The wait goes first: the reason may be longer than the line, and begins with the address.
    why = trouble.why.removeprefix(f"{frame.url} ")
    return [
        _ends(Text(frame.url, _HEAD), state, frame),
        _line(Text(f"What follows is old. {again}: {why}", _WARN), frame),
    ]


def _fleet(overview: Overview, frame: Frame, rows: Sequence[Row]) -> list[Text]:
    counts = overview.counts()
    total = len(overview.rows)
    line = Text(f"{total:,} instance{'' if total == 1 else 's'}", _HEAD)
    known = [*_ORDER, *sorted(set(counts) - set(_ORDER))]
    for status in known:
        if count := counts[status]:
            line.append(", " if line.spans else ": ")
            line.append(f"{count:,} {printable(status)}", _style(status))
    lines = [_line(line, frame)]
    if not frame.wanted.everything:
        lines.append(_line(Text(f"shown: {len(rows):,} of them, as asked for", _DIM), frame))
    return lines


def _activity(overview: Overview, frame: Frame) -> Text:
    rows = overview.rows.values()
    waiting = sum(urgency_of(row) is Urgency.ATTENTION for row in rows)
    parts = [
        Text(f"proven {sum(row.proven for row in rows):,}"),
        Text(f"need attention {waiting:,}", _BAD if waiting else ""),
        Text(f"attempts {overview.attempts_per_second:.1f}/s"),
        Text(f"restarts {sum(row.restarts for row in rows):,}"),
        _pressure(overview),
    ]
    return _line(Text("  ").join(parts), frame)


def _pressure(overview: Overview) -> Text:
    levels = [row.pressure for row in overview.rows.values()]
    found = [(levels.count(level), level) for level in _LEVELS]
    words = ", ".join(f"{count:,} {level}" for count, level in found if count)
    worst = next((level for count, level in found if count), None)
    style = "" if worst is None else _WARN if worst is PressureLevel.WARN else _BAD
    return Text(f"pressure {words or PressureLevel.NORMAL.value}", style)


# --- budgets -------------------------------------------------------------------------------------


def _budgets(overview: Overview, frame: Frame) -> _Grid:
    found = sorted(
        overview.budgets,
        key=lambda each: (not _is_stuck(each), -each.waiting, each.key),
    )
    if frame.height is not None:
        found = found[: max(1, frame.height // 8)]
    table = _Grid(frame)
    left = len(overview.budgets) - len(found)
    table.column(f"budget (+{left} more)" if left else "budget", max_width=frame.width // 3)
    wide = frame.width >= _ROOMY
    table.column("attempts/s", justify="right")
    if wide:
        table.column("")
    for heading in ("granted", "waiting", "in flight"):
        table.column(heading, justify="right")
    if wide:
        table.column("left today", justify="right")
    table.column("breaker")
    for budget in found:
        table.add_row(*_budget_cells(overview, budget, frame, wide=wide))
    return table


def _budget_cells(
    overview: Overview, budget: Budget, frame: Frame, *, wide: bool
) -> Sequence[Text]:
    rate, most = overview.rate_of(budget), budget.attempts_per_second
    share = 0.0 if rate is None or most <= 0 else min(rate / most, 1.0)
    spent = "-" if rate is None else f"{rate:.1f}"
    style = _WARN if share >= _NEARLY else ""
    cells = [Text(printable(budget.key)), Text(f"{spent} of {most:g}", style)]
    if wide:
        full = round(share * _BAR)
        done, rest = ("#", ".") if frame.plain else ("█", "░")
        cells.append(Text(done * full + rest * (_BAR - full), style or "green"))
    cells += [
        Text(f"{budget.granted:,}"),
        Text(f"{budget.waiting:,}", _WARN if budget.waiting else ""),
        Text(f"{budget.in_flight:,}"),
    ]
    if wide:
        cells.append(Text("-" if budget.left_today is None else f"{budget.left_today:,}"))
    return [*cells, Text(printable(budget.breaker or "-"), _BAD if _is_stuck(budget) else "")]


def _is_stuck(budget: Budget) -> bool:
    return budget.breaker not in (None, BreakerPhase.CLOSED)


# --- instances -----------------------------------------------------------------------------------


def _table(rows: Sequence[Row], there: float, frame: Frame) -> Table:
    wide = frame.width >= _ROOMY
    acting = wide and any(row.who_must_act != WhoMustAct.NOBODY for row in rows)
    table = _Grid(frame, expand=True)
    table.column("instance", max_width=frame.width // 4)
    if wide:
        table.column("type", max_width=12)
    table.column("status")
    table.column("for", justify="right")
    table.column("retry", justify="right")
    table.column("tries", justify="right")
    table.column("restarts" if wide else "rst.", justify="right")
    if acting:
        table.column("must act")
    table.column("why", ratio=1)
    for row in rows:
        table.add_row(*_cells(row, there, wide=wide, acting=acting))
    return table


def _cells(row: Row, there: float, *, wide: bool, acting: bool) -> list[Text]:
    nobody = row.who_must_act == WhoMustAct.NOBODY
    status = printable(row.status)
    if row.connected and not row.proven:
        status += "?"  # up, and not for long enough yet to be trusted
    cells = [Text(printable(row.instance_id), _BAD if urgency_of(row) is Urgency.ATTENTION else "")]
    if wide:
        cells.append(Text(printable(row.channel_type), _DIM))
    cells += [
        Text(status, _style(row.status)),
        Text(short(there - row.since)),
        Text(_retry(row, there), _WARN),
        Text(str(row.reconnect_attempts or "")),
        Text(str(row.restarts or "")),
    ]
    who = Text("" if nobody else printable(row.who_must_act), _BAD)
    why = Text(printable(why_in_words(row)))
    if acting:
        cells.append(who)
    elif not wide and not nobody:
        why = Text.assemble("[", who, "] ", why)
    return [*cells, why]


def _retry(row: Row, there: float) -> str:
    if row.budget is not None and row.budget.place is not None:
        return f"line {row.budget.place}"
    if row.next_retry_at is None or row.connected:
        return ""

    wait = row.next_retry_at - there
    return short(math.ceil(wait)) if wait > 0 else "now"


def _left_out(rows: Sequence[Row], overview: Overview, frame: Frame) -> list[RenderableType]:
    if not overview.rows:
        return [Text("there is no instance", _DIM)]
    if not rows:
        return []

    well = sum(urgency_of(row) is Urgency.WELL for row in rows)
    words = "all of them well" if well == len(rows) else f"{well:,} of them well"
    return [_line(Text(f"and {len(rows):,} more, {words}", _DIM), frame)]


# --- the rest ------------------------------------------------------------------------------------


def _lately(overview: Overview, frame: Frame) -> list[Text]:
    if frame.height is None or frame.height < _TALL or not overview.lately:
        return []

    lines = list(overview.lately)[-(frame.height // 6) :]
    return [Text(), Text("lately", _HEAD), *(_lately_line(each, overview, frame) for each in lines)]


def _lately_line(line: Line, overview: Overview, frame: Frame) -> Text:
    at = frame.clock(overview.here(line.at))
    style = _BAD if line.level == "ERROR" else _WARN
    return _line(Text(f"{at}  ", _DIM) + Text(printable(line.text), style), frame)


def short(seconds: float) -> str:
    """Return a duration in its two largest units."""
    whole = max(int(seconds), 0)
    minutes, hours, days = whole // 60, whole // 3600, whole // 86_400
    if whole < 60:  # noqa: PLR2004
        return f"{whole}s"
    if minutes < 60:  # noqa: PLR2004
        return f"{minutes}m{whole % 60:02}s"

    return f"{hours}h{minutes % 60:02}m" if hours < 48 else f"{days}d{hours % 24:02}h"  # noqa: PLR2004


def _style(status: str) -> str:
    return _STYLES.get(status, "")


@final
class _Grid(Table):
    """A table without lines, each row of which is one line."""

    def __init__(self, frame: Frame, *, expand: bool = False) -> None:
        super().__init__(
            box=None,
            padding=(0, 2 if frame.width >= _ROOMY else 1, 0, 0),
            pad_edge=False,
            header_style=_DIM,
            expand=expand,
        )
        self._overflow: OverflowMethod = "crop" if frame.plain else "ellipsis"

    def column(self, heading: str, **options: Any) -> None:
        """Add a column."""
        self.add_column(heading, no_wrap=True, overflow=self._overflow, **options)


def _line(text: Text, frame: Frame) -> Text:
    text.no_wrap = True
    text.truncate(frame.width, overflow="crop" if frame.plain else "ellipsis")
    return text


def _ends(left: Text, right: Text, frame: Frame) -> Text:
    """Return a line of two parts, the second one at its end; it is never the one that is cut."""
    left.truncate(max(frame.width - right.cell_len - 2, 0), overflow="crop")
    gap = max(frame.width - left.cell_len - right.cell_len, 2)
    return _line(left + Text(" " * gap) + right, frame)
