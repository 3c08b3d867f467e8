"""The laws of what a WebSocket channel accepts."""

from __future__ import annotations

import ssl
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_instances import _exceptions
from trio_instances.channels import WebSocketChannel
from trio_instances.channels._options import Target, parse_headers, parse_target, sendable
from trio_instances.policy.mistakes import MistakeList

URL = "ws://localhost"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ws://a.example", Target("a.example", 80, "a.example", "/", secure=False)),
        ("wss://a.example", Target("a.example", 443, "a.example", "/", secure=True)),
        ("wss://a.example:443/x", Target("a.example", 443, "a.example", "/x", secure=True)),
        ("ws://a.example:8080/", Target("a.example", 8080, "a.example:8080", "/", secure=False)),
        ("ws://a.example?t=1&u=2", Target("a.example", 80, "a.example", "/?t=1&u=2", secure=False)),
        ("ws://[::1]:9/x?y", Target("::1", 9, "[::1]:9", "/x?y", secure=False)),
        ("WS://A.example/X", Target("a.example", 80, "a.example", "/X", secure=False)),
    ],
)
def test_a_url_is_taken_apart(url: str, expected: Target) -> None:
    """Each part of the URL goes where the handshake needs it."""
    assert parse_target(MistakeList("x"), url) == expected


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("http://a.example", "must begin with ws:// or wss://"),
        ("a.example", "must begin with ws:// or wss://"),
        ("ws://", "must name a host"),
        ("ws:///x", "must name a host"),
        ("ws://a..example", "must name a host whose parts"),
        ("ws://a..", "must name a host whose parts"),
        (f"ws://{'a' * 58}.example", "must name a host whose parts"),
        ("ws://a.example:0", "must have a port between 1 and 65535"),
        ("ws://a.example:65536", "must be a URL with a valid host and port"),
        ("ws://a.example:x", "must be a URL with a valid host and port"),
        ("ws://[::1", "must be a URL with a valid host and port"),
        ("ws://a.example/#top", "must have no fragment"),
        ("ws://a.example/a b", "must be a printable ASCII text"),
        ("ws://a.example/a\r\nX: y", "must be a printable ASCII text"),
        ("ws://bücher.example", "must be a printable ASCII text"),
        ("ws://user:secret@a.example", "must have no user or password"),
        (b"ws://a.example", "must be a printable ASCII text"),
        (None, "must be a printable ASCII text"),
    ],
)
def test_a_bad_url_is_refused_and_says_what_is_wrong(url: Any, complaint: str) -> None:
    """Nothing but a WebSocket URL goes further than the constructor."""
    with pytest.raises(_exceptions.InvalidSpec, match=complaint) as caught:
        WebSocketChannel(url)

    assert {mistake.place for mistake in caught.value.mistakes} == {"url"}


@given(st.text() | st.text(alphabet="ws:/[]@?#.%aA019 ").map(lambda rest: "ws://" + rest))
def test_any_text_is_a_target_or_a_mistake(url: str) -> None:
    """No text raises anything but the list of mistakes."""
    wrong = MistakeList("x")
    target = parse_target(wrong, url)
    if target is None:
        with pytest.raises(_exceptions.InvalidSpec):
            wrong.raise_any()
    else:
        assert target.authority.encode("idna")
        assert target.resource.encode("ascii").startswith(b"/")


