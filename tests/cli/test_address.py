"""What a user may name as an endpoint, and what is said of all else."""

from __future__ import annotations

import pytest

from trio_instances._cli.address import BadAddress, NotAnswered, read_address
from trio_instances._cli.exit_codes import AskedCode

SECRET = "s3cret-s3cret-s3cret"  # noqa: S105 - it opens nothing


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("localhost:8077", "does not begin with http:// or https://: perhaps http://localhost:80"),
        ("127.0.0.1:8077", "perhaps http://127.0.0.1:8077"),
        ("ftp://host", "'ftp://host' does not begin with http:// or https://"),
        ("http:host", "does not begin"),
        ("http://", "names no host"),
        ("http://host:0", "names no host and port"),
        ("http://a b", "names no host"),
        ("http://host:70000", "is no URL: Port out of range"),
        ("http://host:x", "is no URL"),
        ("http://[::1", "is no URL"),
        ("http://host/?a=b", "leave out what follows"),
        ("http://host/#a", "leave out what follows"),
        ("http://host:8077/instances", "leave out /instances"),
        ("http://host:8077/ops/tree/", "leave out /tree"),
        ("http://host\x1b[2J:70000", r"\x1b[2J"),
    ],
)
def test_a_wrong_url_is_named_with_the_way_out(url: str, complaint: str) -> None:
    """In one line that steers no terminal."""
    with pytest.raises(BadAddress) as caught:
        read_address(url, None)

    assert complaint in str(caught.value)
    assert str(caught.value).isprintable()


def test_what_may_be_a_secret_is_not_repeated() -> None:
    """A password in a URL, and a token that cannot be sent."""
    with pytest.raises(BadAddress) as in_url:
        read_address(f"http://me:{SECRET}@host", None)
    with pytest.raises(BadAddress) as alone:
        read_address("http://host", f"{SECRET}\n")

    assert "--token" in str(in_url.value)
    assert "printable ASCII" in str(alone.value)
    assert SECRET not in f"{in_url.value} {alone.value}"
    assert SECRET not in repr(read_address("http://host", SECRET))


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://localhost:1", True),
        ("http://127.0.0.1:1/", True),
        ("https://[::1]:1", True),
        ("http://10.0.0.1:1", False),
        ("http://localhost.example:1/ops/", False),
    ],
)
def test_only_loopback_is_asked_past_any_proxy(url: str, local: bool) -> None:  # noqa: FBT001 - a parameter of the table
    """A proxy has a loopback interface of its own."""
    address = read_address(url, None)

    assert address.local is local
    assert address.url == url.rstrip("/")


def test_what_was_not_answered_is_one_line_whatever_the_other_side_says() -> None:
    """Bounded, and with nothing in it that steers a terminal."""
    failure = NotAnswered("no\r\n\x1b[2J" * 1000)

    assert str(failure).startswith(r"no\r\n\x1b[2J")
    assert len(str(failure)) < 1000
    assert failure.code is AskedCode.UNAVAILABLE
