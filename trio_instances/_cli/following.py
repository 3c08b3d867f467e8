"""Following the events of an endpoint, through every loss of the connection."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import TYPE_CHECKING, Any, final

import trio
from attrs import frozen

from ..policy.backoff import Backoff, Jitter
from .address import NotAnswered

if TYPE_CHECKING:
    from .remote import Remote
    from .sse import Message

AGAIN = Backoff(initial=1.0, factor=2.0, cap=15.0, jitter=Jitter.EQUAL)
"""The waits before the stream is opened again; the first is above what a page's browser takes."""


@final
@frozen
class Opened:
    """The stream is open, for the first time or again."""


@final
@frozen
class Happened:
    """An event, in its wire form."""

    position: str
    """The id to go on from after it."""
    data: dict[str, Any]


@final
@frozen
class Pulse:
    """A sign of life."""

    at: float
    """What the clock of the other side says."""


@final
@frozen
class Gap:
    """Events that will never come."""

    missed: int | None
    """How many; None where nobody knows."""
    why: str


@final
@frozen
class Bye:
    """The other side ends the stream in good order."""

    why: str


@final
@frozen
class Lost:
    """The stream is gone, or was not opened, and will be tried again."""

    failure: NotAnswered
    wait: float
    """Seconds until then."""


News = Opened | Happened | Pulse | Gap | Bye | Lost
Take = Callable[[Sequence[News]], Awaitable[None]]


async def follow(
    remote: Remote, take: Take, *, after: str | None, instance: str | None, random: Random
) -> None:
    """Hand on what happens, until cancelled.

    Args:
        remote: The endpoint.
        take: Is handed the news in order, some at a time. What it raises ends this.
        after: The id to go on from, or ``start``; None begins now.
        instance: The only instance to hear of; None hears of all.
        random: What spreads the attempts of many.
    """
    attempt = 0
    while True:
        failure = NotAnswered(f"{remote.url} has ended the stream")
        try:
            async with remote.events(after, instance) as messages:
                await take([Opened()])
                async for some in messages:
                    attempt = 0
                    news = [told for each in some if (told := read(each)) is not None]
                    await take(news)
                    after = some[-1].last_id or after
        except NotAnswered as exc:
            failure = exc
        wait = max(AGAIN.delay(attempt, random.random()), failure.retry_after)
        attempt += 1
        await take([Lost(failure, wait)])
        await trio.sleep(wait)


def read(message: Message) -> News | None:
    """Return what a message tells; None for one that a later version has made up."""
    try:
        data = json.loads(message.data)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        return Gap(1, "a message that is not JSON")

    match message.kind:
        case "message":
            return Happened(message.last_id, data)
        case "pulse":
            at = data.get("at")
            return Pulse(float(at)) if isinstance(at, int | float) else None
        case "gap":
            missed = data.get("missed")
            return Gap(missed if isinstance(missed, int) else None, str(data.get("why", "")))
        case "bye":
            return Bye(str(data.get("why", "")))
    return None
