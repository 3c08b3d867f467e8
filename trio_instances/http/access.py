"""Who may do what: pure decisions about a host, a token, and a rate."""

from __future__ import annotations

import hmac
from typing import final

from ..policy.rate import TokenBucket
from .settings import Settings

_MOMENT = 0.001
"""Seconds that nobody is sent away for; a sum of many intervals may be off by much less."""
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


@final
class Access:
    """What an endpoint grants, by its settings and by what it has granted lately.

    Args:
        settings: What it was asked to be.
    """

    def __init__(self, settings: Settings) -> None:
        self._token = None if settings.token is None else settings.token.encode()
        self._host = settings.host
        self._local = settings.local
        self._verbs = TokenBucket(per_second=5.0, burst=20)
        self._guesses = TokenBucket(per_second=1.0, burst=10)

    @property
    def grants_verbs(self) -> bool:
        """Whether there is a token, without which nobody can do anything."""
        return self._token is not None

    @property
    def reading_is_open(self) -> bool:
        """Whether everybody who can reach it may read: those on this machine."""
        return self._local

    def knows_host(self, host: str) -> bool:
        """Tell whether a request's ``Host`` can be meant for us.

        On loopback only: a page of a stranger can have its own name resolve to a loopback address,
        and then read what it likes. Elsewhere reading needs a token, which no such page has.
        """
        if not self._local:
            return True

        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        here = f"[{self._host}]" if ":" in self._host else self._host
        return name.lower() in _LOCAL_NAMES or name == here

    def knows_token(self, authorization: str) -> bool:
        """Tell whether a header ``Authorization`` brings the token, in the same time for any."""
        scheme, _, given = authorization.partition(" ")
        if self._token is None or scheme.lower() != "bearer":
            return False

        return hmac.compare_digest(given.strip().encode(), self._token)

    def verb_delay(self, now: float) -> float:
        """Take one of the verbs that are granted for the time being, or say how long to wait."""
        return _take(self._verbs, now)

    def guess_delay(self, now: float) -> float:
        """Take one of the wrong tokens that are answered in peace, or say how long to wait.

        Only wrong ones count, so that nobody who guesses can lock out whoever knows.
        """
        return _take(self._guesses, now)


def _take(bucket: TokenBucket, now: float) -> float:
    delay = bucket.next_slot(now) - now
    if delay >= _MOMENT:
        return delay

    bucket.take(now)
    return 0.0
