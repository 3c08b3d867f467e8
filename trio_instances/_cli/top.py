"""``trio-instances top``: a fleet at a glance, live."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
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
from .following import AGAIN, News, follow
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
    """Show a fleet until cancelled; or once.

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

    async with _drawing(console, remote.url, look) as draw:
        await _watch(remote, overview, draw, look.interval, position)
    raise AssertionError("only a cancellation or an exception ends it")


def _verdict(overview: Overview, wanted: Wanted) -> AskedCode:
    shown = [row for row in overview.rows.values() if wanted.takes(row)]
    well = bool(shown) and all(row.proven for row in shown)
    return AskedCode.WELL if well else AskedCode.NOT_WELL


# --- what is known -------------------------------------------------------------------------------


async def _watch(
    remote: Remote, overview: Overview, draw: Draw, interval: float, position: str
) -> None:
    async def take(news: Sequence[News]) -> None:
        overview.take_news(news, trio.current_time())

    random = Random()
    async with attended() as nursery:
        nursery.start_soon(
            partial(follow, remote, take, after=position, instance=None, random=random)
        )
        nursery.start_soon(_keep_fresh, remote, overview, interval, random)
        while True:
            await draw(overview)
            await trio.sleep(interval)


async def _keep_fresh(remote: Remote, overview: Overview, interval: float, random: Random) -> None:
    failures, wait = 0, interval
    while True:
        await trio.sleep(wait)
        try:
            await refresh(remote, overview)
        except NotAnswered as exc:
            wait = max(AGAIN.delay(failures, random.random()), exc.retry_after)
            failures += 1
            overview.fails(SNAPSHOTS, str(exc), wait, trio.current_time())
        else:
            failures, wait = 0, interval


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
        if whole:
            answer = await _ask(remote, [])
            overview.take_all(answer, trio.current_time())
            return answer.position

        position = ""
        for names in _batches(sorted(named)):
            answer = await _ask(remote, names)
            overview.take_some(names, answer, trio.current_time())
            position = position or answer.position
    except NotAnswered:
        overview.named |= named
        overview.whole |= whole
        raise
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
