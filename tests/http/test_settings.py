"""What `serve_operations` takes, and what it refuses before it listens."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_instances import InvalidSpec, open_runtime
from trio_instances.http import serve_operations
from trio_instances.http.settings import Settings

TOKEN = "0123456789abcdef"  # noqa: S105 - it guards nothing
FINE: dict[str, Any] = {
    "host": "127.0.0.1",
    "port": 8077,
    "token": None,
    "replay": 10,
    "max_readers": 10,
    "stop_timeout": 2.0,
    "metrics_by_instance": True,
}


def places(**options: Any) -> list[str]:
    """Return where mistakes are."""
    try:
        Settings(**{**FINE, **options})
    except InvalidSpec as exc:
        return [mistake.place for mistake in exc.mistakes]
    return []


async def test_every_mistake_is_listed_before_anything_listens() -> None:
    """One error for all of them, by argument."""
    async with open_runtime() as runtime:
        with pytest.raises(InvalidSpec) as raised:
            await serve_operations(
                runtime,
                host="",
                port=70_000,
                token="short",  # noqa: S106 - it is refused
                replay=0,
                max_readers=0,
                stop_timeout=float("inf"),
                metrics_by_instance=0,  # type: ignore[arg-type]  # the mistake under test
            )
    wrong = [mistake.place for mistake in raised.value.mistakes]
    assert wrong == [
        "host",
        "port",
        "token",
        "replay",
        "max_readers",
        "stop_timeout",
        "metrics_by_instance",
    ]
    assert "short" not in str(raised.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_needs_no_token(host: str) -> None:
    """Only this machine's users can reach it."""
    assert places(host=host) == []
    assert Settings(**{**FINE, "host": host}).local


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "ops.example", "localhost.example"])  # noqa: S104
def test_any_other_address_needs_a_token(host: str) -> None:
    """A name may resolve to anything, so it counts as one that all can reach."""
    assert places(host=host) == ["host"]
    assert places(host=host, token=TOKEN) == []
    assert not Settings(**{**FINE, "host": host, "token": TOKEN}).local


@given(st.one_of(st.text(max_size=40), st.integers(), st.binary(max_size=20)))
def test_a_token_is_long_and_can_stand_in_a_header(token: object) -> None:
    """16 printable ASCII characters without spaces at least; what is refused is never shown."""
    fits = isinstance(token, str) and len(token) >= 16 and all("!" <= c <= "~" for c in token)
    assert places(token=token) == ([] if fits else ["token"])


@pytest.mark.parametrize("port", [-1, 65_536, "8077", 80.5, None, True])
def test_a_port_is_a_port(port: object) -> None:
    """0 takes any that is free."""
    assert places(port=port) == ["port"]
    assert places(port=0) == []


@pytest.mark.parametrize("host", [None, 5, b"127.0.0.1"])
def test_a_host_is_a_text(host: object) -> None:
    """Anything else is refused, and not tried."""
    assert places(host=host) == ["host"]


def test_the_token_is_not_shown() -> None:
    """Settings end up in logs."""
    assert TOKEN not in repr(Settings(**{**FINE, "token": TOKEN}))
