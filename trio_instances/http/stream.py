"""``/events``: what happens, as server-sent events, and what was missed for who comes back."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, final

import trio

from .answers import Parts, Refusal, asked
from .feed import PULSE, BadPosition, Feed
from .fleet import find_instance

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from .._runtime.runtime import Runtime

_START = "start"
_RETRY = 2000
"""Milliseconds after which a browser that lost the stream comes back."""


@final
class Stream:
    """The answers that do not end.

    Args:
        runtime: Whose events they are.
        feed: The events.
        max_readers: How many such answers there may be at a time.
    """

    def __init__(self, runtime: Runtime, feed: Feed, max_readers: int) -> None:
        self._runtime = runtime
        self._feed = feed
        self._max_readers = max_readers
        self.readers = 0
        """How many there are now."""

    async def events(self, request: Request) -> ASGIApp:
        """Give every event from now on, or from an id on; of one instance, where one is named."""
        params = asked(request, ("after", "instance"))
        after = request.headers.get("last-event-id") or params.get("after")
        wanted = params.get("instance")
        if wanted is not None:
            find_instance(self._runtime, wanted)
        if self.readers >= self._max_readers:
            detail = f"there are {self._max_readers} readers, and no more are served: try later"
            raise Refusal(503, "too_many_readers", detail, headers={"retry-after": "10"})

        place, known = self._place(after)
        parts = Parts(
            lambda: self._frames(place, wanted, known=known),
            "text/event-stream",
            {"x-accel-buffering": "no"},  # a proxy that gathers would hold news back
        )

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            # From before the head is sent, so that no crowd gets in while it is.
            self.readers += 1
            try:
                await parts(scope, receive, send)
            finally:
                self.readers -= 1

        return counted

    def _place(self, after: str | None) -> tuple[int, bool]:
        if after is None:
            return self._feed.last, True
        if after == _START:
            return self._feed.oldest, True

        try:
            return self._feed.place_of(after)
        except BadPosition as exc:
            detail = f"{exc}; 'start' gives all that is kept, and none begins now"
            raise Refusal(400, "bad_event_id", detail) from None

    async def _frames(
        self, place: int, wanted: str | None, *, known: bool
    ) -> AsyncGenerator[bytes, None]:
        feed = self._feed
        yield f"retry: {_RETRY}\n".encode() + _pulse(feed.id_of(place))
        if not known:
            yield _gap(None, "these events are of another run than the id")
        wrote_at = trio.current_time()
        while not (feed.ended and place == feed.last):
            reading = feed.read(place, wanted)
            place = reading.place
            if reading.missed:
                yield _gap(reading.missed, "the reader was too slow, or away for too long")
            if reading.data or trio.current_time() - wrote_at >= PULSE / 2:
                yield reading.data or _pulse(feed.id_of(place))
                wrote_at = trio.current_time()
            if reading.full:
                await feed.wait_turn()
            else:
                await feed.wait_news(place)
        yield _BYE


def _pulse(position: str) -> bytes:
    """Return a sign of life. It moves the id on, also for a reader that nothing concerned."""
    told = json.dumps({"at": trio.current_time()})
    return f"id: {position}\nevent: pulse\ndata: {told}\n\n".encode()


def _gap(missed: int | None, why: str) -> bytes:
    return f"event: gap\ndata: {json.dumps({'missed': missed, 'why': why})}\n\n".encode()


_BYE = b'event: bye\ndata: {"why": "the endpoint stops, or its runtime has ended"}\n\n'
