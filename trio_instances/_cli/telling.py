"""``trio-instances events`` and ``tree``: what an endpoint tells, as text."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Any, final

from attrs import frozen

from ..policy.in_words import printable
from .exit_codes import AskedCode
from .following import Bye, Gap, Happened, Lost, News, Opened, Pulse, follow
from .output import Output

if TYPE_CHECKING:
    from .remote import Remote

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
"""From the least serious up."""

Say = Callable[[str], None]


@final
@frozen(kw_only=True)
class Telling:
    """How a user wants to hear what happens."""

    instance: str | None
    after: str | None
    level: str
    as_json: bool


async def run_events(remote: Remote, wanted: Telling, say: Say) -> AskedCode:
    """Tell what happens until cancelled.

    Args:
        remote: The endpoint.
        wanted: What of it.
        say: Tells people what is going on.

    Raises:
        NotAnswered: The stream could not be opened the first time.
        ReaderGone: Nobody reads any more.
    """
    tail = Tail(wanted, Output(), say, time.time)
    random = Random()
    await follow(remote, tail.take, after=wanted.after, instance=wanted.instance, random=random)
    raise AssertionError("only a cancellation or an exception ends it")


async def run_tree(remote: Remote, instance: str | None, *, as_json: bool) -> AskedCode:
    """Tell the live tree.

    Raises:
        NotAnswered: No answer has come, or a wrong one.
        ReaderGone: Nobody reads any more.
    """
    output = Output()
    params = {} if instance is None else {"instance": instance}
    if as_json:
        tree = await remote.ask("/tree", {**params, "format": "json"})
        await output.write(json.dumps(tree, indent=2) + "\n")
        return AskedCode.WELL

    async with aclosing(remote.ask_text("/tree", {**params, "format": "text"})) as lines:
        async for line in lines:
            await output.write(f"{printable(line)}\n")
    return AskedCode.WELL


@final
class Tail:
    """Writes news as lines, and says what is no event.

    Args:
        wanted: What of it.
        output: Where events go.
        say: Where all else goes.
        clock: The time of day, in POSIX seconds.
    """

    def __init__(
        self, wanted: Telling, output: Output, say: Say, clock: Callable[[], float]
    ) -> None:
        self._wanted = wanted
        self._output = output
        self._say = say
        self._clock = clock
        self._opened = self._lost = False
        self._offset: float | None = None
        """What makes a time of the other side one of the day; known from the first pulse on."""

    async def take(self, news: Sequence[News]) -> None:
        """Write some news.

        Raises:
            NotAnswered: The stream could not even be opened once.
            ReaderGone: Nobody reads any more.
        """
        text = "".join(self._line(each) for each in news)
        if text:
            await self._output.write(text)

    def _line(self, news: News) -> str:
        match news:
            case Happened():
                return self._event(news)
            case Gap():
                return self._gap(news)
            case Pulse():
                self._offset = self._clock() - news.at
            case Bye():
                self._say(f"goodbye: {printable(news.why)}")
            case Opened():
                if self._lost:
                    self._say("following again")
                self._opened, self._lost = True, False
            case Lost():
                if not self._opened:
                    raise news.failure
                self._lost = True
                self._say(f"lost: {news.failure}; again in {news.wait:.0f} s")
        return ""

    def _event(self, event: Happened) -> str:
        data = event.data
        level = str(data.get("level"))
        if level in LEVELS and LEVELS.index(level) < LEVELS.index(self._wanted.level):
            return ""

        when = self._when(data.get("at"))
        if self._wanted.as_json:
            time_of_day = when.astimezone(UTC).isoformat(timespec="milliseconds")
            return json.dumps({"time": time_of_day, "position": event.position, **data}) + "\n"

        said = f"{when:%Y-%m-%d %H:%M:%S}.{when.microsecond // 1000:03}"
        return f"{said} {printable(level):<8} {printable(str(data.get('line')))}\n"

    def _gap(self, gap: Gap) -> str:
        self._say(f"gap: {_missing(gap.missed)} missing: {printable(gap.why)}")
        if not self._wanted.as_json:
            return ""

        return json.dumps({"gap": {"missed": gap.missed, "why": gap.why}}) + "\n"

    def _when(self, at: Any) -> datetime:
        now = self._clock()
        known = isinstance(at, int | float) and self._offset is not None
        return datetime.fromtimestamp(at + self._offset if known else now, UTC).astimezone()


def _missing(count: int | None) -> str:
    if count is None:
        return "events may be"

    return "1 event is" if count == 1 else f"{count:,} events are"
