"""The laws of reading why a handshake failed."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from trio_instances.channels._handshake import (
    cause_of_failed_handshake,
    may_be_answer,
    parse_answer,
)
from trio_instances.policy.causes import DEFAULTS, RuleSet, on_status
from trio_instances.policy.failures import Cause, FailureClass

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC).timestamp()


def cause_of(head: bytes, causes: RuleSet = DEFAULTS) -> Cause:
    """Return the cause of an answer to a client that speaks v1."""
    return cause_of_failed_handshake(head, offered=("v1",), causes=causes, now=NOW)


@given(st.binary() | st.binary().map(lambda tail: b"HTTP/1.1 503 x\r\n" + tail))
def test_any_bytes_give_a_cause(head: bytes) -> None:
    """The answer is the server's to write, so nothing in it may raise."""
    assert cause_of(head).reason


@given(st.integers(0, 40))
def test_every_beginning_of_an_answer_may_be_one(length: int) -> None:
    """However the bytes arrive, an answer is never taken for another protocol."""
    assert may_be_answer(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade"[:length])


@given(st.binary(min_size=5))
def test_what_is_no_beginning_of_an_answer_is_never_parsed_as_one(head: bytes) -> None:
    """What is given up early would have been given up later."""
    assert may_be_answer(head) or parse_answer(head) is None


def test_no_answer_is_a_closed_handshake() -> None:
    """A connection that ends before a word is retried."""
    assert cause_of(b"").reason == "handshake_closed"


def test_an_answer_that_is_not_http_is_an_invalid_handshake() -> None:
    """Something else listens there."""
    assert cause_of(b"220 mail.example ESMTP\r\n").reason == "handshake_invalid"


def test_a_status_is_seen_even_when_the_answer_is_cut_off() -> None:
    """The status line is enough for the cause."""
    cause = cause_of(b"HTTP/1.1 401 Unauthorized\r\nContent-Le")

    assert cause.reason == "http_401"
    assert cause.detail == "the server answered 401 Unauthorized"


def test_a_status_without_a_phrase_is_understood() -> None:
    """HTTP lets servers leave the phrase out."""
    assert cause_of(b"HTTP/1.1 503\r\n\r\n").detail == "the server answered 503"


def test_retry_after_is_relative_to_the_servers_own_clock() -> None:
    """A server whose clock is an hour off still gets the wait it meant."""
    head = (
        b"HTTP/1.1 503 Busy\r\n"
        b"Date: Sun, 01 Mar 2026 13:00:00 GMT\r\n"
        b"Retry-After: Sun, 01 Mar 2026 13:00:20 GMT\r\n\r\n"
    )

    assert cause_of(head).retry_after == 20.0


def test_retry_after_without_a_date_header_is_relative_to_our_clock() -> None:
    """A server that does not tell its time is taken to have ours."""
    head = b"HTTP/1.1 503 Busy\r\nretry-after: Sun, 01 Mar 2026 12:00:20 GMT\r\n\r\n"

    assert cause_of(head).retry_after == 20.0


def test_a_body_is_not_read_as_headers() -> None:
    """Headers end at the empty line."""
    head = b"HTTP/1.1 503 Busy\r\nServer: x\r\n\r\nRetry-After: 20\r\n"

    assert cause_of(head).retry_after is None


def test_the_platforms_statuses_go_first() -> None:
    """A platform may mean something else by a status."""
    rule = on_status(404, Cause(FailureClass.RECOVERABLE, "not_deployed_yet"))

    cause = cause_of(b"HTTP/1.1 404 Not Found\r\n\r\n", RuleSet("own", [rule]) | DEFAULTS)
    assert cause.reason == "not_deployed_yet"


def test_a_subprotocol_that_was_not_offered_is_fatal() -> None:
    """The two sides are configured for different protocols."""
    cause = cause_of(b"HTTP/1.1 101 x\r\nSec-WebSocket-Protocol: v2\r\n\r\n")

    assert (cause.failure_class, cause.reason) == (FailureClass.FATAL, "subprotocol")


def test_an_upgrade_that_is_wrong_otherwise_is_an_invalid_handshake() -> None:
    """Something between us and the server may have spoilt it, so it is retried."""
    cause = cause_of(b"HTTP/1.1 101 x\r\nSec-WebSocket-Protocol: v1\r\n\r\n")

    assert (cause.failure_class, cause.reason) == (FailureClass.RECOVERABLE, "handshake_invalid")


def test_of_a_header_that_comes_twice_the_first_counts() -> None:
    """What something on the way appended does not replace what the server said."""
    answer = parse_answer(b"HTTP/1.1 503 x\r\nRetry-After: 1\r\nRetry-After: 2\r\n\r\n")

    assert answer is not None
    assert answer.headers["retry-after"] == "1"
