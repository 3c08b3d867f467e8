"""Server-sent events: the same messages, whatever pieces their bytes come in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_instances._cli.sse import MAX_MESSAGE, Message, Parser, TooLong

LINE = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=9)
MESSAGE = st.tuples(LINE, st.lists(LINE, min_size=1, max_size=3), LINE)
END = st.sampled_from(["\n", "\r\n", "\r"])


def written(sent: list[tuple[str, list[str], str]], end: str) -> bytes:
    """Return messages as a server writes them."""
    lines = []
    for kind, data, last_id in sent:
        lines += [f"event: {kind}", *(f"data: {line}" for line in data), f"id: {last_id}", ""]
    return "".join(line + end for line in lines).encode()


def read(text: bytes, cuts: list[int]) -> list[Message]:
    """Return what is read of a text that comes in pieces."""
    parser, found, start = Parser(), [], 0
    for cut in [*sorted(cuts), len(text)]:
        found += parser.feed(text[start:cut])
        start = max(cut, start)
    return found


@given(st.lists(MESSAGE, max_size=4), END, st.lists(st.integers(0, 200), max_size=9))
def test_what_was_written_is_read_whatever_the_pieces(
    sent: list[tuple[str, list[str], str]], end: str, cuts: list[int]
) -> None:
    """Also where a piece ends within a character, or between the two halves of a line's end."""
    # The last line's end may be the first half of a longer one: what follows tells.
    found = read(written(sent, end) + b": so\n", cuts)

    assert found == [
        Message(kind or "message", "\n".join(data), last_id) for kind, data, last_id in sent
    ]


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=9))
def test_any_bytes_give_the_same_in_one_piece_and_in_many(text: bytes, cuts: list[int]) -> None:
    """Nothing that a server sends is too strange to be read, and nothing depends on the pieces."""
    assert read(text, cuts) == read(text, [])


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        (b"data: a\n\n", [Message("message", "a", "")]),
        (b"\xef\xbb\xbfdata: a\n\n", [Message("message", "a", "")]),
        (b": hello\nretry: 2000\ndata:a\n\n", [Message("message", "a", "")]),
        (b"data:  a\ndata\n\n", [Message("message", " a\n", "")]),
        (b"event: pulse\n\ndata: a\n\n", [Message("message", "a", "")]),
        (b"id: 1\n\ndata: a\n\ndata: b\n\n", [Message("message", x, "1") for x in "ab"]),
        (b"id: 1\nid: \0\ndata: a\n\n", [Message("message", "a", "1")]),
        (b"data: \xff\n\n", [Message("message", "\ufffd", "")]),
        (b"data: a\n", []),
    ],
)
def test_the_format_is_that_of_the_standard(text: bytes, messages: list[Message]) -> None:
    """Comments, unknown fields, one space after the colon, ids that last, a mark at the start."""
    assert Parser().feed(text) == messages


def test_a_message_that_is_cut_short_leaves_the_id_where_it_was() -> None:
    """Who goes on from there gets it again."""
    parser = Parser()
    parser.feed(b"id: 1\ndata: a\n\nid: 2\ndata: b\n")

    assert parser.last_id == "1"


@pytest.mark.parametrize("line", [b"x", b"data: x\n"])
def test_a_message_that_does_not_end_is_refused(line: bytes) -> None:
    """However it is cut into lines, no more than its bound is kept of it."""
    parser = Parser()

    def feed_much() -> None:
        for _ in range(2 * MAX_MESSAGE // 1000):
            parser.feed(line * 1000)

    with pytest.raises(TooLong, match=str(MAX_MESSAGE)):
        feed_much()
