"""Where an operations endpoint may listen: addresses, loopback, tokens."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_instances import InvalidSpec
from trio_instances.policy.listening import (
    LOOPBACK,
    Address,
    address_or_given,
    check_guarded,
    check_port,
    check_token,
    is_loopback,
)
from trio_instances.policy.mistakes import MistakeList

TOKEN = "0123456789abcdef"  # noqa: S105 - it guards nothing


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("8077", LOOPBACK, 8077),
        (8077, LOOPBACK, 8077),
        (0, LOOPBACK, 0),
        ("localhost:1", "localhost", 1),
        ("0.0.0.0:80", "0.0.0.0", 80),  # noqa: S104 - an example
        ("[::1]:8077", "::1", 8077),
        ("ops.example:99999", "ops.example", 99999),  # the port is refused where it is checked
    ],
)
def test_an_address_is_a_port_or_a_host_and_a_port(text: object, host: str, port: int) -> None:
    """A port alone is one of loopback; an IPv6 address stands in brackets."""
    assert address_or_given(text) == Address(host, port)


@pytest.mark.parametrize(
    "value", ["", ":", ":80", "host", "host:", "::1:80", "[::1]", "a:b:80", "-1", True, None, 1.5]
)
def test_what_is_no_address_stays_as_it_is(value: object) -> None:
    """For whoever checks it, and says so."""
    assert address_or_given(value) is value


@given(
    host=st.sampled_from(["::1", "::", "fe80::1"]) | st.from_regex(r"[a-z0-9.\-]+", fullmatch=True),
    port=st.integers(0, 65535),
)
def test_an_address_is_written_as_it_is_read(host: str, port: int) -> None:
    """Its text means the same address."""
    address = Address(host, port)
    assert address_or_given(str(address)) == address


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.255.0.1", "::1"])
def test_loopback_is_loopback(host: str) -> None:
    """Any address of it, and the one name."""
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "LOCALHOST", "localhost.", "10.0.0.1", "x"])  # noqa: S104
def test_everything_else_is_not(host: str) -> None:
    """In doubt, others can reach it."""
    assert not is_loopback(host)


def mistakes(check: Callable[..., None], *args: object) -> list[str]:
    """Return what a check finds."""
    wrong = MistakeList("test")
    check(wrong, "place", *args)
    try:
        wrong.raise_any()
    except InvalidSpec as exc:
        return [str(mistake) for mistake in exc.mistakes]
    return []


@given(st.text(max_size=30))
def test_what_is_not_quite_a_token_is_not_shown(token: str) -> None:
    """It may be a secret that was cut off."""
    for text in mistakes(check_token, token):
        assert text.startswith("place: must be None, or at least 16 printable ASCII characters")
        assert ", not " not in text


def test_a_token_may_be_missing_but_not_beyond_loopback() -> None:
    """Reading and acting would be open to all who can reach it."""
    assert mistakes(check_token, None) == []
    assert mistakes(check_token, TOKEN) == []
    assert mistakes(check_guarded, LOOPBACK, None) == []
    assert mistakes(check_guarded, "10.0.0.1", TOKEN) == []
    assert mistakes(check_guarded, 5, None) == []  # no host at all: somebody else says so
    assert mistakes(check_guarded, "10.0.0.1", None) == [
        "place: needs a token, as others than this machine's users can reach it, not '10.0.0.1'"
    ]


def test_a_port_is_at_most_65535() -> None:
    """And at least 0, which takes any that is free."""
    assert mistakes(check_port, 0) == mistakes(check_port, 65535) == []
    assert mistakes(check_port, 65536) == ["place: must be a whole number of 0 to 65535, not 65536"]
