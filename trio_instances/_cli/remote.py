"""Asking an operations endpoint. Every way in which it may not answer becomes one line."""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import Any, Self, final

import httpx
import trio
from attrs import frozen

from ..http.feed import PULSE
from ..telemetry import SCHEMA_VERSION
from .address import Address, NotAnswered
from .exit_codes import AskedCode
from .sse import Message, Parser, TooLong

Params = Mapping[str, str | list[str]]

PATIENCE = 10.0
"""Seconds that an answer may leave us without a byte."""
SILENCE = 3 * PULSE
"""... and a stream of events, which gives a sign of life at each pulse."""
_CONNECT = 5.0
_MAX_REFUSAL = 64 * 1024
_OK, _NOT_LISTED = 200, frozenset({404, 405})
_NEEDS_TOKEN, _FORBIDDEN, _BUSY = 401, 403, frozenset({429, 500, 502, 503, 504})


@final
class Remote:
    """An endpoint that is asked. An async context manager, around its connections.

    Every method that asks raises `NotAnswered` where no answer comes, or a wrong one; cancelling it
    closes its connection.

    Args:
        address: Where it is.
        patience: Seconds that an answer may leave us without a byte.
    """

    def __init__(self, address: Address, *, patience: float = PATIENCE) -> None:
        self.url = address.url
        self._patience = patience
        self._has_token = address.token is not None
        headers = {} if address.token is None else {"authorization": f"Bearer {address.token}"}
        host = f"[{address.host}]" if ":" in address.host else address.host
        self._client = httpx.AsyncClient(
            headers=headers,
            follow_redirects=False,  # the token is for nobody else
            mounts={f"all://{host}": None} if address.local else None,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._client.aclose()

    async def ask(self, path: str, params: Params | None = None) -> dict[str, Any]:
        """Return an answer of this schema."""
        async with self._open(path, params or {}, "application/json", self._patience) as response:
            data = _parse(await response.aread())
        if not isinstance(data, dict) or "schema" not in data:
            raise self._stranger(path, "no answer of such an endpoint")
        if data["schema"] != SCHEMA_VERSION:
            text = f"schema {data['schema']!r}, and this program knows {SCHEMA_VERSION}"
            raise NotAnswered(
                f"{self.url} answers by {text}: use the program of its release",
                AskedCode.PROTOCOL,
            )

        return data

    async def ask_text(self, path: str, params: Params) -> AsyncGenerator[str, None]:
        """Yield the lines of an answer in plain text."""
        async with self._open(path, params, "text/plain", self._patience) as response:
            if not response.headers.get("content-type", "").startswith("text/plain"):
                raise self._stranger(path, "no plain text")
            async with aclosing(_lines_of(response)) as lines:
                async for line in lines:
                    yield line

    @asynccontextmanager
    async def events(
        self, after: str | None, instance: str | None
    ) -> AsyncIterator[AsyncGenerator[list[Message], None]]:
        """Open the stream of events, and give its messages as they come.

        Args:
            after: The id to go on from; None begins now.
            instance: The only instance to hear of; None hears of all.
        """
        params = {"after": after, "instance": instance}
        given = {key: value for key, value in params.items() if value is not None}
        stream = "text/event-stream"
        async with self._open("/events", given, stream, SILENCE) as response:
            if not response.headers.get("content-type", "").startswith(stream):
                raise self._stranger("/events", "no stream of events")
            async with aclosing(self._messages(response)) as messages:
                yield messages

    async def _messages(self, response: httpx.Response) -> AsyncGenerator[list[Message], None]:
        parser = Parser()
        async with aclosing(_pieces_of(response)) as pieces:
            async for piece in pieces:
                try:
                    found = parser.feed(piece)
                except TooLong as exc:
                    raise self._stranger("/events", str(exc)) from None
                if found:
                    yield found

    @asynccontextmanager
    async def _open(
        self, path: str, params: Params, accept: str, silence: float
    ) -> AsyncIterator[httpx.Response]:
        timeout = httpx.Timeout(_CONNECT, read=silence)
        with _told(self.url, silence):
            request = self._client.build_request(
                "GET",
                self.url + path,
                params=dict(params),
                headers={"accept": accept},
                timeout=timeout,
            )
            response = await self._client.send(request, stream=True)
            try:
                if response.status_code != _OK:
                    raise self._refused(path, response, await _begin_of(response))
                yield response
            finally:
                await response.aclose()

    def _refused(self, path: str, response: httpx.Response, body: bytes) -> NotAnswered:
        status, said = response.status_code, _Refusal.read(body)
        if response.is_redirect:
            where = response.headers.get("location", "elsewhere")
            text = f"{self.url} sends us to {where}, where the token does not go: ask there"
            return NotAnswered(text, AskedCode.PROTOCOL)
        if status == _NEEDS_TOKEN:
            word = "does not take this token" if self._has_token else "wants a token"
            text = f"{self.url} {word}: give its own by --token or TRIO_INSTANCES_TOKEN"
            return NotAnswered(text, AskedCode.NOT_ALLOWED)
        if said is None or (status in _NOT_LISTED and said.error != "instance_not_found"):
            if status in _BUSY:
                return NotAnswered(f"{self.url} is not available: HTTP {status} at {path}")
            return self._stranger(path, f"HTTP {status}")

        wait = response.headers.get("retry-after", "0")
        seconds = float(wait) if wait.isascii() and wait.isdigit() else 0.0
        code = AskedCode.UNAVAILABLE if status in _BUSY else AskedCode.REFUSED
        if status == _FORBIDDEN:
            code = AskedCode.NOT_ALLOWED
        return NotAnswered(f"{self.url}: {said.detail}", code, retry_after=seconds)

    def _stranger(self, path: str, what: str) -> NotAnswered:
        text = f"{self.url} is no operations endpoint ({path} gives {what}): check host and port"
        return NotAnswered(text, AskedCode.PROTOCOL)


@frozen
class _Refusal:
    error: str
    detail: str

    @classmethod
    def read(cls, body: bytes) -> _Refusal | None:
        """Return what an endpoint says of its refusal; None where this is none of ours."""
        data = _parse(body)
        if not isinstance(data, dict):
            return None

        error, detail = data.get("error"), data.get("detail")
        return cls(error, detail) if isinstance(error, str) and isinstance(detail, str) else None


@contextmanager
def _told(url: str, silence: float) -> Iterator[None]:
    """Tell in one line what httpx tells by its exceptions."""
    try:
        yield
    except httpx.ConnectTimeout:
        raise NotAnswered(f"{url} takes no connection within {_CONNECT:g} s") from None
    except httpx.TimeoutException:
        text = f"{url} gives no answer within {silence:g} s: its event loop may be blocked"
        raise NotAnswered(text) from None
    except httpx.ConnectError as exc:
        text = f"{url} cannot be reached ({_reason(exc)}): does it run, and listen there?"
        raise NotAnswered(text) from None
    except httpx.ProxyError as exc:
        raise NotAnswered(f"{url} cannot be reached through the proxy: {_reason(exc)}") from None
    except httpx.RemoteProtocolError as exc:
        text = f"{url} has ended the connection, or does not speak this protocol ({_reason(exc)})"
        raise NotAnswered(text) from None
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        what = f"{type(exc).__name__}: {_reason(exc)}"
        raise NotAnswered(f"{url} was not understood, or was lost ({what})") from None


def _reason(exc: BaseException) -> str:
    """Return what the system said, which stands at the bottom of all that was raised from it."""
    found = str(exc)
    inner: BaseException | None = exc
    while inner is not None:
        if isinstance(inner, ssl.SSLError):
            return f"TLS: {inner.reason}"
        if isinstance(inner, OSError) and inner.strerror:
            # Trio's own text repeats the address; what a name server says has no positive number.
            number = inner.errno or 0
            found = os.strerror(number) if number > 0 else inner.strerror
        elif isinstance(inner, BaseExceptionGroup):
            inner = inner.exceptions[0]
            continue
        inner = inner.__cause__ or inner.__context__
    return found or type(exc).__name__


async def _begin_of(response: httpx.Response) -> bytes:
    body = b""
    async with aclosing(_pieces_of(response)) as pieces:
        async for piece in pieces:
            body += piece
            if len(body) > _MAX_REFUSAL:
                break
    return body


async def _pieces_of(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    pieces = response.aiter_bytes()
    try:
        async for piece in pieces:
            yield piece
    finally:
        await _unwind(pieces)


async def _lines_of(response: httpx.Response) -> AsyncGenerator[str, None]:
    lines = response.aiter_lines()
    try:
        async for line in lines:
            yield line
    finally:
        await _unwind(lines)


async def _unwind(iterator: AsyncIterator[object]) -> None:
    """End what httpx reads by: generators within generators, none of which closes the next one.

    Closing the outermost would leave the others to the garbage collector, of which Trio complains.
    A cancellation comes from within, and goes through all of them.
    """
    with trio.CancelScope() as scope:
        scope.cancel()
        async for _ in iterator:
            pass


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
