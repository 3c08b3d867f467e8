"""Where an operations endpoint may listen, and what it needs there."""

from __future__ import annotations

import ipaddress
import re
from typing import final

from attrs import frozen

from .._exceptions import Mistake
from .mistakes import MistakeList

MIN_TOKEN = 16
"""Characters that a token must have; ``secrets.token_urlsafe`` gives 43."""
MAX_PORT = 65_535
LOOPBACK = "127.0.0.1"


@final
@frozen
class Address:
    """A host and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address_or_given(value: object) -> object:
    """Return the `Address` that ``PORT`` or ``HOST:PORT`` means; any other value as it is.

    A port alone is one of loopback. An IPv6 address stands in brackets, as in URLs.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return Address(LOOPBACK, value)
    if not isinstance(value, str):
        return value

    found = re.fullmatch(r"(?:(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]+)):)?([0-9]{1,5})", value)
    if found is None:
        return value

    return Address(found[1] or found[2] or LOOPBACK, int(found[3]))


def is_loopback(host: str) -> bool:
    """Tell whether only this machine's users can reach a host.

    A name other than localhost may resolve to anything, and counts as one that all can reach.
    """
    if host == "localhost":
        return True

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_port(wrong: MistakeList, place: str, port: object) -> None:
    """Check that a field is a port."""
    wrong.whole(place, port, at_most=MAX_PORT)


def check_token(wrong: MistakeList, place: str, token: object) -> None:
    """Check that a field is a token, or None. What is almost one is a secret, and is not shown."""
    printable = isinstance(token, str) and re.fullmatch(r"[!-~]+", token) is not None
    if token is None or (printable and len(str(token)) >= MIN_TOKEN):
        return

    expected = (
        f"must be None, or at least {MIN_TOKEN} printable ASCII characters without spaces: "
        "secrets.token_urlsafe() makes one"
    )
    wrong.extend(place, (Mistake("", None, expected, given=False),))


def check_guarded(wrong: MistakeList, place: str, host: object, token: object) -> None:
    """Check that a host that others can reach has a token."""
    if isinstance(host, str) and token is None and not is_loopback(host):
        expected = "needs a token, as others than this machine's users can reach it"
        wrong.add(place, host, expected)
