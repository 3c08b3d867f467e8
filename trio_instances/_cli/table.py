"""The demo on the terminal: the fleet while it lives, the reckoning at the end."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Self, final

import trio
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..policy.status import InstanceStatus
from .tally import Row

if TYPE_CHECKING:
    from .._instance.handle import Instance
    from .._runtime.runtime import Runtime
    from ..policy.health import HealthSnapshot
    from .fleet import Cast

_REFRESH = 0.1
"""Seconds between two pictures."""

_SHOWN = 20
"""Lines of the story that are shown beside the table, so that the newest are in sight."""

_COLOURS = {
    InstanceStatus.CONNECTED: "green",
    InstanceStatus.DEGRADED: "yellow",
    InstanceStatus.RECONNECTING: "yellow",
    InstanceStatus.CONNECTING: "yellow",
    InstanceStatus.FAILED: "red",
}


@final
class Screen:
    """Where the audience looks: a live table on a terminal, plain lines elsewhere.

    An async context manager: the table lives as long as its block.

    Args:
        console: The terminal, or what stands in for it.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lines: deque[str] = deque(maxlen=_SHOWN)
        self._staying: list[str] = []
        self._began = trio.current_time()
        self._runtime: Runtime | None = None
        self._cast: Cast | None = None
        self._showing = AsyncExitStack()

    @property
    def plain(self) -> bool:
        """Whether it can show nothing but ASCII."""
        return self._console.options.ascii_only

    async def __aenter__(self) -> Self:
        if self._console.is_terminal:
            # Drawn by a task and not by Live's own thread, which would read a runtime at work.
            live = self._showing.enter_context(Live(console=self._console, auto_refresh=False))
            await self._showing.enter_async_context(_redrawing(live, self._picture))
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._showing.aclose()

    def watch(self, runtime: Runtime, cast: Cast) -> None:
        """Show a fleet from now on."""
        self._runtime = runtime
        self._cast = cast

    def tell(self, text: str) -> None:
        """Add a line to the story."""
        line = f"{trio.current_time() - self._began:5.1f} s  {text}"
        self._lines.append(line)
        if not self._console.is_terminal:
            self._console.print(line, soft_wrap=True, highlight=False)

    def announce(self, text: str) -> None:
        """Tell something that stays in sight, however much is told after it."""
        self._staying.append(text)
        self.tell(text)

    def print_rows(self, rows: Sequence[Row]) -> None:
        """Print what was expected beside what happened."""
        table = Table(title="what was counted")
        table.add_column("what")
        table.add_column("expected", justify="right")
        table.add_column("actual", justify="right")
        table.add_column("")
        for row in rows:
            verdict = Text("ok", "green") if row.right else Text("DIFFERS", "bold red")
            table.add_row(row.what, str(row.expected), str(row.actual), verdict)
        self._console.print(table)

    def _picture(self) -> RenderableType:
        lines = [Text(line, no_wrap=True, overflow="ellipsis") for line in self._lines]
        if self._runtime is None or self._cast is None:
            return Group(*lines)

        staying = [Text(line, "bold") for line in self._staying]
        return Group(fleet_table(self._runtime.list_instances(), self._cast), *staying, *lines)


@asynccontextmanager
async def _redrawing(live: Live, picture: Callable[[], RenderableType]) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_redraw, live, picture)
        yield
        nursery.cancel_scope.cancel()
    live.update(picture(), refresh=True)


async def _redraw(live: Live, picture: Callable[[], RenderableType]) -> None:
    while True:
        live.update(picture(), refresh=True)
        await trio.sleep(_REFRESH)


def fleet_table(instances: Sequence[Instance], cast: Cast) -> RenderableType:
    """Return a fleet as it is now: a row for each part, and a line for all the others."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("instance", "part", "status", "conn.", "restarts", "last cause"):
        table.add_column(heading, no_wrap=True)
    others: Counter[InstanceStatus] = Counter()
    for instance in instances:
        part = cast.parts.get(instance.id)
        if part is None:
            others[instance.status] += 1
        else:
            table.add_row(*_cells(instance.health(), part))
    statuses = Text(", ").join(
        Text(f"{count} {status}", _COLOURS.get(status, "")) for status, count in others.items()
    )
    return Group(table, Text("and the others: ") + statuses, Text())


def _cells(health: HealthSnapshot, part: str) -> Sequence[RenderableType]:
    return (
        health.instance_id,
        part,
        Text(health.status, _COLOURS.get(health.status, "")),
        str(health.generation),
        str(health.restarts),
        "" if health.cause is None else health.cause.reason,
    )
