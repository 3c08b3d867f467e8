"""The door: what is asked of every request before anybody looks at what it wants."""

from __future__ import annotations

import math
from typing import Any, final

import trio
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .access import Access
from .answers import Refusal

MAX_BODY = 16 * 1024
"""Bytes of a request's body; nothing here needs one at all."""
_BODY_TIMEOUT = 10.0
_ALWAYS_OPEN = frozenset({"/", "/livez", "/readyz"})
"""What needs no token anywhere: the page, which knows nothing, and what orchestrators ask."""
_BRING = "bring it as the header 'Authorization: Bearer TOKEN'"


@final
class Door:
    """An ASGI application around another one.

    It reads every body to its end, whoever sent it, because Hypercorn waits for ever for a request
    whose body nobody takes. So a body is bounded in bytes and seconds.

    Args:
        inner: What answers the requests that are let in.
        access: Who is let in.
    """

    def __init__(self, inner: ASGIApp, access: Access) -> None:
        self._inner = inner
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let it in."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        if not scope["http_version"].startswith("1"):
            # Hypercorn speaks HTTP/2 of its own accord, and its streams wait for a reader's window
            # without end. So it is refused without a body, for which there might be no window.
            await Response(status_code=505)(scope, receive, send)
            return

        cautious = _with_headers(send)
        try:
            scope = _by_path(scope)
            body = await _read_body(receive)
            self._check(scope)
        except Refusal as refusal:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_throw_away, receive)
                await refusal.answer()(scope, receive, cautious)
                nursery.cancel_scope.cancel()
            return

        await self._inner(scope, _replay(body, receive), cautious)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host = scope["asked_host"] if "asked_host" in scope else headers.get("host", "")
        if not self._access.knows_host(host):
            detail = f"this is not {host[:80]!r}: ask by the address it listens on, or localhost"
            raise Refusal(421, "wrong_host", detail)
        # Browsers say so themselves. A page of a stranger can read nothing here, as no header
        # allows it, and do nothing, as it has no token; but it could take the readers' places.
        if headers.get("sec-fetch-site") == "cross-site" and scope["path"] != "/":
            raise Refusal(403, "cross_site", "pages of other sites may not ask this endpoint")

        self._check_token(scope, headers)

    def _check_token(self, scope: Scope, headers: Headers) -> None:
        acts = scope["method"] not in ("GET", "HEAD")
        if acts and not self._access.grants_verbs:
            detail = "nobody can do anything here: the endpoint was started without a token"
            raise Refusal(403, "no_token_configured", detail)

        known = self._access.knows_token(headers.get("authorization", ""))
        scope["trusted"] = known or self._access.reading_is_open
        if known or (not acts and (scope["trusted"] or scope["path"] in _ALWAYS_OPEN)):
            return

        if "authorization" in headers:
            delay = self._access.guess_delay(trio.current_time())
            if delay > 0.0:
                raise too_many("wrong tokens", delay)
            detail = f"that is not the endpoint's token: {_BRING}"
            raise Refusal(401, "wrong_token", detail, headers={"www-authenticate": "Bearer"})
        detail = f"this needs the endpoint's token: {_BRING}"
        raise Refusal(401, "token_needed", detail, headers={"www-authenticate": "Bearer"})


def too_many(what: str, delay: float) -> Refusal:
    """Return the refusal of one more of something."""
    detail = f"too many {what}: try again in {delay:.1f} s"
    return Refusal(429, "too_many", detail, headers={"retry-after": str(math.ceil(delay))})


def _by_path(scope: Scope) -> Scope:
    """Return a request by its path alone, as RFC 9112 has a server take one by a whole URL."""
    scheme, mark, rest = scope["path"].partition("://")
    if not mark or scheme.lower() not in ("http", "https"):
        return scope

    # The host of the URL is meant, whatever the header says.
    host, _, path = rest.partition("/")
    _, _, raw = scope["raw_path"].partition(b"://")
    raw_path = b"/" + raw.partition(b"/")[2]
    return {**scope, "path": f"/{path}", "raw_path": raw_path, "asked_host": host}


async def _read_body(receive: Receive) -> bytes:
    body = b""
    with trio.move_on_after(_BODY_TIMEOUT) as patience:
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return body

            body += bytes(message.get("body", b""))
            if len(body) > MAX_BODY:
                detail = f"a request's body may have {MAX_BODY} bytes, and needs none"
                raise Refusal(413, "too_large", detail, headers={"connection": "close"})
            if not message.get("more_body", False):
                return body
    assert patience.cancelled_caught
    detail = f"the body did not arrive within {_BODY_TIMEOUT:g} s"
    raise Refusal(408, "too_slow", detail, headers={"connection": "close"})


async def _throw_away(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    await trio.sleep_forever()


def _replay(body: bytes, receive: Receive) -> Receive:
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


def _with_headers(send: Send) -> Send:
    async def sending(message: Any) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=list(message.get("headers", [])))
            headers.setdefault("cache-control", "no-store")
            headers.setdefault("content-security-policy", "default-src 'none'")
            headers["x-content-type-options"] = "nosniff"
            headers["referrer-policy"] = "no-referrer"
            message = {**message, "headers": headers.raw}
        await send(message)

    return sending
