"""What the operations endpoint was asked to be."""

from __future__ import annotations

import ipaddress
from typing import final

from attrs import field, frozen

from .._exceptions import Mistake
from ..policy.mistakes import MistakeList

MIN_TOKEN = 16
"""Characters that a token must have; ``secrets.token_urlsafe`` gives 43."""
_MAX_PORT = 65_535


@final
@frozen(kw_only=True)
class Settings:
    """The arguments of `serve_operations`, checked."""

    host: str
    port: int
    token: str | None = field(repr=False)
    replay: int
    max_readers: int
    stop_timeout: float

    def __attrs_post_init__(self) -> None:
        wrong = MistakeList("serve_operations")
        wrong.text("host", self.host)
        wrong.whole("port", self.port)
        if isinstance(self.port, int) and self.port > _MAX_PORT:
            wrong.add("port", self.port, f"must be at most {_MAX_PORT}; 0 takes any that is free")
        _check_token(wrong, self.token)
        if isinstance(self.host, str) and not self.local and self.token is None:
            expected = "needs a token, as others than this machine's users can reach it"
            wrong.add("host", self.host, expected)
        wrong.whole("replay", self.replay, at_least=1)
        wrong.whole("max_readers", self.max_readers, at_least=1)
        wrong.number("stop_timeout", self.stop_timeout, finite=True)
        wrong.raise_any()

    @property
    def local(self) -> bool:
        """Whether only this machine can reach it. A name other than localhost is not trusted."""
        if self.host == "localhost":
            return True

        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def _check_token(wrong: MistakeList, token: object) -> None:
    fits = isinstance(token, str) and len(token) >= MIN_TOKEN and token.isascii()
    if token is None or (fits and str(token).isprintable() and " " not in str(token)):
        return

    # Without the value: what is almost a token is a secret, too.
    expected = (
        f"must be None, or at least {MIN_TOKEN} printable ASCII characters without spaces: "
        "secrets.token_urlsafe() makes one"
    )
    wrong.extend("", (Mistake("token", None, expected, given=False),))
