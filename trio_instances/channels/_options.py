"""What a WebSocket channel is given, checked before anything is opened."""

from __future__ import annotations

import re
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, final
from urllib.parse import SplitResult, urlsplit

from attrs import frozen

from ..policy.mistakes import MistakeList

if TYPE_CHECKING:
    from .._instance.handle import Instance

Message = str | bytes
"""A text or a binary message."""
OnMessage = Callable[["Instance", Message], Awaitable[None]]
"""What is called with each message: an async function of the instance and the message."""
Headers = Mapping[str, str] | Iterable[tuple[str, str]]
"""Header names and values, as pairs where a name may come twice."""

_PORTS = {"ws": 80, "wss": 443}
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HIDDEN = "<hidden>"
_CLOSE_REASON_BYTES = 123
_LABEL = 57
"""Characters between two dots. DNS allows 63, but wsproto counts ``:65535`` among them."""
_OWN_CODES = {1000, 1001, *range(3000, 5000)}
_OWN_HEADERS = frozenset({"host", "upgrade", "connection", "content-length", "transfer-encoding"})


@final
@frozen
class Target:
    """A WebSocket URL, taken apart."""

    host: str
    port: int
    authority: str
    """Host and port as the ``Host`` header has them."""
    resource: str
    """Path and query."""
    secure: bool
    """Whether it is ``wss``."""

    def __str__(self) -> str:
        scheme = "wss" if self.secure else "ws"
        return f"{scheme}://{self.authority}{self.resource.partition('?')[0]}"


def parse_target(wrong: MistakeList, url: object) -> Target | None:
    """Take a URL apart; note what is wrong with it, and return None if anything is."""
    # A password in the URL is not repeated: errors end up in logs.
    shown = _HIDDEN if isinstance(url, str) and "@" in url else url
    if not isinstance(url, str) or not url.isascii() or not url.isprintable() or " " in url:
        wrong.add("url", shown, "must be a printable ASCII text: escape other characters as %XX")
        return None

    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        wrong.add("url", shown, "must be a URL with a valid host and port")
        return None

    complaints = list(_complaints(parts, port))
    for complaint in complaints:
        wrong.add("url", shown, complaint)
    host = parts.hostname
    if complaints or host is None:
        return None

    default = _PORTS[parts.scheme]
    bracketed = f"[{host}]" if ":" in host else host
    authority = bracketed if port in (None, default) else f"{bracketed}:{port}"
    resource = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(host, port or default, authority, resource, parts.scheme == "wss")


def _complaints(parts: SplitResult, port: int | None) -> Iterable[str]:
    if parts.scheme not in _PORTS:
        yield "must begin with ws:// or wss://"
    if not parts.hostname:
        yield "must name a host"
    elif any(not 0 < len(label) <= _LABEL for label in parts.hostname.removesuffix(".").split(".")):
        yield f"must name a host whose parts have 1 to {_LABEL} characters"
    if port == 0:
        yield "must have a port between 1 and 65535"
    if parts.fragment:
        yield "must have no fragment (#)"
    if parts.username is not None or parts.password is not None:
        yield "must have no user or password: send an Authorization header"


def check_tls(wrong: MistakeList, context: object, target: Target | None) -> None:
    """Note when there is a TLS context that is none, or that the URL has no use for."""
    wrong.instance("ssl_context", context, ssl.SSLContext, optional=True)
    if context is not None and target is not None and not target.secure:
        wrong.add("ssl_context", context, "needs a url that begins with wss://")


def parse_headers(wrong: MistakeList, headers: Headers) -> list[tuple[bytes, bytes]]:
    """Return headers as the wire has them; note what is wrong with them.

    A value is never repeated in a mistake, because headers carry credentials.
    """
    named = _pairs(headers)
    if named is None:
        wrong.add("headers", _HIDDEN, "must be a mapping, or pairs of a name and a value")
        return []

    encoded = []
    for name, value in named:
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            wrong.add("headers", name, "must have names made of letters, digits and hyphens")
        elif name.lower() in _OWN_HEADERS or name.lower().startswith("sec-websocket-"):
            wrong.add("headers", name, "must not name a header of the handshake itself")
        elif not _fits(value):
            wrong.add(f"headers[{name!r}]", _HIDDEN, "must be printable ASCII, no spaces around it")
        else:
            encoded.append((name.encode("ascii"), value.encode("ascii")))
    return encoded


def _pairs(headers: Headers) -> list[tuple[str, str]] | None:
    try:
        pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
        named = [(name, value) for name, value in pairs]
    except (TypeError, ValueError):
        return None

    # A text of two letters would pass for a pair, and an empty one for no headers.
    texts = any(isinstance(given, str | bytes) for given in (headers, *pairs))
    return None if texts else named


def _fits(value: object) -> bool:
    fits = isinstance(value, str) and value.isascii() and value.isprintable()
    return fits and value == str(value).strip()


def parse_subprotocols(wrong: MistakeList, subprotocols: Sequence[str]) -> tuple[str, ...]:
    """Return the subprotocols; note what is wrong with them. Their order is a preference."""
    if isinstance(subprotocols, str | bytes) or not isinstance(subprotocols, Sequence):
        wrong.add("subprotocols", subprotocols, "must be a sequence of texts, such as ['v1']")
        return ()

    names = tuple(subprotocols)
    for name in names:
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            wrong.add("subprotocols", name, "must be made of letters, digits and . - _")
    if len({str(name) for name in names}) < len(names):
        wrong.add("subprotocols", names, "must not repeat one")
    return names


def sendable(message: Message) -> Message:
    """Return a message that can be sent.

    Others are refused here, at the caller, and not in the sender, where they would be the first to
    be sent for ever.

    Raises:
        TypeError: It is neither text nor bytes.
        UnicodeEncodeError: The text cannot be sent as UTF-8.
    """
    if isinstance(message, bytes):
        return message

    if not isinstance(message, str):
        raise TypeError(f"a message is str or bytes, not {type(message).__qualname__}")

    if not message.isascii():
        message.encode()
    return message


def check_close(wrong: MistakeList, code: object, resume_code: object, reason: object) -> None:
    """Note what is wrong with the codes and the text that this side closes with."""
    for name, value in (("close_code", code), ("resume_close_code", resume_code)):
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or value not in _OWN_CODES:
            wrong.add(name, value, "must be 1000, 1001, or 3000 to 4999")
    if not isinstance(reason, str) or len(reason.encode(errors="replace")) > _CLOSE_REASON_BYTES:
        wrong.add("close_reason", reason, f"must be a text of at most {_CLOSE_REASON_BYTES} bytes")
