"""``trio-instances top``: a fleet at a glance, live."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from random import Random
from typing import TYPE_CHECKING, final
from urllib.parse import quote

import trio
from attrs import frozen
from rich.console import Console, RenderableType
from rich.live import Live

from .._attended import attended
from .address import NotAnswered
from .answer import FIELDS, Answer, BadAnswer, read_answer
from .exit_codes import AskedCode
from .following import AGAIN, News, Opened, follow
from .keys import cancel_at_key
from .output import Output
from .overview import SNAPSHOTS, Overview
from .picture import Frame, picture
from .urgency import Wanted

if TYPE_CHECKING:
    from .remote import Remote

_MANY = 500
"""Named instances from which on all are asked for at once."""
_QUERY = 6000
"""Bytes of ids in one request; a server takes some 16,000 for the whole of its head."""
_END = b"q"
"""The key that ends it."""
_PIPE_WIDTH = 120
"""Columns where no terminal says how many there are."""

Draw = Callable[[Overview], Awaitable[None]]


@final
@frozen(kw_only=True)
class Look:
    """How a user wants to look at a fleet."""

    wanted: Wanted
    interval: float
    """Seconds between two pictures."""
    once: bool


async def run_top(remote: Remote, look: Look) -> AskedCode:
    """Show a fleet until cancelled, or until ``q`` is pressed; or once.

    Raises:
        NotAnswered: There was nothing to show, ever.
        ReaderGone: Nobody looks any more.
    """
    overview = Overview()
    position = await refresh(remote, overview)
    console = _console()
    if look.once:
        await _printing(console, remote.url, look)(overview)
        return _verdict(overview, look.wanted)

    watch = Watch(remote, overview, interval=look.interval, random=Random())
    with trio.CancelScope() as ended:
        async with _drawing(console, remote.url, look) as draw, attended() as nursery:
            nursery.start_soon(watch.follow, position)
            nursery.start_soon(watch.keep_fresh)
            if console.is_terminal:
                await nursery.start(cancel_at_key, ended, _END)
            while True:
                await draw(overview)
                await trio.sleep(look.interval)
    return AskedCode.WELL


def _verdict(overview: Overview, wanted: Wanted) -> AskedCode:
    shown = [row for row in overview.rows.values() if wanted.takes(row)]
    well = bool(shown) and all(row.proven for row in shown)
    return AskedCode.WELL if well else AskedCode.NOT_WELL


# --- what is known -------------------------------------------------------------------------------


@final
class Watch:
    """Keeps an overview up to date, by events and by snapshots.

    Args:
        remote: The endpoint.
        overview: What is kept up to date.
        interval: Seconds between two looks at the snapshots.
        random: What spreads the attempts of many.
    """

    def __init__(
        self, remote: Remote, overview: Overview, *, interval: float, random: Random
    ) -> None:
        self._remote = remote
        self._overview = overview
        self._interval = interval
        self._random = random
        self._opened = trio.Event()
        """Set when the stream is open again: then there are snapshots to be had as well."""

    async def follow(self, position: str) -> None:
        """Take in what happens after a position, until cancelled."""
        await follow(self._remote, self.take, after=position, instance=None, random=self._random)

    async def take(self, news: Sequence[News]) -> None:
        """Take in what the stream of events brings."""
        self._overview.take_news(news, trio.current_time())
        if any(isinstance(each, Opened) for each in news):
            self._opened.set()

    async def keep_fresh(self) -> None:
        """Ask for snapshots again and again, until cancelled."""
        failures, wait = 0, self._interval
        while True:
            with trio.move_on_after(wait):
                await self._opened.wait()
            self._opened = trio.Event()
            try:
                await refresh(self._remote, self._overview)
            except NotAnswered as exc:
                wait = max(AGAIN.delay(failures, self._random.random()), exc.retry_after)
                failures += 1
                self._overview.fails(SNAPSHOTS, str(exc), wait, trio.current_time())
            else:
                failures, wait = 0, self._interval


async def refresh(remote: Remote, overview: Overview) -> str:
    """Ask about the instances of which the overview does not know how they are.

    Returns:
        The id of the newest event that the oldest of the answers knows of.

    Raises:
        NotAnswered: No answer has come, or a wrong one; the overview still asks for what it wanted.
    """
    named, whole = overview.named, overview.whole or len(overview.named) > _MANY
    # Before the question: whoever is named while it is answered has to be asked about again.
    overview.named, overview.whole = set(), False
    try:
        if not whole:
            position = await _refresh_some(remote, overview, sorted(named))
            if not overview.whole:
                return position

        overview.whole, whole = False, True
        answer = await _ask(remote, [])
    except NotAnswered:
        overview.named |= named
        overview.whole |= whole
        raise
    overview.take_all(answer, trio.current_time())
    return answer.position


async def _refresh_some(remote: Remote, overview: Overview, names: list[str]) -> str:
    position = ""
    for some in _batches(names):
        answer = await _ask(remote, some)
        overview.take_some(some, answer, trio.current_time())
        position = position or answer.position
    return position


async def _ask(remote: Remote, names: list[str]) -> Answer:
    try:
        return read_answer(await remote.ask("/instances", {"fields": FIELDS, "id": names}))
    except BadAnswer as exc:
        text = f"{remote.url} does not tell of instances as it should ({exc})"
        raise NotAnswered(text, AskedCode.PROTOCOL) from None


def _batches(names: list[str]) -> Iterator[list[str]]:
    """Yield some names at a time; a name that nobody has, where there is none, for the rest."""
    batch, size = [""], 0
    for name in names:
        length = len(quote(name, safe="")) + len("&id=")
        if size and size + length > _QUERY:
            yield batch
            batch, size = [""], 0
        batch.append(name)
        size += length
    yield batch


# --- what is seen --------------------------------------------------------------------------------


def _console() -> Console:
    if sys.stdout.isatty():
        return Console(highlight=False)

    # Whatever FORCE_COLOR says: what reads a pipe expects text.
    width = None if "COLUMNS" in os.environ else _PIPE_WIDTH
    return Console(highlight=False, force_terminal=False, color_system=None, width=width)


@asynccontextmanager
async def _drawing(console: Console, url: str, look: Look) -> AsyncIterator[Draw]:
    if not console.is_terminal or console.is_dumb_terminal:
        yield _printing(console, url, look)
        return

    with Live(console=console, screen=True, auto_refresh=False) as live:

        async def draw(overview: Overview) -> None:
            width, height = console.size
            frame = _frame(console, url, look, width=width, height=height)
            live.update(picture(overview, frame), refresh=True)

        yield draw


def _printing(console: Console, url: str, look: Look) -> Draw:
    output = Output()
    before = ""

    async def draw(overview: Overview) -> None:
        nonlocal before
        frame = _frame(console, url, look, width=console.width, height=None)
        await output.write(before + _in_text(console, picture(overview, frame)))
        before = "\n"

    return draw


def _in_text(console: Console, seen: RenderableType) -> str:
    with console.capture() as captured:
        console.print(seen)
    text = captured.get()
    if console.is_terminal:
        return text

    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def _frame(console: Console, url: str, look: Look, *, width: int, height: int | None) -> Frame:
    now = trio.current_time()
    ahead = time.time() - now
    return Frame(
        url=url,
        now=now,
        clock=lambda at: f"{datetime.fromtimestamp(at + ahead).astimezone():%H:%M:%S}",
        wanted=look.wanted,
        width=width,
        height=height,
        plain=console.options.ascii_only,
    )