def test_a_password_in_a_url_is_not_repeated() -> None:
    """Errors end up in logs."""
    with pytest.raises(_exceptions.InvalidSpec) as caught:
        WebSocketChannel("ws://user:secret@a.example")

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("headers", [{"X-One": "1"}, [("X-One", "1")], (("X-One", "1"),)])
def test_headers_are_a_mapping_or_pairs(headers: Any) -> None:
    """Both common forms are accepted."""
    assert parse_headers(MistakeList("x"), headers) == [(b"X-One", b"1")]


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        ([("Bad Name", "x")], "headers"),
        ([("", "x")], "headers"),
        ([("Host", "x")], "headers"),
        ([("sec-websocket-key", "x")], "headers"),
        ([("X-One", "sec\r\nret: 1")], "headers['X-One']"),
        ([("X-One", "secrét")], "headers['X-One']"),
        ([("X-One", " secret")], "headers['X-One']"),
        ([("X-One", 1)], "headers['X-One']"),
        (["secret"], "headers"),
        (["ab"], "headers"),
        ("", "headers"),
        (b"", "headers"),
        (7, "headers"),
    ],
)
def test_a_bad_header_is_refused_and_its_value_is_not_repeated(headers: Any, field: str) -> None:
    """A header can neither break the handshake nor leak what it carries."""
    with pytest.raises(_exceptions.InvalidSpec) as caught:
        WebSocketChannel(URL, headers=headers)

    assert [mistake.place for mistake in caught.value.mistakes] == [field]
    assert "sec" not in str(caught.value).replace("sec-websocket-key", "")


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"ssl_context": "yes"}, "ssl_context"),
        ({"ssl_context": ssl.create_default_context()}, "ssl_context"),
        ({"subprotocols": "v1"}, "subprotocols"),
        ({"subprotocols": 7}, "subprotocols"),
        ({"subprotocols": b"v1"}, "subprotocols"),
        ({"subprotocols": {"env": "TOKEN"}}, "subprotocols"),
        ({"subprotocols": {"v1", "v2"}}, "subprotocols"),
        ({"subprotocols": ["a b"]}, "subprotocols"),
        ({"subprotocols": ["a", "a"]}, "subprotocols"),
        ({"on_message": "yes"}, "on_message"),
        ({"outbox_capacity": 0}, "outbox_capacity"),
        ({"outbox_capacity": 1.5}, "outbox_capacity"),
        ({"inbox_capacity": -1}, "inbox_capacity"),
        ({"max_message_size": 0}, "max_message_size"),
        ({"ping": "yes"}, "ping"),
        ({"close_code": 1006}, "close_code"),
        ({"close_code": 5000}, "close_code"),
        ({"close_code": True}, "close_code"),
        ({"resume_close_code": 1012}, "resume_close_code"),
        ({"close_reason": "é" * 62}, "close_reason"),
        ({"close_reason": None}, "close_reason"),
        ({"causes": "discord"}, "causes"),
        ({"causes": {4004: "fatal"}}, "causes"),
    ],
)
def test_a_bad_option_is_refused_by_name(options: Any, field: str) -> None:
    """The error names the field."""
    with pytest.raises(_exceptions.InvalidSpec) as caught:
        WebSocketChannel(URL, **options)

    assert {mistake.place for mistake in caught.value.mistakes} == {field}


def test_every_mistake_is_listed_at_once() -> None:
    """One error is enough to mend them all."""
    with pytest.raises(_exceptions.InvalidSpec) as caught:
        WebSocketChannel(
            "http://a.example:0/#x", headers=[("Host", "x")], outbox_capacity=-1, close_code=1
        )

    fields = [mistake.place for mistake in caught.value.mistakes]
    assert fields == ["url", "url", "url", "headers", "outbox_capacity", "close_code"]


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
def test_the_codes_a_client_may_close_with_are_accepted(code: int) -> None:
    """Normal, going away, registered and private codes."""
    WebSocketChannel(URL, close_code=code, close_reason="é" * 61)


@given(st.text(st.characters(codec="utf-8")) | st.binary())
def test_text_and_bytes_can_be_sent(message: str | bytes) -> None:
    """Whatever has a place on the wire is accepted as it is."""
    assert sendable(message) is message


def test_text_that_has_no_utf8_is_refused_at_the_caller() -> None:
    """In the outbox it would be the first message for ever."""
    with pytest.raises(UnicodeEncodeError):
        WebSocketChannel(URL).send_nowait("\ud800")


def test_a_message_of_another_type_is_refused_at_the_caller() -> None:
    """Only text and bytes are messages."""
    with pytest.raises(TypeError, match="a message is str or bytes, not dict"):
        sendable({})  # type: ignore[arg-type]  # the mistake under test


def test_a_channel_says_where_it_leads_and_no_secret() -> None:
    """A query often has a token, and headers do."""
    channel = WebSocketChannel(
        "wss://a.example:8443/feed?token=secret", headers={"Authorization": "secret"}
    )

    assert repr(channel) == "<WebSocketChannel wss://a.example:8443/feed>"
