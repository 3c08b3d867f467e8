"""Why a handshake failed, read from what the server answered."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import final

from attrs import evolve, frozen

from ..policy.failures import Cause
from ..policy.retry_after import parse_http_date, parse_retry_after
from ..policy.rule_sets import RuleSet
from ._causes import HANDSHAKE_CLOSED, HANDSHAKE_INVALID, SUBPROTOCOL

_SWITCHING_PROTOCOLS = 101
_BEGINNING = b"HTTP/"
_STATUS_LINE = re.compile(rb"HTTP/\d\.\d (\d{3})(?: ([^\r\n]*))?\r?\n")


@final
@frozen
class Answer:
    """The head of an HTTP response."""

    status: int
    phrase: str
    headers: Mapping[str, str]
    """Values by name in lower case; of a name that comes twice, the first."""


def may_be_answer(head: bytes | bytearray) -> bool:
    """Tell whether an HTTP response can begin with these bytes.

    trio-websocket waits for the empty line after the headers, which a server of another protocol
    never sends: it has said its greeting, and waits for ours.
    """
    return _BEGINNING.startswith(bytes(head[: len(_BEGINNING)]))


def parse_answer(head: bytes) -> Answer | None:
    """Read the head of an HTTP response, which may be cut off; None when it does not begin as one.

    trio-websocket tells of a refusal only after the whole body has arrived, and not at all when the
    body ends with the connection, as it does with many servers and proxies. A ``401`` taken for a
    lost connection would be retried for ever.
    """
    line = _STATUS_LINE.match(head)
    if line is None:
        return None

    headers: dict[str, str] = {}
    for row in head[line.end() :].split(b"\n"):
        if not row.strip():
            break

        name, _, value = row.decode("latin-1").partition(":")
        headers.setdefault(name.strip().lower(), value.strip())
    return Answer(int(line[1]), (line[2] or b"").decode("latin-1").strip(), headers)


def cause_of_failed_handshake(
    head: bytes, *, offered: Collection[str], causes: RuleSet, now: float
) -> Cause:
    """Return why a handshake failed.

    Args:
        head: What the server had answered until then.
        offered: The subprotocols that were offered.
        causes: What HTTP statuses mean.
        now: The time in POSIX seconds, for a ``Retry-After`` date of a server that does not tell
            its own time.

    Returns:
        The cause. Never raises.
    """
    if not head:
        return HANDSHAKE_CLOSED

    answer = parse_answer(head)
    if answer is None:
        return evolve(HANDSHAKE_INVALID, detail="the answer is not HTTP")

    if answer.status != _SWITCHING_PROTOCOLS:
        return causes.cause_of_status(
            answer.status,
            detail=f"the server answered {answer.status} {answer.phrase}".rstrip(),
            retry_after=_retry_after(answer.headers, now),
        )

    chosen = answer.headers.get("sec-websocket-protocol")
    if chosen is not None and chosen not in offered:
        return evolve(SUBPROTOCOL, detail=f"the server chose {chosen!r}, which was not offered")

    return evolve(HANDSHAKE_INVALID, detail="the server's upgrade is malformed")


def _retry_after(headers: Mapping[str, str], now: float) -> float | None:
    value = headers.get("retry-after")
    if value is None:
        return None

    servers_now = parse_http_date(headers.get("date", ""))
    return parse_retry_after(value, now if servers_now is None else servers_now)
