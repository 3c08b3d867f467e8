"""Where an operations endpoint is, how it is asked, and what can be wrong with that. Pure."""

from __future__ import annotations

from typing import final
from urllib.parse import urlsplit

from attrs import field, frozen

from ..policy.in_words import printable
from ..policy.listening import is_loopback
from .exit_codes import AskedCode

_MAX_QUOTED = 300
_PATHS = frozenset({"/events", "/instances", "/lately", "/livez", "/metrics", "/readyz", "/tree"})


class BadAddress(ValueError):
    """A URL or a token that cannot be meant."""


class NotAnswered(Exception):
    """What was asked for did not come. Its text is one line, with the way out.

    Args:
        text: What happened.
        code: The exit code of a command that ends because of it.
        retry_after: Seconds that the other side asked to wait, if it did.
    """

    def __init__(
        self, text: str, code: AskedCode = AskedCode.UNAVAILABLE, *, retry_after: float = 0.0
    ) -> None:
        super().__init__(printable(text)[: 3 * _MAX_QUOTED])
        self.code = code
        self.retry_after = retry_after


@final
@frozen
class Address:
    """An endpoint, and what it is shown. Made by `read_address`."""

    url: str
    """Without a slash at its end."""
    local: bool
    """Whether it is on this machine's loopback interface, where no proxy can reach it."""
    host: str
    token: str | None = field(repr=False)


def read_address(url: str, token: str | None) -> Address:
    """Return the address that a user means.

    Raises:
        BadAddress: It is none, or the token cannot be sent. What may be a secret is not repeated.
    """
    if token is not None and not (token.isascii() and token.isprintable() and " " not in token):
        raise BadAddress("the token must be printable ASCII without spaces")

    shown = printable(url)[:_MAX_QUOTED]
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise BadAddress(f"{shown!r} is no URL: {exc}") from None

    if "@" in parts.netloc:
        raise BadAddress("a URL with a user or a password is not taken: use --token")
    if parts.scheme not in ("http", "https") or "://" not in url:
        hint = "" if "://" in url else f": perhaps http://{shown}"
        raise BadAddress(f"{shown!r} does not begin with http:// or https://{hint}")
    if not parts.hostname or port == 0 or any(char.isspace() for char in url):
        raise BadAddress(f"{shown!r} names no host and port that can be asked")
    if parts.query or parts.fragment:
        raise BadAddress(f"{shown!r} has more than a host and a path: leave out what follows them")

    *_, last = url.rstrip("/").split("/")
    if f"/{last}" in _PATHS and parts.path:
        raise BadAddress(f"{shown!r} is one page of an endpoint: leave out /{last}")

    return Address(url.rstrip("/"), is_loopback(parts.hostname), parts.hostname, token)
