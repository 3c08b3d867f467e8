"""Answers: JSON, refusals that say what is wrong, and bodies that are sent part by part."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from contextlib import aclosing
from typing import Any, final

import trio
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"


class Refusal(Exception):
    """A request that is not granted.

    Args:
        status: The HTTP status.
        error: A short, stable word for it.
        detail: What is wrong, and the way out, for people.
        headers: Headers of the answer.
        more: Further fields of the answer.
    """

    def __init__(
        self,
        status: int,
        error: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **more: object,
    ) -> None:
        super().__init__(status, error, detail)
        self.status = status
        self.error = error
        self.detail = detail
        self.headers = headers
        self.more = more

    def answer(self) -> Response:
        """Return the answer that says so."""
        body = {"error": self.error, "detail": self.detail, **self.more}
        return in_json(body, self.status, self.headers)


def in_json(data: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer in JSON, with a line's end for those who read it on a terminal."""
    text = json.dumps(data, allow_nan=False) + "\n"
    return Response(text, status, headers, media_type=JSON)


def asked(request: Request, known: Collection[str]) -> QueryParams:
    """Return the parameters of a request.

    Raises:
        Refusal: One of them has no meaning here; it would else be ignored without a word.
    """
    for name in request.query_params:
        if name not in known:
            words = ", ".join(known) or "none"
            detail = f"there is no parameter {name[:80]!r} here; known: {words}"
            raise Refusal(400, "bad_parameter", detail)

    return request.query_params


@final
class Parts:
    """An answer whose parts are made while it is sent. An ASGI application.

    It ends early when the other side goes away.

    Args:
        make: Returns the parts.
        media_type: What they are.
        headers: Further headers.
    """

    def __init__(
        self,
        make: Callable[[], AsyncGenerator[bytes, None]],
        media_type: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._make = make
        self._headers = {"content-type": media_type, **(headers or {})}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them."""
        headers = [(key.encode(), value.encode()) for key, value in self._headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b""})
            return

        complete = False
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_cancel_when_gone, receive, nursery.cancel_scope)
            async with aclosing(self._make()) as parts:
                async for part in parts:
                    await send({"type": "http.response.body", "body": part, "more_body": True})
            complete = True
            nursery.cancel_scope.cancel()

        # Out here, because the end of an answer is told as a disconnection, too: it would cancel
        # Hypercorn half-way through making the connection ready for the next request.
        if complete:
            await send({"type": "http.response.body", "body": b""})


async def _cancel_when_gone(receive: Receive, scope: trio.CancelScope) -> None:
    message: Any = await receive()
    while message["type"] != "http.disconnect":
        message = await receive()
    scope.cancel()
